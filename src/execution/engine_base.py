"""What the parts of the engine stand on: its state, what strategies see of it, and the ways to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from src.core.actions import (
    Alert,
    AmendOrder,
    AuditRecord,
    CancelOrder,
    OrderStatus,
    RequestReport,
    RequestSnapshot,
    TradingState,
)
from src.core.book import OrderBook
from src.core.market import Market
from src.core.ports import Strategy
from src.core.units import Cash, Count, Nanos
from src.execution.ledger import Ledger
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.execution.lockout import Lockout
from src.execution.market_state import MarketState
from src.execution.order_state import LIVE
from src.execution.risk import Approved, GuardError
from src.execution.rules_watch import RulesWatch
from src.execution.trading_state import TradingControl
from src.execution.valuation import Valuation

Action: TypeAlias = (
    Approved | CancelOrder | AmendOrder | RequestReport | RequestSnapshot | Alert | AuditRecord
)
# What an event of one type calls for. Each type has one handler, so that the parameter is that type.
Routes: TypeAlias = dict[type, Callable[[Any], list[Action]]]

_CANCELABLE = LIVE - {OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL}


class EngineBase:
    """The state of trading, readable by strategies (``MarketView``) and by the desks as their host."""

    def __init__(
        self,
        strategies: Sequence[Strategy],
        limits: RiskLimits,
        policy: ReconcilePolicy,
        markets: MarketState | None,
    ) -> None:
        self._strategies = strategies
        self.markets = markets if markets is not None else MarketState()
        self.ledger = Ledger(self.markets, policy)
        self.control = TradingControl(limits)
        self.rules = RulesWatch()
        self.lockout = Lockout()
        self.clock_offset: Nanos | None = None
        self.store_down = ""
        # Why the kill switch is tripped, as last seen; a halt is not cleared while it is.
        self.kill_reason = ""
        self.stopping = False
        self._valuation = Valuation(self.ledger, self.markets)
        self._now: Nanos = 0

    # --- what strategies see (MarketView) ------------------------------------------------------

    @property
    def strategies(self) -> Sequence[Strategy]:
        """The strategies it runs."""
        return self._strategies

    @property
    def now(self) -> Nanos:
        """``ts_recv`` of the event being handled."""
        return self._now

    def market(self, ticker: str) -> Market | None:
        """A known market."""
        return self.markets.market(ticker)

    def markets_of(self, event_ticker: str) -> Sequence[Market]:
        """Known markets of an event."""
        return self.markets.markets_of(event_ticker)

    def event_tickers(self, series_ticker: str) -> Sequence[str]:
        """Events of a series with a market open now."""
        return self.markets.event_tickers(series_ticker, self._now)

    def book(self, ticker: str) -> OrderBook | None:
        """A book the feed vouches for."""
        return self.markets.book(ticker)

    def position(self, ticker: str) -> Count:
        """Signed contracts held."""
        return self.ledger.portfolio.count(ticker)

    # --- what the desks ask --------------------------------------------------------------------

    def fair_yes(self, strategy_name: str, ticker: str) -> float | None:
        """The strategy's current probability of YES, or None."""
        for strategy in self._strategies:
            if strategy.name == strategy_name:
                return strategy.fair_probability(self, ticker)
        return None

    def equity(self) -> Cash:
        """Cash plus what the open positions would fetch now (last valid mark where a book is in doubt)."""
        return self._valuation.equity()

    @property
    def equity_known(self) -> bool:
        """Whether every position that trades has been valued from a book."""
        return self._valuation.is_known(self._now)

    # --- ways to stop --------------------------------------------------------------------------

    def halt(self, who: str, why: str) -> list[Action]:
        """Halt, and cancel what rests: a halt that stands already keeps its first reason."""
        return [*self.control.set_state(TradingState.HALTED, who, why, self._now), *self.cancel_all()]

    def guard_failed(self, error: GuardError) -> list[Action]:
        """A guard that raises has not let anything pass: halt, and a person looks at it."""
        return self.halt("guard", str(error))

    def locked_out(self, reason: str) -> list[Action]:
        """The exchange refuses us until a person acts: halt, cancel once, and ask nothing any more."""
        return self.halt("exchange", reason) if self.lockout.begin() else []

    def cancel_all(self) -> list[Action]:
        """Cancel every order of ours that the venue holds."""
        out: list[Action] = []
        for order in self.ledger.orders.live():
            if order.status in _CANCELABLE and order.order_id:
                out += self.cancel(order.intent.client_order_id, self.control.why or "stopping")
        return out

    def cancel(self, client_order_id: str, reason: str) -> list[CancelOrder | AuditRecord]:
        """Cancel one live order of ours; ``reason`` is kept with it."""
        order = self.ledger.orders.get(client_order_id)
        if order is None or not order.is_live or order.external:
            return []
        self.ledger.orders.move(order, OrderStatus.PENDING_CANCEL, self._now, reason)
        intent = order.intent
        call = CancelOrder(client_order_id, order.order_id, intent.ticker, intent.exchange_index)
        return [order.changed(self._now), call]
