"""Alerts to a Telegram chat: an outbox, and one task that empties it.

No answer of Telegram's, nor its absence, stops anything else: what cannot be told waits, and critical
alerts go to the fallback as well while it does. Source of errors and limits: Telegram "Bots FAQ" (one
message a second in a chat, 20 a minute in a group) and python-telegram-bot 22.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import structlog
from telegram import Bot, LinkPreviewOptions
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest

from src.alerts.message import compose
from src.alerts.outbox import URGENCY, Outbox, Pending
from src.core.actions import Alert, Severity
from src.core.ports import Notifier

log = structlog.get_logger("alerts")

API_URL = "https://api.telegram.org/bot"
_CHAT_SPACING_S = 1.0
_GROUP_SPACING_S = 3.0
_BACKOFF_BASE_S = 1.0
_BACKOFF_CAP_S = 60.0
# One message may displease Telegram by its text; a second different one means the chat itself.
_BAD_REQUESTS_ALLOWED = 1


class TelegramAlerter:
    """A ``Notifier`` that sends to one chat. ``run`` is its service; ``send`` is for the loop's thread.

    ``mode`` (PAPER, SIMULATED, DEMO, LIVE) is in the first line of each message. Alerts below
    ``min_severity`` are not sent. ``fallback`` hears what Telegram will not take. ``clock`` and ``sleep``
    are in seconds. Raises ``telegram.error.InvalidToken`` for an empty token.
    """

    def __init__(
        self,
        token: str,
        chat_id: int,
        *,
        mode: str,
        fallback: Notifier,
        min_severity: Severity = Severity.INFO,
        base_url: str = API_URL,
        limit: int = 1000,
        request_timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        rng: Callable[[], float] = random.random,
    ) -> None:
        # The library's debug lines hold the address, which holds the token.
        logging.getLogger("telegram").setLevel(logging.WARNING)
        self._secrets = [secret for secret in (token, token.rpartition(":")[2]) if secret]
        self._request = _Request(
            connection_pool_size=1,
            connect_timeout=request_timeout,
            read_timeout=request_timeout,
            write_timeout=request_timeout,
            pool_timeout=request_timeout,
        )
        self._bot = Bot(token, base_url, request=self._request, get_updates_request=self._request)
        self._chat_id = chat_id
        self._spacing = _GROUP_SPACING_S if chat_id < 0 else _CHAT_SPACING_S
        self._mode = mode
        self._fallback = fallback
        self._least_urgent = URGENCY.index(min_severity)
        self._clock, self._sleep, self._rng = clock, sleep, rng
        self._outbox = Outbox(limit)
        self._work = asyncio.Event()
        self._turn = asyncio.Lock()
        self._serving = False
        self._off = False
        self._failures = 0
        self._bad_requests = 0
        self._unanswered = 0
        self._allowed_at = clock()
        self._retry_at = self._allowed_at

    def send(self, alert: Alert) -> None:
        """Queue an alert for delivery. Never raises, never blocks."""
        if URGENCY.index(alert.severity) > self._least_urgent:
            return
        if self._off:
            self._fallback.send(alert)
            return
        if self._failures and alert.severity is Severity.CRITICAL:
            self._fallback.send(alert)
        self._outbox.put(Pending(alert))
        self._work.set()

    async def run(self) -> None:
        """Deliver until cancelled. Once Telegram refused for good it only waits for that."""
        self._serving = True
        try:
            while True:
                await self._work.wait()
                await self._step()
        finally:
            self._serving = False
            if self._off:
                self._tell_fallback(self._outbox.take_all())
            await self._request.shutdown()

    async def flush(self, timeout: float) -> int:
        """The end: deliver what waits within ``timeout`` seconds, give the rest to the fallback, count it.

        Works with or without ``run``. Tries at once after a back-off, but sits out a limit set by
        Telegram. Alerts that come later go to the fallback.
        """
        self._retry_at = self._clock()
        try:
            async with asyncio.timeout(timeout):
                while self._outbox or self._turn.locked():
                    await self._step()
        except TimeoutError:
            log.warning("telegram_flush_incomplete", waiting=len(self._outbox))
        finally:
            self._off = True
            rest = self._outbox.take_all()
            self._work.clear()
            self._tell_fallback(rest)
            if not self._serving:
                await self._request.shutdown()
        return sum(pending.count for pending in rest)

    async def _step(self) -> None:
        delay = self._delay()
        if delay > 0:
            await self._sleep(delay)
        async with self._turn:
            await self._attempt()

    def _delay(self) -> float:
        return max(self._allowed_at, self._retry_at) - self._clock()

    async def _attempt(self) -> None:
        if not self._outbox or self._delay() > 0:
            return
        dropped, unanswered = self._outbox.dropped.copy(), self._unanswered
        text, batch = compose(self._mode, self._outbox.waiting(), _note(dropped, unanswered))
        for pending in batch:
            self._outbox.take(pending)
        try:
            await self._request.initialize()
            await self._bot.send_message(
                self._chat_id,
                text,
                disable_notification=batch[0].alert.severity is Severity.INFO,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        except TelegramError as error:
            self._failed(batch, error)
        except BaseException:
            # Cancelled half-way: it may have arrived.
            self._outbox.restore(_repeated(batch))
            raise
        else:
            self._delivered(dropped, unanswered)
        finally:
            self._allowed_at = max(self._allowed_at, self._clock() + self._spacing)
            if not self._outbox:
                self._work.clear()

    def _delivered(self, dropped: Counter[Severity], unanswered: int) -> None:
        if self._failures:
            log.info("telegram_reachable_again", failures=self._failures)
        self._failures = self._bad_requests = 0
        self._outbox.dropped -= dropped
        self._unanswered -= unanswered

    def _failed(self, batch: list[Pending], error: TelegramError) -> None:
        match error:
            case BadRequest() | Forbidden() | InvalidToken():
                self._refuse(batch, error)
            case ChatMigrated():
                log.warning("telegram_chat_moved", mend=f"set TELEGRAM_CHAT_ID to {error.new_chat_id}")
                self._chat_id = error.new_chat_id
                self._outbox.restore(batch)
            case RetryAfter():
                told = error.retry_after
                delay = told.total_seconds() if isinstance(told, timedelta) else float(told)
                self._allowed_at = self._clock() + delay
                self._outbox.restore(batch)
                self._unreachable(error, delay)
            case _:
                # Half of the wait is jitter; the exponent is bounded so that days of outage cannot overflow.
                full = min(_BACKOFF_CAP_S, _BACKOFF_BASE_S * 2.0 ** min(self._failures, 32))
                delay = full * (0.5 + 0.5 * self._rng())
                self._retry_at = self._clock() + delay
                self._outbox.restore(self._worth_repeating(batch) if _may_have_arrived(error) else batch)
                self._unreachable(error, delay)

    def _worth_repeating(self, batch: list[Pending]) -> list[Pending]:
        kept = [pending for pending in batch if pending.alert.severity is not Severity.INFO]
        self._unanswered += sum(p.count for p in batch) - sum(p.count for p in kept)
        return _repeated(kept)

    def _unreachable(self, error: TelegramError, delay: float) -> None:
        if not self._failures:
            log.warning("telegram_unreachable", error=self._safe(error), retry_in_s=round(delay, 1))
            self._tell_fallback([p for p in self._outbox.waiting() if p.alert.severity is Severity.CRITICAL])
        self._failures += 1

    def _refuse(self, batch: list[Pending], error: TelegramError) -> None:
        """Asking again will not help: this message goes to the fallback, and perhaps all that follow."""
        self._bad_requests += isinstance(error, BadRequest)
        if isinstance(error, BadRequest) and self._bad_requests <= _BAD_REQUESTS_ALLOWED:
            log.error("telegram_refused_message", error=self._safe(error))
            self._tell_fallback(batch)
            return
        log.error(
            "telegram_off", error=self._safe(error), mend="check TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID"
        )
        self._off = True
        text = f"Telegram is off until the next start: {self._safe(error)}"
        self._fallback.send(Alert(Severity.CRITICAL, "telegram_off", text, batch[0].alert.ts))
        self._tell_fallback([*batch, *self._outbox.take_all()])

    def _tell_fallback(self, entries: list[Pending]) -> None:
        for pending in entries:
            self._fallback.send(pending.as_alert())

    def _safe(self, error: TelegramError) -> str:
        """Class and message of an error without the token; never its cause, which holds the address."""
        message = str(error)
        for secret in self._secrets:
            message = message.replace(secret, "***")
        return f"{type(error).__name__}: {message[:200]}"


class _Request(HTTPXRequest):
    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """As the library's, but without logging the page, which may quote the address with the token."""
        try:
            parsed: dict[str, Any] = json.loads(payload)
        except ValueError:
            raise TelegramError("answer is not JSON") from None
        return parsed


def _may_have_arrived(error: TelegramError) -> bool:
    not_sent = (httpx.ConnectTimeout, httpx.PoolTimeout)
    return isinstance(error, TimedOut) and not isinstance(error.__cause__, not_sent)


def _repeated(batch: list[Pending]) -> list[Pending]:
    return [replace(pending, repeat=True) for pending in batch]


def _note(dropped: Counter[Severity], unanswered: int) -> str:
    lines = []
    if dropped:
        counts = ", ".join(
            f"{dropped[severity]} {severity.value}" for severity in URGENCY if dropped[severity]
        )
        lines.append(f"Dropped, too many waited: {counts}")
    if unanswered:
        lines.append(f"Perhaps not delivered: {unanswered} info")
    return "\n".join(lines)
