"""The report as one self-contained HTML file: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from backtest.analysis import Analysis
from backtest.charts import daily_chart, drawdown_chart, equity_chart, group_chart, paired_bars
from backtest.groups import Group
from backtest.html_parts import card, facts, money, number, page, share, table, tone, unbroken, whole
from backtest.report import Report, Section
from backtest.report_checks import audits, capacity, luck, sensitivity
from backtest.report_fills import beliefs, fills, reasons, stops
from backtest.times import day
from backtest.verdict import caveats, verdict

_SHOWN_GROUPS = (
    "series",
    "edge claimed",
    "hour of entry (UTC)",
    "hours to the end",
    "price paid",
    "side",
    "month",
)


def render_html(report: Report) -> str:
    """The whole page."""
    body = [
        "<h1>Backtest</h1>",
        f'<p class="lead">{escape(_headline(report))}</p>',
        card("Account value", _equity(report), "Cash plus what the open positions would have fetched."),
        card("The strategies side by side", _comparison(report)),
        *(_section(report, section) for section in report.sections),
        "<h2>How this was run</h2>",
        facts(report.shown_settings.items()),
        "".join(f'<p class="lead">{escape(note)}</p>' for note in report.notes),
        "<footer>Simulated money. The same engine, limits and fees as in live trading; only the exchange is "
        "simulated. The same data, settings and seed give the same decision log, byte for byte.</footer>",
    ]
    return page("Backtest", body)


def _headline(report: Report) -> str:
    shown = report.shown_settings
    first = report.sections[0].result
    return f"{day(first.start)} to {day(first.end)} · {shown['markets']} · {shown['account']} to start with"


def _equity(report: Report) -> str:
    curves = [(s.analysis.strategy, s.analysis.equity) for s in report.sections]
    legend = "".join(
        f'<span><i style="background:var(--s{number % 6})"></i>{escape(name)}</span>'
        for number, (name, _) in enumerate(curves)
    )
    return f'<div class="legend">{legend}</div>{equity_chart(curves)}'


def _comparison(report: Report) -> str:
    rows = []
    for section in report.sections:
        a = section.analysis
        rows.append(
            (
                a.strategy,
                money(a.pnl),
                _interval(a),
                str(a.bets),
                f"{a.wins / a.bets:.0%}" if a.bets else "–",
                f"{a.roi:+.1%}" if a.bets else "–",
                "–" if a.daily.sharpe is None else f"{a.daily.sharpe:+.3f}",
                share(a.psr),
                f"${a.max_drawdown:,.2f}",
            )
        )
    heads = (
        "strategy",
        "profit",
        "95 % interval",
        "bets",
        "won",
        "per $ staked",
        "Sharpe/day",
        "PSR(0)",
        "drawdown",
    )
    return table(heads, rows)


def _section(report: Report, section: Section) -> str:
    a, r = section.analysis, section.result
    lines = "".join(f"<li>{escape(line)}</li>" for line in caveats(a, r, report.world_kind))
    parts = [
        f"<h2>{escape(a.strategy)}</h2>",
        f'<p class="verdict">{escape(verdict(a))}</p>',
        _tiles(a),
        f'<div class="caveats"><b>What this does not show</b><ul>{lines}</ul></div>',
    ]
    if a.bets:
        below = "Dollars below the best value so far."
        parts += [
            card("Drawdown", drawdown_chart(a.equity), below),
            card("Profit by day of settlement", daily_chart(a.days)),
            _baselines(report, section),
            f'<div class="pair">{beliefs(a)}{luck(a)}</div>',
            _edges(a),
            *(_groups(title, a.groups[title]) for title in _SHOWN_GROUPS if len(a.groups[title]) > 1),
            stops(a),
            capacity(section),
            sensitivity(section),
        ]
    parts += [fills(section), reasons(section), audits(section), _details(a, r.sha256, r.wall_seconds)]
    return "".join(parts)


def _tiles(a: Analysis) -> str:
    b = a.bootstrap
    clusters = f"95 % interval, {b.clusters} clusters" if b else "95 % interval"
    factor = "–" if a.profit_factor is None else f"{a.profit_factor:.2f}"
    tiles = [
        (money(a.pnl), "profit after fees", ""),
        (_interval(a), clusters, ""),
        (f"{a.wins / a.bets:.0%}" if a.bets else "–", f"won, {a.wins} of {a.bets} bets", _between(a, "won")),
        (f"{a.roi:+.1%}" if a.bets else "–", "per dollar staked", _between(a, "roi")),
        (factor, "profit factor", _between(a, "factor")),
        (f"${a.max_drawdown:,.2f}", "largest drawdown", f"longest {a.drawdown_days:.0f} days"),
    ]
    body = "".join(
        f'<div class="tile"><b class="{tone(value)}{" long" if len(value) > 7 else ""}">{unbroken(value)}</b>'
        f"<span>{escape(name)}</span>{f'<small>{escape(more)}</small>' if more else ''}</div>"
        for value, name, more in tiles
    )
    return f'<div class="tiles">{body}</div>'


def _between(a: Analysis, what: str) -> str:
    b = a.bootstrap
    if b is None or a.interval is None:
        return ""
    if what == "won":
        return f"{b.win_rate.low:.0%} to {b.win_rate.high:.0%}"
    if what == "roi":
        return f"{b.roi.low:+.1%} to {b.roi.high:+.1%}"
    return f"{b.profit_factor.low:.2f} to {b.profit_factor.high:.2f}" if b.profit_factor else ""


def _baselines(report: Report, section: Section) -> str:
    a = section.analysis
    rows = [(a.strategy, money(a.pnl), str(a.bets), "this strategy")]
    rows += [(one.name, money(one.pnl), str(one.bets), one.what) for one in report.baselines(section)]
    return card("What it has to beat", table(("", "profit", "bets", "how"), rows, ends_in_words=True))


def _edges(a: Analysis) -> str:
    rows = [
        (
            g.name,
            g.claimed * 100,
            g.realised * 100,
            f"{g.claimed * 100:+.1f}c → {g.realised * 100:+.1f}c, {g.bets} bets{_few(g)}",
        )
        for g in a.groups["edge claimed"]
    ]
    slope = (
        "" if a.edge_slope is None else f" Slope of realised on claimed: {a.edge_slope:.2f} (1 = as claimed)."
    )
    text = (
        f"Cents per contract after fees, by the edge claimed at entry: above claimed, below realised.{slope}"
    )
    return card("Edge claimed and edge realised", paired_bars(rows, "Edge claimed and realised"), text)


def _groups(title: str, groups: Sequence[Group]) -> str:
    rows = [(g.name, g.pnl, g.interval, f"{money(g.pnl)} · {g.bets} bets{_few(g)}") for g in groups]
    return card(f"Profit by {title}", group_chart(rows, f"Profit by {title}"))


def _few(group: Group) -> str:
    return " · few" if group.interval is None else ""


def _details(a: Analysis, sha256: str, seconds: float) -> str:
    corrected = "Newey-West" if a.is_autocorrelated else "plain"
    annual = "–" if a.sharpe_annual is None else f"{a.sharpe_annual:+.2f} a year ({corrected})"
    needed = "–" if a.needed_days is None else f"{a.needed_days:,.0f} days"
    span = "" if a.sharpe is None else f", 95 % {a.sharpe.low:+.3f} to {a.sharpe.high:+.3f}"
    per_bet = "–"
    if a.bootstrap and a.bootstrap.t is not None:
        b = a.bootstrap.per_bet
        per_bet = (
            f"{money(b.value)}, 95 % {money(b.low)} to {money(b.high)}; t {a.bootstrap.t:+.2f} by clusters"
        )
    rows = [
        ("staked, turnover", f"${a.staked:,.2f}, {a.turnover:.2f} times the account"),
        (
            "fees",
            f"${a.fees:,.2f} charged; these fills: ${a.fees_trade_date:,.2f} under the schedule of their "
            f"dates, ${a.fees_today:,.2f} under today's (profit then {money(a.pnl + a.fees - a.fees_today)})",
        ),
        ("profit per bet", per_bet),
        (
            "capital",
            f"{a.lock_up:.1%} of the account locked up on average, a position open {a.time_in_market:.0%} of "
            f"the time, held {a.mean_hours_held:.0f} hours; {a.open_bets} still open",
        ),
        (
            "Sharpe of daily settlements",
            f"{number(a.daily.sharpe)} a day{span}; {annual}; "
            f"lag-1 correlation {a.daily.autocorrelation:+.2f}",
        ),
        ("skew, kurtosis (normal 3)", f"{a.daily.skew:+.2f}, {a.daily.kurtosis:.1f} over {a.daily.n} days"),
        ("PSR(0), DSR", f"{share(a.psr)}, {share(a.dsr)} with {a.trials} configuration(s)"),
        ("track record needed for 95 %", needed),
        ("without best 3 / worst 3 clusters", f"{money(a.without_best)} / {money(a.without_worst)}"),
        ("worst day, mean of the worst 5 %", f"{money(a.worst_day)}, {money(a.expected_shortfall)}"),
        ("decision log sha256", sha256),
        ("time to run", f"{seconds:.1f} s"),
    ]
    return card("In detail", facts(rows, boxed=False))


def _interval(a: Analysis) -> str:
    if a.interval is None:
        return "too few" if a.bets else "–"
    return f"{whole(a.interval.low)} to {whole(a.interval.high)}"
