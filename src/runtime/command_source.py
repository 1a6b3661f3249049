"""The daemon's ear for commands from outside: each row of the table becomes one event of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import structlog

from src.core.events import Command, CommandKind
from src.core.ports import Clock
from src.database.commands import CommandTable, WaitingCommand

log = structlog.get_logger("commands")

# These only ever stop something, so they hold however late they are found. Whatever lets trading go on or
# sells was meant for the moment it was said.
STOPS = frozenset({CommandKind.HALT, CommandKind.PAUSE, CommandKind.STRATEGY_OFF})
EXPIRY_S = 60.0
_POLL_S = 0.5


class Commands(Protocol):
    """What the daemon needs of the table."""

    async def waiting(self, after: int = 0) -> tuple[WaitingCommand, ...]:
        """Unanswered commands with an id above ``after``, oldest first."""

    async def refuse(self, command_id: int, why: str) -> bool:
        """Answer a command without carrying it out."""


class CommandSource:
    """Polls the table. Every command is handed on once by a process; its answer ends it for good."""

    def __init__(
        self,
        table: CommandTable | Commands,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._table = table
        self._clock = clock
        self._sleep = sleep
        self._last_id = 0

    async def stream(self) -> AsyncIterator[Command]:
        """Yield commands until cancelled. A database that is away ends it; it goes on where it stopped."""
        while True:
            for waiting in await self._table.waiting(self._last_id):
                self._last_id = waiting.command_id
                command = await self._taken(waiting)
                if command is not None:
                    yield command
            await self._sleep(_POLL_S)

    async def _taken(self, waiting: WaitingCommand) -> Command | None:
        if waiting.kind not in STOPS and waiting.age_s > EXPIRY_S:
            why = f"it waited {waiting.age_s:.0f} s, longer than the {EXPIRY_S:g} s it was good for"
            await self._table.refuse(waiting.command_id, f"{why}; give it again")
            log.warning("command_expired", kind=waiting.kind.value, who=waiting.who, age_s=waiting.age_s)
            return None
        log.info("command", kind=waiting.kind.value, who=waiting.who, why=waiting.why, target=waiting.target)
        return Command(
            waiting.kind,
            waiting.who,
            waiting.why,
            self._clock.now(),
            waiting.target,
            waiting.command_id,
        )
