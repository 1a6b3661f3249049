"""What a sweep shows: every configuration, and what choosing the best of them is worth out of sample."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backtest.plan import Result
from backtest.report import write_whole
from backtest.selection import Selection, select
from backtest.spec import Spec
from backtest.times import day
from src.core.units import dollars

_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a sweep's report goes."""

    console: Console
    html: Path | None = None
    json: Path | None = None
    csv: Path | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    """All runs of a grid: ``points[n]`` are the values of ``keys`` in ``results[n]``."""

    spec: Spec
    strategy: str
    keys: tuple[str, ...]
    points: Sequence[Sequence[Any]]
    results: Sequence[Result]
    selection: Selection

    def name(self, number: int) -> str:
        """A configuration in words, by the last part of each key."""
        parts = zip(self.keys, self.points[number], strict=True)
        return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in parts)

    @property
    def order(self) -> list[int]:
        """Configurations, best Sharpe ratio first."""
        return sorted(range(len(self.points)), key=lambda n: (-self.selection.sharpes[n], n))


def report_sweep(sweep: Sweep, given: Outputs) -> None:
    """Show it on the terminal and write what was asked for."""
    show_sweep(sweep, given.console)
    if given.json is not None:
        write_whole(given.json, json.dumps(as_json(sweep), indent=1) + "\n")
    if given.csv is not None:
        _write_csv(sweep, given.csv)
    if given.html is not None:
        from backtest.sweep_html import render_sweep

        write_whole(given.html, render_sweep(sweep))
    for path in (given.csv, given.json, given.html):
        if path is not None:
            given.console.print(f"written: {path}", highlight=False)


def show_sweep(sweep: Sweep, console: Console) -> None:
    """The terminal's version."""
    table = Table(title=f"{sweep.strategy}: {len(sweep.points)} configurations (all count as trials)")
    for heading in (*sweep.keys, "profit", "bets", "Sharpe/day"):
        table.add_column(heading, justify="right")
    for n in sweep.order[:_MOST_SHOWN]:
        result = sweep.results[n]
        sharpe = f"{sweep.selection.sharpes[n]:+.3f}"
        profit = f"${dollars(result.pnl):+,.2f}"
        table.add_row(*map(str, sweep.points[n]), profit, str(len(result.trades)), sharpe)
    console.print(table)
    if len(sweep.points) > _MOST_SHOWN:
        console.print(f"... and {len(sweep.points) - _MOST_SHOWN} more; --output or --json has them all")
    verdicts = Table(title="What choosing the best is worth", show_header=False)
    for name, value in judgements(sweep):
        verdicts.add_row(name, value)
    console.print(verdicts, highlight=False)


def show_choice(spec: Spec, results: Sequence[Result], console: Console) -> None:
    """Judge the choice among several strategies as that among settings: the best of some looks good, too."""
    points = [(result.strategy,) for result in results]
    sweep = Sweep(spec, "strategies", ("strategy",), points, results, select(results))
    table = Table(title="Choosing the best of these strategies", show_header=False)
    for name, value in judgements(sweep):
        table.add_row(name, value)
    console.print(table, highlight=False)


def judgements(sweep: Sweep) -> list[tuple[str, str]]:
    """The statistics of the choice in words."""
    s = sweep.selection
    rows = [
        ("best in sample", f"{sweep.name(s.best)}: ${dollars(sweep.results[s.best].pnl):+,.2f}"),
        (
            "deflated Sharpe ratio",
            f"{_share(s.dsr)} that it beats the best of {s.trials} worthless ones "
            f"(wanted: over 95 %); they would show {s.threshold:+.3f} a day, it shows "
            f"{s.sharpes[s.best]:+.3f}. "
            f"Correlated as they are they count as {s.independent:.1f} independent ones",
        ),
        ("PSR against zero", f"{_share(s.psr)}, for 95 %: {_days(s.needed_days)}"),
    ]
    if s.overfitting is None:
        rows.append(("PBO", "not to be had: too few days, or configurations that do not differ"))
    else:
        o = s.overfitting
        rows.append(
            (
                "PBO",
                f"{o.pbo:.0%} of {o.splits:,} splits: the best on one half is below the middle on the other "
                f"(wanted: under 20 %); it loses money there in {o.loss:.0%}",
            )
        )
    rows.append(("walk-forward", _walked(sweep)))
    if s.crossed is None:
        rows.append(("purged cross-validation", "not to be had: fewer than ten days or events with bets"))
    else:
        c = s.crossed
        rows.append(
            (
                "purged cross-validation",
                f"{len(c.paths)} paths from {c.splits} splits: ${min(c.paths):+,.2f} to "
                f"${max(c.paths):+,.2f}, middle ${c.median:+,.2f}, {c.losing:.0%} lose; "
                f"{c.purged:.1f} bets a split purged",
            )
        )
    if s.holdout is None:
        rows.append(("last 60 days", "not held out: the history is too short"))
    else:
        h = s.holdout
        rows.append(
            (
                "last 60 days",
                f"chosen before {h.start}: {sweep.name(h.chosen)}; made ${h.pnl:+,.2f} in {h.bets} bets",
            )
        )
    return rows


def as_json(sweep: Sweep) -> dict[str, Any]:
    """The sweep as plain values."""
    first = sweep.results[0]
    return {
        "strategy": sweep.strategy,
        "data": sweep.spec.data,
        "from": day(first.start),
        "to": day(first.end),
        "runs": [
            {
                "settings": dict(zip(sweep.keys, point, strict=True)),
                "profit": dollars(result.pnl),
                "bets": len(result.trades),
                "sharpe_daily": sharpe,
                "decision_log_sha256": result.sha256,
            }
            for point, result, sharpe in zip(
                sweep.points, sweep.results, sweep.selection.sharpes, strict=True
            )
        ],
        "selection": asdict(sweep.selection),
    }


def _write_csv(sweep: Sweep, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    with partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*sweep.keys, "profit", "bets", "sharpe_daily"])
        for n in sweep.order:
            result = sweep.results[n]
            row = [dollars(result.pnl), len(result.trades), sweep.selection.sharpes[n]]
            writer.writerow([*sweep.points[n], *row])
    partial.replace(path)


def _walked(sweep: Sweep) -> str:
    walk = sweep.selection.walk
    if walk.missing:
        return f"not to be had: {walk.missing}"
    return (
        f"${walk.pnl:+,.2f} in {walk.bets} bets over {len(walk.steps)} months from "
        f"{walk.steps[0].test_from}, choosing anew each month; the finally best one made "
        f"${walk.best_pnl:+,.2f} there, which nobody could have chosen then"
    )


def _share(value: float | None) -> str:
    return "no figure" if value is None else f"{value:.1%}"


def _days(value: float | None) -> str:
    return "no number of days would do" if value is None else f"{value:,.0f} days"
