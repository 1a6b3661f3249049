"""A person acknowledges changed rules from the command line; the daemon's source hears of it once."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import typer
from rich.console import Console

from src.core.actions import ControlValue
from src.core.errors import ConfigError
from src.core.events import Event, RulesAcknowledged
from src.core.rules_text import digest
from src.database.connection import connect
from src.database.store import PostgresStore
from src.execution.rules_watch import KNOWN, PENDING
from src.runtime.assemble import ledger_schema
from src.runtime.clocks import ManualClock
from src.runtime.rules import Acknowledgements, acknowledge_command
from src.runtime.settings import Settings, load_settings
from src.runtime.settings_mode import Mode

SERIES = "KXHIGHNY"
NEW = "the maximum at LaGuardia on <date>"


class Enough(Exception):
    """Ends a source that never ends."""


@pytest.fixture
def settings(server_url: str) -> Settings:
    return load_settings(None, {"DATABASE_URL": server_url}, None)


@pytest.fixture
async def daemons(server_url: str, settings: Settings) -> AsyncIterator[PostgresStore]:
    """The store of a running daemon whose rules of KXHIGHNY changed."""
    schema = ledger_schema(settings, Mode.PAPER)
    store = await PostgresStore.open(server_url, schema)
    await store.lock("daemon")
    await store.append(
        [
            ControlValue(f"{KNOWN}{SERIES}:less", '["the maximum at Central Park on <date>"]', 1),
            ControlValue(f"{PENDING}{SERIES}:less", NEW, 1),
            ControlValue(f"{PENDING}KXHIGHCHI:less", "", 1),
        ]
    )
    yield store
    await store.close()
    connection = await connect(server_url, schema)
    await connection.execute(f"DROP SCHEMA {schema} CASCADE")
    await connection.close()


async def acknowledge(settings: Settings, series: str, *, is_sure: bool = True) -> tuple[int, str]:
    out = io.StringIO()
    console = Console(file=out, width=200)
    code = await acknowledge_command(settings, Path("."), series, console, is_sure=is_sure)
    return code, out.getvalue()


async def test_what_was_read_reaches_the_running_daemon_once(
    settings: Settings, daemons: PostgresStore
) -> None:
    """Beside the daemon that holds the lock; both texts are shown; the journal keeps who said so."""
    turns = 0

    async def turn(seconds: float) -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            code, shown = await acknowledge(settings, SERIES)
            assert code == 0
            assert "Central Park" in shown
            assert NEW in shown
        if turns == 4:
            raise Enough

    events: list[Event] = []

    async def listen() -> None:
        async for event in Acknowledgements(daemons, ManualClock(5), sleep=turn).stream():
            events.append(event)

    with pytest.raises(Enough):
        await listen()
    assert events == [RulesAcknowledged(SERIES, (digest(NEW),), 5)]
    kinds = [type(entry.record).__name__ for entry in await daemons.journal()]
    assert kinds[-2:] == ["ControlValue", "Noted"]


async def test_a_series_that_waits_for_nobody_is_an_error_that_names_those_that_do(
    settings: Settings, daemons: PostgresStore
) -> None:
    with pytest.raises(ConfigError, match=r"no changed rules of KXHIGHCHI wait.*\(waiting: KXHIGHNY\)"):
        await acknowledge(settings, "KXHIGHCHI")


async def test_without_consent_nothing_is_stored(
    settings: Settings, daemons: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typer, "confirm", lambda question: False)
    assert (await acknowledge(settings, SERIES, is_sure=False))[0] == 1
    assert await daemons.control_values("rules_acknowledged:") == {}
