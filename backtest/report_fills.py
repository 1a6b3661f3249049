"""The page's cards on beliefs, orders and exits."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from backtest.analysis import Analysis
from backtest.charts import calibration_chart, count_chart
from backtest.html_parts import card, money, number, table
from backtest.report import Section


def beliefs(a: Analysis) -> str:
    """The calibration diagram with its figures."""
    if not a.calibration:
        return card("Calibration", "<p>No signal was settled.</p>")
    said = f"{a.signals} signals, refused ones included. Dots on the dashed line are honest probabilities."
    scores = table(
        ("lower is better", "ours", "price offered"),
        [
            ("Brier score", number(a.brier), number(a.brier_market)),
            ("log score", number(a.log_score), number(a.log_score_market)),
        ],
    )
    rows = [
        (f"{row.said:.0%}", f"{row.came:.0%}", f"{row.low:.0%} to {row.high:.0%}", str(row.n))
        for row in a.calibration
    ]
    details = table(("said", "came", "95 % (Wilson)", "signals"), rows)
    more = f"<details><summary>the table behind it</summary>{details}</details>"
    return card("Calibration", calibration_chart(a.calibration) + scores + more, said)


def fills(section: Section) -> str:
    """What became of the orders, and what the price did after."""
    a, orders = section.analysis, section.result.orders
    if not orders.sent:
        return card("Orders", "<p>None was sent.</p>")
    bars = [
        (name, count, f"{count:,} · {count / orders.sent:.0%}")
        for name, count in (
            ("filled", orders.filled),
            ("partly filled", orders.partial),
            ("not filled", orders.unfilled),
        )
    ]
    got = f"{orders.got / orders.asked:.0%}" if orders.asked else "none"
    text = (
        f"{orders.sent:,} orders got {got} of the contracts they asked for; {a.taken:,.0f} contracts as "
        f"taker, {a.made:,.0f} as maker."
    )
    after = ""
    if a.markouts:
        rows = [
            (
                "settlement" if m.seconds is None else f"{m.seconds // 60} min",
                f"{m.gain * 100:+.2f}c",
                f"{m.contracts:,.0f}",
            )
            for m in a.markouts
        ]
        heads = ("after the fill", "gain per contract at the middle", "contracts")
        after = f"<h3>Markouts</h3>{table(heads, rows)}"
    return card("Orders", count_chart(bars, "What became of the orders") + after, text)


def reasons(section: Section) -> str:
    """Which gate refused how often, and why the strategy was silent."""
    r = section.result
    gate = _counts(r.refusals, "Refused by the risk gate") or "<p>The risk gate refused nothing.</p>"
    return card("Why (no) trades", gate + _counts(r.skips, "No signal from the strategy (looks)"))


def stops(a: Analysis) -> str:
    """Positions sold early, against holding them."""
    if not a.stops:
        return ""
    rows = [(s.reason, str(s.bets), money(s.pnl), money(s.held), money(s.pnl - s.held)) for s in a.stops]
    heads = ("sold early because", "bets", "made", "holding would have made", "difference")
    return card("Positions sold before settlement", table(heads, rows))


def _counts(counts: Mapping[str, int], title: str) -> str:
    if not counts:
        return ""
    rows = [(name.replace("_", " "), count, f"{count:,}") for name, count in counts.items()]
    return f"<h3>{escape(title)}</h3>" + count_chart(rows, title)
