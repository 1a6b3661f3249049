"""What audit records and the fallback journal's entries change in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from src.core.actions import AuditRecord, OrderStatus, TradingState
from src.database import statements
from src.database.held import HeldBatch, HeldEntry, HeldIntent, HeldState, is_news
from src.database.rows import journal_row, order_row, table_writes
from src.database.statements import FENCE, Statement

Writes: TypeAlias = dict[Statement, list[tuple[Any, ...]]]
"""Arguments of each statement, in order."""


def record_writes(records: Sequence[AuditRecord]) -> Writes:
    """The rows of audit records in their tables, and a journal line each."""
    writes: Writes = {}
    for record in records:
        for statement, row in table_writes(record):
            writes.setdefault(statement, []).append(statement.arguments(row))
    journal = statements.JOURNAL
    writes[journal] = [journal.arguments(journal_row(record)) for record in records]
    return writes


def held_writes(entry: HeldEntry, last_batch: str) -> Writes:
    """What an entry of the fallback journal still has to change."""
    match entry:
        case HeldIntent(intent=intent, reserved=reserved):
            put = statements.PUT_HELD_ORDER
            row = order_row(intent, OrderStatus.PENDING_NEW, reserved, intent.created_ts)
            return {put: [put.arguments({**row, FENCE: entry.fence})]}
        case HeldState(record=record):
            if record.state not in {TradingState.HALTED, TradingState.REDUCING}:
                return {}  # leaving a stop is only believed when the database heard of it
            return {statement: [statement.arguments(row)] for statement, row in table_writes(record)}
        case HeldBatch(records=records):
            return record_writes(records) if is_news(entry, last_batch) else {}
