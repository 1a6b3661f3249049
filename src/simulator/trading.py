"""Turning matches into trades: both sides' books, the public tape, and what listeners are told."""

from __future__ import annotations

from src.core.events import VenueOrderStatus
from src.core.sides import BookSide
from src.core.units import Count, Price
from src.simulator.account import Account
from src.simulator.matching import CROWD, Lot
from src.simulator.outputs import FillMade, OrderChange, PositionChange, TradePrinted
from src.simulator.records import SelfTradePrevention, Trade, VenueOrder
from src.simulator.venue import MarketState, Venue


class Trading:
    """Executes incoming orders of accounts and of the crowd against a market's book."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def take(self, state: MarketState, account: Account, order: VenueOrder) -> bool:
        """Match an account's incoming order; True when it met an order of the same account and stops."""
        while order.remaining:
            lot = state.book.next_match(order.side, order.price)
            if lot is None:
                return False
            if lot.owner == account.key_id:
                if order.request.self_trade_prevention is SelfTradePrevention.TAKER_AT_CROSS:
                    return True
                self.cancel(state, account, account.orders[lot.order_id], "SelfTradeCancel")
                continue
            self._execute(state, lot, min(order.remaining, lot.remaining), account, order)
        return False

    def crowd_take(self, state: MarketState, side: BookSide, price: Price, count: Count) -> None:
        """The crowd sends an immediate-or-cancel order."""
        while count and (lot := state.book.next_match(side, price)) is not None:
            part = min(count, lot.remaining)
            self._execute(state, lot, part, None, None)
            count -= part

    def crowd_reaches(
        self, state: MarketState, side: BookSide, price: Price, count: Count, *, strictly: bool
    ) -> Count:
        """Accounts' orders resting on ``side`` trade with a crowd member at ``price``; returns the size."""
        left = count
        for lot in state.book.own_lots_reached(side, price, strictly=strictly):
            if not left:
                break
            part = min(left, lot.remaining)
            self._execute(state, lot, part, None, None)
            left -= part
        return count - left

    def print_trade(
        self, state: MarketState, trade_id: str, price: Price, count: Count, taker_side: BookSide
    ) -> Trade:
        """Put a trade on the public tape."""
        self._venue.trade_count += 1
        ordinal = self._venue.trade_count
        trade = Trade(ordinal, trade_id, state.market.ticker, price, count, taker_side, self._venue.now)
        state.add_trade(trade)
        self._venue.emit(TradePrinted(trade))
        return trade

    def cancel(self, state: MarketState, account: Account, order: VenueOrder, reason: str) -> Count:
        """Take a resting order out of the market; returns the size taken out."""
        lot = state.book.lot(order.side, order.order_id)
        state.book.reduce(lot, lot.remaining)
        taken_out = account.close_order(
            order, state.market, VenueOrderStatus.CANCELED, reason, self._venue.now
        )
        self._venue.emit(OrderChange(account.key_id, order))
        return taken_out

    def _execute(
        self, state: MarketState, lot: Lot, count: Count, taker: Account | None, order: VenueOrder | None
    ) -> None:
        """One trade at the lot's price; ``taker`` and ``order`` are None when the crowd takes."""
        venue = self._venue
        state.book.reduce(lot, count)
        trade_id = venue.make_id(f"trade|{venue.trade_count}")
        trade = self.print_trade(state, trade_id, lot.price, count, lot.side.other)
        if taker is not None and order is not None:
            self._book_fill(state, taker, order, trade, is_taker=True)
        elif lot.owner != CROWD:
            venue.crowd.book_contracts(state.market, lot.side.other, trade.price, trade.count, trade.ts)
        if lot.owner != CROWD:
            maker = venue.accounts[lot.owner]
            resting = maker.orders[lot.order_id]
            self._book_fill(state, maker, resting, trade, is_taker=False)
            venue.emit(OrderChange(maker.key_id, resting))
        elif taker is not None:
            venue.crowd.book_contracts(state.market, lot.side, trade.price, trade.count, trade.ts)

    def _book_fill(
        self, state: MarketState, account: Account, order: VenueOrder, trade: Trade, *, is_taker: bool
    ) -> None:
        fill = account.apply_fill(order, state.market, trade, is_taker=is_taker)
        self._venue.emit(FillMade(account.key_id, fill))
        self._venue.emit(PositionChange(account.key_id, account.positions[trade.ticker]))
