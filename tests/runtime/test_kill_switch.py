"""The kill switch: an absolute path, fails closed, halts the daemon; commands reach it once each."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import tests.execution.builders as b
from src.core.actions import StoredState, TradingState
from src.core.events import Command, CommandKind
from src.core.units import SECOND
from src.database.commands import WaitingCommand
from src.execution.engine import Engine
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.runtime.assemble import PROJECT, kill_switch_of
from src.runtime.clocks import ManualClock
from src.runtime.command_source import CommandSource
from src.runtime.daemon import Daemon
from src.runtime.kill_switch import KillSwitch
from src.runtime.settings import load_settings
from tests.runtime.fakes import KeepingNotifier, MemoryStore, QueueSource, ScriptedGateway


def test_it_says_who_tripped_it_and_why(tmp_path: Path) -> None:
    """The file's words are in the reason; without a file, and without its folder, nothing is tripped."""
    switch = KillSwitch(tmp_path / "var" / "HALT")
    assert switch.look() == ""
    switch.trip("ann@desk", "prices look wrong")
    switch.trip("bob@desk", "too late to matter")
    assert f"{tmp_path / 'var' / 'HALT'} exists (ann@desk: prices look wrong" in switch.look()
    assert "bob" not in switch.look()


@pytest.mark.parametrize("error", [PermissionError("denied"), OSError("I/O error"), RuntimeError("odd")])
def test_what_keeps_it_from_looking_counts_as_tripped(error: Exception) -> None:
    """A guard that cannot see is a guard that says stop, and never one that raises."""

    def fail(path: Path) -> object:
        raise error

    reason = KillSwitch(Path("/x/HALT"), stat=fail).look()
    assert "cannot be looked at" in reason
    assert type(error).__name__ in reason


def test_a_file_in_the_place_of_its_folder_counts_as_tripped(tmp_path: Path) -> None:
    """Not "no such file": the path cannot be what a person would create."""
    (tmp_path / "var").write_text("")
    assert "cannot be looked at" in KillSwitch(tmp_path / "var" / "HALT").look()


def test_the_path_does_not_depend_on_the_folder_one_starts_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative setting begins at the project's folder; an absolute one stays as it is."""
    monkeypatch.chdir(tmp_path)
    assert kill_switch_of(load_settings(None, {}, None), PROJECT).path == PROJECT / "var" / "HALT"
    absolute = {"KATS__OPERATIONS__KILL_FILE": f"{tmp_path}/stop"}
    assert kill_switch_of(load_settings(None, absolute, None), PROJECT).path == tmp_path / "stop"
    with pytest.raises(ValueError, match="relative"):
        KillSwitch(Path("var/HALT"))


@pytest.mark.parametrize(
    ("value", "halted"),
    [("1", True), ("yes", True), ("please", True), ("0", False), ("no", False), ("", False)],
)
def test_the_environment_halts_a_start(value: str, halted: bool) -> None:
    """Whatever is not plainly a no is a yes."""
    switch = kill_switch_of(load_settings(None, {"KATS_HALT": value}, None), Path("/nowhere"))
    assert ("KATS_HALT" in switch.look()) is halted


async def test_the_daemon_halts_at_once_and_stays_halted_when_the_file_goes() -> None:
    """Tripped before the start: nothing is ever active. Untripped: still halted."""
    reasons = ["the file /x exists"]
    engine = Engine([b.Scripted()], RiskLimits(), ReconcilePolicy(), {})
    gateway = ScriptedGateway(lambda approved: pytest.fail("nothing may be sent"), b.NOW)
    daemon = Daemon(
        engine=engine,
        clock=ManualClock(b.NOW),
        store=MemoryStore(StoredState()),
        gateway=gateway,
        sources={"market": QueueSource().stream},
        notifier=KeepingNotifier(),
        readers=(),
        resync=lambda tickers: None,
        on_latency=lambda _: None,
        tick_interval=None,
        kill_switch=lambda: reasons[-1],
    )
    states = set()
    task = asyncio.create_task(daemon.run())
    async with asyncio.timeout(5):
        while engine.control.state is not TradingState.HALTED or not gateway.reports:
            states.add(engine.control.state)
            await asyncio.sleep(0)
        reasons.append("")
        while engine.kill_reason:
            states.add(engine.control.state)
            await asyncio.sleep(0)
    assert TradingState.ACTIVE not in states
    assert engine.control.state is TradingState.HALTED
    daemon.stop()
    await asyncio.wait_for(task, 5)


class _Table:
    """Two looks: the second repeats what nobody answered yet."""

    def __init__(self, *waiting: WaitingCommand) -> None:
        self.rows = list(waiting)
        self.refused: dict[int, str] = {}

    async def waiting(self, after: int = 0) -> tuple[WaitingCommand, ...]:
        """Rows above ``after``."""
        return tuple(row for row in self.rows if row.command_id > after)

    async def refuse(self, command_id: int, why: str) -> bool:
        """Keep the refusal."""
        self.refused[command_id] = why
        return True


async def test_each_command_is_handed_on_once_and_only_stops_are_good_for_ever() -> None:
    """An old resume is refused, an old halt obeyed; a second look brings nothing twice."""
    row = WaitingCommand
    table = _Table(
        row(1, CommandKind.RESUME, "", "ann", "old", "cli", 3_600.0),
        row(2, CommandKind.HALT, "", "ann", "older", "cli", 9_999.0),
        row(3, CommandKind.STRATEGY_ON, "weather_model", "bob", "fixed", "telegram", 1.0),
    )
    looks = 0
    seen: list[Command] = []

    async def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise asyncio.CancelledError

    async def listen() -> None:
        async for command in CommandSource(table, ManualClock(b.NOW + SECOND), sleep).stream():
            seen.append(command)

    with pytest.raises(asyncio.CancelledError):
        await listen()
    assert [(one.kind, one.command_id, one.target) for one in seen] == [
        (CommandKind.HALT, 2, ""),
        (CommandKind.STRATEGY_ON, 3, "weather_model"),
    ]
    assert list(table.refused) == [1]
    assert "3600 s" in table.refused[1]
