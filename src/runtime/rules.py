"""Changed rules and the person who reads them: ``acknowledge-rules``, and how a running daemon hears of it.

The command writes what was read to the store; the daemon looks there every few seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import typer
from rich.console import Console

from src.core.actions import ControlValue, Noted
from src.core.errors import ConfigError
from src.core.events import Event, RulesAcknowledged
from src.core.ports import Clock
from src.core.rules_text import digest
from src.database.store import PostgresStore
from src.execution.rules_watch import ACKNOWLEDGED, KNOWN, PENDING
from src.runtime.assemble import ledger_schema, open_database
from src.runtime.clocks import SystemClock
from src.runtime.settings import Settings
from src.runtime.settings_mode import resolve_mode


class Acknowledgements:
    """Looks every ``interval`` seconds for acknowledgements that people have stored."""

    def __init__(
        self,
        store: PostgresStore,
        clock: Clock,
        *,
        interval: float = 5.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._interval = interval
        self._sleep = sleep

    async def stream(self) -> AsyncIterator[Event]:
        """Yield each acknowledgement once, those stored before the start too, until cancelled."""
        told: dict[str, str] = {}
        while True:
            for key, read in (await self._store.control_values(ACKNOWLEDGED)).items():
                if told.get(key) != read:
                    told[key] = read
                    series = key.removeprefix(ACKNOWLEDGED)
                    yield RulesAcknowledged(series, tuple(read.split()), self._clock.now())
            await self._sleep(self._interval)


async def acknowledge_command(
    settings: Settings, root: Path, series: str, console: Console, *, is_sure: bool
) -> int:
    """Show the changed rules of ``series``, and store that they were read; ``is_sure`` asks nothing.

    Raises ``ConfigError`` when none of the series wait.
    """
    mode = resolve_mode(settings, live_flag=settings.exchange.environment.value == "production")
    database = await open_database(settings, ledger_schema(settings, mode), root)
    try:
        pending = {key: text for key, text in (await database.store.control_values(PENDING)).items() if text}
        mine = {key: text for key, text in pending.items() if key.startswith(f"{PENDING}{series}:")}
        if not mine:
            waiting = ", ".join(sorted({key.split(":")[1] for key in pending})) or "none"
            raise ConfigError(
                f"SERIES: no changed rules of {series} wait in the {mode.value} ledger (waiting: {waiting})"
            )
        _show(mine, await database.store.control_values(f"{KNOWN}{series}:"), console)
        if not is_sure and not typer.confirm(f"Allow entries in {series} under these rules?"):
            return 1
        digests = " ".join(sorted({digest(text) for text in mine.values()}))
        now = SystemClock().now()
        note = Noted("rules_acknowledged", {"series": series, "digests": digests}, now)
        await database.store.append_aside([ControlValue(f"{ACKNOWLEDGED}{series}", digests, now), note])
    finally:
        await database.close()
    console.print(f"Entries in {series} are allowed again; a running daemon hears of it within seconds.")
    return 0


def _show(pending: Mapping[str, str], known: Mapping[str, str], console: Console) -> None:
    for key, text in sorted(pending.items()):
        name = key.removeprefix(PENDING)
        before = json.loads(known.get(f"{KNOWN}{name}", '[""]'))[0]
        for line in (f"{name.split(':')[1]}", f"  before: {before}", f"  now:    {text or '(no rules)'}"):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
