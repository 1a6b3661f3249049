"""A recorded session led through a fresh engine: the decisions must come out the same, byte for byte."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from backtest.observer import Observer
from backtest.plan import Result
from backtest.times import iso
from src.core.actions import (
    AccountMarked,
    Alert,
    AmendOrder,
    CancelOrder,
    FillApplied,
    LedgerOpened,
    RequestReport,
    RequestSnapshot,
)
from src.core.errors import ConfigError
from src.core.events import Event, MarketLifecycle, MarketUpdate, PublicTrade
from src.core.units import Cash, Nanos
from src.execution.engine import Action, Engine
from src.execution.risk import Approved
from src.runtime.assemble import at_world_speed, build_engine, policy_at_world_speed, risk_limits
from src.runtime.session_tape import Begin, Conditions, Decision, Step, read_session
from src.runtime.settings import Settings

EngineOf = Callable[[Conditions], Engine]


@dataclass(slots=True)
class Replayed:
    """What came of a replay. ``difference`` names the first decision that came out otherwise."""

    result: Result
    decisions: int
    difference: str


@dataclass(slots=True)
class _Replay:
    """One pass over a tape. A session that was started again goes on with a new engine."""

    engine_of: EngineOf
    engine: Engine | None = None
    observer: Observer = field(default_factory=Observer)
    recorded: list[str] = field(default_factory=list)
    results: dict[str, bool] = field(default_factory=dict)
    events: dict[str, Nanos] = field(default_factory=dict)
    markets: set[str] = field(default_factory=set)
    strategies: list[str] = field(default_factory=list)
    opening: Cash | None = None
    prints: int = 0
    start: Nanos | None = None
    end: Nanos = 0
    difference: str = ""

    def take(self, step: Step) -> None:
        """Go one step on. After a ``difference`` the tape's answers belong to other orders: stop there."""
        if isinstance(step, Decision):
            self.recorded.append(step.line)
            self._compare(step.line)
            return
        self.check_none_is_new()
        if self.difference:
            return
        if isinstance(step, Conditions):
            self.engine = self.engine_of(step)
            return
        engine = self.engine
        if engine is None:
            raise ConfigError("the session's tape does not begin with its settings; give its first file too")
        if isinstance(step, Begin):
            self.start = step.now if self.start is None else self.start
            self._act(engine.start(step.stored, step.now), engine)
            return
        self._notice(step)
        self._act(engine.handle(step), engine)
        self.end = engine.now

    def check_none_is_new(self) -> None:
        """Everything decided so far must have been decided then as well."""
        if not self.difference and len(self.observer.lines) > len(self.recorded):
            new = self.observer.lines[len(self.recorded)][1]
            self.difference = f"decision {len(self.recorded) + 1} was not taken then: {new[:200]}"

    def _compare(self, line: str) -> None:
        number = len(self.recorded)
        if self.difference:
            return
        if len(self.observer.lines) < number:
            self.difference = f"decision {number} is not taken now: {line[:200]}"
        elif self.observer.lines[number - 1][1] != line:
            now = self.observer.lines[number - 1][1]
            self.difference = f"decision {number} was {line[:200]} and is now {now[:200]}"

    def _notice(self, event: Event) -> None:
        if isinstance(event, MarketUpdate):
            market = event.market
            self.markets.add(market.ticker)
            self.events.setdefault(market.event_ticker, market.open_time)
            if market.result in {"yes", "no"}:
                self.results[market.ticker] = market.result == "yes"
        elif isinstance(event, MarketLifecycle) and event.result in {"yes", "no"}:
            self.results[event.ticker] = event.result == "yes"
        elif isinstance(event, PublicTrade):
            self.prints += 1

    def _act(self, actions: Iterable[Action], engine: Engine) -> None:
        seen = self.observer
        for action in actions:
            match action:
                case Approved():
                    seen.approved(action, engine.book(action.intent.ticker), engine.now)
                case Alert():
                    seen.alerted(action)
                case AmendOrder() | CancelOrder() | RequestReport() | RequestSnapshot():
                    pass  # the answers are on the tape
                case FillApplied(fill=fill):
                    seen.recorded(action, engine.market(fill.ticker), engine.book(fill.ticker), engine.now)
                case _:
                    if isinstance(action, LedgerOpened):
                        self.opening = action.cash
                    elif isinstance(action, AccountMarked) and self.opening is None:
                        self.opening = action.cash + action.liquidation
                    seen.recorded(action, None, None, engine.now)


def replay_session(steps: Iterable[Step], engine_of: EngineOf, name: str = "as recorded") -> Replayed:
    """Lead engines through the steps of a session; the account's answers are those of the tape.

    Raises ``ConfigError`` for a tape without its beginning.
    """
    began = time.perf_counter()
    replay = _Replay(engine_of)
    for step in steps:
        replay.take(step)
        if replay.difference:
            break
    replay.check_none_is_new()
    engine, start = replay.engine, replay.start
    if engine is None or start is None:
        raise ConfigError("the session's tape holds no session; give the folder `run --record` wrote")
    result = _result(replay, engine, start, name, time.perf_counter() - began)
    return Replayed(result, len(replay.recorded), replay.difference)


def replay_folder(folder: Path, settings: Settings) -> Replayed:
    """Replay a session's folder under the settings it was run with.

    ``settings`` fill in what does not decide anything. Raises ``ConfigError``, ``WireError``.
    """

    def engine_of(conditions: Conditions) -> Engine:
        own = conditions.applied_to(settings)
        policy = policy_at_world_speed(conditions.speed)
        return build_engine(own, conditions.mode, policy, at_world_speed(risk_limits(own), conditions.speed))

    return replay_session(read_session(folder), engine_of)


def _result(replay: _Replay, engine: Engine, start: Nanos, name: str, seconds: float) -> Result:
    seen = replay.observer
    said, book = seen.judged(replay.results), seen.book
    equity = engine.equity()
    book.mark(engine.now, equity)
    return Result(
        strategy=name,
        opening_cash=replay.opening if replay.opening is not None else equity,
        closing_equity=equity,
        trades=book.trades,
        said=said,
        curve=book.curve,
        max_drawdown=book.max_drawdown,
        refusals=dict(book.refusals.most_common()),
        skips={},
        orders=book.orders(),
        alerts=dict(sorted(seen.alerts.items())),
        pauses=seen.pauses,
        halted=seen.halted,
        differences=([f"replay at {iso(engine.now)}: {replay.difference}"] if replay.difference else []),
        markets=len(replay.markets),
        events=len(replay.events),
        prints=replay.prints,
        start=start,
        end=replay.end,
        log=seen.lines,
        sha256=seen.sha256(),
        wall_seconds=seconds,
        event_starts=tuple(sorted(replay.events.values())),
        taken=book.taken,
        made=book.made,
    )
