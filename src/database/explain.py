"""Reading why something was or was not traded: signals with their verdicts, and what strategies said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from src.core.actions import OrderStatus
from src.core.signal import Purpose
from src.core.units import Nanos
from src.database.models import OrderRow, table_of
from src.database.models_log import (
    RefusalRow,
    SignalRow,
    StrategyAnswerRow,
)

SIGNALS = table_of(SignalRow)
REFUSALS = table_of(RefusalRow)
ORDERS = table_of(OrderRow)
ANSWERS = table_of(StrategyAnswerRow)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Rows about a market, an event or a series, newest first; columns as in the tables."""

    signals: tuple[dict[str, Any], ...]
    refusals: dict[str, dict[str, Any]]
    orders: dict[str, list[dict[str, Any]]]
    answers: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Drought:
    """What happened lately: entries sent, refusals by gate with the newest one's numbers, answers by text."""

    entries: int
    refused: dict[str, int]
    numbers: dict[str, dict[str, Any]]
    answers: dict[str, int]


async def read_verdicts(engine: AsyncEngine, name: str, last: int) -> Verdicts:
    """Everything said about the ticker, event or series ``name``: up to ``last`` signals, newest first."""
    below = f"{_escaped(name)}-%"
    about = (SIGNALS.c.ticker == name) | (SIGNALS.c.event_ticker == name) | SIGNALS.c.event_ticker.like(below)
    # A market's event is the beginning of its ticker.
    events = (
        (ANSWERS.c.event_ticker == name)
        | ANSWERS.c.event_ticker.like(below)
        | (func.starts_with(name, ANSWERS.c.event_ticker + "-"))
    )
    async with engine.connect() as connection:
        signals = (
            await connection.execute(
                select(SIGNALS).where(about).order_by(SIGNALS.c.updated_ns.desc()).limit(last)
            )
        ).mappings()
        found = tuple(dict(row) for row in signals)
        ids = [row["signal_id"] for row in found]
        refusals = (
            await connection.execute(
                select(REFUSALS).where(REFUSALS.c.signal_id.in_(ids)).order_by(REFUSALS.c.id)
            )
        ).mappings()
        orders = (
            await connection.execute(
                select(ORDERS).where(ORDERS.c.signal_id.in_(ids)).order_by(ORDERS.c.created_ns)
            )
        ).mappings()
        newest_refusal = {row["signal_id"]: dict(row) for row in refusals}
        of_signal: dict[str, list[dict[str, Any]]] = {}
        for row in orders:
            of_signal.setdefault(row["signal_id"], []).append(dict(row))
        answers = (
            await connection.execute(select(ANSWERS).where(events).order_by(ANSWERS.c.since_ns.desc()))
        ).mappings()
        return Verdicts(found, newest_refusal, of_signal, tuple(dict(row) for row in answers))


async def read_drought(engine: AsyncEngine, since_ns: Nanos) -> Drought:
    """What kept entries from happening since ``since_ns``."""
    sent = (
        ~ORDERS.c.external
        & (ORDERS.c.purpose == Purpose.ENTRY.value)
        & (ORDERS.c.status != OrderStatus.REJECTED.value)
    )
    recent = REFUSALS.c.refused_ns >= since_ns
    async with engine.connect() as connection:
        entries = await connection.scalar(
            select(func.count()).select_from(ORDERS).where(sent & (ORDERS.c.created_ns >= since_ns))
        )
        gates = await connection.execute(
            select(REFUSALS.c.gate, func.count()).where(recent).group_by(REFUSALS.c.gate)
        )
        refused = {str(row[0]): int(row[1]) for row in gates}
        newest = (
            await connection.execute(
                select(REFUSALS.c.gate, REFUSALS.c.ticker, REFUSALS.c.numbers).where(
                    REFUSALS.c.id.in_(select(func.max(REFUSALS.c.id)).where(recent).group_by(REFUSALS.c.gate))
                )
            )
        ).mappings()
        numbers = {row["gate"]: _with_ticker(row) for row in newest}
        said = await connection.execute(select(ANSWERS.c.answer, func.count()).group_by(ANSWERS.c.answer))
        return Drought(int(entries or 0), refused, numbers, {str(row[0]): int(row[1]) for row in said})


def _with_ticker(row: RowMapping) -> dict[str, Any]:
    return {"ticker": row["ticker"], "numbers": dict(row["numbers"])}


def _escaped(name: str) -> str:
    """``name`` with nothing in it that LIKE takes for a wildcard."""
    return "".join(f"\\{char}" if char in "\\%_" else char for char in name)


def count_by_share(refused: dict[str, int]) -> Sequence[tuple[str, float]]:
    """Gates with their share of all refusals, largest first."""
    total = sum(refused.values())
    return sorted(
        ((gate, count / total) for gate, count in refused.items()), key=lambda pair: (-pair[1], pair[0])
    )
