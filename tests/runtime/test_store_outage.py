"""The database goes away under the running daemon: entries are refused, nothing is lost, then a halt."""

from __future__ import annotations

import asyncio

import pytest

import tests.execution.builders as b
from src.core.actions import Refused, StateChanged, TradingState
from src.core.errors import ConfigError, StoreUnavailableError
from src.core.events import Command, CommandKind, Tick
from src.database.errors import DatabaseUnreachable
from src.runtime import writer as writer_module
from src.runtime.open_store import when_up
from src.runtime.writer import StoreLostError
from tests.runtime.test_daemon import Rig, _rejected, _resting, _running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_FIRST_WAIT_S", 0.0)
    monkeypatch.setattr(writer_module, "_LONGEST_WAIT_S", 0.0)


def _alerts(rig: Rig, key: str) -> int:
    return sum(alert.key == key for alert in rig.notifier.alerts)


async def _go_away(rig: Rig) -> None:
    """The database stops answering, and the engine has heard of it."""
    rig.store.away = 1_000_000
    rig.daemon.inject(Command(CommandKind.PAUSE, "owner", "so that there is something to write", b.NOW))
    await rig.until(lambda: bool(rig.engine.store_down))
    rig.daemon.inject(Command(CommandKind.RESUME, "owner", "", b.NOW))
    await rig.until(lambda: rig.engine.control.state is TradingState.ACTIVE)


async def test_entries_are_refused_by_name_while_the_database_is_away_and_resume_after() -> None:
    """One alert when it goes, one when it comes back; records arrive in order, once; then entries leave."""
    async with _running(_rejected) as (rig, task):
        await _go_away(rig)
        rig.strategy.next = [b.signal()]
        rig.daemon.inject(Tick(b.NOW))
        await rig.until(lambda: rig.daemon.is_quiet)
        assert "submit" not in rig.gateway.asked
        rig.store.away = 0
        await rig.until(lambda: not rig.engine.store_down and not rig.daemon.writer.waiting)
        refusals = [record.result.gate for record in rig.store.records if isinstance(record, Refused)]
        assert refusals == ["store_down"]
        times = [record.ts for record in rig.store.records]
        assert times == sorted(times)
        assert len(rig.store.records) == len({id(record) for record in rig.store.records})
        await rig.until(lambda: rig.daemon.is_quiet)
        assert (_alerts(rig, "store:down"), _alerts(rig, "store:up")) == (1, 1)
        await rig.trade()
        assert len(rig.store.intents) == 1
        assert not task.done()


async def test_an_entry_whose_row_was_not_written_did_not_leave_and_the_daemon_lives_on() -> None:
    """The first to notice the outage is an order: it is refused, its signal is spent, nothing was sent."""
    async with _running(_rejected) as (rig, task):
        rig.store.away = 1_000_000
        rig.strategy.next = [b.signal()]
        rig.daemon.inject(Tick(b.NOW))
        await rig.until(lambda: bool(list(rig.engine.ledger.orders)) and rig.daemon.is_quiet)
        rig.store.away = 0
        await rig.until(lambda: not rig.daemon.writer.is_down and rig.daemon.is_quiet)
        assert [order.status.value for order in rig.engine.ledger.orders] == ["rejected"]
        assert "submit" not in rig.gateway.asked
        assert not task.done()


async def test_cancels_leave_while_the_database_is_away_and_a_halt_is_kept_locally() -> None:
    """A halt needs no database: what rests is cancelled, and the halt is held where a crash finds it."""
    async with _running(_resting) as (rig, _):
        await rig.trade()
        await rig.until(lambda: rig.daemon.is_quiet)
        await _go_away(rig)
        rig.daemon.inject(Command(CommandKind.HALT, "owner", "enough", b.NOW))
        await rig.until(lambda: len(rig.gateway.cancelled) == 1)
        assert [record.state for record in rig.store.held][-1] is TradingState.HALTED


async def test_an_outage_past_its_limit_halts_cancels_sets_aside_and_ends_the_process() -> None:
    """Clean to the last: nothing of ours rests, HALTED is held, no record is lost, and the error says why."""
    async with _running(_resting, outage_limit_s=0.05) as (rig, task):
        await rig.trade()
        await rig.until(lambda: rig.daemon.is_quiet and not rig.daemon.writer.waiting)
        rig.store.away = 1_000_000
        rig.daemon.inject(Command(CommandKind.PAUSE, "owner", "something to write", b.NOW))
        with pytest.raises(StoreLostError, match="did not answer for"):
            await asyncio.wait_for(task, 20)
        assert len(rig.gateway.cancelled) == 1
        assert not [order for order in rig.engine.ledger.orders if order.is_live]
        assert (rig.store.held[-1].state, rig.store.held[-1].who) == (TradingState.HALTED, "store")
        assert rig.daemon.writer.waiting == 0
        states = [record.state for record in rig.store.aside if isinstance(record, StateChanged)]
        assert states == [TradingState.REDUCING, TradingState.HALTED]


async def test_a_clean_stop_during_an_outage_keeps_what_was_not_written() -> None:
    """The journal's rest goes into the fallback, and the stop does not wait for a database that is gone."""
    async with _running(_rejected) as (rig, task):
        await _go_away(rig)
        waiting = rig.daemon.writer.waiting
        assert waiting
        rig.daemon.stop()
        await asyncio.wait_for(task, 10)
        assert len(rig.store.aside) >= waiting
        assert rig.daemon.writer.waiting == 0


async def test_a_start_waits_for_the_database_with_a_bound() -> None:
    """Refused connections are tried again; a wrong password is not; at the bound the error says how long."""
    calls: list[float] = []
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    async def third_time() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise DatabaseUnreachable("refused")
        return "open"

    assert await when_up(third_time, 60.0, note) == "open"
    assert waits == [0.5, 1.0]

    async def wrong_password() -> str:
        raise ConfigError("refuses user")

    with pytest.raises(ConfigError, match="refuses user"):
        await when_up(wrong_password, 60.0, note)

    async def never() -> str:
        raise StoreUnavailableError("gone")

    with pytest.raises(ConfigError, match=r"gone \(waited 0 s\)"):
        await when_up(never, 0.0, note)
