"""Building blocks of the HTML pages: cards, tables, facts, amounts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from backtest.report_style import STYLE


def page(title: str, body: Iterable[str]) -> str:
    """A whole page: no script, nothing loaded from elsewhere."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def card(title: str, body: str, text: str = "") -> str:
    """A titled box; ``body`` is HTML, ``text`` a plain sentence above it."""
    lead = f"<p>{escape(text)}</p>" if text else ""
    return f'<div class="card"><h3>{escape(title)}</h3>{lead}{body}</div>'


def facts(rows: Iterable[tuple[str, str]], *, boxed: bool = True) -> str:
    """Names and values, one below the other."""
    body = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    kind = "card scroll" if boxed else "scroll"
    return f'<div class="{kind}"><table class="facts">{body}</table></div>'


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, ends_in_words: bool = False) -> str:
    """A table whose first column is text; amounts are coloured by their sign.

    ``ends_in_words``: the last column is text, too.
    """
    last = len(heads) - 1 if ends_in_words else -1
    head = "".join(
        f'<th class="{"words" if place == last else ""}">{escape(cell)}</th>'
        for place, cell in enumerate(heads)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{"words" if place == last else tone(cell)}">{escape(cell)}</td>'
            for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def unbroken(text: str) -> str:
    """Escaped text that breaks at its spaces only, never behind a minus sign."""
    return " ".join(f'<span class="unbroken">{escape(word)}</span>' for word in text.split(" "))


def money(value: float) -> str:
    """+$1,234.50 or −$3.20."""
    return f"{'−' if value < 0 else '+'}${abs(value):,.2f}"


def whole(value: float) -> str:
    """+$1,234 or −$3."""
    return f"{'−' if value < 0 else '+'}${abs(value):,.0f}"


def tone(text: str) -> str:
    """The class of an amount: up or down."""
    if " to " in text or "$" not in text:
        return ""
    return "up" if text.startswith("+") and text != "+$0.00" else "down" if text.startswith("−") else ""


def share(value: float | None) -> str:
    """12.3%, or a dash."""
    return "–" if value is None else f"{value:.1%}"


def number(value: float | None) -> str:
    """0.1234, or a dash."""
    return "–" if value is None else f"{value:.4f}"
