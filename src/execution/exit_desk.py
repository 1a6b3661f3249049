"""The exit desk: from open positions to approved exits. Halts never block it.

One order of ours works in a market at a time while a position is being left: what rests there is cancelled
first, and an exit is never larger than what is held. Only an immediate order may be reduce-only at the
venue, so a resting one is cut down as soon as the position is smaller than it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from src.core.actions import (
    Alert,
    AmendOrder,
    AuditRecord,
    CancelOrder,
    ControlValue,
    Noted,
    Severity,
    StoredState,
    TradingState,
)
from src.core.book import OrderBook
from src.core.events import DailyMaximum, ObservationUpdate
from src.core.sides import Outcome
from src.core.signal import Purpose
from src.core.units import Count, Price
from src.execution.exit_ladder import floor_price, next_step
from src.execution.exit_order import exit_signal_id
from src.execution.exit_sender import ExitSender
from src.execution.exits import ExitDecision, ExitMonitor, bids_of_others
from src.execution.ledger import Ledger
from src.execution.limits import ExitPolicy, RiskLimits
from src.execution.liveness import ExitLiveness
from src.execution.market_state import MarketState
from src.execution.order_state import Order
from src.execution.portfolio import Position
from src.execution.resting_desk import DeskHost, RestingDesk
from src.execution.risk import Approved
from src.execution.target_desk import TargetDesk
from src.execution.trading_state import TradingControl

Output: TypeAlias = list[Approved | CancelOrder | AmendOrder | Alert | AuditRecord]
_FLATTEN = "flatten"
# The loop may fail this often in a row before nothing new is bought any more.
_FAILURES_BEFORE_REDUCING = 3


class ExitDesk:
    """Looks at every open position on every tick; one order at a time leaves it."""

    def __init__(
        self,
        host: DeskHost,
        markets: MarketState,
        ledger: Ledger,
        control: TradingControl,
        limits: RiskLimits,
        policies: Mapping[str, ExitPolicy],
        resting: RestingDesk,
    ) -> None:
        self._host = host
        self._markets = markets
        self._ledger = ledger
        self._control = control
        self._resting = resting
        self._monitor = ExitMonitor(limits)
        self._sender = ExitSender(host, markets, ledger, control, limits, policies)
        self._target = TargetDesk(host, markets, ledger, self._sender)
        self._failures = 0
        self._unsellable: set[str] = set()
        self.liveness = ExitLiveness(limits.max_time_to_exit)
        self.flattening = False
        # Events and outcomes that a price stop left: not entered again.
        self.stopped_out: set[tuple[str, Outcome]] = set()

    def restore(self, stored: StoredState) -> None:
        """Attempts go on counting, stops and a flatten stay remembered after a restart."""
        self.flattening = stored.values.get(_FLATTEN) == "on"
        for row in stored.orders:
            intent = row.intent
            if intent.purpose is not Purpose.EXIT:
                continue
            self._sender.attempts.restore(intent)
            if intent.strategy.endswith(":stop_loss"):
                left = Outcome.NO if intent.side.sign > 0 else Outcome.YES
                self.stopped_out.add((intent.event_ticker, left))

    def flatten_all(self) -> Output:
        """Leave every open position from the next tick on, until ``end_flatten``."""
        self.flattening = True
        return [ControlValue(_FLATTEN, "on", self._host.now)]

    def end_flatten(self) -> Output:
        """A person lets positions be held again."""
        if not self.flattening:
            return []
        self.flattening = False
        return [ControlValue(_FLATTEN, "off", self._host.now)]

    def heard(self, event: ObservationUpdate | DailyMaximum) -> None:
        """News of the weather: prices in motion are no reason to stop for a while."""
        self._monitor.heard(event.series_ticker, self._host.now)

    def position_closed(self, ticker: str) -> Output:
        """Forget what was remembered about a position's stop and its way out."""
        if self._ledger.portfolio.count(ticker):
            return []
        self._monitor.forget(ticker)
        return [*self.liveness.closed(ticker, self._host.now)]

    # --- every tick ----------------------------------------------------------------------------

    def exits(self) -> Output:
        """Decide about every open position. Halts never block this; an unknown account does.

        A position whose decision fails is told about and does not keep the others from theirs.
        """
        if self._control.state in {TradingState.STARTING, TradingState.RECONCILING} or self._host.stopping:
            return []
        out = self.fit()
        failed, trading = "", self._sender.trades()
        for position in tuple(self._ledger.portfolio.open_positions()):
            try:
                out += self._look(position, trading)
            except Exception as error:  # whatever it is, the other positions must still be left
                failed = f"{position.ticker}: {type(error).__name__}: {error}"
        out += self._count_failure(failed)
        return out

    def fit(self) -> Output:
        """Cut resting exits down to what is held: the owner may have sold a part by hand."""
        out: Output = []
        if not self._markets.exchange_active:
            return out  # nothing would arrive; a paused exchange trades nothing either
        for order in self._ledger.orders.live():
            if order.external or order.intent.purpose is not Purpose.EXIT or not order.rests:
                continue
            held = max(0, -order.intent.side.sign * self._ledger.portfolio.count(order.intent.ticker))
            if order.remaining <= held:
                continue
            if held and self._markets.trading_active and not order.amend_failed:
                out += self._resting.amend(order, order.filled + held)
            else:
                out += self._host.cancel(order.intent.client_order_id, "more than is held")
        return out

    def _look(self, position: Position, trading: bool) -> Output:
        if position.strategy == "external":
            # The owner's own position: only a flatten touches it.
            return self._leave(position, ExitDecision(_FLATTEN, {}), []) if self.flattening else []
        now, ticker = self._host.now, position.ticker
        market, book = self._markets.market(ticker), self._markets.book(ticker)
        bids = None if book is None else bids_of_others(book, position.outcome, self._ledger.orders)
        out: Output = [*self.liveness.look(position, market, bids, trading, now)]
        decision = self._decide(position, book, bids or [])
        if decision is not None:
            return out + self._leave(position, decision, bids or [])
        return out + self._target.offer(position, market, book)

    def _decide(
        self, position: Position, book: OrderBook | None, bids: list[tuple[Price, Count]]
    ) -> ExitDecision | None:
        if self.flattening:
            return ExitDecision(_FLATTEN, {})
        fees, policy = self._markets.fees(position.ticker), self._sender.policy(position)
        fair = self._fair(position) if policy.thesis_margin is not None else None
        return self._monitor.decide(position, book, bids, fees, policy, fair, self._host.now)

    # --- leaving -------------------------------------------------------------------------------

    def _leave(self, position: Position, decision: ExitDecision, bids: list[tuple[Price, Count]]) -> Output:
        now, ticker = self._host.now, position.ticker
        market, book = self._markets.market(ticker), self._markets.book(ticker)
        working = self._ledger.own_orders(ticker)
        if working:
            return self._clear_the_way(working, decision)  # its outcome decides what is left to leave
        if market is None or book is None or not market.is_open(now) or not self._sender.trades():
            return []
        attempt = self._sender.attempts.next(exit_signal_id(position, decision.reason), now)
        if attempt is None:
            return []
        if position.strategy == "external":
            bids = bids_of_others(book, position.outcome, self._ledger.orders)
        policy, fees = self._sender.policy(position), self._markets.fees(ticker)
        floor = floor_price(decision, position, policy, book.grid, fees, self._own_fair(position))
        may_rest, step = self._sender.may_rest(market), None
        if floor is not None:
            step = next_step(position, decision, policy, book, bids, floor, attempt.misses, may_rest=may_rest)
        if step is None:
            return self._finds_nobody(position, decision)
        if decision.reason == "stop_loss":
            self.stopped_out.add((position.event_ticker, position.outcome))
        out = self._told(position, decision, attempt.number, attempt.misses)
        return [*out, self._sender.send(position, decision.reason, attempt.number, step, book, market)]

    def _finds_nobody(self, position: Position, decision: ExitDecision) -> Output:
        """Nobody bids what this exit would sell for, and no offer may wait: a person hears of it once."""
        signal_id = exit_signal_id(position, decision.reason)
        if signal_id in self._unsellable:
            return []
        self._unsellable.add(signal_id)
        text = f"{position.ticker}: cannot leave {position.size / 100:g} {position.outcome.value}"
        text = f"{text} ({decision.reason}): nobody bids an acceptable price"
        return [Alert(Severity.WARNING, f"exit_stuck:{position.ticker}", text, self._host.now)]

    def _told(self, position: Position, decision: ExitDecision, number: int, misses: int) -> Output:
        """A person hears of an exit when it begins, and once more when it does not get on."""
        now, ticker = self._host.now, position.ticker
        what = f"{ticker}: leaving {position.size / 100:g} {position.outcome.value} ({decision.reason})"
        if number == 0:
            return [
                Noted("exit", {"ticker": ticker, "reason": decision.reason, **decision.numbers}, now),
                Alert(Severity.INFO, f"exit:{ticker}", what, now),
            ]
        if misses == _FAILURES_BEFORE_REDUCING:
            text = f"{what}: {misses} orders in a row sold nothing"
            return [Alert(Severity.WARNING, f"exit_stuck:{ticker}", text, now)]
        return []

    def _clear_the_way(self, working: list[Order], decision: ExitDecision) -> Output:
        """Cancel what rests in the market, except this exit's own offer; wait for what is under way."""
        out: Output = []
        for order in working:
            own = order.intent.purpose is Purpose.EXIT
            if own and order.intent.strategy.endswith(f":{decision.reason}"):
                continue
            if order.rests:
                out += self._host.cancel(order.intent.client_order_id, f"in the way of {decision.reason}")
        return out

    # --- helpers -------------------------------------------------------------------------------

    def _fair(self, position: Position) -> float | None:
        return self._host.fair_yes(position.strategy, position.ticker)

    def _own_fair(self, position: Position) -> float | None:
        fair = self._fair(position)
        return fair if fair is None or position.outcome is Outcome.YES else 1.0 - fair

    def _count_failure(self, failed: str) -> Output:
        if not failed:
            self._failures = 0
            return []
        self._failures += 1
        now = self._host.now
        out: Output = [Noted("exit_failed", {"error": failed, "in_a_row": self._failures}, now)]
        if self._failures == 1:
            text = f"exits cannot be decided: {failed}"
            out.append(Alert(Severity.CRITICAL, "exit_failed", text, now))
        if self._failures >= _FAILURES_BEFORE_REDUCING and self._control.state is TradingState.ACTIVE:
            out += self._control.set_state(TradingState.REDUCING, "exit_desk", f"exits fail: {failed}", now)
        return out
