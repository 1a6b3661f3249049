"""The table of commands: the one entrance by which a person reaches the daemon from outside.

The command line writes into it, and so does whatever listens to a chat. The daemon takes each command once;
the answer is committed together with what the command changed (``CommandAnswered``), so that after a crash a
command either happened and is answered, or did neither and is taken again.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

from src.core.events import CommandKind
from src.database.codec import storable_text
from src.database.models_log import CommandStatus

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000000)::bigint"
_ADD = text(
    "INSERT INTO commands (kind, target, channel, who, why, created_ns, status, answer) "
    f"VALUES (:kind, :target, :channel, :who, :why, {_NOW}, 'waiting', '') RETURNING id"
)
_WAITING = text(
    f"SELECT id, kind, target, who, why, channel, {_NOW} - created_ns AS age_ns "
    "FROM commands WHERE status = 'waiting' AND id > :after ORDER BY id"
)
_CLOSE = text(
    f"UPDATE commands SET status = :status, answer = :answer, answered_ns = {_NOW} "
    "WHERE id = :id AND status = 'waiting' RETURNING id"
)
_ANSWER = text("SELECT status, answer FROM commands WHERE id = :id").bindparams(bindparam("id"))


@dataclass(frozen=True, slots=True)
class WaitingCommand:
    """A command nobody has answered yet. ``age_s`` is by the database server's clock alone."""

    command_id: int
    kind: CommandKind
    target: str
    who: str
    why: str
    channel: str
    age_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command, in words for the person who gave it."""

    status: CommandStatus
    text: str


class CommandTable:
    """Puts, takes and answers commands in one schema."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(
        self, kind: CommandKind, who: str, why: str, *, channel: str = "cli", target: str = ""
    ) -> int:
        """Commit a command and return its id. ``channel``: where the person spoke, e.g. ``"cli"``."""
        values = {"kind": kind.value, "target": target, "channel": channel, "who": who, "why": why}
        cleaned = {name: storable_text(value) for name, value in values.items()}
        async with self._engine.begin() as connection:
            return int((await connection.execute(_ADD, cleaned)).scalar_one())

    async def waiting(self, after: int = 0) -> tuple[WaitingCommand, ...]:
        """Unanswered commands with an id above ``after``, oldest first."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_WAITING, {"after": after})).mappings().all()
        return tuple(
            WaitingCommand(
                row["id"],
                CommandKind(row["kind"]),
                row["target"],
                row["who"],
                row["why"],
                row["channel"],
                row["age_ns"] / 1e9,
            )
            for row in rows
        )

    async def answer(self, command_id: int) -> Answer:
        """What became of a command so far."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(_ANSWER, {"id": command_id})).mappings().one()
        return Answer(CommandStatus(row["status"]), row["answer"])

    async def withdraw(self, command_id: int) -> bool:
        """Take back a command that was not carried out; False when it has been answered already."""
        return await self._close(command_id, CommandStatus.WITHDRAWN, "nobody answered in time")

    async def refuse(self, command_id: int, why: str) -> bool:
        """Answer a command without carrying it out; False when it has been answered already."""
        return await self._close(command_id, CommandStatus.REFUSED, why)

    async def _close(self, command_id: int, status: CommandStatus, answer: str) -> bool:
        values = {"id": command_id, "status": status.value, "answer": answer}
        async with self._engine.begin() as connection:
            return (await connection.execute(_CLOSE, values)).first() is not None
