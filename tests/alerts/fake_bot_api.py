"""A Bot API server on loopback with scripted answers, and time that passes only when somebody sleeps."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from src.core.actions import Alert, Severity

TOKEN = "123456:AA-secret_part_of_the_token"
T0 = 1_785_420_185_000_000_000  # 2026-07-30 14:03:05 UTC
Answer = Callable[[], Awaitable[web.StreamResponse]]


def alert(text: str, severity: Severity = Severity.INFO, *, key: str = "", ts: int = T0) -> Alert:
    return Alert(severity, key or text, text, ts)


def refusal(status: int, description: str, **parameters: int) -> Answer:
    async def answer() -> web.StreamResponse:
        body = {"ok": False, "error_code": status, "description": description}
        return web.json_response(body | ({"parameters": parameters} if parameters else {}), status=status)

    return answer


def page(status: int, text: str) -> Answer:
    async def answer() -> web.StreamResponse:
        return web.Response(status=status, text=text)

    return answer


class FakeBotApi:
    """Answers ``sendMessage``; ``script`` holds the next answers, and then everything is accepted."""

    def __init__(self) -> None:
        self.script: deque[Answer] = deque()
        self.received: list[dict[str, str]] = []
        self.base_url = ""
        self._arrivals: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._released = asyncio.Event()

    @property
    def texts(self) -> list[str]:
        return [form["text"] for form in self.received]

    async def arrival(self) -> str:
        """Text of the next request that arrives."""
        return (await asyncio.wait_for(self._arrivals.get(), 10))["text"]

    async def silence(self) -> web.StreamResponse:
        """An answer that never comes."""
        await self._released.wait()
        return web.Response()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeBotApi]:
        app = web.Application()
        app.router.add_post(f"/bot{TOKEN}/sendMessage", self._send_message)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/bot"
        try:
            yield self
        finally:
            self._released.set()
            await runner.cleanup()

    async def _send_message(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.received.append(form)
        self._arrivals.put_nowait(form)
        if self.script:
            return await self.script.popleft()()
        chat = {"id": int(form["chat_id"]), "type": "private"}
        return web.json_response(
            {"ok": True, "result": {"message_id": len(self.received), "date": 1, "chat": chat, "text": "x"}}
        )


class FakeTime:
    """Seconds that pass in ``sleep`` only. From the ``stop_after``-th sleep on nobody wakes up."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []
        self.stopped = asyncio.Event()
        self._stop_after = stop_after

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        if self._stop_after is not None and len(self.sleeps) >= self._stop_after:
            self.stopped.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        self.now += seconds


class Heard:
    """A fallback that remembers."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def send(self, alert: Alert) -> None:
        self.alerts.append(alert)

    @property
    def texts(self) -> list[str]:
        return [alert.text for alert in self.alerts]
