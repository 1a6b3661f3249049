"""What a person reads: plain text from alerts, for a chat and for a terminal.

Texts may quote titles and errors from outside, so they are cleaned before they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from src.alerts.outbox import Pending
from src.core.actions import Severity
from src.core.units import SECOND, Nanos

# Telegram, sendMessage: "1-4096 characters", which it counts in UTF-16 code units.
MAX_UNITS = 4096
_MAX_TEXT_UNITS = 3000
_FRAME_UNITS = 200
ICONS = {Severity.CRITICAL: "🚨", Severity.WARNING: "⚠️", Severity.INFO: "ℹ️"}


def plain(text: str) -> str:
    """``text`` with nothing in it that could steer a terminal or break a message; lines are kept."""
    return "".join(
        char if char.isprintable() or char == "\n" else " " if char.isspace() else "?" for char in text
    ).strip()


def utc(ts: Nanos) -> str:
    """``2026-07-30 14:03:05 UTC``."""
    return datetime.fromtimestamp(ts // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def units(text: str) -> int:
    """Length as Telegram counts it."""
    return len(text.encode("utf-16-le")) // 2


def compose(mode: str, waiting: Iterable[Pending], note: str) -> tuple[str, list[Pending]]:
    """One message for as many alerts as fit, in the order given, and the alerts that are in it.

    ``mode`` (PAPER, SIMULATED, DEMO, LIVE) is in the first line; ``note`` ends the message. Of a text
    longer than 3,000 characters the beginning is shown.
    """
    room = MAX_UNITS - _FRAME_UNITS - units(mode) - units(note)
    batch: list[Pending] = []
    bodies: list[str] = []
    for pending in waiting:
        body = _body(pending)
        room -= units(f"🚨 {body}\n\n")
        if batch and room < 0:
            break
        batch.append(pending)
        bodies.append(body)
    first = batch[0].alert.severity
    if len(batch) == 1:
        text = f"{ICONS[first]} {first.name} · {mode}\n{bodies[0]}"
    else:
        lines = (
            f"{ICONS[pending.alert.severity]} {body}" for pending, body in zip(batch, bodies, strict=True)
        )
        text = "\n\n".join([f"{ICONS[first]} {len(batch)} alerts · {mode}", *lines])
    return (f"{text}\n\n{note}" if note else text), batch


def _body(pending: Pending) -> str:
    repeat = " (repeat)" if pending.repeat else ""
    text = _cut(plain(pending.alert.text), _MAX_TEXT_UNITS)
    return f"{text}{pending.more}{repeat}\n{utc(pending.alert.ts)}"


def _cut(text: str, most: int) -> str:
    if units(text) <= most:
        return text
    kept = text.encode("utf-16-le")[: 2 * (most - 1)]
    return kept.decode("utf-16-le", "ignore") + "…"
