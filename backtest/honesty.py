"""Does the result survive? Reruns without the future, with another future, and with dearer trading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from backtest.clockwork import Latency
from backtest.fee_history import Fees
from backtest.filters import OtherFuture, Truncated
from backtest.plan import Plan, Result
from backtest.progress import Watch
from backtest.recording import RecordingWorld
from backtest.runner import run
from backtest.spec import Spec
from backtest.times import iso
from src.core.units import CENT_PRICE, DAY, Nanos, dollars
from src.simulator.world import World

PlanOf = Callable[[World], Plan]
_LATER: Nanos = DAY


@dataclass(frozen=True, slots=True)
class LookAhead:
    """One audit: what was done to the data after ``cut``; ``difference`` names the first decision changed."""

    strategy: str
    cut: Nanos
    decisions: int
    difference: str = ""
    change: str = "cut off"

    @property
    def passed(self) -> bool:
        """Whether every decision before the cut was the same."""
        return not self.difference


def audit_look_ahead(full: Result, world: World, plan_of: PlanOf, shares: Sequence[float]) -> list[LookAhead]:
    """Rerun with the data after a cut missing or changed: decisions before it must be the same.

    Cuts lie at ``shares`` of the span, and at the first and the middle decision, where a peek of any length
    shows. At the middle share the future is also changed instead of cut off: news and forecasts become
    public a day later, outcomes are turned around. ``plan_of`` builds a fresh plan, strategy included, on
    the world it is given.
    """
    cuts = [world.start + int((world.end - world.start) * share) for share in shares]
    spoken = [ts for ts, line in full.log if '"kind":"order"' in line]
    at_decisions = sorted({spoken[0], spoken[len(spoken) // 2]}) if spoken else []
    audits = [_audit(full, Truncated(world, cut), plan_of, cut, "cut off") for cut in cuts]
    # What happens at the moment of the decision is known to it: the cut comes just behind.
    audits += [
        _audit(full, Truncated(world, cut), plan_of, cut + 1, "cut off at a decision") for cut in at_decisions
    ]
    if cuts:
        middle = cuts[len(cuts) // 2]
        later = OtherFuture(world, middle, later=_LATER)
        audits.append(_audit(full, later, plan_of, middle, "published a day later"))
        turned = OtherFuture(world, middle, turned=True)
        audits.append(_audit(full, turned, plan_of, middle, "with outcomes turned around"))
    return audits


def _audit(full: Result, world: World, plan_of: PlanOf, cut: Nanos, change: str) -> LookAhead:
    again = run(plan_of(world))
    before = [line for line in full.log if line[0] < cut]
    now = [line for line in again.log if line[0] < cut]
    return LookAhead(full.strategy, cut, len(before), _first_difference(full.strategy, before, now), change)


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
    """The same run with one thing changed. Dollars; ``size`` is the multiple of it, 1 but for capacity."""

    name: str
    pnl: float
    bets: int
    staked: float
    max_drawdown: float
    size: float = 1.0

    @property
    def roi(self) -> float:
        """Profit per dollar staked."""
        return self.pnl / self.staked if self.staked else 0.0


def variations(spec: Spec) -> list[tuple[str, Spec]]:
    """What is varied: latency, fees, quotes, size (limits and Kelly fraction together), queue."""
    other = Fees.TODAY if spec.fees is Fees.TRADE_DATE else Fees.TRADE_DATE
    found = [
        ("as run", spec),
        ("latency 0 ms", replace(spec, latency=Latency.of_total(0))),
        ("latency 1 s", replace(spec, latency=Latency.of_total(1_000))),
        ("latency 5 s", replace(spec, latency=Latency.of_total(5_000))),
        (f"fees of {other.value.replace('-', ' ')}", replace(spec, fees=other)),
        ("no fees", replace(spec, fee_multiplier=0.0)),
        ("double fees", replace(spec, fee_multiplier=2.0)),
        ("every quote 1 cent worse", replace(spec, worse_quotes=CENT_PRICE)),
        ("every quote 2 cents worse", replace(spec, worse_quotes=2 * CENT_PRICE)),
        ("half the size displayed", replace(spec, depth_scale=0.5)),
        ("size 2x", replace(spec, size_scale=2.0)),
        ("size 5x", replace(spec, size_scale=5.0)),
    ]
    if RecordingWorld.serves(spec.data):
        found += [(f"queue share {share:g}", replace(spec, queue_share=share)) for share in (0.0, 0.5)]
    return found


def sensitivity(spec: Spec, watch: Watch) -> list[Variation]:
    """Run every variation; after an interruption, those that were done."""
    named = variations(spec)
    results = watch.run([varied for _, varied in named], f"{spec.strategy}: variations")
    return [
        Variation(
            name,
            dollars(result.pnl),
            len(result.trades),
            sum(dollars(trade.cost) for trade in result.trades),
            dollars(result.max_drawdown),
            varied.size_scale,
        )
        for (name, varied), result in zip(named, results, strict=False)
    ]
