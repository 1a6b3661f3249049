"""The engine: ``handle(event) -> actions``. Synchronous, pure, and the only holder of trading state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from src.core.actions import (
    Alert,
    AmendOrder,
    AuditRecord,
    CancelOrder,
    CommandAnswered,
    Noted,
    OrderStatus,
    RequestReport,
    RequestSnapshot,
    Severity,
    StoredState,
    TradingState,
)
from src.core.book import OrderBook
from src.core.events import (
    AccountReport,
    AmendAnswered,
    BookDelta,
    BookDeltas,
    BookInvalid,
    BookSnapshot,
    CancelAnswered,
    ClockOffset,
    Command,
    CommandKind,
    DailyMaximum,
    Event,
    ExchangeSchedule,
    ExchangeStatus,
    FeedDown,
    FeedUp,
    Fill,
    ForecastUpdate,
    KillSwitch,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    NewsItem,
    ObservationUpdate,
    OrderAccepted,
    OrderRejected,
    OrderUnknown,
    OrderUpdate,
    PublicTrade,
    ReportFailed,
    RulesAcknowledged,
    Shutdown,
    StoreHealth,
    Tick,
)
from src.core.market import Market, MarketStatus
from src.core.ports import ApprovedOrder, Strategy
from src.core.signal import Purpose
from src.core.units import MINUTE, Cash, Count, Nanos
from src.execution import commands
from src.execution.entry_desk import EntryDesk
from src.execution.exit_desk import ExitDesk
from src.execution.ledger import Ledger
from src.execution.limits import EntryPolicy, ExitPolicy, ReconcilePolicy, RiskLimits
from src.execution.lockout import Lockout
from src.execution.market_state import MarketState
from src.execution.order_state import LIVE
from src.execution.resting_desk import RestingDesk
from src.execution.risk import Approved, GuardError
from src.execution.rules_watch import RulesWatch
from src.execution.trading_state import TradingControl
from src.execution.valuation import Valuation

Action: TypeAlias = (
    Approved | CancelOrder | AmendOrder | RequestReport | RequestSnapshot | Alert | AuditRecord
)

_STRATEGY_EVENTS = (
    BookSnapshot,
    BookDelta,
    BookDeltas,
    BookInvalid,
    FeedDown,
    FeedUp,
    PublicTrade,
    MarketUpdate,
    MarketLifecycle,
    ForecastUpdate,
    DailyMaximum,
    ObservationUpdate,
    OrderRejected,
    OrderUpdate,
    NewsItem,
    Tick,
)
# What a resting order may stand or fall with; on ticks everything is looked at anyway.
_RESTING_EVENTS = frozenset(
    {
        BookInvalid,
        FeedDown,
        MarketUpdate,
        MarketLifecycle,
        ExchangeStatus,
        ForecastUpdate,
        DailyMaximum,
        ObservationUpdate,
        OrderAccepted,
        Command,
        Tick,
    }
)
_MARK_INTERVAL: Nanos = MINUTE


class Engine:
    """All trading state. One event in, the actions it calls for out; only the order of events counts."""

    def __init__(
        self,
        strategies: Sequence[Strategy],
        limits: RiskLimits,
        policy: ReconcilePolicy,
        exits: Mapping[str, ExitPolicy],
        entries: Mapping[str, EntryPolicy] | None = None,
        markets: MarketState | None = None,
    ) -> None:
        self._strategies = strategies
        self._policy = policy
        self.markets = markets if markets is not None else MarketState()
        self.ledger = Ledger(self.markets, policy)
        self.control = TradingControl(limits)
        self._valuation = Valuation(self.ledger, self.markets)
        self.rules = RulesWatch()
        parts, entries = (self, self.markets, self.ledger, self.control, limits), entries or {}
        self.resting_desk = RestingDesk(*parts, entries, exits)
        self.exit_desk = ExitDesk(*parts, exits, self.resting_desk)
        self.entry_desk = EntryDesk(*parts, self.exit_desk, entries)
        self._lockout = Lockout()
        self.clock_offset: Nanos | None = None
        self.store_down = ""
        # Why the kill switch is tripped, as last seen; a halt is not cleared while it is.
        self.kill_reason = ""
        self._now: Nanos = 0
        self._report_pending = False
        self._next_report: Nanos = 0
        self._next_mark: Nanos = 0
        self.stopping = False

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

    def fair_yes(self, strategy_name: str, ticker: str) -> float | None:
        """The strategy's current probability of YES, or None."""
        for strategy in self._strategies:
            if strategy.name == strategy_name:
                return strategy.fair_probability(self, ticker)
        return None

    # --- life ----------------------------------------------------------------------------------

    def start(self, stored: StoredState, now: Nanos) -> list[Action]:
        """Come back from the store; nothing is traded before the venue's records were compared."""
        self._now = now
        self.ledger.restore(stored, now)
        entries = [
            order.intent.created_ts
            for order in self.ledger.orders
            if order.intent.purpose is Purpose.ENTRY and not order.external
        ]
        self.control.restore(stored.values, entries)
        self.entry_desk.restore(stored)
        self.exit_desk.restore(stored)
        state: TradingState = TradingState.RECONCILING
        who, why, until = "system", "start", None
        if stored.state is TradingState.HALTED or (
            stored.state is TradingState.REDUCING and (stored.state_until is None or stored.state_until > now)
        ):
            # Never leave a stop, not even in the store: a second crash would find it gone.
            state, who, why, until = stored.state, stored.state_who, stored.state_why, stored.state_until
        out: list[Action] = [*self.rules.restore(stored.values, now)]
        out += self.control.set_state(state, who, why, now, until)
        return self._one_report_at_a_time([*out, *self._ask("start")])

    def handle(self, event: Event) -> list[Action]:
        """Apply one event and return what it calls for, in order."""
        self._now = max(self._now, event.ts_recv)
        out = self._apply(event)
        if isinstance(event, Tick):
            out += self._hold_limits()  # before anything is decided on this tick
        if isinstance(event, _STRATEGY_EVENTS):
            for strategy in self._strategies:
                signals = strategy.on_event(self, event)
                if signals:
                    out += self.entry_desk.consider(signals)
        if isinstance(event, Tick):
            out += self._on_tick()
        if type(event) in _RESTING_EVENTS:
            out += self.resting_desk.review()
        return self._one_report_at_a_time(out)

    def equity(self) -> Cash:
        """Cash plus what the open positions would fetch now (last valid mark where a book is in doubt)."""
        return self._valuation.equity()

    @property
    def equity_known(self) -> bool:
        """Whether every position that trades has been valued from a book."""
        return self._valuation.is_known(self._now)

    def guard_failed(self, error: GuardError) -> list[Action]:
        """A guard that raises has not let anything pass: halt, and a person looks at it."""
        halted = self.control.set_state(TradingState.HALTED, "guard", str(error), self._now)
        return [*halted, *self._cancel_all()]

    def withdrawn(self, approved: ApprovedOrder) -> str:
        """Why an approved order must not leave any more; empty when it may. Asked right before sending."""
        intent = approved.intent
        if intent.expiration_ts is not None and intent.expiration_ts <= self._now:
            return "expired before it could leave"
        if intent.purpose is Purpose.EXIT:
            held = -intent.side.sign * self.position(intent.ticker)
            return "" if intent.reduce_only or held >= intent.count else "more than is held by now"
        if self.stopping:
            return "stopping"
        if self.control.state is not TradingState.ACTIVE:
            return f"{self.control.state.value} since approval"
        return (
            "strategy off since approval" if approved.intent.strategy in self.control.strategies_off else ""
        )

    # --- applying ------------------------------------------------------------------------------

    def _apply(self, event: Event) -> list[Action]:
        match event:
            case BookDelta() | BookSnapshot() | BookInvalid():  # nearly every event is a change of a book
                complaint = self.markets.apply(event)
                if complaint is None:
                    return []
                ticker = event.ticker if isinstance(event, BookSnapshot | BookDelta) else ""
                return self._bad_book(ticker, complaint)
            case BookDeltas():
                complaints = self.markets.apply_batch(event)
                return [each for complaint in complaints for each in self._bad_book(*complaint)]
            case PublicTrade():
                self.exit_desk.liveness.traded(event)
            case MarketUpdate():
                self.markets.apply(event)
                final = event.market.status is MarketStatus.FINALIZED
                judged = self._judge_exits(event.market.ticker) if final else []
                return [*judged, *self.rules.described(event.market, self._now)]
            case RulesAcknowledged():
                return [*self.rules.acknowledged(event)]
            case ObservationUpdate() | DailyMaximum():
                self.exit_desk.heard(event)
            case ExchangeStatus():
                doubtful = self.markets.status_changed(event)
                return [RequestSnapshot(doubtful)] if doubtful else []
            case ExchangeSchedule():
                self.markets.apply(event)
            case MarketLifecycle():
                self.markets.apply(event)
                if event.kind is not LifecycleKind.SETTLED:
                    return []
                judged = self._judge_exits(event.ticker)
                return [*judged, *self._ask("settlement")] if self.position(event.ticker) else judged
            case FeedDown() | FeedUp():
                return self._feed(event)
            case ClockOffset():
                return self._clock(event)
            case StoreHealth():
                return self._store(event)
            case Command():
                return self._answered(event)
            case KillSwitch():
                return self._kill_switch(event)
            case Shutdown():
                self.stopping = True
                return self._cancel_all()
            case _:
                return self._account(event)
        return []

    def _clock(self, event: ClockOffset) -> list[Action]:
        self.clock_offset = event.offset
        halt = self.control.on_clock_offset(event.offset, self._now)
        return [*halt, *self._cancel_all()] if halt else []

    def _account(self, event: Event) -> list[Action]:
        ledger = self.ledger
        out: list[Action] = []
        match event:
            case OrderAccepted():
                out += ledger.accepted(event)
                if self.stopping or self.control.state is TradingState.HALTED:
                    out += self._cancel_all()
            case OrderRejected():
                out += ledger.rejected(event)
                out += self._entry_ended(event.client_order_id, "")
                if event.fatal:
                    self._lockout.refuse_orders(self._now)
                    out += self._locked_out(event.message)
            case OrderUnknown():
                out += ledger.unknown(event)
            case OrderUpdate():
                out += ledger.updated(event)
                out += self._entry_ended(event.client_order_id, event.order_id)
            case CancelAnswered():
                out += ledger.cancel_answered(event)
            case AmendAnswered():
                out += ledger.amend_answered(event)
            case Fill():
                out += ledger.filled(event)
            case AccountReport():
                out += self._report(event)
            case ReportFailed():
                self._report_pending = False
                self._next_report = self._now + self._policy.retry_after
                if event.fatal:
                    return self._locked_out(event.reason)
                text = f"the exchange's records cannot be read: {event.reason}"
                out.append(Alert(Severity.WARNING, "report_failed", text, self._now))
        for ticker, pnl in ledger.closed:
            out += self.control.on_closed(pnl, self._now)
            out += self.exit_desk.position_closed(ticker)
        ledger.closed.clear()
        return [*out, *self.exit_desk.fit()]

    def _entry_ended(self, client_order_id: str, order_id: str) -> list[Action]:
        order = self.ledger.orders.get(client_order_id, order_id)
        if order is None or order.external or order.is_live or order.intent.purpose is Purpose.EXIT:
            return []
        return [*self.entry_desk.patience.ended(order, self._now)]

    def _judge_exits(self, ticker: str) -> list[Action]:
        """The market has paid: what would holding have brought where we left early?"""
        market = self.markets.market(ticker)
        if market is None or market.settlement_value is None:
            return []
        return [*self.ledger.counterfactuals.settled(ticker, market.settlement_value, self._now)]

    def _report(self, report: AccountReport) -> list[Action]:
        self._report_pending = False
        before = self.ledger.external_cash
        records, mismatches, open_questions = self.ledger.apply_report(report)
        out: list[Action] = [*records]
        if self.ledger.external_cash != before:
            out += self.control.move_cash(self.ledger.external_cash - before, self._now)
        wait = self._policy.retry_after if open_questions else self._policy.interval
        self._next_report = self._now + wait
        if mismatches:
            why = "; ".join(mismatches)
            return [
                *out,
                *self.control.set_state(TradingState.HALTED, "reconcile", why, self._now),
                *self._cancel_all(),
            ]
        if self.control.state is TradingState.RECONCILING and not open_questions:
            out += self.control.set_state(TradingState.ACTIVE, "system", "reconciled", self._now)
            out += self._mark()
        return out

    def _feed(self, event: FeedDown | FeedUp) -> list[Action]:
        self.markets.apply(event)
        if isinstance(event, FeedDown):
            note = Noted("feed_down", {"feed": event.feed, "reason": event.reason}, self._now)
            if event.fatal:
                return [note, *self._locked_out(event.reason)]
            text = f"{event.feed} feed is down: {event.reason}"
            return [note, Alert(Severity.WARNING, f"feed:{event.feed}", text, self._now)]
        out: list[Action] = [Noted("feed_up", {"feed": event.feed}, self._now)]
        # Private messages carry no sequence: after a reconnect only the records tell what was missed.
        return [*out, *self._ask("reconnect")] if event.feed == "market" else out

    def _store(self, event: StoreHealth) -> list[Action]:
        was, self.store_down = self.store_down, event.reason
        if bool(was) == bool(event.reason):
            return []
        if event.reason:
            text = f"the database does not answer ({event.reason}): entries are refused, exits go on"
            return [Alert(Severity.CRITICAL, "store:down", text, self._now)]
        text = "the database answers again: nothing was lost, entries are allowed"
        return [Alert(Severity.WARNING, "store:up", text, self._now)]

    def _kill_switch(self, event: KillSwitch) -> list[Action]:
        self.kill_reason = event.reason
        if not event.reason:
            note = Noted("kill_switch_reset", {"state": self.control.state.value}, self._now)
            return [note]  # only a person clears the halt it left
        return self._halt("kill switch", event.reason)

    def _halt(self, who: str, why: str) -> list[Action]:
        """Halt unless halted already: the first reason is the one a person needs to see."""
        out: list[Action] = []
        if self.control.state is not TradingState.HALTED:
            out += self.control.set_state(TradingState.HALTED, who, why, self._now)
        return [*out, *self._cancel_all()]

    def _answered(self, command: Command) -> list[Action]:
        """Carry a command out, or say why not; the answer is stored together with what it changed."""
        names = {strategy.name for strategy in self._strategies}
        refused = commands.refusal(command, self.control, names, self.kill_reason)
        out: list[Action] = [] if refused else self._command(command)
        if command.command_id:
            open_positions = sum(1 for _ in self.ledger.portfolio.open_positions())
            answer = refused or commands.answer(command, self.control, open_positions)
            out.append(CommandAnswered(command.command_id, not refused, answer, self._now))
        return out

    def _command(self, command: Command) -> list[Action]:
        control, who, why = self.control, command.who, command.why
        match command.kind:
            case CommandKind.HALT:
                return self._halt(who, why)
            case CommandKind.CLEAR_HALT:
                self._lockout.end()
                out = [*control.clear_halt(who, why, self._now), *self.exit_desk.end_flatten()]
                return [*out, *self._ask("halt cleared")]
            case CommandKind.PAUSE:
                return [*control.set_state(TradingState.REDUCING, who, why, self._now)]
            case CommandKind.RESUME:
                known = self.ledger.report_ts is not None
                out = [*control.resume(who, why, self._now, reconciled=known)]
                return [*out, *self.exit_desk.end_flatten()]
            case CommandKind.STRATEGY_OFF | CommandKind.STRATEGY_ON:
                on = command.kind is CommandKind.STRATEGY_ON
                return [*control.switch_strategy(command.target, who, why, self._now, on=on)]
            case CommandKind.FLATTEN:
                # What was left must not be bought again on the next signal.
                out = [*control.set_state(TradingState.REDUCING, who, f"flatten: {why}", self._now)]
                return [*out, *self.exit_desk.flatten_all(), *self._cancel_all()]

    # --- time ----------------------------------------------------------------------------------

    def _on_tick(self) -> list[Action]:
        out: list[Action] = []
        if self.ledger.report_ts is not None and self._lockout.allows_exits(self._now):
            out += self.exit_desk.exits()
        if self._now >= self._next_report or self.ledger.overdue(self._now):
            out += self._ask("periodic")
        return out

    def _hold_limits(self) -> list[Action]:
        """End what is over; hold the account against the loss limits once a minute."""
        out: list[Action] = [*self.control.on_time(self._now)]
        if self._now >= self._next_mark and self.ledger.report_ts is not None:
            self._next_mark = self._now + _MARK_INTERVAL
            out += self._mark()
        return out

    def _mark(self) -> list[Action]:
        halted = self.control.state is TradingState.HALTED
        try:
            equity = self.equity()
            out: list[Action] = [*self.control.mark_equity(equity, self._now)]
        except Exception as error:  # whatever is wrong with the loss limits, they do not hold
            return [*self.guard_failed(GuardError("loss limits", error))]
        if self.control.state is TradingState.HALTED and not halted:
            out += self._cancel_all()
        return [*out, self._valuation.mark(equity, self.control, self._now)]

    # --- helpers -------------------------------------------------------------------------------

    def _bad_book(self, ticker: str, complaint: str) -> list[Action]:
        note = Noted("bad_book", {"ticker": ticker, "complaint": complaint}, self._now)
        return [note, RequestSnapshot((ticker,))]

    def _locked_out(self, reason: str) -> list[Action]:
        """The exchange refuses us until a person acts: halt, cancel once, and ask nothing any more."""
        if not self._lockout.begin():
            return []
        return [
            *self.control.set_state(TradingState.HALTED, "exchange", reason, self._now),
            *self._cancel_all(),
        ]

    def _ask(self, reason: str) -> list[Action]:
        return [self.ledger.request(reason, self._now)]

    def _one_report_at_a_time(self, actions: list[Action]) -> list[Action]:
        """Drop requests while an answer is under way: what it leaves open is asked again on a tick.

        None leaves while the exchange refuses us: it would be refused again.
        """
        out: list[Action] = []
        for action in actions:
            if isinstance(action, RequestReport):
                if self._report_pending or self._lockout.stands:
                    continue
                self._report_pending = True
            out.append(action)
        return out

    def _cancel_all(self) -> list[Action]:
        out: list[Action] = []
        for order in self.ledger.orders.live():
            if (
                order.status in LIVE - {OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL}
                and order.order_id
            ):
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
