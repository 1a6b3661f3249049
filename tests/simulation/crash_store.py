"""A store in memory that survives its process: only what was committed is there afterwards.

It keeps the rules of the PostgreSQL store: unique client ids, venue ids and (signal, attempt); fills and
settlements kept as first written; other rows replaced in order; one writer, by a fencing number.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from src.core.actions import (
    AuditRecord,
    ControlValue,
    FillApplied,
    LedgerOpened,
    OrderChanged,
    OrderStatus,
    SettlementApplied,
    StateChanged,
    StoredOrder,
    StoredState,
    TradingState,
)
from src.core.errors import StoreUnavailableError
from src.core.events import Fill, Settlement
from src.core.ports import ApprovedOrder
from src.core.signal import OrderIntent
from src.core.units import Cash, Nanos
from src.database.errors import DuplicateOrder
from src.database.held import HeldEntry, HeldIntent, HeldState, batch_name, is_news


class StoreError(StoreUnavailableError):
    """The database did not answer."""


class DuplicateError(DuplicateOrder):
    """A unique constraint is broken, which no correct program does."""


class FencedOutError(Exception):
    """Another instance owns the store now."""


class MemoryFallback:
    """The local file: what ``append`` took is there after a crash."""

    def __init__(self) -> None:
        self.entries: tuple[HeldEntry, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self.entries

    def append(self, entry: HeldEntry) -> None:
        """Hold an entry."""
        self.entries = (*self.entries, entry)

    def clear(self) -> None:
        """Forget what is held."""
        self.entries = ()


class Committed:
    """The committed rows, shared by all incarnations of the process."""

    def __init__(self) -> None:
        self.fence = 0
        self.orders: dict[str, StoredOrder] = {}
        self.fills: dict[tuple[str, str], Fill] = {}
        self.settlements: dict[tuple[str, Nanos], Settlement] = {}
        self.state: StateChanged | None = None
        self.opening: tuple[Cash, Nanos] | None = None
        self.values: dict[str, str] = {}
        self.last_batch = ""
        self.local = MemoryFallback()

    def put_intent(self, approved: ApprovedOrder, fence: int) -> None:
        """Commit an order's row."""
        self._check(fence)
        self._insert(approved.intent, approved.reserved)

    def _insert(self, intent: OrderIntent, reserved: Cash) -> None:
        known = {(row.intent.signal_id, row.intent.attempt) for row in self.orders.values()}
        if intent.client_order_id in self.orders or (intent.signal_id, intent.attempt) in known:
            raise DuplicateError(f"order {intent.client_order_id} exists already")
        self.orders[intent.client_order_id] = StoredOrder(
            "", intent, OrderStatus.PENDING_NEW, 0, reserved, False
        )

    def append(self, records: Sequence[AuditRecord], fence: int, number: int) -> bool:
        """Commit records in one transaction, once; False when an earlier attempt had been committed."""
        self._check(fence)
        if self.last_batch == batch_name(fence, number):
            return False
        self.last_batch = batch_name(fence, number)
        for record in records:
            self._apply(record)
        return True

    def replay(self, entries: Sequence[HeldEntry], fence: int) -> list[AuditRecord]:
        """What the PostgreSQL store does with what was held locally; returns the records that were news."""
        self._check(fence)
        news: list[AuditRecord] = []
        for entry in entries:
            match entry:
                case HeldIntent(intent=intent, reserved=reserved):
                    with suppress(DuplicateError):
                        self._insert(intent, reserved)
                case HeldState(record=record):
                    if record.state in {TradingState.HALTED, TradingState.REDUCING}:
                        self._apply(record)
                case _ if is_news(entry, self.last_batch):
                    self.last_batch = batch_name(entry.fence, entry.number)
                    for record in entry.records:
                        self._apply(record)
                    news += entry.records
        return news

    def load(self) -> StoredState:
        """What a new process finds."""
        return StoredState(
            orders=tuple(sorted(self.orders.values(), key=lambda row: row.intent.created_ts)),
            fills=tuple(self.fills.values()),
            settlements=tuple(self.settlements.values()),
            signal_ids=frozenset(row.intent.signal_id for row in self.orders.values() if not row.external),
            opening_cash=self.opening[0] if self.opening else None,
            opening_ts=self.opening[1] if self.opening else None,
            state=self.state.state if self.state else None,
            state_who=self.state.who if self.state else "",
            state_why=self.state.why if self.state else "",
            state_until=self.state.until if self.state else None,
            values=dict(self.values),
        )

    @property
    def is_halted(self) -> bool:
        """Whether the committed state is a halt."""
        return self.state is not None and self.state.state is TradingState.HALTED

    def _check(self, fence: int) -> None:
        if fence != self.fence:
            raise FencedOutError(f"fence {fence} was replaced by {self.fence}")

    def _apply(self, record: AuditRecord) -> None:
        match record:
            case OrderChanged():
                if record.external or record.status is not OrderStatus.PENDING_NEW:
                    self._put(record)
            case FillApplied(fill=fill):
                self.fills.setdefault((fill.trade_id, fill.order_id), fill)
            case SettlementApplied(settlement=paid):
                self.settlements.setdefault((paid.ticker, paid.settled_ts), paid)
            case StateChanged():
                self.state = record
            case LedgerOpened():
                self.opening = self.opening or (record.cash, record.ts)
            case ControlValue():
                self.values[record.key] = record.value
            case _:
                pass

    def _put(self, record: OrderChanged) -> None:
        if not record.external and not 0 <= record.filled <= record.intent.count:
            raise DuplicateError(
                f"order {record.client_order_id} has filled {record.filled} of {record.intent.count}"
            )
        known = self.orders.get(record.client_order_id)
        order_id = record.order_id or (known.order_id if known else "")
        for other, row in self.orders.items():
            if order_id and other != record.client_order_id and row.order_id == order_id:
                raise DuplicateError(f"venue order {order_id} is in two rows")
        self.orders[record.client_order_id] = StoredOrder(
            order_id, record.intent, record.status, record.filled, record.reserved, record.external
        )
