"""A thread that notices when the event loop stands still, and says what holds it up."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable

import structlog

LIMIT_S = 3.0
BEAT_S = 0.25

log = structlog.get_logger("watchdog")


class Watchdog:
    """``run`` beats on the loop; a thread beside it looks at the beats.

    After ``limit_s`` without a beat the thread logs the loop's stack (at once, from the thread) and
    ``on_blocked(seconds, innermost line)`` is called on the loop once that turns again. A process that was
    frozen as a whole (SIGSTOP, a sleeping machine) blocked nothing and is not reported.
    """

    def __init__(
        self,
        on_blocked: Callable[[float, str], None],
        limit_s: float = LIMIT_S,
        on_stack: Callable[[str], None] | None = None,
    ) -> None:
        self._on_blocked = on_blocked
        self._limit_s = limit_s
        self._on_stack = on_stack or _log_stack
        self._beat = 0.0
        self._ended = threading.Event()

    async def run(self) -> None:
        """Watch until cancelled."""
        loop, thread_id = asyncio.get_running_loop(), threading.get_ident()
        self._beat = time.monotonic()
        self._ended.clear()
        thread = threading.Thread(target=self._watch, args=(loop, thread_id), name="watchdog", daemon=True)
        thread.start()
        try:
            while True:
                self._beat = time.monotonic()
                await asyncio.sleep(min(BEAT_S, self._limit_s / 4))
        finally:
            self._ended.set()
            thread.join()

    def _watch(self, loop: asyncio.AbstractEventLoop, thread_id: int) -> None:
        pause = min(BEAT_S, self._limit_s / 4)
        looked, reported = time.monotonic(), 0.0
        while not self._ended.wait(pause):
            now, before = time.monotonic(), looked
            looked = now
            if now - before > self._limit_s:
                self._beat = now  # this thread stood still as well: the whole process did
                continue
            beat = self._beat
            if now - beat < self._limit_s or beat == reported:
                continue
            reported = beat
            frame = sys._current_frames().get(thread_id)
            lines = traceback.format_stack(frame)
            self._on_stack("".join(lines))
            where = lines[-1].strip().partition("\n")[0] if lines else "an unknown place"
            loop.call_soon_threadsafe(self._resumed, beat, where)

    def _resumed(self, beat: float, where: str) -> None:
        self._on_blocked(time.monotonic() - beat, where)


def _log_stack(stack: str) -> None:
    log.error("loop_blocked", stack=stack)
