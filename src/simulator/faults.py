"""A fault plan: rules with counters, and the decision which of them strike a request or a frame.

Decisions depend on the seed, the rules and the sequence of requests and frames only: each rule draws from
a random stream of its own, once per match. In-process users make one and give it to the service:

    plan = FaultPlan([FaultRule("lose_response", When(method="POST", nth=1))], seed=7)
    service = SimulatorService(world, key_path, faults=plan)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from src.core.errors import ConfigError
from src.core.units import Nanos
from src.simulator.faults_rules import FaultRule, When, matches_path, parse_rule
from src.simulator.faults_spec import FAULTS, FaultSpec, Place, refuse_unknown, whole
from src.simulator.render import Json

__all__ = ["ActiveRule", "FaultPlan", "FaultRule", "When"]


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What rules look at in a request. ``tickers``: the markets it names."""

    method: str
    path: str
    tickers: frozenset[str] = frozenset()
    has_cursor: bool = False
    has_key: bool = False


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What rules look at in a WebSocket frame (empty where it has none)."""

    channel: str
    ticker: str


@dataclass(slots=True, eq=False)
class ActiveRule:
    """A rule of a plan. ``matched`` and ``fired`` count; ``problem`` says why it could not act."""

    ordinal: int
    rule: FaultRule
    args: dict[str, Any]
    rng: Random
    matched: int = 0
    fired: int = 0
    problem: str = ""
    is_removed: bool = False

    @property
    def spec(self) -> FaultSpec:
        """What its fault is."""
        return FAULTS[self.rule.fault]

    def in_force(self, now: Nanos, start: Nanos) -> bool:
        """Whether world time lies in its window."""
        when = self.rule.when
        return (
            not self.is_removed
            and (when.from_ts is None or now >= when.from_ts.at(start))
            and (when.to_ts is None or now < when.to_ts.at(start))
        )

    def concerns_request(self, facts: RequestFacts) -> bool:
        """Whether its matchers hold for a request."""
        when, spec = self.rule.when, self.spec
        return (
            spec.place in {Place.REQUEST, Place.BOTH}
            and not when.channel
            and when.method in ("", facts.method)
            and spec.method in ("", facts.method)
            and (not spec.paths or any(matches_path(each, facts.path) for each in spec.paths))
            and (self.rule.fault != "cursor_fail" or facts.has_cursor)
            and (self.rule.fault != "key_revoked" or facts.has_key)
            and when.has_path(facts.path)
            and (not when.ticker or any(when.has_ticker(each) for each in facts.tickers))
        )

    def concerns_frame(self, facts: FrameFacts) -> bool:
        """Whether its matchers hold for a frame."""
        when = self.rule.when
        return (
            self.spec.place in {Place.FRAME, Place.BOTH}
            and not (when.path or when.method)
            and (not when.channel or matches_path(when.channel, facts.channel))
            and (not when.ticker or when.has_ticker(facts.ticker))
        )

    def strikes(self) -> bool:
        """Count a match and decide whether the fault happens."""
        when = self.rule.when
        self.matched += 1
        drawn = self.rng.random() if when.probability < 1 else 0.0
        if (
            (when.nth is not None and self.matched != when.nth)
            or (when.times is not None and self.fired >= when.times)
            or drawn >= when.probability
        ):
            return False
        self.fired += 1
        return True

    def document(self) -> Json:
        """The rule and its counters as plain data."""
        return {
            "fault": self.rule.fault,
            "when": {
                name: str(value) if name.endswith("_ts") else value
                for name, value in ((name, getattr(self.rule.when, name)) for name in When.__slots__)
                if value != getattr(When(), name)
            },
            "parameters": dict(self.rule.parameters),
            "matched": self.matched,
            "fired": self.fired,
            "problem": self.problem,
        }


class PlanListener(Protocol):
    """Learns of rules coming and going (faults of the world act by themselves)."""

    def added(self, active: ActiveRule) -> None:
        """A rule came."""

    def cleared(self) -> None:
        """All rules went."""


@dataclass(slots=True, eq=False)
class FaultPlan:
    """The rules in force at a simulated exchange. ``sleep`` (real seconds) makes the delays."""

    initial: Iterable[FaultRule] = ()
    seed: int = 0
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    _rules: list[ActiveRule] = field(default_factory=list, init=False)
    _start: Nanos = field(default=0, init=False)
    _now: Callable[[], Nanos] = field(default=int, init=False)
    _listener: PlanListener | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for rule in self.initial:
            self.add(rule)

    @classmethod
    def from_document(cls, document: Mapping[str, object], name: str = "faults") -> FaultPlan:
        """A plan from plain data ``{"seed": int, "rules": [...]}``. Raises ``ConfigError``."""
        refuse_unknown(document, {"seed": 0, "rules": 0}, name)
        seed = whole(0, 2**63)(document.get("seed", 0), f"{name}: seed")
        return cls(parse_rules(document.get("rules"), name), seed)

    @property
    def rules(self) -> tuple[ActiveRule, ...]:
        """Rules with their counters, in order."""
        return tuple(self._rules)

    @property
    def start(self) -> Nanos:
        """When the world began."""
        return self._start

    def bind(self, start: Nanos, now: Callable[[], Nanos], listener: PlanListener) -> None:
        """Join the plan to a world: its start, its clock, and who acts on its rules. Once only."""
        if self._listener is not None:
            raise ValueError("a fault plan belongs to one simulated exchange")
        self._start, self._now, self._listener = start, now, listener
        for active in self._rules:
            listener.added(active)

    def add(self, rule: FaultRule) -> ActiveRule:
        """Put a rule behind the others."""
        ordinal = len(self._rules)
        rng = Random(f"{self.seed}|{ordinal}|{rule.fault}")
        active = ActiveRule(ordinal, rule, rule.args(), rng)
        self._rules.append(active)
        if self._listener is not None:
            self._listener.added(active)
        return active

    def clear(self) -> None:
        """Remove every rule and undo what lasts. The same rules put in again act as the first time."""
        for active in self._rules:
            active.is_removed = True
        self._rules.clear()
        if self._listener is not None:
            self._listener.cleared()

    def is_in_force(self, active: ActiveRule) -> bool:
        """Whether a rule is still there and its window open."""
        return active.in_force(self._now(), self._start)

    def on_request(self, facts: RequestFacts) -> list[ActiveRule]:
        """The rules that strike a request, in order. Every call counts."""
        now = self._now()
        return [
            each
            for each in self._rules
            if each.in_force(now, self._start) and each.concerns_request(facts) and each.strikes()
        ]

    def on_frame(self, facts: FrameFacts) -> list[ActiveRule]:
        """The rules that strike a frame, in order. Every call counts."""
        if not self._rules:
            return []
        now = self._now()
        return [
            each
            for each in self._rules
            if each.in_force(now, self._start) and each.concerns_frame(facts) and each.strikes()
        ]

    def clock_offset(self) -> Nanos:
        """How far the exchange's wall clock is off now."""
        total, now = 0, self._now()
        for each in self._rules:
            if each.rule.fault == "clock_offset" and each.in_force(now, self._start):
                each.fired = 1
                total += each.args["seconds"]
        return total


def parse_rules(raw: object, name: str) -> list[FaultRule]:
    """A list of rules from plain data. Raises ``ConfigError``."""
    if not isinstance(raw, list):
        raise ConfigError(f"{name}: rules: expected a list of rules, got {raw!r}")
    return [parse_rule(each, f"{name}: rules[{position}]") for position, each in enumerate(raw)]
