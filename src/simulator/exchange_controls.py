"""What happens to the exchange from outside its accounts: the world's events and the operator's hand."""

from __future__ import annotations

from src.core.events import Levels
from src.core.fees import FeeSchedule
from src.core.grid import PriceGrid
from src.core.sides import BookSide
from src.core.units import Count, Nanos, Price
from src.simulator.crowd import Crowd
from src.simulator.exchange_base import ExchangeBase
from src.simulator.fee_board import FeeBoard, FeeChange
from src.simulator.lifecycle import Lifecycle
from src.simulator.order_entry import OrderEntry
from src.simulator.trading import Trading
from src.simulator.venue import VenueRules
from src.simulator.world import (
    CrowdChange,
    CrowdPrint,
    CrowdQuote,
    CrowdSweep,
    CrowdTake,
    Determine,
    ListEvent,
    MarketChange,
    WorldEvent,
)


class ExchangeControls(ExchangeBase):
    """Time, the crowd, markets' lives, pauses and fees."""

    def __init__(self, seed: int, start: Nanos, rules: VenueRules) -> None:
        super().__init__(seed, start, rules)
        self._trading = Trading(self.venue)
        self._crowd = Crowd(self.venue, self._trading)
        self._lifecycle = Lifecycle(self.venue, self._trading, self._crowd)
        self._entry = OrderEntry(self.venue, self._trading)
        self._fees = FeeBoard(self.venue)

    @property
    def fee_changes(self) -> list[FeeChange]:
        """All changes of fees ever scheduled, in order of scheduling."""
        return self._fees.changes

    def advance(self, now: Nanos) -> None:
        """Let the clock reach ``now`` (an earlier time changes nothing)."""
        venue = self.venue
        due = venue.next_timer()
        if due is None or due > now:
            if now > venue.now:
                venue.now = now  # nothing happens, so there is nothing to tell
            return
        with self.operation():
            self.venue.run_timers(now)

    def apply(self, event: WorldEvent) -> None:
        """Let the clock reach the event's time and then the event happen. News only moves time."""
        with self.operation():
            self.venue.run_timers(event.ts)
            if isinstance(event, CrowdQuote):
                self._crowd.quote(event)
            elif isinstance(event, CrowdChange):
                self._crowd.change(event)
            elif isinstance(event, CrowdSweep):
                self._crowd.sweep(event)
            elif isinstance(event, CrowdTake):
                self._crowd.take(event)
            elif isinstance(event, CrowdPrint):
                self._crowd.print(event)
            elif isinstance(event, ListEvent):
                self._lifecycle.list_event(event)
            elif isinstance(event, Determine):
                self._lifecycle.determine(event)
            elif isinstance(event, MarketChange):
                self._change(event)

    def _change(self, event: MarketChange) -> None:
        state = self.venue.market(event.ticker)
        if event.close_time is not None:
            self._lifecycle.change_close_time(state, event.close_time)
        if event.active is not None:
            self._lifecycle.set_active(state, event.active)

    def set_crowd_level(self, ticker: str, side: BookSide, price: Price, size: Count) -> None:
        """Make the crowd's size at one price exactly ``size`` (0 removes it)."""
        with self.operation():
            self._crowd.set_level(ticker, side, price, size)

    def restore_quote(self, ticker: str, bids: Levels, asks: Levels) -> None:
        """Make the crowd's book what it has become by quotes that were not applied; nobody is told.

        For a caller that knows that nobody looked in between and that no account's order rests there.
        """
        self._crowd.restore(ticker, bids, asks)

    def set_exchange_status(self, *, exchange_active: bool, trading_active: bool) -> None:
        """Pause or resume the exchange; a pause cancels the orders that asked for it."""
        with self.operation():
            self.venue.exchange_active = exchange_active
            self.venue.trading_active = trading_active
            if not self.is_trading_active:
                for account in self.venue.accounts.values():
                    self._entry.cancel_all(account, "HaltCancel", only_on_pause=True)

    def set_market_active(self, ticker: str, active: bool) -> None:
        """Pause or resume a market; resuming cancels all its resting orders."""
        with self.operation():
            self._lifecycle.set_active(self.venue.market(ticker), active)

    def change_close_time(self, ticker: str, close_time: Nanos) -> None:
        """Move a market's closing."""
        with self.operation():
            self._lifecycle.change_close_time(self.venue.market(ticker), close_time)

    def reopen(self, ticker: str, close_time: Nanos) -> None:
        """Open a closed, undetermined market again. Raises ``ValueError`` in any other state."""
        with self.operation():
            self._lifecycle.reopen(self.venue.market(ticker), close_time)

    def dispute(self, ticker: str) -> None:
        """Stop the payment of a determined market. Raises ``ValueError`` in any other state."""
        with self.operation():
            self._lifecycle.dispute(self.venue.market(ticker))

    def amend_result(self, ticker: str, result: str, value: Price, expiration_value: str = "") -> None:
        """Settle a dispute by a result; its settlement timer starts. Raises ``ValueError``."""
        with self.operation():
            state = self.venue.market(ticker)
            self._lifecycle.amend(state, result, value, expiration_value)

    def change_grid(self, ticker: str, grid: PriceGrid) -> None:
        """Give a market another price grid; resting orders stay where they are."""
        with self.operation():
            self._lifecycle.change_grid(self.venue.market(ticker), grid)

    def change_series_fees(self, series_ticker: str, fees: FeeSchedule, ts: Nanos | None = None) -> None:
        """Have a series charge ``fees`` from ``ts`` (None: now) on. Raises ``OrderRefused`` (not_found)."""
        with self.operation():
            self._fees.change_series(series_ticker, fees, self.now if ts is None else ts)

    def change_event_fees(self, event_ticker: str, fees: FeeSchedule | None, ts: Nanos | None = None) -> None:
        """Lay fees over an event's series from ``ts`` on, or lift them. Raises ``OrderRefused``."""
        with self.operation():
            self._fees.change_event(event_ticker, fees, self.now if ts is None else ts)

    def set_result(self, ticker: str, result: str, value: Price, expiration_value: str = "") -> None:
        """Determine a market whose payment the caller triggers with ``pay``."""
        with self.operation():
            state = self.venue.market(ticker)
            self._lifecycle.set_result(state, result, value, expiration_value)

    def pay(self, ticker: str) -> None:
        """Finalise a determined market now."""
        with self.operation():
            self._lifecycle.pay(self.venue.market(ticker))
