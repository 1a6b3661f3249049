"""Changing resting orders: amend and decrease, with what they do to the place in the queue.

An order keeps its place when only its expiration changes or its size shrinks. A new price or a larger size
takes it out and sends it in again: it may trade at once, and rests at the back of its queue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from src.core.actions import AmendOrder
from src.core.sides import BookSide
from src.core.units import Cash, Count, Nanos, Price
from src.simulator import refusals
from src.simulator.account import Account
from src.simulator.order_entry import OrderEntry
from src.simulator.outputs import OrderChange
from src.simulator.records import VenueOrder
from src.simulator.states import MarketState
from src.simulator.trading import Trading
from src.simulator.venue import Venue


@dataclass(frozen=True, slots=True)
class Amendment:
    """``count`` is the total: what is filled already plus what shall rest.

    ``expiration_ts``: None leaves it, 0 takes it away. Empty client ids are not given.
    """

    order_id: str
    ticker: str
    side: BookSide
    price: Price
    count: Count
    client_order_id: str = ""
    updated_client_order_id: str = ""
    expiration_ts: Nanos | None = None
    exchange_index: int | None = None


def amendment(order: AmendOrder) -> Amendment:
    """The amendment that a caller in the same process asks for."""
    return Amendment(
        order_id=order.order_id,
        ticker=order.ticker,
        side=order.side,
        price=order.price,
        count=order.count,
        client_order_id=order.client_order_id,
        expiration_ts=order.expiration_ts,
        exchange_index=order.exchange_index,
    )


@dataclass(frozen=True, slots=True)
class Amended:
    """An amended order with what trading at once brought: size, cost of the outcome, fees."""

    order: VenueOrder
    filled: Count
    cost: Cash
    fees: Cash


class OrderChanges:
    """Amends and decreases accounts' orders."""

    def __init__(self, venue: Venue, trading: Trading, entry: OrderEntry) -> None:
        self._venue = venue
        self._trading = trading
        self._entry = entry

    def amend(self, account: Account, wanted: Amendment) -> Amended:
        """Amend a resting order. Raises ``OrderRefused``; then nothing has changed."""
        state, order = self._checked(account, wanted)
        before = order.filled, order.taker_cost, order.taker_fees
        self._check_terms(state, account, order, wanted)
        remaining = wanted.count - order.filled
        keeps_place = wanted.price == order.price and remaining <= order.remaining
        if keeps_place:
            self._shrink(state, order, order.remaining - remaining)
        else:
            lot = state.book.lot(order.side, order.order_id)
            state.book.reduce(lot, lot.remaining)
            account.unrest(order, state.market)
        order.remaining = remaining
        order.reason, order.updated_ts = "Amend", self._venue.now
        account.updated_ts = self._venue.now
        moved = self._apply_terms(account, order, wanted)
        if keeps_place:
            account.refresh(order, state.market)
            if moved:
                self._entry.watch_expiry(state, account, order)
        else:
            self._entry.work(state, account, order)
        self._venue.emit(OrderChange(account.key_id, order))
        self._venue.publish_book(state)
        filled, cost, fees = before
        return Amended(order, order.filled - filled, order.taker_cost - cost, order.taker_fees - fees)

    def decrease(
        self,
        account: Account,
        order_id: str,
        *,
        reduce_by: Count | None,
        reduce_to: Count | None,
        market_ticker: str | None,
        exchange_index: int | None,
    ) -> VenueOrder:
        """Make a resting order smaller; one of ``reduce_by`` and ``reduce_to`` is given.

        Nothing left means canceled. Raises ``OrderRefused``.
        """
        state, order = self._entry.resting(account, order_id, market_ticker, exchange_index)
        if (reduce_by is None) == (reduce_to is None):
            raise refusals.invalid_order("exactly one of reduce_by and reduce_to is needed")
        left = max(order.remaining - reduce_by, 0) if reduce_by is not None else reduce_to or 0
        if left >= order.remaining or left < 0:
            raise refusals.invalid_size("a decrease must make the order smaller")
        if not left:
            self._trading.cancel(state, account, order, "Decrease")
        else:
            self._shrink(state, order, order.remaining - left)
            order.remaining = left
            order.reason, order.updated_ts = "Decrease", self._venue.now
            account.updated_ts = self._venue.now
            account.refresh(order, state.market)
            self._venue.emit(OrderChange(account.key_id, order))
        self._venue.publish_book(state)
        return order

    def _checked(self, account: Account, wanted: Amendment) -> tuple[MarketState, VenueOrder]:
        # The body always names the market, so the request is routed by it.
        order = account.orders.get(wanted.order_id)
        if order is not None and order.ticker != wanted.ticker:
            raise refusals.mismatch("order_ticker")
        state, order = self._entry.resting(account, wanted.order_id, wanted.ticker, wanted.exchange_index)
        if not self._venue.is_trading_open:
            raise refusals.trading_paused()
        if not state.is_trading:
            raise refusals.market_inactive()
        if order.side is not wanted.side:
            raise refusals.mismatch("order_side")
        if wanted.client_order_id and wanted.client_order_id != order.client_order_id:
            raise refusals.mismatch("order_id_and_client_order_id")
        return state, order

    def _check_terms(
        self, state: MarketState, account: Account, order: VenueOrder, wanted: Amendment
    ) -> None:
        if wanted.count <= order.filled:
            raise refusals.invalid_size("count is the total and must exceed what is filled")
        if not state.market.grid.is_legal(wanted.price):
            raise refusals.invalid_price("price is not on the market's price_ranges")
        if wanted.expiration_ts and wanted.expiration_ts <= self._venue.now:
            raise refusals.invalid_order("expiration_time must be in the future")
        if wanted.updated_client_order_id in account.client_order_ids - {""}:
            raise refusals.duplicate_client_order_id()
        if order.request.post_only and state.book.crosses(order.side, wanted.price):
            raise refusals.invalid_order("post only cross")
        remaining = wanted.count - order.filled
        if not account.can_afford_instead(order, state.market, wanted.price, remaining):
            raise refusals.insufficient_balance()

    def _apply_terms(self, account: Account, order: VenueOrder, wanted: Amendment) -> bool:
        """Give an order its new terms; returns whether it has another expiration now."""
        old = order.request
        expiration = old.expiration_ts if wanted.expiration_ts is None else wanted.expiration_ts or None
        if wanted.updated_client_order_id:
            account.client_order_ids.add(wanted.updated_client_order_id)
        order.request = replace(
            old,
            price=wanted.price,
            count=wanted.count,
            expiration_ts=expiration,
            client_order_id=wanted.updated_client_order_id or old.client_order_id,
        )
        return expiration not in (None, old.expiration_ts)

    @staticmethod
    def _shrink(state: MarketState, order: VenueOrder, by: Count) -> None:
        if by:
            state.book.reduce(state.book.lot(order.side, order.order_id), by)
