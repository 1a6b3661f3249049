"""Inline SVG charts: no script, no outside file, colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from backtest.estimators import Bin
from backtest.times import day, moment

_W, _H = 720.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 16.0, 14.0, 30.0


class _Frame:
    """A plot area with linear scales; y grows upwards."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], width: float = _W, height: float = _H
    ) -> None:
        self.width, self.height = width, height
        self.x0, self.x1 = x
        self.y0, self.y1 = y
        self.parts: list[str] = []

    def px(self, x: float) -> float:
        return _LEFT + (x - self.x0) / (self.x1 - self.x0 or 1.0) * (self.width - _LEFT - _RIGHT)

    def py(self, y: float) -> float:
        span = self.height - _TOP - _BOTTOM
        return self.height - _BOTTOM - (y - self.y0) / (self.y1 - self.y0 or 1.0) * span

    def grid(self, label_y: Callable[[float], str], ticks_x: Sequence[tuple[float, str]]) -> None:
        for value in nice_ticks(self.y0, self.y1):
            y = self.py(value)
            kind = "zero" if value == 0 else "grid"
            self.parts.append(
                f'<line class="{kind}" x1="{_LEFT}" x2="{self.width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(label_y(value))}</text>'
            )
        for value, label in ticks_x:
            self.parts.append(
                f'<text x="{self.px(value):.1f}" y="{self.height - 8}" text-anchor="middle">'
                f"{escape(label)}</text>"
            )

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        body = " ".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in points)
        self.parts.append(f'<polyline class="{kind}" points="{body}"/>')

    def svg(self, title: str) -> str:
        return (
            f'<svg viewBox="0 0 {self.width:.0f} {self.height:.0f}" role="img" aria-label="{escape(title)}">'
            f"<title>{escape(title)}</title>{''.join(self.parts)}</svg>"
        )


def _dollars(value: float) -> str:
    return f"{'−' if value < 0 else ''}${abs(value):,.0f}"


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values covering a range, at most ``most`` or so."""
    span = high - low or 1.0
    raw = span / most
    step = 10 ** math.floor(math.log10(raw))
    step *= next(factor for factor in (1, 2, 5, 10) if step * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first
    return [(first + n) * step for n in range(count + 1)]


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = (high - low or 1.0) * 0.08
    return low - pad, high + pad


def equity_chart(curves: Sequence[tuple[str, Sequence[tuple[int, float]]]]) -> str:
    """Equity in dollars over time, one line per strategy."""
    every = [point for _, curve in curves for point in curve]
    frame = _Frame((min(ts for ts, _ in every), max(ts for ts, _ in every)), _padded([y for _, y in every]))
    frame.grid(_dollars, _days(frame.x0, frame.x1))
    for number, (_, curve) in enumerate(curves):
        frame.path(list(curve), f"line s{number % 6}")
    return frame.svg("Equity over time: " + ", ".join(name for name, _ in curves))


def drawdown_chart(curve: Sequence[tuple[int, float]]) -> str:
    """How far below its best the account was, in dollars."""
    peak, points = -math.inf, []
    for ts, equity in curve:
        peak = max(peak, equity)
        points.append((float(ts), equity - peak))
    frame = _Frame((points[0][0], points[-1][0]), _padded([0.0, *(y for _, y in points)]), height=150.0)
    frame.y1 = 0.0
    frame.grid(_dollars, _days(frame.x0, frame.x1))
    frame.path([(points[0][0], 0.0), *points, (points[-1][0], 0.0)], "area")
    return frame.svg("Drawdown")


def calibration_chart(bins: Sequence[Bin]) -> str:
    """Said probability against how often it came true, with 95 % intervals; the diagonal is perfect."""
    frame = _Frame((0.0, 1.0), (0.0, 1.0), 360.0, 340.0)
    frame.grid(lambda v: f"{v:.0%}", [(n / 5, f"{n * 20}%") for n in range(6)])
    frame.path([(0.0, 0.0), (1.0, 1.0)], "diagonal")
    for row in bins:
        x = frame.px(row.said)
        radius = min(11.0, 3.0 + math.sqrt(row.n) / 2)
        frame.parts.append(
            f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.py(row.low):.1f}" '
            f'y2="{frame.py(row.high):.1f}"/>'
            f'<circle class="dot" cx="{x:.1f}" cy="{frame.py(row.came):.1f}" r="{radius:.1f}">'
            f"<title>said {row.said:.0%}, came {row.came:.0%}, {row.n} signals</title></circle>"
        )
    return frame.svg("Calibration")


def bar_chart(rows: Sequence[tuple[str, float, str]], title: str) -> str:
    """Horizontal bars around zero: (label, value, text at the right)."""
    height = 26.0
    most = max((abs(value) for _, value, _ in rows), default=1.0) or 1.0
    middle, reach = 260.0, 140.0
    parts = []
    for number, (label, value, text) in enumerate(rows):
        y = number * height
        width = abs(value) / most * reach
        x = middle if value >= 0 else middle - width
        parts.append(
            f'<text x="0" y="{y + 17}">{escape(label)}</text>'
            f'<rect class="{"gain" if value >= 0 else "loss"}" x="{x:.1f}" y="{y + 5}" rx="2" '
            f'width="{max(width, 1):.1f}" height="16"/>'
            f'<text x="720" y="{y + 17}" text-anchor="end">{escape(text)}</text>'
        )
    total = max(len(rows), 1) * height + 4
    return (
        f'<svg viewBox="0 0 720 {total:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def daily_chart(days: Sequence[tuple[str, float]]) -> str:
    """Profit of each day as a bar, in dollars."""
    frame = _Frame((0.0, float(max(1, len(days)))), _padded([0.0, *(pnl for _, pnl in days)]), height=170.0)
    shares = (0.08, 0.36, 0.64, 0.92)
    ticks = [(share * len(days), days[int(share * len(days))][0]) for share in shares]
    frame.grid(_dollars, ticks if len(days) > 3 else [(0.5, days[0][0])])
    width = min(26.0, max(0.8, (frame.px(1.0) - frame.px(0.0)) * 0.8))
    for number, (name, pnl) in enumerate(days):
        if pnl:
            top, foot = frame.py(max(pnl, 0.0)), frame.py(min(pnl, 0.0))
            kind = "gain" if pnl > 0 else "loss"
            frame.parts.append(
                f'<rect class="{kind}" x="{frame.px(number + 0.1):.1f}" y="{top:.1f}" '
                f'width="{width:.1f}" height="{max(foot - top, 0.6):.1f}"><title>{name}: ${pnl:+,.2f}</title>'
                "</rect>"
            )
    return frame.svg("Profit by day")


def group_chart(rows: Sequence[tuple[str, float, tuple[float, float] | None, str]], title: str) -> str:
    """Bars around zero with a 95 % interval where there is one; pale where there is none."""
    height, middle, reach = 26.0, 330.0, 190.0
    most = max((max(abs(v), *(map(abs, span) if span else (0.0,))) for _, v, span, _ in rows), default=1.0)
    scale = reach / (most or 1.0)
    parts = [f'<line class="grid" x1="{middle}" x2="{middle}" y1="0" y2="{len(rows) * height}"/>']
    for number, (label, value, span, text) in enumerate(rows):
        y = number * height
        width = abs(value) * scale
        x = middle if value >= 0 else middle - width
        pale = "" if span else " pale"
        parts.append(
            f'<text x="0" y="{y + 17}">{escape(label)}</text>'
            f'<rect class="{"gain" if value >= 0 else "loss"}{pale}" x="{x:.1f}" y="{y + 5}" rx="2" '
            f'width="{max(width, 1):.1f}" height="16"/>'
            f'<text x="720" y="{y + 17}" text-anchor="end">{escape(text)}</text>'
        )
        if span:
            low, high = (middle + value * scale for value in span)
            parts.append(f'<line class="span" x1="{low:.1f}" x2="{high:.1f}" y1="{y + 13}" y2="{y + 13}"/>')
    total = max(len(rows), 1) * height + 4
    return (
        f'<svg viewBox="0 0 720 {total:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def count_chart(rows: Sequence[tuple[str, int, str]], title: str) -> str:
    """Horizontal bars of counts: (label, count, text behind the bar)."""
    height, most = 26.0, max((count for _, count, _ in rows), default=1) or 1
    left = 12.0 + 6.9 * max((len(label) for label, _, _ in rows), default=10)
    parts = []
    for number, (label, count, text) in enumerate(rows):
        y, width = number * height, count / most * max(80.0, 590.0 - left)
        parts.append(
            f'<text x="0" y="{y + 17}">{escape(label)}</text>'
            f'<rect class="count" x="{left:.1f}" y="{y + 5}" rx="2" width="{max(width, 1):.1f}" height="16"/>'
            f'<text x="{left + width + 6:.1f}" y="{y + 17}">{escape(text)}</text>'
        )
    total = max(len(rows), 1) * height + 4
    return (
        f'<svg viewBox="0 0 720 {total:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def paired_bars(rows: Sequence[tuple[str, float, float, str]], title: str) -> str:
    """Two bars a row, cents per contract: what was claimed and what came of it."""
    height = 40.0
    most = max((max(abs(a), abs(b)) for _, a, b, _ in rows), default=1.0) or 1.0
    middle, reach = 280.0, 190.0
    parts = []
    for number, (label, claimed, realised, text) in enumerate(rows):
        y = number * height
        parts.append(f'<text x="0" y="{y + 24}">{escape(label)}</text>')
        for offset, value, kind in (
            (4, claimed, "claimed"),
            (19, realised, "gain" if realised >= 0 else "loss"),
        ):
            width = abs(value) / most * reach
            x = middle if value >= 0 else middle - width
            parts.append(
                f'<rect class="{kind}" x="{x:.1f}" y="{y + offset}" rx="2" '
                f'width="{max(width, 1):.1f}" height="13"/>'
            )
        parts.append(f'<text x="720" y="{y + 24}" text-anchor="end">{escape(text)}</text>')
    total = max(len(rows), 1) * height + 4
    return (
        f'<svg viewBox="0 0 720 {total:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _days(first: float, last: float) -> list[tuple[float, str]]:
    times = [first + (last - first) * share for share in (0.08, 0.36, 0.64, 0.92)]
    labels = [day(int(ts)) for ts in times]
    if len(set(labels)) < len(labels):  # a span of a few days
        labels = [f"{moment(int(ts)):%d %b %H:%M}" for ts in times]
    return list(zip(times, labels, strict=True))
