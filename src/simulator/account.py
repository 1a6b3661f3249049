"""An account: cash, one signed position per market with automatic netting, orders, fills, settlements.

Buying the opposite outcome of what is held closes contracts: each closed pair pays one dollar at once
and realises profit against the average cost. Fees are exact (``src.core.fees``), per fill and with one
rounding accumulator per order. Cash may end below what a check at order entry foresaw only by fee
rounding, at most 0.0001 dollars per additional fill.
"""

from __future__ import annotations

from collections.abc import Mapping

from src.core.events import VenueOrderStatus
from src.core.market import Market
from src.core.sides import BookSide, from_book
from src.core.units import DOLLAR_PRICE, Cash, Count, Nanos, Price
from src.simulator.groups import OrderGroup
from src.simulator.records import Position, SettlementRecord, Trade, VenueFill, VenueOrder
from src.simulator.wallets import Wallet


class Account:
    """One account. Read its attributes freely; only the exchange changes them.

    ``orders`` holds every order ever created, by order id; ``open_orders`` those that rest; ``wallets``
    the shards that were ever funded. ``one_purse``: one wallet backs orders on every shard.
    """

    def __init__(
        self, key_id: str, user_id: str, cash: Mapping[int, Cash], *, one_purse: bool = False
    ) -> None:
        self.key_id = key_id
        self.user_id = user_id
        self.wallets = {index: Wallet(amount) for index, amount in cash.items()}
        self.orders: dict[str, VenueOrder] = {}
        self.open_orders: dict[str, VenueOrder] = {}
        self.client_order_ids: set[str] = set()
        self.groups: dict[str, OrderGroup] = {}
        self.fills: list[VenueFill] = []
        self.positions: dict[str, Position] = {}
        self.settlements: list[SettlementRecord] = []
        self.updated_ts: Nanos = 0
        self.cancel_all_until: Nanos = 0
        self._one_purse = one_purse

    @property
    def cash(self) -> Cash:
        """Cash on all shards."""
        return sum(each.cash for each in self.wallets.values())

    @property
    def resting_collateral(self) -> Cash:
        """Cash the resting orders may need."""
        return sum(each.collateral.total for each in self.wallets.values())

    @property
    def free_cash(self) -> Cash:
        """Cash beyond what the resting orders may need."""
        return self.cash - self.resting_collateral

    def wallet(self, exchange_index: int) -> Wallet:
        """The wallet of a shard; a shard without one gets an empty one."""
        index = 0 if self._one_purse else exchange_index
        found = self.wallets.get(index)
        if found is None:
            found = self.wallets[index] = Wallet()
        return found

    def has_wallet(self, exchange_index: int) -> bool:
        """Whether a shard was ever funded."""
        return self._one_purse or exchange_index in self.wallets

    def position_count(self, ticker: str) -> Count:
        """Signed position in a market (+ YES, - NO)."""
        position = self.positions.get(ticker)
        return position.count if position else 0

    def can_afford(self, market: Market, side: BookSide, price: Price, count: Count) -> bool:
        """Whether free cash covers a new order at its limit, taker fee included."""
        wallet, held = self.wallet(market.exchange_index), self.position_count(market.ticker)
        needed = wallet.collateral.additional(market.ticker, side, price, count, market.fees, held)
        return needed <= 0 or needed <= wallet.free_cash

    def can_afford_instead(self, order: VenueOrder, market: Market, price: Price, count: Count) -> bool:
        """Whether free cash would cover a resting order's replacement by one of this price and size."""
        self._forget(order, market)
        try:
            return self.can_afford(market, order.side, price, count)
        finally:
            self.refresh(order, market)

    def rest(self, order: VenueOrder, market: Market) -> None:
        """Count an order among the resting ones."""
        self.open_orders[order.order_id] = order
        self.refresh(order, market)

    def unrest(self, order: VenueOrder, market: Market) -> None:
        """Stop counting an order among the resting ones, its life going on."""
        del self.open_orders[order.order_id]
        self._forget(order, market)

    def close_order(
        self, order: VenueOrder, market: Market, status: VenueOrderStatus, reason: str, now: Nanos
    ) -> Count:
        """End an order's life; returns the size that was taken out of the market."""
        taken_out = order.remaining
        order.remaining, order.status = 0, status
        order.reason, order.updated_ts = reason, now
        self.updated_ts = now
        if self.open_orders.pop(order.order_id, None) is not None:
            self.refresh(order, market)
        return taken_out

    def apply_fill(self, order: VenueOrder, market: Market, trade: Trade, *, is_taker: bool) -> VenueFill:
        """Book one side of a trade: cash, fee, position and the order's totals."""
        position, flow = self.book_contracts(market, order.side, trade.price, trade.count, trade.ts)
        fee = order.fees.net_fee(flow, market.fees.trade_fee(trade.price, trade.count, is_taker))
        self.wallet(market.exchange_index).cash -= fee
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
        self.refresh(order, market)
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
        self.wallet(market.exchange_index).cash += flow
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
        self.wallet(market.exchange_index).cash += revenue
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

    def refresh(self, order: VenueOrder, market: Market) -> None:
        """Recompute what a market's resting orders need after an order, the position or the fees changed."""
        collateral = self.wallet(market.exchange_index).collateral
        # An order that never rested (or no longer does) must not be counted as resting.
        if order.order_id in self.open_orders or not order.remaining:
            collateral.put(order, market.fees)
        collateral.refresh(order.ticker, self.position_count(order.ticker))

    def _forget(self, order: VenueOrder, market: Market) -> None:
        collateral = self.wallet(market.exchange_index).collateral
        collateral.remove(order)
        collateral.refresh(order.ticker, self.position_count(order.ticker))
