"""Giving the running daemon a command and waiting for its answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from src.core.errors import ConfigError, TradingSystemError
from src.core.events import CommandKind
from src.core.units import ONE_CONTRACT
from src.database.commands import Answer
from src.database.models_log import CommandStatus
from src.database.store import PostgresStore
from src.runtime.assemble import (
    DAEMON_LOCK,
    PROJECT,
    Database,
    kill_switch_of,
    ledger_schema,
    open_database,
)
from src.runtime.command_source import STOPS
from src.runtime.settings import Settings
from src.runtime.settings_mode import resolve_mode

_LOOK_S = 0.2
_SHOW_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a person says at the command line; ``target`` is a strategy's name or empty."""

    kind: CommandKind
    why: str
    who: str
    target: str = ""

    @property
    def name(self) -> str:
        """The command as it is typed."""
        return f"{self.kind.value.replace('_', '-')} {self.target}".strip()


async def operate_command(
    settings: Settings, root: Path, console: Console, order: Order, timeout: float, *, as_json: bool
) -> int:
    """Give the command; exit code 0 when it was carried out or (a stop) is certain to be.

    A halt does not need the database: when the daemon cannot be reached that way, the kill file is made.
    """
    talk = Talk(console, as_json=as_json)
    try:
        mode = resolve_mode(settings, live_flag=settings.exchange.environment.value == "production")
        database = await open_database(settings, ledger_schema(settings, mode), root)
    except TradingSystemError as error:
        if order.kind is not CommandKind.HALT:
            raise
        return trip(settings, order, talk, f"the database cannot be used ({error})")
    try:
        code = await _give(settings, database, order, talk, timeout)
        if code == 0 and order.kind is CommandKind.FLATTEN:
            code = await _until_flat(database.store, talk)
        return code
    finally:
        await database.close()


async def _give(settings: Settings, database: Database, order: Order, talk: Talk, timeout: float) -> int:
    store = database.store
    running = await store.is_locked(DAEMON_LOCK)
    if not running and order.kind not in STOPS:
        raise ConfigError(
            f"{order.name}: no daemon runs with {database.described}, so nothing would carry it out; "
            "start it with `python main.py run`, then give the command again"
        )
    command_id = await store.commands.add(order.kind, order.who, order.why, target=order.target)
    if not running:
        text = f"{order.name}: no daemon runs with {database.described}; the next start obeys it"
        return talk.say(0, "kept", text)
    answer = await _answer(store, command_id, timeout)
    if answer is None and order.kind is CommandKind.HALT:
        return trip(settings, order, talk, f"the daemon did not answer in {timeout:g} s")
    if answer is None and order.kind in STOPS:
        text = (
            f"{order.name}: no answer in {timeout:g} s; it stays in force and is obeyed once the daemon hears"
        )
        return talk.say(1, "waiting", text)
    if answer is None:
        if await store.commands.withdraw(command_id):
            text = f"{order.name}: no answer in {timeout:g} s; withdrawn, nothing was done"
            return talk.say(1, "withdrawn", text)
        answer = await store.commands.answer(command_id)
    done = answer.status is CommandStatus.DONE
    text = f"{order.name}: {answer.text}" if done else f"{order.name} refused: {answer.text}"
    return talk.say(0 if done else 1, answer.status.value, text)


async def _answer(store: PostgresStore, command_id: int, timeout: float) -> Answer | None:
    limit = time.monotonic() + timeout
    while time.monotonic() < limit:
        answer = await store.commands.answer(command_id)
        if answer.status is not CommandStatus.WAITING:
            return answer
        await asyncio.sleep(_LOOK_S)
    return None


def trip(settings: Settings, order: Order, talk: Talk, because: str) -> int:
    """Halt by the kill file instead; returns the exit code."""
    switch = kill_switch_of(settings, PROJECT)
    try:
        switch.trip(order.who, order.why)
    except OSError as error:
        text = (
            f"halt: {because}, and the kill file {switch.path} cannot be written ({error.strerror}); "
            "stop the daemon's process: it cancels its resting orders"
        )
        return talk.say(1, "failed", text)
    text = (
        f"halt: {because}; the kill file {switch.path} was made instead. A daemon that runs halts within a "
        "second, one that starts is halted. Remove the file before clear-halt."
    )
    return talk.say(0, "kill_file", text)


async def _until_flat(store: PostgresStore, talk: Talk) -> int:
    """Show what is left until nothing is. Stopping to look does not stop the daemon."""
    shown, at = "", 0.0
    while True:
        facts = await store.status()
        left = _left(facts)
        if not left:
            return talk.say(0, "flat", "flat: no open position and no live order is left")
        if left != shown or time.monotonic() - at > 15 * _SHOW_EVERY_S:
            shown, at = left, time.monotonic()
            talk.progress(f"left: {left}  (Ctrl-C stops looking, not the daemon)")
        if not await store.is_locked(DAEMON_LOCK):
            text = "the daemon stopped before everything was left; the flatten goes on at its next start"
            return talk.say(1, "stopped", text)
        await asyncio.sleep(_SHOW_EVERY_S / 4)


def _left(facts: Mapping[str, Any]) -> str:
    parts = [
        f"{row['ticker']} {abs(row['count_e2']) / ONE_CONTRACT:g} {'YES' if row['count_e2'] > 0 else 'NO'}"
        for row in facts["open_positions"]
    ]
    orders = len(facts["live_orders"])
    if orders:
        parts.append("1 live order" if orders == 1 else f"{orders} live orders")
    return ", ".join(parts)


class Talk:
    """Answers as lines for a person, or as one JSON object."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console = console
        self._as_json = as_json

    def say(self, code: int, outcome: str, text: str) -> int:
        """Say how it ended; returns ``code``."""
        if self._as_json:
            print(json.dumps({"ok": code == 0, "outcome": outcome, "text": text}), flush=True)
        else:
            self._console.print(text, highlight=False, soft_wrap=True, markup=False)
        return code

    def progress(self, text: str) -> None:
        """Say what is still under way, to a person."""
        if not self._as_json:
            self._console.print(text, highlight=False, soft_wrap=True, markup=False)
