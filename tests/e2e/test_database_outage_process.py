"""PostgreSQL is frozen, killed and restarted under a trading daemon: no order without a row, nothing lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from src.core.actions import TradingState
from src.database.embedded import EmbeddedPostgres
from src.database.store import PostgresStore

from .books import differences, differences_after_stop, read_ledger, repeated_orders
from .conftest import Start, Venue
from .programs import Program, until

pytestmark = pytest.mark.timeout(600)


class Server:
    """A durable PostgreSQL of this test's own, which it may freeze and kill."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder / "postgres")
        self._data = folder / "postgres" / "data"
        self.url = ""

    def start(self) -> None:
        """Start it, or start it again after a kill, on the same port."""

        async def begin() -> str:
            url = await self._server.start()
            # The keeper of this loop ends with it; the server stays.
            self._server._keeper.terminate()  # type: ignore[union-attr]
            self._server._keeper = None
            return url

        self.url = asyncio.run(begin())

    def signal(self, number: signal.Signals) -> None:
        """To every process of the server."""
        master = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(master)], capture_output=True, text=True, check=False
        ).stdout.split()
        for pid in (master, *map(int, children)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


@pytest.fixture
def server() -> Iterator[Server]:
    """A running server; whatever state the test left it in, it is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="kalshi-e2e-outage-"))
    path.chmod(0o755)
    own = Server(path)
    own.start()
    yield own
    own.signal(signal.SIGKILL)
    shutil.rmtree(path)


def _logged(daemon: Program, event: str, times: int = 1) -> None:
    daemon.until(
        lambda: sum(line.get("event") == event for line in daemon.log) >= times, f"{event} number {times}"
    )


def _orders_grow(venue: Venue, daemon: Program) -> None:
    before = len(venue.client.orders())
    daemon.until(lambda: len(venue.client.orders()) > before, "more orders at the exchange")


def _rows(server: Server, venue: Venue) -> set[str]:
    return {order.intent.client_order_id for order in read_ledger(server.url, venue.schema).orders}


def test_postgres_frozen_killed_and_restarted_mid_burst_costs_nothing(
    start: Start, exchange: Callable[..., Venue], server: Server
) -> None:
    """While it is away no order without a row reaches the exchange; each time trading resumes by itself; the
    final ledger equals the exchange's records and nothing was sent twice."""
    venue = exchange("--speed", "5000", "--days", "60")
    env = {"DATABASE_URL": server.url, "KATS__MONITORING__PORT": "0"}
    daemon = start("run", "--config", "loose.yaml", "--exchange", str(venue.ready_file), env=env)
    daemon.healthy()
    _orders_grow(venue, daemon)

    server.signal(signal.SIGSTOP)
    _logged(daemon, "store_down")
    server.signal(signal.SIGCONT)
    _logged(daemon, "store_up")
    _orders_grow(venue, daemon)

    server.signal(signal.SIGKILL)
    _logged(daemon, "store_down", 2)
    sent = {row["client_order_id"] for row in venue.client.orders()}
    server.start()
    _logged(daemon, "store_up", 2)
    assert sent <= _rows(server, venue), "an order left without a row"
    _orders_grow(venue, daemon)

    assert daemon.stop() == 0, daemon.err
    assert differences_after_stop(server.url, venue.schema, venue.client) == []
    ledger = read_ledger(server.url, venue.schema)
    assert repeated_orders(ledger, venue.client) == []
    assert [row for row in venue.client.orders() if row["status"] == "resting"] == []


def test_a_database_that_stays_away_halts_and_the_next_start_waits_and_is_halted(
    start: Start, exchange: Callable[..., Venue], server: Server
) -> None:
    """Past the limit: exit code 1, nothing rests. The next start waits for the server, then finds the halt
    that the fallback journal held, and trades nothing."""
    venue = exchange("--speed", "5000", "--days", "60")
    env = {
        "DATABASE_URL": server.url,
        "KATS__MONITORING__PORT": "0",
        "KATS__DATABASE__OUTAGE_LIMIT_SECONDS": "2",
    }
    arguments = ("run", "--config", "loose.yaml", "--exchange", str(venue.ready_file))
    daemon = start(*arguments, env=env)
    daemon.healthy()
    _orders_grow(venue, daemon)
    server.signal(signal.SIGKILL)
    assert daemon.wait() == 1, daemon.err
    assert "StoreLostError: the database did not answer for" in daemon.err.splitlines()[-1]
    assert [row for row in venue.client.orders() if row["status"] == "resting"] == []
    orders = len(venue.client.orders())

    again = start(*arguments, env=env)
    _logged(again, "waiting_for_database")
    server.start()
    again.until(lambda: any(line.get("state") == "halted" for line in again.log), "the halt")
    _logged(again, "fallback_replayed")
    until(lambda: not differences(read_ledger(server.url, venue.schema), venue.client), "an equal ledger")
    assert again.stop() == 0, again.err
    assert len(venue.client.orders()) == orders
    assert _state(server, venue) == (TradingState.HALTED, "store")


def _state(server: Server, venue: Venue) -> tuple[TradingState | None, str]:
    async def read() -> tuple[TradingState | None, str]:
        store = await PostgresStore.open(server.url, venue.schema)
        try:
            state = await store.load()
            return state.state, state.state_who
        finally:
            await store.close()

    return asyncio.run(read())
