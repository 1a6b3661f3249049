"""The desk: from signals to approved entries, and from open positions to approved exits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from src.core.actions import (
    Alert,
    AuditRecord,
    GateResult,
    OrderStatus,
    Refused,
    Severity,
    SignalRecorded,
    StoredState,
    TradingState,
)
from src.core.book import OrderBook
from src.core.sides import Outcome, to_book
from src.core.signal import (
    OrderIntent,
    Purpose,
    Signal,
    TimeInForce,
    make_client_order_id,
    make_signal_id,
)
from src.core.units import CENT_PRICE, SECOND, Cash, Count, Nanos, Price
from src.execution import risk
from src.execution.exits import ExitDecision, ExitMonitor
from src.execution.ledger import Ledger
from src.execution.limits import ExitPolicy, RiskLimits
from src.execution.market_state import MarketState
from src.execution.orders import worst_case_cost
from src.execution.portfolio import Position
from src.execution.risk import Approved, RiskContext, approve
from src.execution.sizing import SizedOrder
from src.execution.trading_state import TradingControl

Output: TypeAlias = list[Approved | Alert | AuditRecord]
_EXIT_RETRY: Nanos = 5 * SECOND
_MAX_REMEMBERED_REFUSALS = 10_000


class DeskHost(Protocol):
    """What the desk needs from the engine it belongs to."""

    clock_offset: Nanos | None
    stopping: bool

    @property
    def now(self) -> Nanos:
        """Time of the event being handled."""

    def equity(self) -> Cash:
        """Cash plus liquidation value."""

    def fair_yes(self, strategy_name: str, ticker: str) -> float | None:
        """A strategy's current probability of YES."""


class Desk:
    """Considers each signal once it could trade, and each open position on every tick."""

    def __init__(
        self,
        host: DeskHost,
        markets: MarketState,
        ledger: Ledger,
        control: TradingControl,
        limits: RiskLimits,
        exits: Mapping[str, ExitPolicy],
    ) -> None:
        self._host = host
        self._markets = markets
        self._ledger = ledger
        self._control = control
        self._limits = limits
        self._policies = exits
        self._monitor = ExitMonitor(limits)
        self._used_signals: set[str] = set()
        self._last_refusal: dict[str, str] = {}
        self._exit_attempts: dict[str, tuple[int, Nanos]] = {}
        self._stopped_out: set[tuple[str, Outcome]] = set()
        self._flatten = False

    def restore(self, stored: StoredState) -> None:
        """The same cause cannot trade twice, not even after a restart."""
        self._used_signals |= stored.signal_ids
        for row in stored.orders:
            intent = row.intent
            self._used_signals.add(intent.signal_id)
            if intent.purpose is Purpose.EXIT:
                attempt, at = self._exit_attempts.get(intent.signal_id, (0, 0))
                self._exit_attempts[intent.signal_id] = (
                    max(attempt, intent.attempt + 1),
                    max(at, intent.created_ts),
                )
                if intent.strategy.endswith(":stop_loss"):
                    left = Outcome.NO if intent.side.sign > 0 else Outcome.YES
                    self._stopped_out.add((intent.event_ticker, left))

    def flatten_all(self) -> None:
        """Leave every open position from the next tick on."""
        self._flatten = True

    def position_closed(self, ticker: str) -> None:
        """Forget what was remembered about a position's stop."""
        if not self._ledger.portfolio.count(ticker):
            self._monitor.forget(ticker)

    # --- entries -------------------------------------------------------------------------------

    def consider(self, signal: Signal) -> Output:
        """Run a signal through the gate; approve, or store the first refusal with its numbers."""
        if signal.signal_id in self._used_signals or self._host.stopping:
            return []
        context = self._context(signal)
        refusal = risk.first_refusal(context, self._limits)
        if refusal is not None:
            return self._refuse(signal, refusal)
        sized = risk.size(context, self._limits)
        if isinstance(sized, GateResult):
            return self._refuse(signal, sized)
        intent = self._entry(signal, sized, context)
        reserved = worst_case_cost(intent, intent.count, self._markets.fees(signal.ticker))
        refusal = risk.after_sizing(context, self._limits, reserved)
        if refusal is not None:
            return self._refuse(signal, refusal)
        self._used_signals.add(signal.signal_id)
        self._last_refusal.pop(signal.signal_id, None)
        self._control.count_trade(self._host.now)
        recorded = SignalRecorded(signal, "approved", sized.edge, self._host.now)
        return [recorded, *self._open(approve(intent, reserved))]

    def _context(self, signal: Signal) -> RiskContext:
        now, ledger = self._host.now, self._ledger
        portfolio, orders = ledger.portfolio, ledger.orders
        held = portfolio.get(signal.ticker)
        at_risk_here = (held.cost if held else 0) + orders.reserved(ticker=signal.ticker)
        working = {order.intent.ticker for order in orders.live()}
        return RiskContext(
            now=now,
            signal=signal,
            market=self._markets.market(signal.ticker),
            book=self._markets.book(signal.ticker),
            control=self._control,
            exchange_ok=self._markets.exchange_active and self._markets.trading_active,
            account_ts=ledger.report_ts,
            clock_offset=self._host.clock_offset,
            equity=self._host.equity(),
            spendable=portfolio.cash - orders.reserved(),
            at_risk=portfolio.at_risk() + orders.reserved(),
            market_at_risk=at_risk_here,
            open_positions=len({position.ticker for position in portfolio.open_positions()} | working),
            held=portfolio.count(signal.ticker),
            stopped_out=(signal.event_ticker, signal.outcome) in self._stopped_out,
            working=ledger.has_entry_working(signal.ticker),
        )

    def _entry(self, signal: Signal, sized: SizedOrder, context: RiskContext) -> OrderIntent:
        side, yes_price = to_book(signal.outcome, sized.limit_price)
        book, market = context.book, context.market
        return OrderIntent(
            client_order_id=make_client_order_id(signal.signal_id),
            signal_id=signal.signal_id,
            strategy=signal.strategy,
            ticker=signal.ticker,
            event_ticker=signal.event_ticker,
            side=side,
            price=yes_price,
            count=sized.count,
            time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
            purpose=Purpose.ENTRY,
            created_ts=self._host.now,
            trace_id=signal.cause_id,
            exchange_index=market.exchange_index if market else 0,
            expected_edge=sized.edge,
            probability=signal.probability,
            book_seq=book.seq if book else None,
            book_ts=book.ts if book else None,
        )

    def _refuse(self, signal: Signal, result: GateResult) -> Output:
        """Store a refusal when it is new: a standing one would otherwise fill the journal every tick."""
        if self._last_refusal.get(signal.signal_id) == result.gate:
            return []
        if len(self._last_refusal) >= _MAX_REMEMBERED_REFUSALS:
            self._last_refusal.pop(next(iter(self._last_refusal)))
        self._last_refusal[signal.signal_id] = result.gate
        now = self._host.now
        return [
            SignalRecorded(signal, result.gate, None, now),
            Refused(signal.signal_id, signal.strategy, signal.ticker, result, now),
        ]

    # --- exits ---------------------------------------------------------------------------------

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
        attempt, last = self._exit_attempts.get(signal_id, (0, 0))
        if attempt and self._host.now - last < _EXIT_RETRY:
            return []
        bids = book.bids_for(position.outcome)
        if not bids:
            return []
        self._exit_attempts[signal_id] = (attempt + 1, self._host.now)
        intent = self._exit_intent(position, decision, signal_id, attempt, bids[0][0], book)
        if decision.reason == "stop_loss":
            self._stopped_out.add((position.event_ticker, position.outcome))
        text = (
            f"{position.ticker}: leaving {position.size / 100:g} {position.outcome.value} ({decision.reason})"
        )
        alert = Alert(Severity.INFO, f"exit:{position.ticker}", text, self._host.now)
        return [alert, *self._open(approve(intent, 0))]

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

    def _open(self, approved: Approved) -> Output:
        """Record the order as PENDING_NEW before it leaves. The executor commits the row, then sends."""
        intent = approved.intent
        order = self._ledger.orders.open_new(approved, self._markets.fees(intent.ticker), self._host.now)
        if order.status is not OrderStatus.PENDING_NEW:
            raise AssertionError("a new order starts as PENDING_NEW")
        return [approved]
