"""Operating real daemons: commands from another process, the kill file, a standby, a frozen leader."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .books import differences, read_ledger, repeated_orders
from .conftest import Start, Venue
from .programs import Program, until

pytestmark = pytest.mark.timeout(400)


class _Operator:
    """A person with a second terminal."""

    def __init__(self, start: Start, venue: Venue, env: dict[str, str]) -> None:
        self._start = start
        self._venue = venue
        self._env = env

    def says(self, *arguments: str, code: int = 0) -> str:
        """Run a command to its end; its output."""
        program = self.starts(*arguments)
        assert program.wait() == code, (program.out, program.err)
        return program.out if code != 2 else program.err

    def starts(self, *arguments: str) -> Program:
        """Start a command."""
        common = ("--config", "loose.yaml", "--exchange", str(self._venue.ready_file))
        return self._start(*arguments, *common, env=self._env)

    def status(self) -> dict[str, object]:
        """The facts."""
        facts: dict[str, object] = json.loads(self.says("status", "--json"))
        return facts


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
    venue = exchange("--speed", "2000", "--days", "40")
    person = _Operator(start, venue, with_kill_file)
    daemon = person.starts("run")
    daemon.until(lambda: venue.client.fills() or None, "a fill")
    assert "pause: REDUCING by" in person.says("pause", "--why", "looking")
    assert "resume: ACTIVE by" in person.says("resume", "--why", "looked", "--yes")
    assert "add --yes" in person.says("flatten", "--why", "x", code=2)
    flat = person.says("flatten", "--why", "storm", "--yes")
    assert flat.rstrip().endswith("flat: no open position and no live order is left")
    assert "agree to the last centicent" in person.says("tie-out")
    (folder / "HALT").write_text("by hand")
    until(lambda: person.status()["state"] == "halted", "halted by the file")
    assert "the kill switch is still tripped" in person.says("clear-halt", "--why", "x", "--yes", code=1)
    (folder / "HALT").unlink()
    refused = person.says("strategy-off", "weather", "--why", "x", code=1)
    assert "strategy-off weather refused: there is no strategy 'weather' here" in refused
    assert daemon.stop() == 0, daemon.err
    assert "no daemon runs" in person.says("clear-halt", "--why", "x", "--yes", code=2)
    assert "the next start obeys it" in person.says("halt", "--why", "while it is down")
    restarted = person.starts("run")
    restarted.until_logged("running")
    until(lambda: person.status()["running"], "running again")
    assert person.status()["state"] == "halted"
    assert "the halt is cleared" in person.says("clear-halt", "--why", "looked into", "--yes")
    assert restarted.stop() == 0, restarted.err
    why = json.loads(person.says("why", "KXHIGHNY", "--last", "3", "--json"))
    assert why["signals"]
    assert all(signal["words"] for signal in why["signals"])
    assert "is not watched" in person.says("why", "KXNBA", code=1)


def test_a_halt_works_without_a_database(start: Start, folder: Path) -> None:
    """The kill file is made instead, and a configuration with a mistake does not stand in the way."""
    (folder / "empty.yaml").write_text("operations: {kill_file: " + str(folder / "HALT") + "}\n")
    env = {"DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none"}
    halt = start("halt", "--config", "empty.yaml", "--why", "all is down", env=env)
    assert halt.wait() == 0, halt.err
    assert "the kill file" in halt.out
    assert "all is down" in (folder / "HALT").read_text()


def test_a_standby_takes_over_from_a_frozen_leader_which_then_sends_nothing(
    start: Start, exchange: Callable[..., Venue], with_kill_file: dict[str, str], database_url: str
) -> None:
    """The leader is stopped in the middle of its day; the standby takes over with a larger number; the
    thawed one ends by itself and has sent nothing; the ledger equals the exchange's records."""
    venue = exchange("--speed", "5000", "--days", "60")
    person = _Operator(start, venue, with_kill_file)
    leader = person.starts("run")
    leader.until(lambda: venue.client.fills() or None, "a fill")
    standby = person.starts("run", "--standby")
    standby.until_logged("standing_by")
    until(lambda: person.status()["leader"]["standing_by"] or None, "one standing by")  # type: ignore[index]
    fence = leader.until_logged("database")["fence"]
    os.kill(leader.process.pid, signal.SIGSTOP)
    try:
        new_fence = standby.until_logged("database")["fence"]
        assert new_fence > fence
        assert standby.until_logged("leader_is_silent")["silent_s"] > 5
        standby.healthy()
        sent_before = {row["client_order_id"] for row in venue.client.orders()}
    finally:
        os.kill(leader.process.pid, signal.SIGCONT)
    assert leader.wait() == 1
    assert "another instance has taken over" in leader.err
    ledger = read_ledger(database_url, venue.schema)
    ours = {order.intent.client_order_id for order in ledger.orders}
    late = {row["client_order_id"] for row in venue.client.orders()} - sent_before - ours
    assert late == set()
    assert standby.stop() == 0, standby.err
    ledger = read_ledger(database_url, venue.schema)
    assert differences(ledger, venue.client) == []
    assert repeated_orders(ledger, venue.client) == []


def test_a_standby_that_is_stopped_while_it_waits_ends_clean(
    start: Start, exchange: Callable[..., Venue], with_kill_file: dict[str, str]
) -> None:
    """SIGTERM while standing by is exit code 0; the leader's death lets another take over at once."""
    venue = exchange("--speed", "1", "--days", "1")
    person = _Operator(start, venue, with_kill_file)
    leader = person.starts("run")
    leader.until_logged("running")
    first, second = person.starts("run", "--standby"), person.starts("run", "--standby")
    first.until_logged("standing_by")
    second.until_logged("standing_by")
    assert first.stop() == 0, first.err
    assert leader.stop(signal.SIGKILL) == -signal.SIGKILL
    second.until_logged("running")
    assert second.stop() == 0, second.err
