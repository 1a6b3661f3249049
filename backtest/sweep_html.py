"""A sweep as one self-contained page."""

from __future__ import annotations

from html import escape

from backtest.charts import bar_chart
from backtest.html_parts import card, facts, money, page, table
from backtest.sweep_report import Sweep, judgements
from src.core.units import dollars

_MOST_ROWS = 200


def render_sweep(sweep: Sweep) -> str:
    """The whole page."""
    s = sweep.selection
    rows = [
        (
            sweep.name(n),
            money(dollars(sweep.results[n].pnl)),
            str(len(sweep.results[n].trades)),
            f"{s.sharpes[n]:+.3f}",
        )
        for n in sweep.order[:_MOST_ROWS]
    ]
    body = [
        f"<h1>Sweep of {escape(sweep.strategy)}</h1>",
        f'<p class="lead">{len(sweep.points)} configurations on {escape(sweep.spec.data)}; '
        "the best of many always looks good, so what counts is below.</p>",
        card("What choosing the best is worth", facts(judgements(sweep), boxed=False)),
        _walk(sweep),
        _paths(sweep),
        card("Every configuration, best first", table(("settings", "profit", "bets", "Sharpe/day"), rows)),
    ]
    return page(f"Sweep of {sweep.strategy}", body)


def _walk(sweep: Sweep) -> str:
    steps = sweep.selection.walk.steps
    if not steps:
        return ""
    bars = [
        (step.test_from, step.pnl, f"{money(step.pnl)} · {step.bets} bets · {sweep.name(step.chosen)}")
        for step in steps
    ]
    text = (
        "Each month the configuration that was best until two days before it began. "
        "Only bets settled by then were seen."
    )
    return card("Walk-forward", bar_chart(bars, "Walk-forward profit by month"), text)


def _paths(sweep: Sweep) -> str:
    crossed = sweep.selection.crossed
    if crossed is None:
        return ""
    bars = [(f"path {n + 1}", path, money(path)) for n, path in enumerate(sorted(crossed.paths))]
    text = (
        f"The history in ten parts; {crossed.splits} ways to choose on eight and judge on two, joined to "
        f"{len(crossed.paths)} whole histories that were never seen when choosing."
    )
    return card("Purged cross-validation", bar_chart(bars, "Profit of each path"), text)
