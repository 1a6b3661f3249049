"""A market's life: listing, silent opening and closing by the clock, pauses, result, payment."""

from __future__ import annotations

from functools import partial

from src.core.grid import PriceGrid
from src.core.market import Market, MarketStatus
from src.core.units import SECOND, Nanos, Price
from src.simulator.crowd import Crowd
from src.simulator.outputs import EventListed, LifecycleStep, PositionChange, SettlementPaid
from src.simulator.states import EventState, MarketState, SeriesState
from src.simulator.trading import Trading
from src.simulator.venue import BEFORE_CLOSE, Venue
from src.simulator.world import Determine, ListEvent

PAYABLE = frozenset({MarketStatus.DETERMINED, MarketStatus.AMENDED})


class Lifecycle:
    """Moves markets from listing to payment."""

    def __init__(self, venue: Venue, trading: Trading, crowd: Crowd) -> None:
        self._venue = venue
        self._trading = trading
        self._crowd = crowd

    def list_event(self, event: ListEvent) -> None:
        """List an event, or further markets of a listed one. A ticker can be listed once."""
        venue = self._venue
        for market in event.markets:
            if market.ticker in venue.markets or market.event_ticker != event.event_ticker:
                raise ValueError(f"{market.ticker} is listed already, or belongs to another event")
        if event.event_ticker not in venue.events:
            venue.events[event.event_ticker] = EventState(
                event.event_ticker, event.series_ticker, event.title, len(venue.events), venue.now, []
            )
            venue.emit(EventListed(event.event_ticker, venue.now))
        for market in event.markets:
            shard = venue.rules.shard_of_series.get(event.series_ticker, market.exchange_index)
            series = venue.series.setdefault(
                event.series_ticker, SeriesState(event.series_ticker, market.fees, shard, venue.now)
            )
            fees = venue.events[event.event_ticker].fee_override or series.fees
            is_changed = series.fees_changed or venue.events[event.event_ticker].fee_override
            charged = fees if is_changed else market.fees
            listed = market.changed(exchange_index=shard, fees=charged, status=MarketStatus.INITIALIZED)
            self._list_market(listed)

    def determine(self, event: Determine) -> None:
        """Set a market's result; payment follows after its settlement timer.

        An open market closes first. A second determination before payment replaces the first and
        starts the timer again.
        """
        state = self._venue.market(event.ticker)
        self.set_result(state, event.result, event.settlement_value, event.expiration_value)
        self._start_timer(state)

    def dispute(self, state: MarketState) -> None:
        """Dispute a determined market's result: nothing is paid until it is amended."""
        if state.market.status not in PAYABLE:
            raise ValueError(f"{state.market.ticker} cannot be disputed while {state.market.status.value}")
        state.pay_ts = None
        self._venue.change_market(state, status=MarketStatus.DISPUTED)

    def amend(self, state: MarketState, result: str, value: Price, expiration_value: str) -> None:
        """Settle a dispute by a result, which may be the old one; the settlement timer starts again."""
        if state.market.status is not MarketStatus.DISPUTED:
            raise ValueError(f"{state.market.ticker} is not disputed but {state.market.status.value}")
        self.set_result(state, result, value, expiration_value)
        self._venue.change_market(state, status=MarketStatus.AMENDED)
        self._start_timer(state)

    def set_result(self, state: MarketState, result: str, value: Price, expiration_value: str) -> None:
        """Determine a market without scheduling its payment."""
        if state.market.status is MarketStatus.FINALIZED:
            raise ValueError(f"{state.market.ticker} is paid already")
        self._close(state)
        self._venue.change_market(
            state,
            status=MarketStatus.DETERMINED,
            result=result,
            settlement_value=value,
            expiration_value=expiration_value,
        )
        self._venue.announce(state, LifecycleStep.DETERMINED)

    def pay(self, state: MarketState) -> None:
        """Finalise a determined market and credit every holder."""
        venue, value = self._venue, state.market.settlement_value
        if state.market.status not in PAYABLE or value is None:
            raise ValueError(f"{state.market.ticker} cannot be paid while {state.market.status.value}")
        venue.change_market(state, status=MarketStatus.FINALIZED)
        state.settled_ts = venue.now
        venue.announce(state, LifecycleStep.SETTLED)
        venue.crowd.settle(state.market, value, venue.now)
        for account in venue.accounts.values():
            record = account.settle(state.market, value, venue.now)
            if record is not None:
                venue.emit(PositionChange(account.key_id, account.positions[state.market.ticker]))
                venue.emit(SettlementPaid(account.key_id, record))

    def set_active(self, state: MarketState, active: bool) -> None:
        """Pause a market, or resume it; resuming cancels all its resting orders."""
        wanted = MarketStatus.ACTIVE if active else MarketStatus.INACTIVE
        if state.market.status not in {MarketStatus.ACTIVE, MarketStatus.INACTIVE} - {wanted}:
            return
        if active:
            self._cancel_resting(state, "HaltCancel")
        self._venue.change_market(state, status=wanted)
        step = LifecycleStep.ACTIVATED if active else LifecycleStep.DEACTIVATED
        self._venue.announce(state, step)

    def change_close_time(self, state: MarketState, close_time: Nanos) -> None:
        """Move the closing of a market that has not closed yet; a past time closes it now."""
        if state.market.status not in BEFORE_CLOSE:
            return
        self._venue.change_market(state, close_time=close_time)
        self._venue.announce(state, LifecycleStep.CLOSE_DATE_UPDATED)
        self._venue.schedule(close_time, partial(self._close_when_due, state))

    def change_grid(self, state: MarketState, grid: PriceGrid) -> None:
        """Give a market another price grid."""
        self._venue.change_market(state, grid=grid)
        self._venue.announce(state, LifecycleStep.PRICE_LEVEL_STRUCTURE_UPDATED)

    def reopen(self, state: MarketState, close_time: Nanos) -> None:
        """Open a closed, undetermined market again until ``close_time``."""
        if state.market.status is not MarketStatus.CLOSED or close_time <= self._venue.now:
            raise ValueError(f"{state.market.ticker} is not closed, or its new close lies in the past")
        self._venue.change_market(state, status=MarketStatus.ACTIVE, close_time=close_time)
        self._venue.announce(state, LifecycleStep.CLOSE_DATE_UPDATED)
        self._venue.announce(state, LifecycleStep.ACTIVATED)
        self._venue.schedule(close_time, partial(self._close_when_due, state))

    def _list_market(self, market: Market) -> None:
        venue = self._venue
        state = MarketState(
            market=market,
            market_id=venue.make_id(f"market|{market.ticker}"),
            ordinal=len(venue.markets),
            created_ts=venue.now,
            updated_ts=venue.now,
        )
        venue.markets[market.ticker] = state
        venue.events[market.event_ticker].tickers.append(market.ticker)
        venue.announce(state, LifecycleStep.CREATED)
        if market.open_time <= venue.now:
            self._open(state)
        else:
            venue.schedule(market.open_time, partial(self._open, state))
        venue.schedule(market.close_time, partial(self._close_when_due, state))

    def _open(self, state: MarketState) -> None:
        if state.market.status is MarketStatus.INITIALIZED:
            self._venue.change_market(state, status=MarketStatus.ACTIVE)

    def _close_when_due(self, state: MarketState) -> None:
        if state.market.close_time <= self._venue.now:
            self._close(state)

    def _close(self, state: MarketState) -> None:
        if state.market.status not in BEFORE_CLOSE:
            return
        self._cancel_resting(state, "CloseCancel")
        self._crowd.withdraw(state)
        self._venue.publish_book(state)
        self._venue.change_market(state, status=MarketStatus.CLOSED)

    def _start_timer(self, state: MarketState) -> None:
        state.pay_ts = self._venue.now + state.market.settlement_timer_seconds * SECOND
        self._venue.schedule(state.pay_ts, partial(self._pay_when_due, state, state.pay_ts))

    def _pay_when_due(self, state: MarketState, due: Nanos) -> None:
        if state.pay_ts == due and state.market.status in PAYABLE:
            self.pay(state)

    def _cancel_resting(self, state: MarketState, reason: str) -> None:
        for account in self._venue.accounts.values():
            for order in list(account.open_orders.values()):
                if order.ticker == state.market.ticker:
                    self._trading.cancel(state, account, order, reason)
        self._venue.publish_book(state)
