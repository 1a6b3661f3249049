"""The simulated exchange: one synchronous object, no clock, no chance, no input or output of its own.

It is driven by ``advance`` (time), ``apply`` (what a world says happens) and ``create``/``cancel``
(what accounts want), and tells its listeners what came of it, one batch per operation. The fill
assumptions are at the top of ``matching.py``. The same seed and the same calls give the same ids.

An operation that is refused raises ``OrderRefused``; input that no correct world or caller gives raises
``ValueError`` or ``KeyError``.
"""

from __future__ import annotations

from src.core.units import Cash, Count, Nanos
from src.simulator.exchange_controls import ExchangeControls
from src.simulator.group_entry import GroupEntry
from src.simulator.groups import OrderGroup
from src.simulator.order_changes import Amended, Amendment, OrderChanges
from src.simulator.outputs import CashMoved
from src.simulator.records import NewOrder, VenueOrder
from src.simulator.transfers import Transfer, TransferRequest, Transfers
from src.simulator.venue import VenueRules


class Exchange(ExchangeControls):
    """Accounts, markets and matching behind one door."""

    def __init__(self, *, seed: int = 0, start: Nanos = 0, rules: VenueRules | None = None) -> None:
        super().__init__(seed, start, rules or VenueRules())
        self._changes = OrderChanges(self.venue, self._trading, self._entry)
        self._groups = GroupEntry(self.venue, self._trading)
        self._transfers = Transfers(self.venue)

    def create(self, key_id: str, request: NewOrder) -> VenueOrder:
        """Create an order now. Raises ``OrderRefused``."""
        with self.operation():
            return self._entry.create(self.venue.account(key_id), request)

    def cancel(
        self,
        key_id: str,
        order_id: str,
        market_ticker: str | None = None,
        exchange_index: int | None = None,
    ) -> tuple[VenueOrder, Count]:
        """Cancel an order now; returns it and the size taken out. Raises ``OrderRefused``."""
        with self.operation():
            account = self.venue.account(key_id)
            return self._entry.cancel(account, order_id, market_ticker, exchange_index)

    def cancel_all(self, key_id: str) -> int:
        """Cancel every resting order of an account; returns how many."""
        with self.operation():
            return self._entry.cancel_all(self.venue.account(key_id))

    def amend(self, key_id: str, wanted: Amendment) -> Amended:
        """Amend a resting order. Raises ``OrderRefused``."""
        with self.operation():
            return self._changes.amend(self.venue.account(key_id), wanted)

    def decrease(
        self,
        key_id: str,
        order_id: str,
        *,
        reduce_by: Count | None = None,
        reduce_to: Count | None = None,
        market_ticker: str | None = None,
        exchange_index: int | None = None,
    ) -> VenueOrder:
        """Make a resting order smaller, by an amount or to one. Raises ``OrderRefused``."""
        with self.operation():
            return self._changes.decrease(
                self.venue.account(key_id),
                order_id,
                reduce_by=reduce_by,
                reduce_to=reduce_to,
                market_ticker=market_ticker,
                exchange_index=exchange_index,
            )

    def queue_position(self, order: VenueOrder) -> Count:
        """Contracts that must match before a resting order does (better prices, and earlier at its own)."""
        return self.venue.market(order.ticker).book.ahead(order.side, order.order_id)

    # --- order groups ------------------------------------------------------------------------------

    def create_group(self, key_id: str, limit: Count, exchange_index: int = 0) -> OrderGroup:
        """Open an order group. Raises ``OrderRefused``, as all calls about groups do."""
        with self.operation():
            return self._groups.create(self.venue.account(key_id), limit, exchange_index)

    def reset_group(self, key_id: str, group_id: str) -> None:
        """Accept a group's orders again."""
        with self.operation():
            self._groups.reset(self.venue.account(key_id), group_id)

    def trigger_group(self, key_id: str, group_id: str) -> None:
        """Cancel a group's orders and refuse new ones until it is reset."""
        with self.operation():
            self._groups.trigger(self.venue.account(key_id), group_id)

    def limit_group(self, key_id: str, group_id: str, limit: Count) -> None:
        """Change a group's limit."""
        with self.operation():
            self._groups.set_limit(self.venue.account(key_id), group_id, limit)

    def delete_group(self, key_id: str, group_id: str) -> None:
        """Cancel a group's orders and forget it."""
        with self.operation():
            self._groups.delete(self.venue.account(key_id), group_id)

    # --- cash ----------------------------------------------------------------------------------------

    def transfer(self, key_id: str, request: TransferRequest) -> Transfer:
        """Move cash between shards. Raises ``OrderRefused``."""
        with self.operation():
            return self._transfers.make(self.venue.account(key_id), request)

    def transfers(self, key_id: str) -> list[Transfer]:
        """An account's transfers, oldest first."""
        return self._transfers.of(key_id)

    def deposit(self, key_id: str, cash: Cash, exchange_index: int = 0) -> None:
        """Add cash (or, below zero, take it) on a shard."""
        with self.operation():
            account = self.venue.account(key_id)
            account.wallet(exchange_index).cash += cash
            account.updated_ts = self.venue.now
            self.venue.emit(CashMoved(key_id))
