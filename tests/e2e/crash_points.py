"""``python crash_points.py POINT NTH ARGUMENTS``: ``main.py`` that kills itself at the NTH pass of a point.

The product has no switch for this: the launcher wraps the ports from outside and then starts the program.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from src.api.client import KalshiClient
from src.api.gateway import KalshiGateway
from src.core.actions import FillApplied, OrderChanged
from src.database import statements
from src.database.store import PostgresStore
from src.runtime import cli, staged_stop
from src.runtime.writer import StoreWriter

# Name -> (class or module, function, when): "before" the call, "after" it, or a function of its arguments
# that says so.
INSIDE_COMMIT = "inside the journal's commit"
When = str | Callable[..., bool]
POINTS: dict[str, tuple[type | ModuleType, str, When]] = {
    "before the intent is committed": (PostgresStore, "put_intent", "before"),
    "after the commit, before sending": (PostgresStore, "put_intent", "after"),
    "after sending, before the answer": (KalshiClient, "create_order", "after"),
    "after the answer, before the journal": (
        StoreWriter,
        "put",
        lambda writer, records: any(isinstance(each, OrderChanged) and each.order_id for each in records),
    ),
    "between fill and ledger write": (
        StoreWriter,
        "put",
        lambda writer, records: any(isinstance(each, FillApplied) for each in records),
    ),
    "after the journal's commit": (PostgresStore, "append", "after"),
    "while the stored state is read": (PostgresStore, "load", "after"),
    "during the start's reconciliation": (KalshiGateway, "report", "after"),
    "during the stop": (staged_stop, "_stage", "after"),
}


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def plant(point: str, nth: int) -> None:
    """Make the process die at the ``nth`` pass of ``point``."""
    owner, name, when = POINTS[point]
    original = getattr(owner, name)
    passes = 0

    def count() -> None:
        nonlocal passes
        passes += 1
        if passes >= nth:
            _die()

    if callable(when):

        @functools.wraps(original)
        def judged(*args: Any) -> Any:
            if when(*args):
                count()
            return original(*args)

        setattr(owner, name, judged)
        return

    @functools.wraps(original)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            count()
        result = await original(*args, **kwargs)
        if when == "after":
            count()
        return result

    setattr(owner, name, wrapped)


def plant_inside_commit(nth: int) -> None:
    """Die after a statement of the ``nth`` transaction of the journal, before its COMMIT."""
    original = asyncpg.Connection.executemany
    passes = 0

    async def executemany(self: Any, command: str, args: Any, **kwargs: Any) -> None:
        nonlocal passes
        await original(self, command, args, **kwargs)
        passes += command == statements.JOURNAL.sql
        if passes >= nth:
            _die()

    asyncpg.Connection.executemany = executemany


if __name__ == "__main__":
    wanted, number = sys.argv[1], int(sys.argv[2])
    if wanted == INSIDE_COMMIT:
        plant_inside_commit(number)
    else:
        plant(wanted, number)
    sys.argv = ["main.py", *sys.argv[3:]]
    cli.main()
