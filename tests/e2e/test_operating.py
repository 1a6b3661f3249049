"""Operating real daemons: commands from another process, the kill file, a standby, a frozen leader."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from src.core.errors import ConfigError
from src.core.events import CommandKind
from src.database.connection import connect
from src.database.leadership import Leadership
from src.database.store import PostgresStore
from src.runtime.assemble import DAEMON_LOCK
from src.runtime.operate import Order, operate_command
from src.runtime.settings import Settings, load_settings
from src.runtime.simulate import environment_of
from src.runtime.tie_out import tie_out_command
from src.runtime.why import why_command

from .books import differences_after_stop, read_ledger, repeated_orders
from .conftest import Start, Venue
from .programs import Program, until

pytestmark = pytest.mark.timeout(400)


class _Operator:
    """A person beside the daemon: another process (this one), which reaches it through the database alone."""

    def __init__(self, start: Start, venue: Venue, folder: Path, env: dict[str, str]) -> None:
        self._start, self.venue, self._env = start, venue, env
        settings_env = env | environment_of(venue.ready_file)
        self.settings: Settings = load_settings(folder / "loose.yaml", settings_env, None)
        self._folder = folder

    def runs(self, *arguments: str) -> Program:
        """Start a daemon."""
        common = ("--config", "loose.yaml", "--exchange", str(self.venue.ready_file))
        return self._start("run", *common, *arguments, env=self._env)

    def says(self, kind: CommandKind, why: str = "why", target: str = "", code: int = 0) -> str:
        """Give a command; what is printed."""
        order = Order(kind, why, "ann@desk", target)
        return self._told(
            lambda console: operate_command(self.settings, self._folder, console, order, 30.0, as_json=False),
            code,
        )

    def ties_out(self) -> str:
        """``tie-out``."""
        return self._told(
            lambda console: tie_out_command(self.settings, self._folder, console, as_json=False), 0
        )

    def asks_why(self, name: str, code: int) -> str:
        """``why NAME``."""
        return self._told(
            lambda console: why_command(self.settings, self._folder, console, name, 3, as_json=False), code
        )

    def sees(self) -> tuple[dict[str, Any], Leadership]:
        """Facts and leadership, as ``status`` shows them."""

        async def look() -> tuple[dict[str, Any], Leadership]:
            assert self.settings.database_url is not None
            store = await PostgresStore.open(self.settings.database_url, self.venue.schema)
            try:
                return await store.status(), await store.leadership(DAEMON_LOCK)
            finally:
                await store.close()

        return asyncio.run(look())

    def _told(self, work: Callable[[Console], Awaitable[int]], code: int) -> str:
        out = io.StringIO()

        async def run() -> int:
            return await work(Console(file=out, width=200))

        assert asyncio.run(run()) == code, out.getvalue()
        return out.getvalue()


@pytest.fixture
def with_kill_file(with_database: dict[str, str], folder: Path) -> dict[str, str]:
    """Variables with a kill file of the test's own."""
    return with_database | {
        "KATS__OPERATIONS__KILL_FILE": str(folder / "HALT"),
        "KATS__OPERATIONS__TAKEOVER_SECONDS": "5",
    }


def test_a_person_steers_a_running_daemon_and_a_stopped_one(
    start: Start, exchange: Callable[..., Venue], with_kill_file: dict[str, str], folder: Path
) -> None:
    """Commands are answered; flatten shows the way to flat; the kill file halts and only a person clears;
    without a daemon a halt is kept for the next start and everything else is refused."""
    venue = exchange("--speed", "1500", "--days", "40")
    person = _Operator(start, venue, folder, with_kill_file)
    daemon = person.runs()
    daemon.until(lambda: venue.client.fills() or None, "a fill")
    assert "pause: REDUCING by ann@desk: looking" in person.says(CommandKind.PAUSE, "looking")
    flat = person.says(CommandKind.FLATTEN, "storm")
    assert flat.rstrip().endswith("flat: no open position and no live order is left")
    assert "agree to the last centicent" in person.ties_out()
    (folder / "HALT").write_text("by hand")
    until(lambda: person.sees()[0]["state"] == "halted", "halted by the file")
    assert "is still tripped" in person.says(CommandKind.CLEAR_HALT, code=1)
    (folder / "HALT").unlink()
    refused = person.says(CommandKind.STRATEGY_OFF, target="weather", code=1)
    assert "strategy-off weather refused: there is no strategy 'weather' here" in refused
    assert daemon.stop() == 0, daemon.err
    with pytest.raises(ConfigError, match="no daemon runs"):
        person.says(CommandKind.CLEAR_HALT)
    assert "the next start obeys it" in person.says(CommandKind.HALT, "while it is down")
    restarted = person.runs()
    restarted.until_logged("running")
    assert person.sees()[0]["state"] == "halted"
    until(lambda: not _waiting_commands(person), "the kept halt answered")
    assert "the halt is cleared" in person.says(CommandKind.CLEAR_HALT, "looked into")
    assert restarted.stop() == 0, restarted.err
    words = person.asks_why("KXHIGHNY", 0)
    assert "forecast:" in words
    assert "ordered" in words or "refused: " in words
    assert "is not watched" in person.asks_why("KXNBA", 1)


def _waiting_commands(person: _Operator) -> int:
    async def count() -> int:
        url, schema = person.settings.database_url, person.venue.schema
        assert url is not None
        store = await PostgresStore.open(url, schema)
        try:
            return len(await store.commands.waiting())
        finally:
            await store.close()

    return asyncio.run(count())


def test_a_halt_works_without_a_database(start: Start, folder: Path) -> None:
    """The kill file is made instead; nobody to confirm is said with the mend."""
    (folder / "empty.yaml").write_text(f"operations: {{kill_file: {folder / 'HALT'}}}\n")
    env = {"DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none"}
    halt = start("halt", "--config", "empty.yaml", "--why", "all is down", env=env)
    resume = start("resume", "--config", "empty.yaml", "--why", "all is well", env=env)
    assert halt.wait() == 0, halt.err
    assert "the kill file" in halt.out
    assert "all is down" in (folder / "HALT").read_text()
    assert resume.wait() == 2
    assert "add --yes" in resume.err


def _fence_of(database_url: str, schema: str, client_order_id: str) -> int | None:
    """The number of the instance that committed an order."""

    async def look() -> int | None:
        connection = await connect(database_url, schema)
        try:
            query = "SELECT fence FROM orders WHERE client_order_id = $1"
            fence: int | None = await connection.fetchval(query, client_order_id)
            return fence
        finally:
            await connection.close()

    return asyncio.run(look())


def test_a_standby_takes_over_from_a_frozen_leader_which_then_sends_nothing(
    start: Start,
    exchange: Callable[..., Venue],
    with_kill_file: dict[str, str],
    folder: Path,
    database_url: str,
) -> None:
    """The leader is stopped in the middle of its day; the standby takes over with a larger number; the
    thawed one ends by itself and has sent nothing; the ledger equals the exchange's records. A standby
    that is asked to stop while it waits just ends."""
    venue = exchange("--speed", "1500", "--days", "60")
    person = _Operator(start, venue, folder, with_kill_file)
    leader = person.runs()
    leader.until(lambda: venue.client.fills() or None, "a fill")
    bored, standby = person.runs("--standby"), person.runs("--standby")
    for waiting in (bored, standby):
        waiting.until_logged("standing_by")
    until(lambda: person.sees()[1].standing_by or None, "somebody standing by")
    assert bored.stop() == 0, bored.err
    fence = leader.until_logged("database")["fence"]
    os.kill(leader.process.pid, signal.SIGSTOP)
    try:
        assert standby.until_logged("database")["fence"] == fence + 1
        assert standby.until_logged("leader_is_silent")["silent_s"] > 5
        standby.healthy()
        known = {row["client_order_id"] for row in venue.client.orders()}
        assert known
    finally:
        os.kill(leader.process.pid, signal.SIGCONT)
    assert leader.wait() == 1
    assert "another instance has taken over" in leader.err
    late = {row["client_order_id"] for row in venue.client.orders()} - known
    assert {_fence_of(database_url, venue.schema, client_order_id) for client_order_id in late} <= {fence + 1}
    assert standby.stop() == 0, standby.err
    assert differences_after_stop(database_url, venue.schema, venue.client) == []
    ledger = read_ledger(database_url, venue.schema)
    assert repeated_orders(ledger, venue.client) == []
