"""The durable store: every order is a committed row before it is sent, every audit record is kept.

Writes go through asyncpg directly: one order costs 0.35 ms to commit with fsync on, against 1.0 ms through
SQLAlchemy Core (p50 of 1,400 on a quiet two-core machine). Orders have a connection of their
own, so that a long batch of records never delays one. Reads go through SQLAlchemy's engine.

There is one writer (``one_writer``): every write checks the fencing number in its own transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from src.core.actions import AuditRecord, OrderStatus, StoredState
from src.core.events import DailyMaximum, ForecastUpdate
from src.core.ports import ApprovedOrder
from src.core.units import Nanos
from src.database import explain, migrate, readers, statements
from src.database.commands import CommandTable
from src.database.connection import connect, create_engine
from src.database.errors import DuplicateOrder, FencedOut
from src.database.held import HeldBatch, HeldEntry, batch_name, is_news
from src.database.ledger import Ledger
from src.database.link import Link
from src.database.one_writer import TAKEN_OVER, OneWriter
from src.database.readers import JournalEntry
from src.database.rows import control_row, forecast_row, maximum_row, order_row
from src.database.statements import FENCE, JOURNAL_BATCH
from src.database.tie_out import TieOut, tie_out_row
from src.database.writes import Writes, held_writes, record_writes


class PostgresStore(OneWriter):
    """Implements ``core.ports.Store``. Open with ``open``; ``lock`` before trading; ``close`` at the end.

    A failed write raises ``DatabaseUnavailable`` and is not tried again here: the next call connects anew.
    ``durable.DurableStore`` stands before it in the daemon, for what must be kept while it does not answer.
    """

    def __init__(self, url: str, schema: str, engine: AsyncEngine, fence: str) -> None:
        super().__init__(url, schema, engine, fence)
        self._orders = Link(url, schema)
        self._records = Link(url, schema)
        self.commands = CommandTable(engine)
        self._batches = 0

    @classmethod
    async def open(cls, url: str, schema: str) -> Self:
        """Bring the schema's tables up to date and connect.

        Raises ``ConfigError`` naming DATABASE_URL and the mend, never the password.
        """
        await migrate.upgrade(url, schema)
        connection = await connect(url, schema)
        try:
            first = statements.CONTROL_ONCE
            for key, value in ((FENCE, "0"), (JOURNAL_BATCH, "")):
                await connection.execute(first.sql, *first.arguments(control_row(key, value, 0)))
            fence = await connection.fetchval(statements.HOLD_FENCE)
        finally:
            await connection.close()
        return cls(url, schema, create_engine(url, schema), fence)

    async def close(self) -> None:
        """Close every connection, the lock's last."""
        await self._orders.close()
        await self._records.close()
        await self._give_up_lock()
        await self._engine.dispose()

    @property
    def next_batch(self) -> int:
        """The number of the batch that the next ``append`` writes, or wrote without hearing an answer."""
        return self._batches + 1

    async def put_intent(self, approved: ApprovedOrder) -> None:
        """Commit the order's row (PENDING_NEW) before it is sent.

        Raises ``DuplicateOrder`` if the order or its (signal, attempt) exists, ``FencedOut`` if another
        instance took over, ``DatabaseUnavailable`` if the row may not be there. Never send after any of them.
        """
        intent = approved.intent
        row = order_row(intent, OrderStatus.PENDING_NEW, approved.reserved, intent.created_ts)
        arguments = statements.PUT_ORDER.arguments({**row, FENCE: self._fence})
        async with self._orders.use() as connection:
            try:
                put = await connection.fetchval(statements.PUT_ORDER.sql, *arguments)
            except asyncpg.UniqueViolationError:
                known = f"order {intent.client_order_id}, signal {intent.signal_id}, attempt {intent.attempt}"
                raise DuplicateOrder(f"{known}: it exists already") from None
        if put is None:
            raise FencedOut(TAKEN_OVER)

    async def append(self, records: Sequence[AuditRecord]) -> None:
        """Persist audit records, in order, in one transaction: their tables and a journal line each.

        After ``DatabaseUnavailable`` call again with the same records: a batch whose commit went through
        although its answer was lost is not written twice.
        """
        if not records:
            return
        await self._write(record_writes(records), batch_name(self.fence, self.next_batch))
        self._batches += 1

    async def append_aside(self, records: Sequence[AuditRecord]) -> None:
        """Persist what a person did in another program, beside the daemon that writes the journal.

        Its batches have no number: the daemon's own count would take the first ones for its own.
        """
        await self._write(record_writes(records))

    async def replay(self, entries: Sequence[HeldEntry]) -> None:
        """Put in what the fallback journal holds, in order. Doing it twice changes nothing.

        Intents are kept as first written. A stop (HALTED, REDUCING) is restored. Batches of records go in
        once, and not at all if a later instance has written since: its records are the newer truth.
        """
        async with self._records.use() as connection:
            await self._keep_lock()
            for entry in entries:
                async with connection.transaction():
                    if await connection.fetchval(statements.HOLD_FENCE) != self._fence:
                        raise FencedOut(TAKEN_OVER)
                    last = await connection.fetchval(statements.LAST_BATCH)
                    for statement, rows in held_writes(entry, last).items():
                        await connection.executemany(statement.sql, rows)
                    if isinstance(entry, HeldBatch) and is_news(entry, last):
                        await connection.fetchval(
                            statements.NEXT_BATCH, batch_name(entry.fence, entry.number)
                        )

    async def put_forecasts(self, forecasts: Sequence[ForecastUpdate]) -> None:
        """Keep forecasts as first seen (repetitions are ignored)."""
        statement = statements.FORECAST
        rows = [statement.arguments(forecast_row(forecast)) for forecast in forecasts]
        await self._write({statement: rows} if rows else {})

    async def put_maxima(self, maxima: Sequence[DailyMaximum]) -> None:
        """Keep observed daily maxima as first seen (repetitions are ignored)."""
        statement = statements.DAILY_MAXIMUM
        rows = [statement.arguments(maximum_row(maximum)) for maximum in maxima]
        await self._write({statement: rows} if rows else {})

    async def put_answers(self, answers: Sequence[tuple[str, str, str, Nanos]]) -> None:
        """Keep what strategies say: (strategy, event, answer, since when)."""
        statement = statements.STRATEGY_ANSWER
        keys = ("strategy", "event_ticker", "answer", "since_ns")
        rows = [statement.arguments(dict(zip(keys, answer, strict=True))) for answer in answers]
        await self._write({statement: rows} if rows else {})

    async def keep(self, key: str, value: str, now: Nanos) -> None:
        """Keep a small fact of the daemon's own across restarts."""
        statement = statements.CONTROL
        await self._write({statement: [statement.arguments(control_row(key, value, now))]})

    async def kept(self, key: str) -> str | None:
        """What ``keep`` kept, or None."""
        return await readers.read_value(self._engine, key)

    async def put_tie_out(self, tie_out: TieOut) -> None:
        """Keep a tie-out. Anybody may: it changes nothing that trading rests on."""
        statement = statements.TIE_OUT
        async with self._beats.use() as connection:
            await connection.execute(statement.sql, *statement.arguments(tie_out_row(tie_out)))

    async def last_tie_out(self) -> dict[str, Any] | None:
        """The newest tie-out's row, or None."""
        return await readers.read_last_tie_out(self._engine)

    async def verdicts(self, name: str, last: int) -> explain.Verdicts:
        """Why a market, an event or a series was traded or not: up to ``last`` signals, newest first."""
        return await explain.read_verdicts(self._engine, name, last)

    async def drought(self, since: Nanos) -> explain.Drought:
        """What kept entries from happening since ``since``."""
        return await explain.read_drought(self._engine, since)

    async def weather(self, since: Nanos) -> tuple[ForecastUpdate | DailyMaximum, ...]:
        """Forecasts and daily maxima first seen from ``since`` on, in the order they were seen."""
        return await readers.read_weather(self._engine, since)

    async def load(self) -> StoredState:
        """Everything needed to come back from a crash. Statuses are as stored; live ones are doubtful."""
        return await readers.read_state(self._engine)

    async def ledger(self) -> Ledger:
        """Orders, fills, positions and cash from the tables, to hold against the exchange's."""
        return await readers.read_ledger(self._engine)

    async def status(self) -> dict[str, Any]:
        """State, positions, live orders, today's profit and the last signs of life, for people."""
        return await readers.read_status(self._engine)

    async def control_values(self, prefix: str) -> dict[str, str]:
        """The engine's own stored values whose keys begin with ``prefix``."""
        return await readers.read_control_values(self._engine, prefix)

    async def journal(self, after: int = 0, limit: int = 1_000) -> tuple[JournalEntry, ...]:
        """A page of the journal: up to ``limit`` records after place ``after``."""
        return await readers.read_journal(self._engine, after, limit)

    async def _write(self, writes: Writes, batch: str = "") -> None:
        if not writes:
            return
        async with self._records.use() as connection:
            await self._keep_lock()
            async with connection.transaction():
                if await connection.fetchval(statements.HOLD_FENCE) != self._fence:
                    raise FencedOut(TAKEN_OVER)
                if batch and await connection.fetchval(statements.NEXT_BATCH, batch) is None:
                    return  # an earlier attempt was committed, only its answer was lost
                for statement, rows in writes.items():
                    await connection.executemany(statement.sql, rows)
