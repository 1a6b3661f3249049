"""The resting desk: the owner of every order of ours that rests; each has a time to live and an expiry.

The expiry is the net below the program: should it die, the venue ends the order within ``longest_expiry``.
While it lives, the desk moves the expiry on (which keeps the place in the queue) and cancels an order as
soon as nothing stands behind it any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from src.core.actions import AmendOrder, AuditRecord, CancelOrder, TradingState
from src.core.market import Market, MarketStatus
from src.core.sides import Outcome, from_book
from src.core.signal import Purpose
from src.core.units import SECOND, Count, Nanos
from src.execution.ledger import Ledger
from src.execution.limits import EntryPolicy, ExitPolicy, RiskLimits
from src.execution.maker import maker_edge, pause_is_near
from src.execution.market_state import MarketState
from src.execution.order_state import Order
from src.execution.trading_state import TradingControl

Output: TypeAlias = list[AmendOrder | CancelOrder | AuditRecord]

PROFIT_TARGET = "profit_target"
# A gap in the feed is mended within a second or two; an entry that outlived every gap would be a stale one.
_ENTRY_DOUBT: Nanos = 5 * SECOND
# An offer to sell at our own price does less harm: it goes when the feed is silent for longer.
_EXIT_DOUBT: Nanos = 30 * SECOND
_AMEND_PATIENCE: Nanos = 15 * SECOND


def expiry(now: Nanos, deadline: Nanos | None, longest: Nanos) -> Nanos:
    """When the venue shall end an order by itself. Whole seconds, as the wire has them."""
    until = now + longest if deadline is None else min(deadline, now + longest)
    return max(until, now + SECOND) // SECOND * SECOND


class DeskHost(Protocol):
    """What a desk that changes orders needs from the engine it belongs to."""

    stopping: bool

    @property
    def now(self) -> Nanos:
        """Time of the event being handled."""

    def fair_yes(self, strategy_name: str, ticker: str) -> float | None:
        """A strategy's current probability of YES."""

    def cancel(self, client_order_id: str, reason: str) -> list[CancelOrder | AuditRecord]:
        """Cancel one live order of ours."""


class RestingDesk:
    """Looks at every resting order whenever something changed that it stands on, and on every tick."""

    def __init__(
        self,
        host: DeskHost,
        markets: MarketState,
        ledger: Ledger,
        control: TradingControl,
        limits: RiskLimits,
        entries: Mapping[str, EntryPolicy],
        exits: Mapping[str, ExitPolicy],
    ) -> None:
        self._host = host
        self._markets = markets
        self._ledger = ledger
        self._control = control
        self._limits = limits
        self._entries = entries
        self._exits = exits
        self._doubt_since: dict[str, Nanos] = {}

    def review(self) -> Output:
        """Cancel what nothing stands behind any more; move the expiry of the others on."""
        out: Output = []
        resting = [order for order in self._ledger.orders.live() if order.rests and not order.external]
        for order in resting:
            market = self._markets.market(order.intent.ticker)
            if market is None or not self._reachable(market):
                continue
            reason = self._objection(order, market)
            if reason:
                out += self._host.cancel(order.intent.client_order_id, reason)
            elif self._expires_soon(order):
                out += self.amend(order, order.intent.count)
        if not resting:
            self._doubt_since.clear()
        return out

    def amend(self, order: Order, total: Count) -> Output:
        """Make an order's whole size ``total`` (what has filled included) and move its expiry on."""
        now, intent = self._host.now, order.intent
        if order.amend_sent is not None and now - order.amend_sent < _AMEND_PATIENCE:
            return []  # one change at a time
        order.amend_sent = now
        expires = max(
            expiry(now, self.deadline(order), self._limits.longest_expiry), intent.expiration_ts or 0
        )
        return [
            AmendOrder(
                intent.client_order_id,
                order.order_id,
                intent.ticker,
                intent.exchange_index,
                intent.side,
                intent.price,
                total,
                expires,
            )
        ]

    def deadline(self, order: Order) -> Nanos | None:
        """When an order's time is over; None for a profit target, which lives as long as its position."""
        intent = order.intent
        strategy, _, reason = intent.strategy.partition(":")
        if intent.purpose is Purpose.ENTRY:
            return intent.created_ts + self._entries.get(strategy, EntryPolicy()).time_to_live
        if reason == PROFIT_TARGET:
            return None
        return intent.created_ts + self._exits.get(strategy, ExitPolicy()).ladder.reprice_after

    def _reachable(self, market: Market) -> bool:
        """Whether a cancel can arrive: a paused exchange takes none, a closed market has ended its orders."""
        live = market.status in {MarketStatus.ACTIVE, MarketStatus.INITIALIZED, MarketStatus.INACTIVE}
        return self._markets.exchange_active and live and self._host.now < market.close_time

    def _expires_soon(self, order: Order) -> bool:
        expires, now = order.intent.expiration_ts, self._host.now
        if expires is None or expires - now > self._limits.longest_expiry // 2 or order.amend_failed:
            return False
        deadline = self.deadline(order)
        return deadline is None or deadline - expires >= SECOND

    def _objection(self, order: Order, market: Market) -> str:
        """Why an order must not rest any longer; empty when it may."""
        now, intent = self._host.now, order.intent
        deadline = self.deadline(order)
        if self._host.stopping:
            return "stopping"
        if deadline is not None and now >= deadline:
            return "time to live is over"
        if not self._markets.trading_active:
            return "the exchange is paused"
        if market.status is MarketStatus.INACTIVE:
            return "the market is paused"
        if market.close_time - now < self._limits.min_time_to_close:
            return "the market closes soon"
        if pause_is_near(now):
            return "the weekly pause is near"
        if not market.grid.is_legal(intent.price):
            return "the market's ticks have changed"
        if intent.purpose is Purpose.ENTRY:
            return self._entry_objection(order, market)
        if self._control.state is TradingState.HALTED:
            return "halted"
        return "the book is in doubt" if self._doubt(intent.ticker) > _EXIT_DOUBT else ""

    def _entry_objection(self, order: Order, market: Market) -> str:
        intent = order.intent
        if self._control.state is not TradingState.ACTIVE:
            return f"trading is {self._control.state.value}"
        if self._doubt(intent.ticker) > _ENTRY_DOUBT:
            return "the book is in doubt"
        fair = self._host.fair_yes(intent.strategy, intent.ticker)
        if fair is None:
            return "the strategy has no opinion any more"
        outcome, price = from_book(intent.side, intent.price)
        probability = fair if outcome is Outcome.YES else 1.0 - fair
        edge = maker_edge(probability, price, market.fees)
        return "" if edge >= self._limits.min_edge else f"the edge is gone ({edge:.4f})"

    def _doubt(self, ticker: str) -> Nanos:
        """For how long nobody has vouched for a market's book; 0 while somebody does."""
        now, book = self._host.now, self._markets.book(ticker)
        lag = 0 if book is None or book.ts_event is None else book.ts - book.ts_event
        if book is not None and lag <= self._limits.max_feed_lag:
            self._doubt_since.pop(ticker, None)
            return 0
        return now - self._doubt_since.setdefault(ticker, now)
