"""Silence on a connection: first a question, then doubt, then the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from src.api.budget import loop_time
from src.api.commands import BOOKS
from src.api.dropping import Dropped
from src.api.session import FeedSession

# Snapshots that do not come are asked for again as rarely as five times the wait before a probe.
_PROBES_PER_REQUEST = 5


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds without a message.

    After ``probe_after`` the server is asked something, after ``stale_after`` no book is vouched for until it
    came anew, after ``silence_limit`` the connection is dead.
    """

    probe_after: float
    stale_after: float
    silence_limit: float


async def watch_silence(
    session: FeedSession,
    patience: Patience,
    heard_at: Callable[[], float],
    doubt: Callable[[str], Awaitable[None]],
    flush: Callable[[], Awaitable[None]],
) -> None:
    """Doubt, then give up, a connection that says nothing, or does not acknowledge what it was asked.

    A market may well be quiet, but the answer to a question that does not come means that messages are held
    up, and that books have moved on unseen. ``heard_at``: when the last message came, by ``loop_time``.
    ``doubt(reason)`` has every book doubted, ``flush`` sends the session's commands. Raises ``Dropped``.
    """
    waiting_since: float | None = None
    probed_at = asked_at = doubted_at = 0.0
    seq, told_at = session.subscriptions.last_seq(BOOKS), heard_at()
    while True:
        await asyncio.sleep(min(patience.probe_after, patience.stale_after / 5))
        now = loop_time()
        silent = now - heard_at()
        if silent >= patience.stale_after and doubted_at <= heard_at():
            doubted_at = now
            await doubt(f"nothing heard for {silent:.1f} s")
        if silent >= patience.silence_limit:
            raise Dropped(f"no message for {silent:.0f} s")
        waiting_since = (waiting_since or now) if session.is_waiting else None
        if waiting_since is not None and now - waiting_since >= patience.silence_limit:
            raise Dropped("a subscription was not acknowledged")
        if (last := session.subscriptions.last_seq(BOOKS)) != seq:
            seq, told_at = last, now
        is_quiet = now - min(told_at, heard_at()) >= patience.probe_after
        if is_quiet and now - probed_at >= patience.probe_after:
            probed_at = now
            session.probe()
        if now - asked_at >= _PROBES_PER_REQUEST * patience.probe_after:
            asked_at = now
            session.ask_again()
        await flush()
