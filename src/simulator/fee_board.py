"""Changes of fees: a series' schedule, and an event's own fees laid over it, now or later."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from src.core.fees import FeeSchedule
from src.core.units import Nanos
from src.simulator import refusals
from src.simulator.outputs import EventFeesChanged
from src.simulator.states import MarketState
from src.simulator.venue import Venue


@dataclass(frozen=True, slots=True)
class FeeChange:
    """A change scheduled for ``ts``. ``event_ticker`` is empty for a series' own; None lifts an event's."""

    ordinal: int
    change_id: str
    series_ticker: str
    event_ticker: str
    fees: FeeSchedule | None
    ts: Nanos


class FeeBoard:
    """Knows all changes and makes them at their time."""

    def __init__(self, venue: Venue) -> None:
        self.changes: list[FeeChange] = []
        self._venue = venue

    def change_series(self, series_ticker: str, fees: FeeSchedule, ts: Nanos) -> None:
        """Have a series charge ``fees`` from ``ts`` on. Raises ``OrderRefused`` (not_found)."""
        if series_ticker not in self._venue.series:
            raise refusals.not_found()
        self._schedule(series_ticker, "", fees, ts)

    def change_event(self, event_ticker: str, fees: FeeSchedule | None, ts: Nanos) -> None:
        """Lay fees over an event's series, or lift them, from ``ts`` on. Raises ``OrderRefused``."""
        event = self._venue.events.get(event_ticker)
        if event is None:
            raise refusals.not_found()
        self._schedule(event.series_ticker, event_ticker, fees, ts)

    def _schedule(self, series: str, event: str, fees: FeeSchedule | None, ts: Nanos) -> None:
        change_id = self._venue.make_id(f"fees|{len(self.changes)}")
        change = FeeChange(len(self.changes), change_id, series, event, fees, ts)
        self.changes.append(change)
        if ts <= self._venue.now:
            self._make(change)
        else:
            self._venue.schedule(ts, partial(self._make, change))

    def _make(self, change: FeeChange) -> None:
        venue = self._venue
        if change.event_ticker:
            venue.events[change.event_ticker].fee_override = change.fees
            venue.emit(EventFeesChanged(change.event_ticker, change.fees, venue.now))
        elif change.fees is not None:
            venue.series[change.series_ticker].fees = change.fees
            venue.series[change.series_ticker].fees_changed = True
        for state in venue.markets.values():
            market = state.market
            if market.series_ticker == change.series_ticker and change.event_ticker in (
                "",
                market.event_ticker,
            ):
                self._charge(state)

    def _charge(self, state: MarketState) -> None:
        venue, market = self._venue, state.market
        override = venue.events[market.event_ticker].fee_override
        fees = override or venue.series[market.series_ticker].fees
        if fees == market.fees:
            return
        venue.change_market(state, fees=fees)
        for account in venue.accounts.values():
            for order in account.open_orders.values():
                if order.ticker == market.ticker:
                    account.refresh(order, state.market)
