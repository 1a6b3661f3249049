"""Order entry: what is refused, and what happens to an order that is not."""

from __future__ import annotations

from functools import partial

from src.core.events import VenueOrderStatus
from src.core.market import MarketStatus
from src.core.signal import TimeInForce
from src.core.units import MINUTE, SECOND, Count, Nanos
from src.simulator import refusals
from src.simulator.account import Account
from src.simulator.matching import Lot
from src.simulator.outputs import OrderChange
from src.simulator.records import NewOrder, SelfTradePrevention, VenueOrder
from src.simulator.states import MarketState
from src.simulator.trading import Trading
from src.simulator.venue import Venue

# After a cancel-all that trails, an order placed within the minute goes this long after it came to rest.
_CANCEL_ALL_TRAIL = MINUTE
_CANCEL_ALL_DELAY = SECOND


class OrderEntry:
    """Creates and cancels accounts' orders."""

    def __init__(self, venue: Venue, trading: Trading) -> None:
        self._venue = venue
        self._trading = trading

    def create(self, account: Account, request: NewOrder) -> VenueOrder:
        """Check, match and rest an order. Raises ``OrderRefused``."""
        venue = self._venue
        state = self._checked_market(account, request)
        self._check_terms(state, request)
        count = request.count
        if request.reduce_only:
            count = min(count, max(-account.position_count(request.ticker) * request.side.sign, 0))
        if count and not account.can_afford(state.market, request.side, request.price, count):
            raise refusals.insufficient_balance()
        if request.client_order_id:
            account.client_order_ids.add(request.client_order_id)
        if request.post_only and state.book.crosses(request.side, request.price):
            raise refusals.invalid_order("post only cross")
        order = VenueOrder(
            ordinal=venue.order_count,
            order_id=venue.make_id(f"order|{venue.order_count}"),
            user_id=account.user_id,
            request=request,
            created_ts=venue.now,
            updated_ts=venue.now,
            remaining=count,
            exchange_index=state.market.exchange_index,
        )
        venue.order_count += 1
        account.orders[order.order_id] = order
        account.updated_ts = venue.now
        self.work(state, account, order)
        venue.emit(OrderChange(account.key_id, order))
        venue.publish_book(state)
        return order

    def cancel(
        self, account: Account, order_id: str, market_ticker: str | None, exchange_index: int | None
    ) -> tuple[VenueOrder, Count]:
        """Cancel a resting order; returns it and the size taken out. Raises ``OrderRefused``.

        Without a market or an index the request goes to shard 0 and finds nothing elsewhere.
        """
        state, order = self.resting(account, order_id, market_ticker, exchange_index)
        taken_out = self._trading.cancel(state, account, order, "")
        self._venue.publish_book(state)
        return order, taken_out

    def resting(
        self, account: Account, order_id: str, market_ticker: str | None, exchange_index: int | None
    ) -> tuple[MarketState, VenueOrder]:
        """A resting order that a request names and may change. Raises ``OrderRefused``."""
        if not self._venue.exchange_active:
            raise refusals.exchange_paused()
        order = account.orders.get(order_id)
        if order is None or market_ticker not in (None, order.ticker):
            raise refusals.not_found()
        routed = order.exchange_index if market_ticker is not None else 0
        if order.exchange_index != (routed if exchange_index in (None, -1) else exchange_index):
            raise refusals.not_found()
        state = self._venue.market(order.ticker)
        if state.market.status not in {MarketStatus.ACTIVE, MarketStatus.INACTIVE}:
            raise refusals.market_inactive()
        if order_id not in account.open_orders:
            raise refusals.not_found()
        return state, order

    def cancel_all(self, account: Account, reason: str = "", *, only_on_pause: bool = False) -> int:
        """Cancel an account's resting orders; returns how many."""
        orders = [
            order
            for order in account.open_orders.values()
            if order.request.cancel_on_pause or not only_on_pause
        ]
        for order in orders:
            state = self._venue.market(order.ticker)
            self._trading.cancel(state, account, order, reason)
            self._venue.publish_book(state)
        if self._venue.rules.cancel_all_trails and not only_on_pause:
            account.cancel_all_until = self._venue.now + _CANCEL_ALL_TRAIL
        return len(orders)

    def _checked_market(self, account: Account, request: NewOrder) -> MarketState:
        venue = self._venue
        if not venue.exchange_active:
            raise refusals.exchange_paused()
        state = venue.market(request.ticker)
        if request.exchange_index not in (None, -1, state.market.exchange_index):
            raise refusals.not_found()
        if request.client_order_id in account.client_order_ids:
            raise refusals.duplicate_client_order_id()
        if not venue.is_trading_open:
            raise refusals.trading_paused()
        if not state.is_trading:
            raise refusals.market_inactive()
        if not account.has_wallet(state.market.exchange_index):
            raise refusals.user_not_found()
        self._check_group(account, request, state)
        return state

    @staticmethod
    def _check_group(account: Account, request: NewOrder, state: MarketState) -> None:
        if not request.order_group_id:
            return
        group = account.groups.get(request.order_group_id)
        if group is None or group.exchange_index != state.market.exchange_index:
            raise refusals.group_not_found()
        if group.is_triggered:
            raise refusals.group_limit_exceeded()

    def _check_terms(self, state: MarketState, request: NewOrder) -> None:
        resting = request.time_in_force is TimeInForce.GOOD_TILL_CANCELED
        if request.count <= 0:
            raise refusals.invalid_size("count must be positive")
        if not state.market.grid.is_legal(request.price):
            raise refusals.invalid_price("price is not on the market's price_ranges")
        if request.post_only and not resting:
            raise refusals.invalid_order("post_only needs good_till_canceled")
        if request.reduce_only and request.time_in_force is not TimeInForce.IMMEDIATE_OR_CANCEL:
            raise refusals.invalid_order("reduce_only needs immediate_or_cancel")
        if request.expiration_ts is not None:
            if not resting:
                raise refusals.invalid_order("expiration_time needs good_till_canceled")
            if request.expiration_ts <= self._venue.now:
                raise refusals.invalid_order("expiration_time must be in the future")

    def work(self, state: MarketState, account: Account, order: VenueOrder) -> None:
        """Match an order that is not in the book, and let rest, or end, what is left of it."""
        if self._is_killed(state, account, order):
            account.close_order(order, state.market, VenueOrderStatus.CANCELED, "", self._venue.now)
            return
        stopped = self._trading.take(state, account, order)
        rests = order.request.time_in_force is TimeInForce.GOOD_TILL_CANCELED and stopped is None
        if rests and order.remaining:
            self._rest(state, account, order)
        elif order.filled < order.count:
            capped = order.filled + order.remaining < order.count
            reason = stopped or ("ReduceOnlyCancel" if capped else order.reason)
            account.close_order(order, state.market, VenueOrderStatus.CANCELED, reason, self._venue.now)

    def _is_killed(self, state: MarketState, account: Account, order: VenueOrder) -> bool:
        """A fill-or-kill order without depth. Own orders count unless they would be canceled."""
        if order.request.time_in_force is not TimeInForce.FILL_OR_KILL:
            return False
        removes_own = order.request.self_trade_prevention is SelfTradePrevention.MAKER
        without = account.key_id if removes_own else None
        return state.book.depth(order.side, order.price, order.count, without) < order.count

    def _rest(self, state: MarketState, account: Account, order: VenueOrder) -> None:
        state.book.add(Lot(order.order_id, account.key_id, order.side, order.price, order.remaining))
        account.rest(order, state.market)
        self.watch_expiry(state, account, order)
        venue = self._venue
        if order.request.cancel_on_pause and (pause := venue.pause.next_start(venue.now)) is not None:
            venue.schedule(pause, partial(self._end, state, account, order, "HaltCancel"))
        if venue.now < account.cancel_all_until:
            swept = partial(self._end, state, account, order, "")
            venue.schedule(venue.now + _CANCEL_ALL_DELAY, swept)

    def watch_expiry(self, state: MarketState, account: Account, order: VenueOrder) -> None:
        """Let a resting order end at its expiration, if it has one."""
        due = order.request.expiration_ts
        if due is not None:
            self._venue.schedule(due, partial(self._expire, state, account, order, due))

    def _expire(self, state: MarketState, account: Account, order: VenueOrder, due: Nanos) -> None:
        # An amended order may have another expiration by now, or none.
        if order.request.expiration_ts == due:
            self._end(state, account, order, "ExpiryCancel")

    def _end(self, state: MarketState, account: Account, order: VenueOrder, reason: str) -> None:
        if order.order_id in account.open_orders:
            self._trading.cancel(state, account, order, reason)
            self._venue.publish_book(state)
