"""A result in one plain sentence, and what it does not show."""

from __future__ import annotations

from backtest.analysis import Analysis
from backtest.groups import MINIMUM_BETS, MINIMUM_CLUSTERS
from backtest.plan import Result
from backtest.times import iso


def verdict(a: Analysis) -> str:
    """What may be said about a strategy's profit, at most."""
    if a.bets == 0:
        return "Nothing was traded."
    zero = a.bootstrap.total.shifted_zero() if a.bootstrap else "includes zero"
    if not a.is_conclusive:
        return "Too few bets to conclude anything, either way."
    if zero == "includes zero":
        return "No evidence of profit or loss: luck alone explains the result."
    if zero == "below zero":
        return "A loss that luck does not explain."
    return "A profit that luck does not explain, on this history and under the assumptions below."


def caveats(a: Analysis, r: Result, kind: str) -> list[str]:
    """What this result does not show, in plain words. ``kind``: the world's."""
    said = [*_about_chance(a), *_about_data(kind)]
    if r.halted is not None:
        said.append(
            f"Trading ended at {iso(r.halted[0])} ({r.halted[1]}); a person would have had to decide."
        )
    if r.pauses:
        said.append(f"The loss breaker paused entries {r.pauses} time(s), as it would in live trading.")
    if a.trials > 1:
        said.append(f"{a.trials} configurations were tried; the deflated Sharpe ratio accounts for that.")
    else:
        said.append("Configurations tried before this run are not counted; every look at this data was one.")
    return said


def _about_chance(a: Analysis) -> list[str]:
    if a.bets == 0:
        return ["Nothing was traded, so nothing is shown about profit either way."]
    said = []
    clusters = a.bootstrap.clusters if a.bootstrap else 0
    if not a.is_conclusive:
        said.append(
            f"{a.bets} bets in {clusters} independent clusters are too few for a conclusion "
            f"(wanted: {MINIMUM_BETS} bets and {MINIMUM_CLUSTERS} clusters)."
        )
    if a.bootstrap and a.bootstrap.total.shifted_zero() == "includes zero":
        said.append("The 95 % interval of the profit includes zero: luck alone explains it.")
    if a.is_autocorrelated:
        said.append(
            "Neighbouring days move together, so the plain Sharpe ratio is not to be trusted; the yearly "
            "figure is corrected for it (Newey-West)."
        )
    if any(group.interval is None for groups in a.groups.values() for group in groups):
        said.append("Rows marked “few” below are too small to conclude from: look, do not choose by them.")
    return said


def _about_data(kind: str) -> list[str]:
    if kind == "generated":
        return ["The world is made up. It shows that the system works, not that anything earns money."]
    if kind == "session":
        return ["This is a session as it was traded; it shows that the same engine decides the same again."]
    said = [
        "Fills are assumed as written below; nobody's order was really in that book.",
        "Our orders leave no mark on prices. Sizes beyond what was traded then are fiction.",
    ]
    if kind == "recorded":
        said.append(
            "In the data of 2023-24 the settlement source and the crowd were other than today's; one study "
            "puts a regime change at October 2024."
        )
    return said
