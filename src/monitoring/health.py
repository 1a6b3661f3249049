"""The status server: ``/healthz`` and ``/metrics`` on the process's own event loop.

On the same loop on purpose: when the loop hangs, the health check must hang with it and fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from src.core.errors import ConfigError
from src.monitoring.metrics import Metrics


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Whether the process does its work. ``checks``: a name and "ok" or what is wrong."""

    ok: bool
    state: str
    checks: Mapping[str, str] = field(default_factory=dict)


class StatusServer:
    """Serves metrics and health over HTTP until stopped."""

    def __init__(self, metrics: Metrics, health: Callable[[], HealthReport]) -> None:
        self._metrics = metrics
        self._health = health
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen on ``host:port`` (0: any free port) and return the port.

        Raises ``ConfigError`` when the address cannot be listened on.
        """
        app = web.Application()
        app.router.add_get("/healthz", self._answer_health)
        app.router.add_get("/metrics", self._answer_metrics)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigError(
                f"monitoring.host and monitoring.port: cannot listen on {host}:{port}: "
                f"{error.strerror or error}; choose another port (0 takes any free one)"
            ) from error
        self._runner = runner
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and close what is open. Does nothing when not started."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer_health(self, request: web.Request) -> web.Response:
        report = self._health()
        body = {"ok": report.ok, "state": report.state, "checks": dict(report.checks)}
        return web.Response(
            status=200 if report.ok else 503,
            body=orjson.dumps(body),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    async def _answer_metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.render(),
            headers={"Content-Type": self._metrics.content_type, "Cache-Control": "no-store"},
        )
