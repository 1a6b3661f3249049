"""Sending what leaves a position: when an order may trade or rest, its attempt and its expiry."""

from __future__ import annotations

from collections.abc import Mapping

from src.core.actions import TradingState
from src.core.book import OrderBook
from src.core.market import Market
from src.execution.exit_attempts import ExitAttempts
from src.execution.exit_ladder import ExitStep
from src.execution.exit_order import exit_intent
from src.execution.ledger import Ledger
from src.execution.limits import ExitPolicy, RiskLimits
from src.execution.maker import pause_is_near
from src.execution.market_state import MarketState
from src.execution.portfolio import Position
from src.execution.resting_desk import PROFIT_TARGET, DeskHost, expiry
from src.execution.risk import Approved, approve
from src.execution.trading_state import TradingControl

_DEFAULT_POLICY = ExitPolicy()


class ExitSender:
    """What every way out of a position has in common."""

    def __init__(
        self,
        host: DeskHost,
        markets: MarketState,
        ledger: Ledger,
        control: TradingControl,
        limits: RiskLimits,
        policies: Mapping[str, ExitPolicy],
    ) -> None:
        self._host = host
        self._markets = markets
        self._ledger = ledger
        self._control = control
        self._limits = limits
        self._policies = policies
        self.attempts = ExitAttempts(ledger.orders)

    def policy(self, position: Position) -> ExitPolicy:
        """When and how positions of its strategy are left."""
        return self._policies.get(position.strategy, _DEFAULT_POLICY)

    def trades(self) -> bool:
        """Whether the exchange takes orders now."""
        return self._markets.exchange_active and self._markets.trading_active

    def may_rest(self, market: Market) -> bool:
        """Whether an offer may wait in the book: not while halted, nor shortly before trading ends."""
        now = self._host.now
        open_long_enough = market.close_time - now >= self._limits.min_time_to_close
        halted = self._control.state is TradingState.HALTED
        return open_long_enough and not halted and not pause_is_near(now) and self.trades()

    def send(
        self,
        position: Position,
        reason: str,
        attempt: int,
        step: ExitStep,
        book: OrderBook,
        market: Market,
    ) -> Approved:
        """The order of a step, recorded before it leaves."""
        now = self._host.now
        deadline = None if reason == PROFIT_TARGET else now + self.policy(position).ladder.reprice_after
        expires = expiry(now, deadline, self._limits.longest_expiry) if step.rests else None
        intent = exit_intent(position, reason, attempt, step, book, market, now, expires)
        self.attempts.sent(intent.signal_id, attempt, now)
        return self._ledger.open_order(approve(intent, 0), now)
