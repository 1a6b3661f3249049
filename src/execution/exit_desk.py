"""The exit desk: from open positions to approved exits. Halts never block it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from src.core.actions import Alert, AuditRecord, ControlValue, Severity, StoredState, TradingState
from src.core.book import OrderBook
from src.core.sides import Outcome, to_book
from src.core.signal import OrderIntent, Purpose, TimeInForce, make_client_order_id, make_signal_id
from src.core.units import CENT_PRICE, SECOND, Count, Nanos, Price
from src.execution.exits import ExitDecision, ExitMonitor
from src.execution.ledger import Ledger
from src.execution.limits import ExitPolicy, RiskLimits
from src.execution.market_state import MarketState
from src.execution.portfolio import Position
from src.execution.risk import Approved, approve
from src.execution.trading_state import TradingControl

Output: TypeAlias = list[Approved | Alert | AuditRecord]
_EXIT_RETRY: Nanos = 5 * SECOND
_FLATTEN = "flatten"


class ExitHost(Protocol):
    """What the exit desk needs from the engine it belongs to."""

    stopping: bool

    @property
    def now(self) -> Nanos:
        """Time of the event being handled."""

    def fair_yes(self, strategy_name: str, ticker: str) -> float | None:
        """A strategy's current probability of YES."""


class ExitDesk:
    """Looks at every open position on every tick; one order at a time leaves it."""

    def __init__(
        self,
        host: ExitHost,
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
        self._policies = policies
        self._monitor = ExitMonitor(limits)
        self._attempts: dict[str, tuple[int, Nanos]] = {}
        self._flatten = False
        # Events and outcomes that a price stop left: not entered again.
        self.stopped_out: set[tuple[str, Outcome]] = set()

    def restore(self, stored: StoredState) -> None:
        """Attempts go on counting, stops and a flatten stay remembered after a restart."""
        self._flatten = stored.values.get(_FLATTEN) == "on"
        for row in stored.orders:
            intent = row.intent
            if intent.purpose is not Purpose.EXIT:
                continue
            attempt, at = self._attempts.get(intent.signal_id, (0, 0))
            self._attempts[intent.signal_id] = (
                max(attempt, intent.attempt + 1),
                max(at, intent.created_ts),
            )
            if intent.strategy.endswith(":stop_loss"):
                left = Outcome.NO if intent.side.sign > 0 else Outcome.YES
                self.stopped_out.add((intent.event_ticker, left))

    def flatten_all(self, now: Nanos) -> Output:
        """Leave every open position from the next tick on, until ``end_flatten``."""
        self._flatten = True
        return [ControlValue(_FLATTEN, "on", now)]

    def end_flatten(self, now: Nanos) -> Output:
        """A person lets positions be held again."""
        if not self._flatten:
            return []
        self._flatten = False
        return [ControlValue(_FLATTEN, "off", now)]

    def position_closed(self, ticker: str) -> None:
        """Forget what was remembered about a position's stop."""
        if not self._ledger.portfolio.count(ticker):
            self._monitor.forget(ticker)

    def exits(self) -> Output:
        """Decide about every open position. Halts never block this; an unknown account does."""
        if self._control.state in {TradingState.STARTING, TradingState.RECONCILING} or self._host.stopping:
            return []
        out: Output = []
        for position in tuple(self._ledger.portfolio.open_positions()):
            decision = self._decide(position)
            if decision is not None:
                out += self._leave(position, decision)
        return out

    def _decide(self, position: Position) -> ExitDecision | None:
        if self._flatten:
            return ExitDecision("flatten", {})
        if position.strategy == "external":
            return None  # the owner's own position: only a flatten touches it
        policy = self._policies.get(position.strategy, ExitPolicy())
        book, fees = self._markets.book(position.ticker), self._markets.fees(position.ticker)
        fair = self._host.fair_yes(position.strategy, position.ticker)
        return self._monitor.decide(position, book, fees, policy, fair, self._host.now)

    def _leave(self, position: Position, decision: ExitDecision) -> Output:
        market, book = self._markets.market(position.ticker), self._markets.book(position.ticker)
        if market is None or book is None or not market.is_open(self._host.now):
            return []
        if any(
            order.intent.ticker == position.ticker and not order.external
            for order in self._ledger.orders.live()
        ):
            return []  # one order at a time: its outcome decides what is left to leave
        cause = f"exit:{position.ticker}:{position.opened_ts}:{decision.reason}"
        signal_id = make_signal_id(position.strategy, cause, position.ticker, position.outcome)
        attempt, last = self._attempts.get(signal_id, (0, 0))
        if attempt and self._host.now - last < _EXIT_RETRY:
            return []
        bids = book.bids_for(position.outcome)
        if not bids:
            return []
        self._attempts[signal_id] = (attempt + 1, self._host.now)
        intent = self._exit_intent(position, decision, signal_id, attempt, bids[0][0], book)
        if decision.reason == "stop_loss":
            self.stopped_out.add((position.event_ticker, position.outcome))
        text = (
            f"{position.ticker}: leaving {position.size / 100:g} {position.outcome.value} ({decision.reason})"
        )
        alert = Alert(Severity.INFO, f"exit:{position.ticker}", text, self._host.now)
        return [alert, self._ledger.open_order(approve(intent, 0), self._host.now)]

    def _exit_intent(
        self,
        position: Position,
        decision: ExitDecision,
        signal_id: str,
        attempt: int,
        best_bid: Price,
        book: OrderBook,
    ) -> OrderIntent:
        # Selling the held outcome at s is buying the other one at 1 - s; the ladder gives a cent per attempt.
        floor: Price = max(CENT_PRICE, best_bid - CENT_PRICE * min(attempt + 1, 3))
        held_side, yes_price = to_book(position.outcome, floor)
        count: Count = position.size
        market = self._markets.market(position.ticker)
        return OrderIntent(
            client_order_id=make_client_order_id(signal_id, attempt),
            signal_id=signal_id,
            strategy=f"{position.strategy}:{decision.reason}",
            ticker=position.ticker,
            event_ticker=position.event_ticker,
            side=held_side.other,
            price=book.grid.toward_safety(held_side.other, yes_price),
            count=count,
            time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
            purpose=Purpose.EXIT,
            created_ts=self._host.now,
            trace_id=signal_id,
            attempt=attempt,
            reduce_only=True,
            exchange_index=market.exchange_index if market else 0,
            book_seq=book.seq,
            book_ts=book.ts,
        )
