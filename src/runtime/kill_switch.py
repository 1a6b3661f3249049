"""The kill switch: a file whose existence stops trading, and a setting that does so from the start.

It needs neither database nor network, so it works when everything else is down. It fails closed: whatever
keeps us from looking counts as tripped. Removing the file clears nothing; only ``clear-halt`` does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

LOOK_EVERY_S = 0.25
_LONGEST_REASON = 300


class KillSwitch:
    """Looks at one absolute path. ``start_halted``: tripped for the life of the process."""

    def __init__(
        self, path: Path, *, start_halted: bool = False, stat: Callable[[Path], object] = os.lstat
    ) -> None:
        if not path.is_absolute():
            raise ValueError(f"kill switch {path}: a relative path would depend on where one starts")
        self.path = path
        self._start_halted = start_halted
        self._stat = stat

    def look(self) -> str:
        """Why trading must stop now; empty when nothing says so. Never raises."""
        if self._start_halted:
            return "KATS_HALT (operations.start_halted) is set; unset it and start again"
        try:
            self._stat(self.path)
        except FileNotFoundError:
            return ""
        except Exception as error:  # a guard that cannot see is a guard that says stop
            return f"{self.path} cannot be looked at ({type(error).__name__}: {error}); mend that"
        return f"the file {self.path} exists{self._content()}; remove it"

    def trip(self, who: str, why: str) -> None:
        """Create the file. Raises ``OSError`` when it cannot be written; one that exists stays as it is."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{who}: {why} ({datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC)\n")

    def _content(self) -> str:
        """What the file says about itself, if it says anything that can be read."""
        try:
            text = " ".join(self.path.read_text("utf-8", "replace").split())[:_LONGEST_REASON]
        except OSError:
            return ""
        return f" ({text})" if text else ""


class Told(Protocol):
    """Who hears of every look."""

    def __call__(self, reason: str, *, is_news: bool) -> None:
        """``is_news``: the reason is another than at the look before."""


class KillSwitchWatch:
    """Looks four times a second, by ``look``, and tells ``told`` what it saw."""

    def __init__(self, look: Callable[[], str], told: Told) -> None:
        self._look = look
        self._told = told
        self._reason = ""

    def look(self) -> None:
        """Look once."""
        reason = self._look()
        is_news, self._reason = reason != self._reason, reason
        self._told(reason, is_news=is_news)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()
