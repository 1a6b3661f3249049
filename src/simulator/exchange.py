"""The simulated exchange: one synchronous object, no clock, no chance, no input or output of its own.

It is driven by ``advance`` (time), ``apply`` (what a world says happens) and ``create``/``cancel``
(what accounts want), and tells its listeners what came of it, one batch per operation. The fill
assumptions are at the top of ``matching.py``. The same seed and the same calls give the same ids.

An operation that is refused raises ``OrderRefused``; input that no correct world or caller gives raises
``ValueError`` or ``KeyError``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from src.core.sides import BookSide
from src.core.units import Cash, Count, Nanos, Price
from src.simulator.account import Account
from src.simulator.crowd import Crowd
from src.simulator.lifecycle import Lifecycle
from src.simulator.matching import MarketBook
from src.simulator.order_entry import OrderEntry
from src.simulator.outputs import Listener
from src.simulator.records import NewOrder, VenueOrder
from src.simulator.trading import Trading
from src.simulator.venue import EventState, MarketState, SeriesState, Venue, VenueRules
from src.simulator.world import CrowdPrint, CrowdQuote, CrowdTake, Determine, ListEvent, WorldEvent


class Exchange:
    """Accounts, markets and matching behind one door."""

    def __init__(self, *, seed: int = 0, start: Nanos = 0, rules: VenueRules | None = None) -> None:
        self._venue = Venue(seed, start, rules or VenueRules())
        trading = Trading(self._venue)
        self._crowd = Crowd(self._venue, trading)
        self._lifecycle = Lifecycle(self._venue, trading, self._crowd)
        self._entry = OrderEntry(self._venue, trading)
        self._listeners: list[Listener] = []

    # --- reading ---------------------------------------------------------------------------------

    @property
    def now(self) -> Nanos:
        """The world's time as far as the exchange has come."""
        return self._venue.now

    @property
    def rules(self) -> VenueRules:
        """The rules it was made with."""
        return self._venue.rules

    @property
    def is_exchange_active(self) -> bool:
        """Whether anything at all is accepted."""
        return self._venue.exchange_active

    @property
    def is_trading_active(self) -> bool:
        """Whether orders are accepted."""
        return self._venue.exchange_active and self._venue.trading_active

    @property
    def markets(self) -> Mapping[str, MarketState]:
        """Every market ever listed, in order of listing."""
        return self._venue.markets

    @property
    def events(self) -> Mapping[str, EventState]:
        """Every event ever listed."""
        return self._venue.events

    @property
    def series(self) -> Mapping[str, SeriesState]:
        """Every series of which an event was listed."""
        return self._venue.series

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Accounts by key id."""
        return self._venue.accounts

    @property
    def crowd(self) -> Account:
        """The crowd's side of every trade with an account (fee free, without limits)."""
        return self._venue.crowd

    def account(self, key_id: str) -> Account:
        """An account: its orders, fills, positions, settlements and cash. Raises ``KeyError``."""
        return self._venue.account(key_id)

    def book(self, ticker: str) -> MarketBook:
        """A market's book. Raises ``OrderRefused`` (not_found)."""
        return self._venue.market(ticker).book

    def open_interest(self, ticker: str) -> Count:
        """Contracts held, the crowd counted as one holder."""
        return self._venue.open_interest(ticker)

    def next_timer(self) -> Nanos | None:
        """When the clock alone next changes something (opening, closing, expiry, payment)."""
        return self._venue.next_timer()

    # --- accounts and listeners ------------------------------------------------------------------

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` with the outputs of every operation that has any."""
        self._listeners.append(listener)

    def add_account(self, key_id: str, cash: Cash) -> Account:
        """Open an account with ``cash``. The key id must be new and not empty."""
        if not key_id or key_id in self._venue.accounts:
            raise ValueError(f"key id {key_id!r} is empty or taken")
        account = Account(key_id, self._venue.make_id(f"user|{key_id}"), cash)
        self._venue.accounts[key_id] = account
        return account

    # --- what accounts do ------------------------------------------------------------------------

    def create(self, key_id: str, request: NewOrder) -> VenueOrder:
        """Create an order now. Raises ``OrderRefused``."""
        with self._operation():
            return self._entry.create(self._venue.account(key_id), request)

    def cancel(
        self,
        key_id: str,
        order_id: str,
        market_ticker: str | None = None,
        exchange_index: int | None = None,
    ) -> tuple[VenueOrder, Count]:
        """Cancel an order now; returns it and the size taken out. Raises ``OrderRefused``."""
        with self._operation():
            account = self._venue.account(key_id)
            return self._entry.cancel(account, order_id, market_ticker, exchange_index)

    def cancel_all(self, key_id: str) -> int:
        """Cancel every resting order of an account; returns how many."""
        with self._operation():
            return self._entry.cancel_all(self._venue.account(key_id))

    # --- what the world does ---------------------------------------------------------------------

    def advance(self, now: Nanos) -> None:
        """Let the clock reach ``now`` (an earlier time changes nothing)."""
        with self._operation():
            self._venue.run_timers(now)

    def apply(self, event: WorldEvent) -> None:
        """Let the clock reach the event's time and then the event happen. News of weather only moves time."""
        with self._operation():
            self._venue.run_timers(event.ts)
            if isinstance(event, CrowdQuote):
                self._crowd.quote(event)
            elif isinstance(event, CrowdTake):
                self._crowd.take(event)
            elif isinstance(event, CrowdPrint):
                self._crowd.print(event)
            elif isinstance(event, ListEvent):
                self._lifecycle.list_event(event)
            elif isinstance(event, Determine):
                self._lifecycle.determine(event)

    def set_crowd_level(self, ticker: str, side: BookSide, price: Price, size: Count) -> None:
        """Make the crowd's size at one price exactly ``size`` (0 removes it)."""
        with self._operation():
            self._crowd.set_level(ticker, side, price, size)

    def set_exchange_status(self, *, exchange_active: bool, trading_active: bool) -> None:
        """Pause or resume the exchange; a pause cancels the orders that asked for it."""
        with self._operation():
            self._venue.exchange_active = exchange_active
            self._venue.trading_active = trading_active
            if not self.is_trading_active:
                for account in self._venue.accounts.values():
                    self._entry.cancel_all(account, "HaltCancel", only_on_pause=True)

    def set_market_active(self, ticker: str, active: bool) -> None:
        """Pause or resume a market; resuming cancels all its resting orders."""
        with self._operation():
            self._lifecycle.set_active(self._venue.market(ticker), active)

    def change_close_time(self, ticker: str, close_time: Nanos) -> None:
        """Move a market's closing."""
        with self._operation():
            self._lifecycle.change_close_time(self._venue.market(ticker), close_time)

    def set_result(self, ticker: str, result: str, value: Price, expiration_value: str = "") -> None:
        """Determine a market whose payment the caller triggers with ``pay``."""
        with self._operation():
            state = self._venue.market(ticker)
            self._lifecycle.set_result(state, result, value, expiration_value)

    def pay(self, ticker: str) -> None:
        """Finalise a determined market now."""
        with self._operation():
            self._lifecycle.pay(self._venue.market(ticker))

    @contextmanager
    def _operation(self) -> Iterator[None]:
        try:
            yield
        finally:
            outputs = self._venue.outputs
            if outputs:
                self._venue.outputs = []
                for listener in self._listeners:
                    listener(outputs)
