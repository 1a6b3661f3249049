"""The offer that rests at the profit target while a position is held."""

from __future__ import annotations

from typing import TypeAlias

from src.core.actions import AuditRecord, CancelOrder
from src.core.book import OrderBook
from src.core.market import Market
from src.execution.exit_order import exit_signal_id
from src.execution.exit_sender import ExitSender
from src.execution.exits import bids_of_others
from src.execution.ledger import Ledger
from src.execution.limits import ExecutionStyle
from src.execution.market_state import MarketState
from src.execution.order_state import Order
from src.execution.portfolio import Position
from src.execution.profit_target import TargetPrices, fits_target, target_prices, target_step
from src.execution.resting_desk import PROFIT_TARGET, DeskHost
from src.execution.risk import Approved

Output: TypeAlias = list[Approved | CancelOrder | AuditRecord]


class TargetDesk:
    """One offer for each position whose strategy has a profit target and rests its orders."""

    def __init__(self, host: DeskHost, markets: MarketState, ledger: Ledger, sender: ExitSender) -> None:
        self._host = host
        self._markets = markets
        self._ledger = ledger
        self._sender = sender

    def offer(self, position: Position, market: Market | None, book: OrderBook | None) -> Output:
        """Rest an offer where the profit target is reached, for as much as is held."""
        policy = self._sender.policy(position)
        if policy.profit_target is None or policy.style is not ExecutionStyle.MAKER:
            return []
        if market is None or book is None or not market.is_open(self._host.now) or not book.is_two_sided:
            return []
        prices = target_prices(position, policy, book, self._markets.fees(position.ticker))
        working = self._ledger.own_orders(position.ticker)
        if working:
            return self._keep(position, working, prices)
        if prices is None:
            return []
        attempt = self._sender.attempts.next(exit_signal_id(position, PROFIT_TARGET), self._host.now)
        if attempt is None:
            return []
        bids = bids_of_others(book, position.outcome, self._ledger.orders)
        step = target_step(position, prices, bids)
        if not self._sender.trades() or (step.rests and not self._sender.may_rest(market)):
            return []
        return [self._sender.send(position, PROFIT_TARGET, attempt.number, step, book, market)]

    def _keep(self, position: Position, working: list[Order], prices: TargetPrices | None) -> Output:
        """An offer that no longer fits what is held, or what it cost, makes room for another."""
        for order in working:
            is_offer = order.rests and order.intent.strategy.endswith(f":{PROFIT_TARGET}")
            if is_offer and not fits_target(order, position, prices):
                return [*self._host.cancel(order.intent.client_order_id, "the target has moved")]
        return []
