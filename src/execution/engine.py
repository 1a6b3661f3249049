"""The engine: ``handle(event) -> actions``. Synchronous, pure, and the only holder of trading state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from src.core.actions import Alert, Noted, Severity, StoredState, TradingState
from src.core.events import (
    BookDelta,
    BookDeltas,
    BookInvalid,
    BookSnapshot,
    ClockOffset,
    Command,
    DailyMaximum,
    Event,
    ExchangeStatus,
    FeedDown,
    FeedUp,
    ForecastUpdate,
    KillSwitch,
    MarketLifecycle,
    MarketUpdate,
    NewsItem,
    ObservationUpdate,
    OrderAccepted,
    OrderRejected,
    OrderUpdate,
    PublicTrade,
    Shutdown,
    StoreHealth,
    Tick,
)
from src.core.ports import ApprovedOrder, Strategy
from src.core.signal import Purpose
from src.core.units import Nanos
from src.execution.account_desk import AccountDesk
from src.execution.commands import CommandDesk
from src.execution.engine_base import Action, EngineBase, Routes
from src.execution.entry_desk import EntryDesk
from src.execution.exit_desk import ExitDesk
from src.execution.limits import EntryPolicy, ExitPolicy, ReconcilePolicy, RiskLimits
from src.execution.loss_watch import LossWatch
from src.execution.market_desk import MarketDesk
from src.execution.market_state import MarketState
from src.execution.resting_desk import RestingDesk

__all__ = ["Action", "Engine"]

_STRATEGY_EVENTS = frozenset(
    {
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
    }
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


class Engine(EngineBase):
    """All trading state. One event in, the actions it calls for out; only the order of events counts.

    Each type of event has one handler, at the desk it concerns; strategies and resting orders come after it.
    """

    def __init__(
        self,
        strategies: Sequence[Strategy],
        limits: RiskLimits,
        policy: ReconcilePolicy,
        exits: Mapping[str, ExitPolicy],
        entries: Mapping[str, EntryPolicy] | None = None,
        markets: MarketState | None = None,
    ) -> None:
        super().__init__(strategies, limits, policy, markets)
        ledger, control = self.ledger, self.control
        parts, entries = (self, self.markets, ledger, control, limits), entries or {}
        self.resting_desk = RestingDesk(*parts, entries, exits)
        self.exit_desk = ExitDesk(*parts, exits, self.resting_desk)
        self.entry_desk = EntryDesk(*parts, self.exit_desk, entries)
        self._market_desk = MarketDesk(self, self.markets, ledger, self.rules, self.exit_desk)
        self._losses = LossWatch(self, ledger, control, self._valuation)
        self._account_desk = AccountDesk(
            self, ledger, control, policy, self.lockout, self._losses, self.entry_desk, self.exit_desk
        )
        names = frozenset(strategy.name for strategy in strategies)
        self._commands = CommandDesk(self, names, ledger, control, self.lockout, self.exit_desk)
        self._routes: Routes = {
            **self._market_desk.routes(),
            **self._account_desk.routes(),
            Command: self._commands.answered,
            ClockOffset: self._clock,
            StoreHealth: self._store,
            KillSwitch: self._kill_switch,
            Shutdown: self._shutdown,
            Tick: self._fit,
            ForecastUpdate: self._fit,
            NewsItem: self._fit,
        }

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
        out.append(self.ledger.request("start", now))
        return self._account_desk.one_report_at_a_time(out)

    def handle(self, event: Event) -> list[Action]:
        """Apply one event and return what it calls for, in order."""
        if event.ts_recv > self._now:
            self._now = event.ts_recv
        kind = type(event)
        out = self._routes[kind](event)
        if kind is Tick:
            out += self._losses.on_tick()  # before anything is decided on this tick
        if kind in _STRATEGY_EVENTS:
            for strategy in self._strategies:
                signals = strategy.on_event(self, event)
                if signals:
                    out += self.entry_desk.consider(signals)
        if kind is Tick:
            out += self._on_tick()
        if kind in _RESTING_EVENTS:
            out += self.resting_desk.review()
        return self._account_desk.one_report_at_a_time(out) if out else out

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
        return "strategy off since approval" if intent.strategy in self.control.strategies_off else ""

    # --- time, and what the program says of itself ---------------------------------------------

    def _on_tick(self) -> list[Action]:
        out: list[Action] = []
        if self.ledger.report_ts is not None and self.lockout.allows_exits(self._now):
            out += self.exit_desk.exits()
        out += self._account_desk.on_tick()
        return out

    def _fit(self, _: Tick | ForecastUpdate | NewsItem) -> list[Action]:
        return [*self.exit_desk.fit()]

    def _clock(self, event: ClockOffset) -> list[Action]:
        self.clock_offset = event.offset
        halt = self.control.on_clock_offset(event.offset, self._now)
        return [*halt, *self.cancel_all()] if halt else []

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
        return self.halt("kill switch", event.reason)

    def _shutdown(self, _: Shutdown) -> list[Action]:
        self.stopping = True
        return self.cancel_all()
