"""Alerts as lines on a terminal, in a container's log or in a file."""

from __future__ import annotations

import select
from dataclasses import dataclass
from typing import TextIO

from src.alerts.message import plain, utc
from src.alerts.outbox import Identity, Outbox, Pending, identity
from src.core.actions import Alert, Severity
from src.core.units import MINUTE, Nanos

_COLOURS = {Severity.CRITICAL: "\x1b[1;31m", Severity.WARNING: "\x1b[33m", Severity.INFO: ""}
_RESET = "\x1b[0m"
# A pipe that has room at all takes 4,096 bytes at once (POSIX, PIPE_BUF on Linux): no line is longer.
_MOST_CHARACTERS = 900


@dataclass(slots=True)
class _Window:
    opened: Nanos
    held: Pending | None = None


class TerminalNotifier:
    """A ``Notifier`` that writes one line per alert: UTC time, severity, text.

    The first of several repetitions is written at once; those that follow within ``window`` of alert
    time are counted and told by the next line of their kind, or once the window is over. While the
    stream takes nothing (a stopped terminal, a full pipe), up to ``limit`` lines wait for it.
    """

    def __init__(self, stream: TextIO, window: Nanos = MINUTE, limit: int = 1000) -> None:
        self._stream = stream
        self._coloured = stream.isatty()
        self._window = window
        self._limit = limit
        self._windows: dict[Identity, _Window] = {}
        self._outbox = Outbox(limit)

    def send(self, alert: Alert) -> None:
        """Write the alert, or count it. Never raises, never blocks."""
        name, pending = identity(alert), Pending(alert)
        window = self._windows.get(name)
        if window is not None and alert.ts - window.opened < self._window:
            window.held = window.held.joined(pending) if window.held else pending
        else:
            # The window that opens last stands last: the first ones are the first to be over.
            self._windows.pop(name, None)
            self._windows[name] = _Window(alert.ts)
            self._outbox.put(window.held.joined(pending) if window and window.held else pending)
        self._close_windows(alert.ts)
        self._write_waiting()

    def flush(self) -> None:
        """Write what is still being counted; for the end of the program."""
        for window in self._windows.values():
            if window.held:
                self._outbox.put(window.held)
        self._windows.clear()
        self._write_waiting()

    def _close_windows(self, now: Nanos) -> None:
        while self._windows:
            name, window = next(iter(self._windows.items()))
            if now - window.opened < self._window and len(self._windows) <= self._limit:
                return
            del self._windows[name]
            if window.held:
                self._outbox.put(window.held)

    def _write_waiting(self) -> None:
        for pending in list(self._outbox.waiting()):
            if not self._write(self._line(pending)):
                return
            self._outbox.take(pending)
        if self._outbox.dropped and self._write(
            f"{self._outbox.dropped.total()} alerts could not be shown\n"
        ):
            self._outbox.dropped.clear()

    def _line(self, pending: Pending) -> str:
        alert = pending.alert
        text = " ".join(plain(alert.text).split())[:_MOST_CHARACTERS]
        colour, reset = (_COLOURS[alert.severity], _RESET) if self._coloured else ("", "")
        return f"{utc(alert.ts)}  {colour}{alert.severity.name:<8}  {text}{pending.more}{reset}\n"

    def _write(self, line: str) -> bool:
        """Whether the stream took the line; if not, the caller keeps it."""
        if not _takes_a_line(self._stream):
            return False
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            self._stream.write(line.encode(encoding, "replace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError):
            # Closed, or its reader is gone.
            return False
        return True


def _takes_a_line(stream: TextIO) -> bool:
    """Whether a line can be written without waiting: not to a stopped terminal, nor into a full pipe."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return True
    if not hasattr(select, "poll"):
        return True
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    return bool(poller.poll(0))
