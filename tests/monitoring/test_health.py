"""The status server, over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from src.core.actions import Noted
from src.core.errors import ConfigError
from src.monitoring.health import HealthReport, StatusServer
from src.monitoring.metrics import Metrics

HOST = "127.0.0.1"


class Patient:
    """What the health of the process is said to be; a test changes it."""

    def __init__(self) -> None:
        self.report = HealthReport(True, "active", {"database": "ok"})

    def __call__(self) -> HealthReport:
        return self.report


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def server(metrics: Metrics, patient: Patient) -> AsyncIterator[StatusServer]:
    server = StatusServer(metrics, patient)
    yield server
    await server.stop()


async def test_metrics_are_scraped_in_the_form_prometheus_reads(
    server: StatusServer, metrics: Metrics, client: aiohttp.ClientSession
) -> None:
    port = await server.start(HOST, 0)
    metrics.observe(Noted("feed_up", {"feed": "market"}, 1))
    async with client.get(f"http://{HOST}:{port}/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        families = {family.name: family for family in text_string_to_metric_families(await response.text())}
    assert families["kalshi_feed_up"].samples[0].value == 1
    assert {"kalshi_cash_dollars", "kalshi_trading_state", "process_resident_memory_bytes"} <= set(families)


async def test_health_is_200_while_well_and_503_while_not(
    server: StatusServer, patient: Patient, client: aiohttp.ClientSession
) -> None:
    url = f"http://{HOST}:{await server.start(HOST, 0)}/healthz"
    async with client.get(url) as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
        assert await response.json() == {"ok": True, "state": "active", "checks": {"database": "ok"}}
    patient.report = HealthReport(False, "halted", {"database": "no answer for 12 s"})
    async with client.get(url) as response:
        assert response.status == 503
        assert await response.json() == {
            "ok": False, "state": "halted", "checks": {"database": "no answer for 12 s"}
        }  # fmt: skip


async def test_nothing_else_is_served(server: StatusServer, client: aiohttp.ClientSession) -> None:
    base = f"http://{HOST}:{await server.start(HOST, 0)}"
    async with client.get(f"{base}/") as response:
        assert response.status == 404
    async with client.post(f"{base}/healthz") as response:
        assert response.status == 405


async def test_a_taken_port_is_refused_with_the_settings_to_change(server: StatusServer) -> None:
    port = await server.start(HOST, 0)
    second = StatusServer(Metrics(), Patient())
    with pytest.raises(ConfigError, match=rf"monitoring\.port: cannot listen on {HOST}:{port}"):
        await second.start(HOST, port)
    await second.stop()


async def test_after_stopping_nobody_answers_and_it_can_start_again(
    server: StatusServer, client: aiohttp.ClientSession
) -> None:
    port = await server.start(HOST, 0)
    await server.stop()
    await server.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get(f"http://{HOST}:{port}/healthz")
    again = await server.start(HOST, 0)
    async with client.get(f"http://{HOST}:{again}/healthz") as response:
        assert response.status == 200
