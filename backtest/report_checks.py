"""The page's cards on what would fool us: luck, size, dearer trading, a look into the future."""

from __future__ import annotations

from backtest.analysis import Analysis
from backtest.charts import bar_chart
from backtest.html_parts import card, facts, money, table
from backtest.report import Section
from backtest.times import iso


def luck(a: Analysis) -> str:
    """The null tests."""
    rows = [
        (null.name, money(null.mean), f"{money(null.low)} to {money(null.high)}", f"{null.share_as_good:.1%}")
        for null in a.nulls
    ]
    text = (
        "The same bets with outcomes drawn again: from the market's own prices at entry, or dealt out at "
        "random among the bets. A result that many draws reach is no evidence."
    )
    title = f"Could it be luck? (actual {money(a.nulls[0].actual)})" if a.nulls else "Could it be luck?"
    return card(title, table(("if", "mean", "95 % of draws", "as good"), rows), text)


def capacity(section: Section) -> str:
    """Profit at one, two and five times the size."""
    rows = [v for v in section.variations if v.name == "as run" or v.size != 1.0]
    if not rows:
        return ""
    bars = [
        (f"{v.size:g}x", v.pnl, f"{money(v.pnl)} · {v.roi:+.1%} of ${v.staked:,.0f} staked") for v in rows
    ]
    text = (
        "Kelly fraction and money limits multiplied. Where the profit does not grow with the size, the books "
        "did not hold more."
    )
    return card("Capacity", bar_chart(bars, "Profit at 1x, 2x and 5x size"), text)


def sensitivity(section: Section) -> str:
    """Reruns with one thing changed."""
    rows = [
        (v.name, money(v.pnl), str(v.bets), f"${v.staked:,.0f}", f"${v.max_drawdown:,.2f}")
        for v in section.variations
        if v.size == 1.0
    ]
    if not rows:
        return ""
    heads = ("run again with", "profit", "bets", "staked", "drawdown")
    return card("Does it survive?", table(heads, rows))


def audits(section: Section) -> str:
    """The look-ahead audit."""
    if not section.audits:
        return ""
    rows = [
        (
            f"future after {iso(audit.cut)[:16].replace('T', ' ')} {audit.change}",
            f"{audit.decisions} decisions before: {'the same' if audit.passed else audit.difference}",
        )
        for audit in section.audits
    ]
    caught = any(not audit.passed for audit in section.audits)
    title = "Look-ahead audit: CAUGHT LOOKING AHEAD" if caught else "Look-ahead audit: passed"
    text = "Run again without the future, and with another one: earlier decisions must not change."
    return card(title, facts(rows, boxed=False), text)
