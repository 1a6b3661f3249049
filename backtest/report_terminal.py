"""The report on the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from backtest.report import Report, Section
from backtest.verdict import caveats, verdict


def show(report: Report, console: Console) -> None:
    """Print the settings, one comparison table, and each strategy's details."""
    grid = Table(show_header=False, box=None, pad_edge=False)
    for name, value in report.shown_settings.items():
        grid.add_row(f"[bold]{name}[/]", value)
    console.print(grid)
    for note in report.notes:
        console.print(f"data: {note}", highlight=False)
    console.print(_comparison(report))
    for section in report.sections:
        _details(report, section, console)


def _comparison(report: Report) -> Table:
    table = Table(title="Results (simulated money)")
    for heading in (
        "strategy",
        "profit",
        "95 % interval",
        "bets",
        "won",
        "return on stake",
        "Sharpe/day",
        "drawdown",
    ):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    for section in report.sections:
        a = section.analysis
        interval = a.interval
        table.add_row(
            a.strategy,
            f"${a.pnl:+,.2f}",
            f"{interval.low:+,.0f} to {interval.high:+,.0f}" if interval else "too few" if a.bets else "-",
            str(a.bets),
            f"{a.wins / a.bets:.0%}" if a.bets else "-",
            f"{a.roi:+.1%}" if a.bets else "-",
            "-" if a.daily.sharpe is None else f"{a.daily.sharpe:+.3f}",
            f"${a.max_drawdown:,.2f}",
        )
    return table


def _details(report: Report, section: Section, console: Console) -> None:
    table = Table(title=section.analysis.strategy, show_header=False)
    for name, value in [*_figures(section), *_trials(report, section)]:
        table.add_row(name, value)
    console.print(table, highlight=False)
    console.print("What this does not show:", style="bold")
    for line in caveats(section.analysis, section.result, report.world_kind):
        console.print(f"  - {line}", highlight=False)


def _figures(section: Section) -> list[tuple[str, str]]:
    """What the run did: name and figure."""
    a, r = section.analysis, section.result
    orders = r.orders
    share = f"{orders.got / orders.asked:.0%} of the contracts asked for" if orders.asked else "none sent"
    return [
        ("in short", verdict(a)),
        (
            "orders",
            f"{orders.sent}: {orders.filled} filled, {orders.partial} partly, {orders.unfilled} not; {share}",
        ),
        ("why no trade (risk gate)", _counts(r.refusals)),
        ("why no trade (strategy)", _counts(r.skips)),
        ("bets", f"{a.bets} settled or sold, {a.open_bets} open; held {a.mean_hours_held:.0f} h on average"),
        ("staked", f"${a.staked:,.2f} ({a.turnover:.1f} times the account)"),
        (
            "fees",
            f"${a.fees:,.2f}; by trade date ${a.fees_trade_date:,.2f}, today's ${a.fees_today:,.2f} "
            f"(profit then ${a.pnl + a.fees - a.fees_today:+,.2f})",
        ),
        ("profit factor", "-" if a.profit_factor is None else f"{a.profit_factor:.2f}"),
        ("without best / worst 3 days", f"${a.without_best:+,.2f} / ${a.without_worst:+,.2f}"),
        ("worst day, mean of worst 5 %", f"${a.worst_day:+,.2f}, ${a.expected_shortfall:+,.2f}"),
        ("PSR(0), DSR", f"{_share(a.psr)}, {_share(a.dsr)} ({a.trials} configuration(s) tried)"),
        (
            "edge claimed vs realised",
            "-" if a.edge_slope is None else f"slope {a.edge_slope:.2f} (1 = as claimed)",
        ),
        (
            "Brier, ours / the offer's",
            f"{_number(a.brier)} / {_number(a.brier_market)} on {a.signals} signals",
        ),
        ("ledger equals exchange", "yes" if not r.differences else "NO: " + "; ".join(r.differences[:3])),
        ("decision log sha256", r.sha256),
        ("time", f"{r.wall_seconds:.1f} s"),
    ]


def _trials(report: Report, section: Section) -> list[tuple[str, str]]:
    """What it is measured against: chance, holding on, a changed future, other settings, baselines."""
    a = section.analysis
    rows = [
        (
            f"if {null.name}",
            f"mean ${null.mean:+,.2f}, 95 % {null.low:+,.0f} to {null.high:+,.0f}; "
            f"{null.share_as_good:.1%} of draws do at least as well",
        )
        for null in a.nulls
    ]
    rows += [
        (
            f"sold early ({stop.reason})",
            f"{stop.bets}: ${stop.pnl:+,.2f}; holding would have made ${stop.held:+,.2f}",
        )
        for stop in a.stops
    ]
    for audit in section.audits:
        text = "the same" if audit.passed else audit.difference
        rows.append((f"future {audit.change}", f"{audit.decisions} decisions before: {text}"))
    rows += [(v.name, f"${v.pnl:+,.2f} in {v.bets} bets ({v.roi:+.1%} of stake)") for v in section.variations]
    rows += [(f"beside it: {one.name}", f"${one.pnl:+,.2f}") for one in report.baselines(section)]
    rows += [
        (
            "markout " + ("at settlement" if m.seconds is None else f"{m.seconds // 60} min"),
            f"{m.gain * 100:+.2f} cents a contract",
        )
        for m in a.markouts
    ]
    return rows


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing was refused"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
