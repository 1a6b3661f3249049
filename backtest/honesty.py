"""Does the result survive? Reruns on cut-off data, and with slower, dearer and larger trading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from backtest.clockwork import Latency
from backtest.filters import Truncated
from backtest.runner import Plan, Result, run
from backtest.spec import Spec, run_all
from backtest.times import iso
from src.core.units import CENT_PRICE, Nanos, dollars
from src.simulator.world import World

PlanOf = Callable[[World], Plan]


@dataclass(frozen=True, slots=True)
class LookAhead:
    """One audit: the world was cut off at ``cut``; ``difference`` names the first decision that changed."""

    strategy: str
    cut: Nanos
    decisions: int
    difference: str = ""

    @property
    def passed(self) -> bool:
        """Whether every decision before the cut was the same."""
        return not self.difference


def audit_look_ahead(full: Result, world: World, plan_of: PlanOf, shares: Sequence[float]) -> list[LookAhead]:
    """Rerun on the data up to a share of the span: decisions before must not depend on what comes after.

    ``plan_of`` builds a fresh plan, strategy included, on the world it is given.
    """
    audits = []
    for share in shares:
        cut = world.start + int((world.end - world.start) * share)
        shorter = run(plan_of(Truncated(world, cut)))
        before = [line for line in full.log if line[0] < cut]
        again = [line for line in shorter.log if line[0] < cut]
        audits.append(
            LookAhead(full.strategy, cut, len(before), _first_difference(full.strategy, before, again))
        )
    return audits


def _first_difference(
    strategy: str, before: Sequence[tuple[Nanos, str]], again: Sequence[tuple[Nanos, str]]
) -> str:
    for (ts, line), (other_ts, other) in zip(before, again, strict=False):
        if line != other:
            at = iso(min(ts, other_ts))
            return f"{strategy} decided differently at {at}: {line[:160]} became {other[:160]}"
    if len(before) != len(again):
        longer = before if len(before) > len(again) else again
        ts, line = longer[min(len(before), len(again))]
        kept = "with" if longer is before else "without"
        return f"{strategy} decided this only {kept} the later data, at {iso(ts)}: {line[:160]}"
    return ""


@dataclass(frozen=True, slots=True)
class Variation:
    """The same run with one thing changed. Dollars."""

    name: str
    pnl: float
    bets: int
    staked: float
    max_drawdown: float


def variations(spec: Spec) -> list[tuple[str, Spec]]:
    """What is varied: latency, fees, quotes, size (limits and Kelly fraction together)."""
    return [
        ("as run", spec),
        ("latency 0 ms", replace(spec, latency=Latency.of_total(0))),
        ("latency 1 s", replace(spec, latency=Latency.of_total(1_000))),
        ("latency 5 s", replace(spec, latency=Latency.of_total(5_000))),
        ("no fees", replace(spec, fee_multiplier=0.0)),
        ("double fees", replace(spec, fee_multiplier=2.0)),
        ("every quote 1 cent worse", replace(spec, worse_quotes=CENT_PRICE)),
        ("every quote 2 cents worse", replace(spec, worse_quotes=2 * CENT_PRICE)),
        ("size 2x", replace(spec, size_scale=2.0)),
        ("size 5x", replace(spec, size_scale=5.0)),
    ]


def sensitivity(spec: Spec, workers: int) -> list[Variation]:
    """Run every variation."""
    named = variations(spec)
    results = run_all([varied for _, varied in named], workers)
    return [
        Variation(
            name,
            dollars(result.pnl),
            len(result.trades),
            sum(dollars(trade.cost) for trade in result.trades),
            dollars(result.max_drawdown),
        )
        for (name, _), result in zip(named, results, strict=True)
    ]
