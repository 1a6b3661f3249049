"""Turning matches into trades: both sides' books, the public tape, and what listeners are told."""

from __future__ import annotations

from src.core.events import VenueOrderStatus
from src.core.sides import BookSide
from src.core.units import Count, Price
from src.simulator.account import Account
from src.simulator.groups import OrderGroup
from src.simulator.matching import CROWD, Lot
from src.simulator.outputs import (
    FillMade,
    GroupChange,
    GroupStep,
    OrderChange,
    PositionChange,
    TradePrinted,
)
from src.simulator.records import SelfTradePrevention, Trade, VenueOrder
from src.simulator.states import MarketState
from src.simulator.venue import Venue


class Trading:
    """Executes incoming orders of accounts and of the crowd against a market's book."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def take(self, state: MarketState, account: Account, order: VenueOrder) -> str | None:
        """Match an account's incoming order; returns why the rest of it must not go on, None if it may."""
        group = account.groups.get(order.request.order_group_id)
        while order.remaining:
            lot = state.book.next_match(order.side, order.price)
            if lot is None:
                return None
            if lot.owner == account.key_id:
                if order.request.self_trade_prevention is SelfTradePrevention.TAKER_AT_CROSS:
                    return "SelfTradeCancel"
                self.cancel(state, account, account.orders[lot.order_id], "SelfTradeCancel")
                continue
            self._execute(state, lot, min(order.remaining, lot.remaining), account, order)
            if group is not None and group.is_triggered:
                return order.reason
        return None

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
            # A group that triggers on the way cancels further orders of this list.
            part = min(left, lot.remaining)
            if part:
                self._execute(state, lot, part, None, None)
            left -= part
        return count - left

    def fill_resting(self, state: MarketState, lot: Lot, count: Count) -> None:
        """The crowd trades ``count`` with an account's resting lot, whatever stands before it."""
        self._execute(state, lot, count, None, None)

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

    def trigger(self, account: Account, group: OrderGroup) -> None:
        """Cancel a group's resting orders and keep it shut until it is reset."""
        group.is_triggered = True
        self._venue.emit(
            GroupChange(account.key_id, group.group_id, GroupStep.TRIGGERED, group.limit, self._venue.now)
        )
        self.cancel_group(account, group)

    def cancel_group(self, account: Account, group: OrderGroup) -> None:
        """Cancel a group's resting orders."""
        for order in list(account.open_orders.values()):
            if order.request.order_group_id == group.group_id:
                state = self._venue.market(order.ticker)
                self.cancel(state, account, order, "")
                self._venue.publish_book(state)

    def _execute(
        self, state: MarketState, lot: Lot, count: Count, taker: Account | None, order: VenueOrder | None
    ) -> None:
        """One trade at the lot's price; ``taker`` and ``order`` are None when the crowd takes."""
        venue = self._venue
        state.book.reduce(lot, count)
        # Matches count by themselves: a backtest that leaves recorded prints out makes the same ids.
        venue.match_count += 1
        trade_id = venue.make_id(f"trade|{venue.match_count}")
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
            self._count_for_group(maker, resting, trade)
        elif taker is not None:
            venue.crowd.book_contracts(state.market, lot.side, trade.price, trade.count, trade.ts)
        if taker is not None and order is not None:
            self._count_for_group(taker, order, trade)
        state.candles.hold(trade.ts, venue.open_interest(trade.ticker))

    def _count_for_group(self, account: Account, order: VenueOrder, trade: Trade) -> None:
        group = account.groups.get(order.request.order_group_id)
        if group is None or group.is_triggered:
            return
        group.add(trade.ts, trade.count)
        if group.is_over(trade.ts):
            self.trigger(account, group)

    def _book_fill(
        self, state: MarketState, account: Account, order: VenueOrder, trade: Trade, *, is_taker: bool
    ) -> None:
        fill = account.apply_fill(order, state.market, trade, is_taker=is_taker)
        self._venue.emit(FillMade(account.key_id, fill))
        self._venue.emit(PositionChange(account.key_id, account.positions[trade.ticker]))
