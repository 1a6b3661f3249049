"""An account: cash, one signed position per market with automatic netting, orders, fills, settlements.

Buying the opposite outcome of what is held closes contracts: each closed pair pays one dollar at once
and realises profit against the average cost. Fees are exact (``src.core.fees``), per fill and with one
rounding accumulator per order. Cash may end below what a check at order entry foresaw only by fee
rounding, at most 0.0001 dollars per additional fill.
"""

from __future__ import annotations

from src.core.events import VenueOrderStatus
from src.core.market import Market
from src.core.sides import BookSide, from_book
from src.core.units import DOLLAR_PRICE, Cash, Count, Nanos, Price
from src.simulator.collateral import Collateral
from src.simulator.records import Position, SettlementRecord, Trade, VenueFill, VenueOrder


class Account:
    """One account. Read its attributes freely; only the exchange changes them.

    ``orders`` holds every order ever created, by order id; ``open_orders`` those that rest.
    """

    def __init__(self, key_id: str, user_id: str, cash: Cash) -> None:
        self.key_id = key_id
        self.user_id = user_id
        self.cash = cash
        self.orders: dict[str, VenueOrder] = {}
        self.open_orders: dict[str, VenueOrder] = {}
        self.client_order_ids: set[str] = set()
        self.fills: list[VenueFill] = []
        self.positions: dict[str, Position] = {}
        self.settlements: list[SettlementRecord] = []
        self.updated_ts: Nanos = 0
        self._collateral = Collateral()

    @property
    def resting_collateral(self) -> Cash:
        """Cash the resting orders may need."""
        return self._collateral.total

    @property
    def free_cash(self) -> Cash:
        """Cash beyond what the resting orders may need."""
        return self.cash - self._collateral.total

    def position_count(self, ticker: str) -> Count:
        """Signed position in a market (+ YES, - NO)."""
        position = self.positions.get(ticker)
        return position.count if position else 0

    def can_afford(self, market: Market, side: BookSide, price: Price, count: Count) -> bool:
        """Whether free cash covers a new order at its limit, taker fee included."""
        held = self.position_count(market.ticker)
        needed = self._collateral.additional(market.ticker, side, price, count, market.fees, held)
        return needed <= 0 or needed <= self.free_cash

    def rest(self, order: VenueOrder, market: Market) -> None:
        """Count an order among the resting ones."""
        self.open_orders[order.order_id] = order
        self._refresh(order, market)

    def close_order(
        self, order: VenueOrder, market: Market, status: VenueOrderStatus, reason: str, now: Nanos
    ) -> Count:
        """End an order's life; returns the size that was taken out of the market."""
        taken_out = order.remaining
        order.remaining, order.status = 0, status
        order.reason, order.updated_ts = reason, now
        self.updated_ts = now
        if self.open_orders.pop(order.order_id, None) is not None:
            self._refresh(order, market)
        return taken_out

    def apply_fill(self, order: VenueOrder, market: Market, trade: Trade, *, is_taker: bool) -> VenueFill:
        """Book one side of a trade: cash, fee, position and the order's totals."""
        position, flow = self.book_contracts(market, order.side, trade.price, trade.count, trade.ts)
        fee = order.fees.net_fee(flow, market.fees.trade_fee(trade.price, trade.count, is_taker))
        self.cash -= fee
        position.fees += fee
        _, unit = from_book(order.side, trade.price)
        order.filled += trade.count
        order.remaining -= trade.count
        order.updated_ts, order.reason = trade.ts, "Trade"
        if is_taker:
            order.taker_cost += unit * trade.count
            order.taker_fees += fee
        else:
            order.maker_cost += unit * trade.count
            order.maker_fees += fee
        if not order.remaining:
            order.status = VenueOrderStatus.EXECUTED
            self.open_orders.pop(order.order_id, None)
        self._refresh(order, market)
        fill = VenueFill(
            ordinal=len(self.fills),
            trade_id=trade.trade_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            ticker=trade.ticker,
            side=order.side,
            price=trade.price,
            count=trade.count,
            fee=fee,
            is_taker=is_taker,
            post_position=position.count,
            exchange_index=order.exchange_index,
            ts=trade.ts,
        )
        self.fills.append(fill)
        return fill

    def book_contracts(
        self, market: Market, side: BookSide, price: Price, count: Count, now: Nanos
    ) -> tuple[Position, Cash]:
        """Book contracts without a fee; returns the position and the cash flow (negative when paying)."""
        position = self.positions.get(market.ticker)
        if position is None:
            position = self.positions[market.ticker] = Position(
                market.ticker, market.event_ticker, market.exchange_index, len(self.positions)
            )
        _, unit = from_book(side, price)
        closed = min(count, max(-position.count * side.sign, 0))
        if closed:
            cost_out = position.cost * closed // abs(position.count)
            position.cost -= cost_out
            position.realized += closed * (DOLLAR_PRICE - unit) - cost_out
        position.cost += (count - closed) * unit
        position.count += side.sign * count
        position.traded += unit * count
        position.volume += count
        position.updated_ts = self.updated_ts = now
        flow = closed * DOLLAR_PRICE - unit * count
        self.cash += flow
        return position, flow

    def settle(self, market: Market, value: Price, now: Nanos) -> SettlementRecord | None:
        """Pay ``value`` per YES and a dollar less ``value`` per NO; None when nothing was held."""
        position = self.positions.get(market.ticker)
        if position is None:
            return None
        count, cost = position.count, position.cost
        position.settled, position.updated_ts = True, now
        if not count:
            return None
        revenue = count * value if count > 0 else -count * (DOLLAR_PRICE - value)
        self.cash += revenue
        position.realized += revenue - cost
        position.count = position.cost = 0
        self.updated_ts = now
        record = SettlementRecord(
            ordinal=len(self.settlements),
            ticker=market.ticker,
            event_ticker=market.event_ticker,
            exchange_index=market.exchange_index,
            result=market.result,
            value=value,
            yes_count=max(count, 0),
            yes_cost=cost if count > 0 else 0,
            no_count=max(-count, 0),
            no_cost=cost if count < 0 else 0,
            revenue=revenue,
            fees=position.fees,
            ts=now,
        )
        self.settlements.append(record)
        return record

    def _refresh(self, order: VenueOrder, market: Market) -> None:
        # An order that never rested (or no longer does) must not be counted as resting.
        if order.order_id in self.open_orders or not order.remaining:
            self._collateral.put(order, market.fees)
        self._collateral.refresh(order.ticker, self.position_count(order.ticker))
