"""The report as one self-contained HTML file: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from backtest.analysis import Analysis, Group
from backtest.charts import bar_chart, calibration_chart, drawdown_chart, equity_chart, paired_bars
from backtest.report import Report, Section, caveats
from backtest.report_style import STYLE

_FEWEST_CLUSTERS = 20
_SHOWN_GROUPS = ("series", "month", "side", "price paid", "edge claimed", "hour of entry (UTC)")


def render_html(report: Report) -> str:
    """The whole page."""
    body = [
        "<h1>Backtest</h1>",
        f'<p class="lead">{escape(_headline(report))}</p>',
        _card("Account value", _equity(report), "Cash plus what the open positions would have fetched."),
        _card("The strategies side by side", _comparison(report)),
        *(_section(report, section) for section in report.sections),
        "<h2>How this was run</h2>",
        _facts(report.shown_settings.items()),
        _notes(report.notes),
        "<footer>Simulated money. The same engine, limits and fees as in live trading; only the exchange is "
        "simulated. The same data, settings and seed give the same decision log, byte for byte.</footer>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Backtest</title><style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _headline(report: Report) -> str:
    shown = report.shown_settings
    return f"{shown['span']} · {shown['markets']} · {shown['account']} to start with"


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
                _share(a.psr),
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
    return _table(heads, rows)


def _section(report: Report, section: Section) -> str:
    a, r = section.analysis, section.result
    parts = [f"<h2>{escape(a.strategy)}</h2>", _tiles(a)]
    lines = "".join(f"<li>{escape(line)}</li>" for line in caveats(report, section))
    parts.append(f'<div class="caveats"><b>What this does not show</b><ul>{lines}</ul></div>')
    if a.bets:
        parts.append(_card("Drawdown", drawdown_chart(a.equity), "Dollars below the best value so far."))
        parts.append(f'<div class="pair">{_calibration(a)}{_nulls(a)}</div>')
        parts.append(_edges(a))
        parts += [_groups(title, a.groups[title]) for title in _SHOWN_GROUPS if len(a.groups[title]) > 1]
        parts.append(_stops(a))
    parts.append(_why_not(section))
    parts.append(_checks(section))
    parts.append(_details(a, r.sha256, r.wall_seconds))
    return "".join(parts)


def _tiles(a: Analysis) -> str:
    tiles = [
        ("profit", money(a.pnl)),
        ("95 % interval, by day", _interval(a)),
        ("bets won", f"{a.wins} of {a.bets}"),
        ("per dollar staked", f"{a.roi:+.1%}" if a.bets else "–"),
        ("profit factor", "–" if a.profit_factor is None else f"{a.profit_factor:.2f}"),
        ("largest drawdown", f"${a.max_drawdown:,.2f}"),
    ]
    body = "".join(
        f'<div class="tile"><b class="{_tone(value)}">{value}</b><span>{name}</span></div>'
        for name, value in tiles
    )
    return f'<div class="tiles">{body}</div>'


def _calibration(a: Analysis) -> str:
    if not a.calibration:
        return _card("Calibration", "<p>No signal was settled.</p>")
    said = f"{a.signals} signals, refused ones included. Dots on the dashed line are honest probabilities."
    ours, market = _number(a.brier), _number(a.brier_market)
    note = f"<p>Brier score: ours {ours}, the price offered {market} (lower is better).</p>"
    return _card("Calibration", calibration_chart(a.calibration) + note, said)


def _nulls(a: Analysis) -> str:
    rows = [
        (null.name, money(null.mean), f"{money(null.low)} to {money(null.high)}", f"{null.share_as_good:.1%}")
        for null in a.nulls
    ]
    table = _table(("if", "mean", "95 % of draws", "as good as this"), rows)
    text = (
        "The same bets with outcomes drawn again: from the market's own prices at entry, or dealt out at "
        "random among the bets. A result that many draws reach is no evidence."
    )
    return _card(
        f"Could it be luck? (actual {money(a.nulls[0].actual)})" if a.nulls else "Could it be luck?",
        table,
        text,
    )


def _edges(a: Analysis) -> str:
    rows = [
        (
            g.name,
            g.claimed * 100,
            g.realised * 100,
            f"{g.claimed * 100:+.1f}c → {g.realised * 100:+.1f}c, {g.bets} bets",
        )
        for g in a.groups["edge claimed"]
    ]
    slope = (
        "" if a.edge_slope is None else f" Slope of realised on claimed: {a.edge_slope:.2f} (1 = as claimed)."
    )
    text = (
        f"Cents per contract after fees, by the edge claimed at entry: above claimed, below realised.{slope}"
    )
    return _card("Edge claimed and edge realised", paired_bars(rows, "Edge claimed and realised"), text)


def _groups(title: str, groups: Sequence[Group]) -> str:
    rows = [(g.name, g.pnl, f"{money(g.pnl)} · {g.bets} bets") for g in groups]
    return _card(f"Profit by {title}", bar_chart(rows, f"Profit by {title}"))


def _stops(a: Analysis) -> str:
    if not a.stops:
        return ""
    rows = [(s.reason, str(s.bets), money(s.pnl), money(s.held), money(s.pnl - s.held)) for s in a.stops]
    heads = ("sold early because", "bets", "made", "holding would have made", "difference")
    return _card("Positions sold before settlement", _table(heads, rows))


def _why_not(section: Section) -> str:
    r, orders = section.result, section.result.orders
    sent = f"{orders.sent} orders: {orders.filled} filled, {orders.partial} partly, {orders.unfilled} not."
    gate = _counts(r.refusals, "Refused by the risk gate") or "<p>The risk gate refused nothing.</p>"
    return _card("Why (no) trades", gate + _counts(r.skips, "No signal from the strategy (looks)"), sent)


def _counts(counts: Mapping[str, int], title: str) -> str:
    if not counts:
        return ""
    rows = [(name.replace("_", " "), float(count), f"{count:,}") for name, count in counts.items()]
    return f"<h3>{escape(title)}</h3>" + bar_chart(rows, title)


def _checks(section: Section) -> str:
    parts = []
    for audit in section.audits:
        verdict = "the same" if audit.passed else escape(audit.difference)
        parts.append((f"look-ahead: {audit.decisions} decisions before a cut", verdict))
    if section.variations:
        rows = [
            (v.name, money(v.pnl), str(v.bets), f"${v.staked:,.0f}", f"${v.max_drawdown:,.2f}")
            for v in section.variations
        ]
        table = _table(("run again with", "profit", "bets", "staked", "drawdown"), rows)
        return _card("Does it survive?", table) + (_facts(parts) if parts else "")
    return _facts(parts) if parts else ""


def _details(a: Analysis, sha256: str, seconds: float) -> str:
    annual = "–" if a.sharpe_annual is None else f"{a.sharpe_annual:+.2f} a year"
    needed = "–" if a.needed_days is None else f"{a.needed_days:,.0f} days"
    rows = [
        ("staked, turnover, fees", f"${a.staked:,.2f}, {a.turnover:.2f} times the account, ${a.fees:,.2f}"),
        ("still open, average holding", f"{a.open_bets}, {a.mean_hours_held:.0f} hours"),
        (
            "Sharpe of daily settlements",
            f"{_number(a.daily.sharpe)} a day, {annual}; lag-1 correlation {a.daily.autocorrelation:+.2f}",
        ),
        ("skew, kurtosis (normal 3)", f"{a.daily.skew:+.2f}, {a.daily.kurtosis:.1f} over {a.daily.n} days"),
        ("PSR(0), DSR", f"{_share(a.psr)}, {_share(a.dsr)} with {a.trials} configuration(s)"),
        ("track record needed for 95 %", needed),
        ("without best 3 / worst 3 clusters", f"{money(a.without_best)} / {money(a.without_worst)}"),
        ("worst day, mean of the worst 5 %", f"{money(a.worst_day)}, {money(a.expected_shortfall)}"),
        ("decision log sha256", f"<code>{sha256}</code>"),
        ("time to run", f"{seconds:.1f} s"),
    ]
    return _facts(rows)


def _card(title: str, body: str, text: str = "") -> str:
    lead = f"<p>{escape(text)}</p>" if text else ""
    return f'<div class="card"><h3>{escape(title)}</h3>{lead}{body}</div>'


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<tr><td>{escape(name)}</td><td>{_trusted(value)}</td></tr>" for name, value in rows)
    return f'<div class="card scroll"><table class="facts">{body}</table></div>'


def _trusted(value: str) -> str:
    return value if value.startswith("<code>") else escape(value)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(
        "<tr>" + "".join(f'<td class="{_tone(cell)}">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _notes(notes: Sequence[str]) -> str:
    return "".join(f'<p class="lead">{escape(note)}</p>' for note in notes)


def money(value: float) -> str:
    """+$1,234.50 or −$3.20."""
    return f"{'−' if value < 0 else '+'}${abs(value):,.2f}"


def _tone(text: str) -> str:
    if " to " in text or "$" not in text:
        return ""
    return "up" if text.startswith("+") and text != "+$0.00" else "down" if text.startswith("−") else ""


def _interval(a: Analysis) -> str:
    if a.bootstrap is None or a.bootstrap.clusters < _FEWEST_CLUSTERS:
        return "too few" if a.bets else "–"
    total = a.bootstrap.total
    low, high = (money(value).partition(".")[0] for value in (total.low, total.high))
    return f"{low} to {high}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
