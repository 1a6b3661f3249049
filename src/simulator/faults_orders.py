"""Faults in the life of a single order: half a fill, a rejection after the answer, a fill before a cancel."""

from __future__ import annotations

from src.core.sides import BookSide
from src.core.signal import TimeInForce
from src.core.units import Count, Price
from src.simulator.exchange import Exchange
from src.simulator.matching import reaches
from src.simulator.records import NewOrder, VenueOrder
from src.simulator.trading import Trading

_REASONS = {
    "post_only_cross": "PostOnlyCrossCancel",
    "self_trade": "SelfTradeCancel",
    "closed": "CloseCancel",
}


class OrderFaults:
    """Arranges the crowd around an account's order."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def leave_only(self, new: NewOrder, size: Count) -> None:
        """Let the crowd withdraw what an incoming order could take beyond ``size``."""
        state = self._exchange.markets.get(new.ticker)
        if state is None:
            return
        opposite, left = new.side.other, size
        for price in state.book.crowd_prices(opposite):
            if not reaches(new.side, new.price, price):
                break
            present = state.book.crowd_size(opposite, price)
            kept = min(present, left)
            left -= kept
            if kept < present:
                self._exchange.set_crowd_level(new.ticker, opposite, price, kept)

    def fill_up_to(self, key_id: str, order_id: str, size: Count) -> None:
        """The crowd takes a resting order until ``size`` of it is filled."""
        order = self._resting(key_id, order_id)
        if order is not None and order.filled < size:
            self._fill(order, key_id, size - order.filled)

    def fill_part(self, key_id: str, order_id: str, size: Count | None) -> None:
        """The crowd takes ``size`` of a resting order (None: half of what remains)."""
        order = self._resting(key_id, order_id)
        if order is not None:
            self._fill(order, key_id, size or max(order.remaining // 2, 1))

    def reject(self, key_id: str, order_id: str, reason: str) -> None:
        """End an order that rests, as the exchange does when it notices only afterwards."""
        order = self._resting(key_id, order_id)
        if order is None:
            return
        exchange = self._exchange
        with exchange.operation():
            state = exchange.markets[order.ticker]
            Trading(exchange.venue).cancel(state, exchange.account(key_id), order, _REASONS[reason])
            exchange.venue.publish_book(state)

    def trade_by_hand(
        self, key_id: str, ticker: str, side: BookSide, price: Price, count: Count
    ) -> VenueOrder:
        """The owner buys ``count`` at ``price`` or better; a crowd member stands ready for it.

        Raises ``OrderRefused``.
        """
        exchange = self._exchange
        request = NewOrder(ticker, side, price, count, TimeInForce.IMMEDIATE_OR_CANCEL)
        with exchange.operation():
            book = exchange.venue.market(ticker).book
            book.add_crowd(side.other, price, count)
            present = book.crowd_size(side.other, price)
            try:
                order = exchange.create(key_id, request)
            finally:
                # What better prices gave is not taken from that member, who then leaves.
                unused = count - (present - book.crowd_size(side.other, price))
                book.shrink_crowd(side.other, price, unused)
                exchange.venue.publish_book(exchange.venue.market(ticker))
        return order

    def _resting(self, key_id: str, order_id: str) -> VenueOrder | None:
        return self._exchange.account(key_id).open_orders.get(order_id)

    def _fill(self, order: VenueOrder, key_id: str, size: Count) -> None:
        exchange = self._exchange
        with exchange.operation():
            state = exchange.markets[order.ticker]
            lot = state.book.lot(order.side, order.order_id)
            Trading(exchange.venue).fill_resting(state, lot, min(size, lot.remaining))
            exchange.venue.publish_book(state)
