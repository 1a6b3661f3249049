"""Reading the store: what a restart needs, the ledger, a summary for people, the journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from src.core.actions import AuditRecord, StoredState, TradingState
from src.core.events import DailyMaximum, ForecastUpdate
from src.core.units import Nanos
from src.database import codec, ledger, rows, stored
from src.database.ledger import Ledger
from src.database.models import (
    LIVE_STATUSES,
    AccountMarkRow,
    ControlRow,
    FillRow,
    OrderRow,
    PositionRow,
    SettlementRow,
    table_of,
)
from src.database.models_log import (
    DailyMaximumRow,
    ForecastRow,
    JournalRow,
    TieOutRow,
)

ORDERS = table_of(OrderRow)
FILLS = table_of(FillRow)
SETTLEMENTS = table_of(SettlementRow)
POSITIONS = table_of(PositionRow)
CONTROL = table_of(ControlRow)
MARKS = table_of(AccountMarkRow)
JOURNAL = table_of(JournalRow)
FORECASTS = table_of(ForecastRow)
MAXIMA = table_of(DailyMaximumRow)
TIE_OUTS = table_of(TieOutRow)
# The engine keeps strategies that a person switched off as control values: why, by name.
_STRATEGY_OFF = "strategy_off:"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A record and its place in the journal."""

    seq: int
    record: AuditRecord


async def read_state(engine: AsyncEngine) -> StoredState:
    """Everything a restart needs, as of one instant.

    All orders are read, not only the live ones: a late fill or an old client order id must find its order
    however long ago it was made, and a year of trading is some ten thousand rows.
    """
    async with _snapshot(engine) as connection:
        return await _state(connection)


async def read_weather(engine: AsyncEngine, since_ns: Nanos) -> tuple[ForecastUpdate | DailyMaximum, ...]:
    """Forecasts and daily maxima first seen from ``since_ns`` on, in the order they were seen."""
    async with _snapshot(engine) as connection:
        forecasts = await _rows(connection, select(FORECASTS).where(FORECASTS.c.first_seen_ns >= since_ns))
        maxima = await _rows(connection, select(MAXIMA).where(MAXIMA.c.first_seen_ns >= since_ns))
    seen: list[ForecastUpdate | DailyMaximum] = [
        *(stored.stored_forecast(row) for row in forecasts),
        *(stored.stored_maximum(row) for row in maxima),
    ]
    return tuple(sorted(seen, key=lambda item: item.ts_recv))


async def read_ledger(engine: AsyncEngine) -> Ledger:
    """The account from the rows alone, as of one instant."""
    async with _snapshot(engine) as connection:
        state = await _state(connection)
        positions = await _rows(connection, select(POSITIONS).order_by(POSITIONS.c.ticker))
    opening = ledger.opening_counts(state.values)
    cash = state.opening_cash
    if cash is not None:
        cash += ledger.trading_cash(state.fills, state.settlements, opening)
        cash += int(state.values.get(ledger.EXTERNAL_CASH, "0"))
    return Ledger(
        orders=state.orders,
        fills=state.fills,
        settlements=state.settlements,
        positions=tuple(map(stored.stored_position, positions)),
        counts=ledger.open_counts(state.fills, state.settlements, opening),
        cash=cash,
        external_cash=int(state.values.get(ledger.EXTERNAL_CASH, "0")),
        opened_with=frozenset(opening),
    )


async def read_status(engine: AsyncEngine) -> dict[str, Any]:
    """A summary for people. Keys carry units as columns do; what is not known yet is None."""
    async with _snapshot(engine) as connection:
        trading = await _first(connection, select(CONTROL).where(CONTROL.c.key == rows.TRADING_STATE))
        held = select(POSITIONS).where(POSITIONS.c.count_e2 != 0).order_by(POSITIONS.c.ticker)
        live = ORDERS.c.status.in_([status.value for status in LIVE_STATUSES])
        shown = (
            ORDERS.c[name]
            for name in ("ticker", "side", "price_e4", "count_e2", "filled_e2", "reserved_e6", "status")
        )
        orders = await _rows(connection, select(*shown).where(live).order_by(ORDERS.c.created_ns))
        positions = await _rows(connection, held)
        mark = await _first(connection, select(MARKS).order_by(MARKS.c.ts_ns.desc()).limit(1))
        newest = await connection.scalar(select(JOURNAL.c.ts_ns).order_by(JOURNAL.c.seq.desc()).limit(1))
        filled = await connection.scalar(select(func.count()).select_from(FILLS))
        values = {
            row["key"]: row["value"] for row in await _rows(connection, select(CONTROL)) if row["value"]
        }
        halted = (JOURNAL.c.kind == "state_changed") & (JOURNAL.c.payload["state"].astext == "halted")
        halts = await _rows(connection, select(JOURNAL).where(halted).order_by(JOURNAL.c.seq.desc()).limit(3))
        tie_out = await _first(connection, select(TIE_OUTS).order_by(TIE_OUTS.c.ts_ns.desc()).limit(1))
    return {
        "state": trading["value"] if trading else None,
        "who": trading["who"] if trading else None,
        "why": trading["why"] if trading else None,
        "until_ns": trading["until_ns"] if trading else None,
        "halts": [
            {"ts_ns": row["ts_ns"], "who": row["payload"]["who"], "why": row["payload"]["why"]}
            for row in halts
        ],
        "records_read_ns": int(values["records_read_until"]) if "records_read_until" in values else None,
        "strategies_off": {
            key.removeprefix(_STRATEGY_OFF): value
            for key, value in values.items()
            if key.startswith(_STRATEGY_OFF) and value  # empty: switched on again
        },
        "flattening": values.get("flatten") == "on",
        "tie_out": dict(tie_out) if tie_out else None,
        "open_positions": [dict(row) for row in positions],
        "live_orders": [dict(row) for row in orders],
        "fills": filled,
        "day": mark["day"] if mark else None,
        "day_pnl_e6": mark["day_pnl_e6"] if mark else None,
        "mark": dict(mark) if mark else None,
        "journal_ns": newest,
    }


async def read_value(engine: AsyncEngine, key: str) -> str | None:
    """A control value, or None."""
    async with engine.connect() as connection:
        value: str | None = await connection.scalar(select(CONTROL.c.value).where(CONTROL.c.key == key))
    return value


async def read_last_tie_out(engine: AsyncEngine) -> dict[str, Any] | None:
    """The newest tie-out's row."""
    async with engine.connect() as connection:
        row = await _first(connection, select(TIE_OUTS).order_by(TIE_OUTS.c.ts_ns.desc()).limit(1))
    return dict(row) if row is not None else None


async def read_control_values(engine: AsyncEngine, prefix: str) -> dict[str, str]:
    """Values of ``control_state`` by key, of the keys that begin with ``prefix``."""
    async with _snapshot(engine) as connection:
        found = await _rows(
            connection, select(CONTROL).where(CONTROL.c.key.startswith(prefix, autoescape=True))
        )
    return {row["key"]: row["value"] for row in found if row["key"] not in rows.RESERVED_KEYS}


async def read_journal(engine: AsyncEngine, after: int, limit: int) -> tuple[JournalEntry, ...]:
    """Up to ``limit`` records that follow place ``after``, in order."""
    wanted = select(JOURNAL).where(JOURNAL.c.seq > after).order_by(JOURNAL.c.seq).limit(limit)
    async with engine.connect() as connection:
        found = await _rows(connection, wanted)
    return tuple(JournalEntry(row["seq"], codec.decode(row["kind"], row["payload"])) for row in found)


async def _state(connection: AsyncConnection) -> StoredState:
    control = {row["key"]: row for row in await _rows(connection, select(CONTROL))}
    orders = await _rows(connection, select(ORDERS).order_by(ORDERS.c.created_ns, ORDERS.c.client_order_id))
    fills = await _rows(connection, select(FILLS).order_by(FILLS.c.seq))
    paid = await _rows(
        connection, select(SETTLEMENTS).order_by(SETTLEMENTS.c.settled_ns, SETTLEMENTS.c.ticker)
    )
    trading = control.get(rows.TRADING_STATE)
    cash, ts = control.get(rows.OPENING_CASH), control.get(rows.OPENING_TS)
    return StoredState(
        orders=tuple(map(stored.stored_order, orders)),
        fills=tuple(map(stored.stored_fill, fills)),
        settlements=tuple(map(stored.stored_settlement, paid)),
        signal_ids=frozenset(row["signal_id"] for row in orders if not row["external"]),
        opening_cash=int(cash["value"]) if cash else None,
        opening_ts=int(ts["value"]) if ts else None,
        state=TradingState(trading["value"]) if trading else None,
        state_who=trading["who"] if trading else "",
        state_why=trading["why"] if trading else "",
        state_until=trading["until_ns"] if trading else None,
        values={key: row["value"] for key, row in control.items() if key not in rows.RESERVED_KEYS},
    )


@asynccontextmanager
async def _snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection whose queries all see the same instant."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


async def _rows(connection: AsyncConnection, query: Select[Any]) -> Sequence[RowMapping]:
    return list((await connection.execute(query)).mappings())


async def _first(connection: AsyncConnection, query: Select[Any]) -> RowMapping | None:
    return next(iter(await _rows(connection, query)), None)
