"""The SQL of the store, compiled once from ``models`` so that column names exist in one place.

asyncpg runs it as prepared statements; see ``store`` for why the write paths bypass SQLAlchemy's engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, bindparam, cast, func, insert, literal_column, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect
from sqlalchemy.sql.dml import Insert

from src.database.codec import storable_text
from src.database.models import (
    AccountMarkRow,
    Base,
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
    RefusalRow,
    SignalRow,
    StrategyAnswerRow,
    TieOutRow,
)

FENCE = "fence"
JOURNAL_BATCH = "journal_batch"
HEARTBEAT = "heartbeat"
_CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000000)::bigint"


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with ``$1`` parameters and the row keys they take, in order."""

    sql: str
    keys: tuple[str, ...]

    def arguments(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """The row's values in the order of the parameters, texts made storable."""
        values = (row[key] for key in self.keys)
        return tuple(storable_text(value) if isinstance(value, str) else value for value in values)


def _compile(statement: Insert) -> Statement:
    compiled = statement.inline().compile(dialect=asyncpg_dialect.dialect())  # type: ignore[no-untyped-call]
    return Statement(str(compiled), tuple(compiled.positiontup or ()))


def _written(model: type[Base]) -> list[str]:
    """Columns that rows bring; identities are the database's."""
    return [column.name for column in table_of(model).columns if column.identity is None]


def _bound(model: type[Base]) -> postgresql.Insert:
    return postgresql.insert(table_of(model)).values({name: bindparam(name) for name in _written(model)})


def _keep_first(model: type[Base]) -> Statement:
    """Insert; a row that exists stays as it is."""
    return _compile(_bound(model).on_conflict_do_nothing())


def _replace(model: type[Base], *fixed: str) -> Statement:
    """Insert or replace; ``fixed`` columns never change.

    Rows follow the order in which they are appended, not their clock: when the clock steps back, a halt
    or an execution must still overwrite what was there.
    """
    new, table = _bound(model), table_of(model)
    keys = [column.name for column in table.primary_key]
    changed: dict[str, Any] = {
        name: new.excluded[name] for name in _written(model) if name not in (*keys, *fixed)
    }
    if model is OrderRow:  # the venue's id, once known, is never forgotten; updates never look older
        changed["order_id"] = func.coalesce(new.excluded.order_id, table.c.order_id)
        changed["updated_ns"] = func.greatest(new.excluded.updated_ns, table.c.updated_ns)
    return _compile(new.on_conflict_do_update(index_elements=keys, set_=changed))


def _put_order() -> Statement:
    """Insert an order while our fence holds; the share lock makes a new owner wait for the commit."""
    table, control = table_of(OrderRow), table_of(ControlRow)
    bound = [name for name in _written(OrderRow) if name != FENCE]
    values = select(
        *(bindparam(name, type_=table.c[name].type) for name in bound), cast(control.c.value, BigInteger)
    )
    ours = control.c.value == bindparam(FENCE, type_=control.c.value.type)
    held = values.where(control.c.key == literal_column(f"'{FENCE}'"), ours).with_for_update(read=True)
    return _compile(insert(table).from_select([*bound, FENCE], held).returning(table.c.client_order_id))


PUT_ORDER = _put_order()
PUT_HELD_ORDER = _keep_first(OrderRow)
ORDER = _replace(OrderRow, "created_ns", "fence")
FILL = _keep_first(FillRow)
POSITION = _replace(PositionRow)
SETTLEMENT = _keep_first(SettlementRow)
SIGNAL = _replace(SignalRow)
REFUSAL = _compile(_bound(RefusalRow))
CONTROL = _replace(ControlRow)
CONTROL_ONCE = _keep_first(ControlRow)
ACCOUNT_MARK = _replace(AccountMarkRow)
FORECAST = _keep_first(ForecastRow)
DAILY_MAXIMUM = _keep_first(DailyMaximumRow)
STRATEGY_ANSWER = _replace(StrategyAnswerRow)
TIE_OUT = _replace(TieOutRow)
JOURNAL = _compile(_bound(JournalRow))

# A command is answered once: one that was withdrawn or answered meanwhile stays as it is.
ANSWER = Statement(
    "UPDATE commands SET status = $2, answer = $3, "
    f"answered_ns = {_CLOCK} "
    "WHERE id = $1 AND status = 'waiting'",
    ("id", "status", "answer"),
)

# The share lock makes a new owner's ``TAKE_FENCE`` wait for our commit, so that it reads what we wrote.
HOLD_FENCE = f"SELECT value FROM control_state WHERE key = '{FENCE}' FOR SHARE"
# A batch whose answer was lost is brought again under the same name: the name says whether it is in already.
LAST_BATCH = f"SELECT value FROM control_state WHERE key = '{JOURNAL_BATCH}'"
NEXT_BATCH = (
    f"UPDATE control_state SET value = $1 WHERE key = '{JOURNAL_BATCH}' AND value <> $1 RETURNING value"
)
TAKE_FENCE = (
    "UPDATE control_state SET value = (value::bigint + 1)::text, "
    f"updated_ns = {_CLOCK} WHERE key = '{FENCE}' RETURNING value"
)
# A row of its own: the fence's is share-locked by every order on its way.
FIRST_BEAT = (
    "INSERT INTO control_state (key, value, who, why, updated_ns) "
    f"VALUES ('{HEARTBEAT}', $1, $2, '', {_CLOCK}) ON CONFLICT (key) DO UPDATE "
    "SET value = excluded.value, who = excluded.who, updated_ns = excluded.updated_ns"
)
BEAT = (
    f"UPDATE control_state SET updated_ns = {_CLOCK} WHERE key = '{HEARTBEAT}' AND value = $1 RETURNING value"
)
