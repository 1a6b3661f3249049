"""Who writes: how an instance that runs is seen from outside, and how one that fell silent is replaced.

PostgreSQL frees the advisory lock of a process that died or lost its connection. A process that is frozen
keeps its connections, and so its lock: what gives it away is the heartbeat that it stops renewing. Its
connections are then ended from outside. Whatever it still does when it wakes up meets the fence.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from src.database.statements import FENCE, HEARTBEAT

# PostgreSQL shows a lock of one 64-bit key as its two halves, with objsubid 1.
_LOCK = (
    "locktype = 'advisory' AND objsubid = 1 "
    "AND (classid::bigint << 32 | objid::bigint) = hashtextextended(:lock, 0)"
)
_LOOK = text(
    f"""
SELECT (SELECT count(*) FROM pg_locks WHERE {_LOCK} AND granted) AS holders,
       (SELECT count(*) FROM pg_locks WHERE {_LOCK} AND NOT granted) AS waiting,
       (SELECT value FROM control_state WHERE key = '{FENCE}') AS fence,
       (SELECT who FROM control_state WHERE key = '{HEARTBEAT}') AS who,
       (SELECT extract(epoch FROM clock_timestamp()) - updated_ns / 1e9
        FROM control_state WHERE key = '{HEARTBEAT}')::float8 AS silent_s
"""
)
# The holder of the lock, and what it left open in the middle of a transaction: that may hold the fence's row.
_DISPLACE = text(
    f"""
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE pid IN (SELECT pid FROM pg_locks WHERE {_LOCK} AND granted)
   OR (application_name = :application AND state LIKE 'idle in transaction%'
       AND state_change < clock_timestamp() - make_interval(secs => :after))
"""
)


@dataclass(frozen=True, slots=True)
class Leadership:
    """Who writes now. ``silent_s``: since the last heartbeat (None: there never was one)."""

    is_held: bool
    standing_by: int
    fence: int
    who: str
    silent_s: float | None


async def look(engine: AsyncEngine, lock: str) -> Leadership:
    """Who holds ``lock`` and how lively it is, by the database server's clock."""
    async with engine.connect() as connection:
        row = (await connection.execute(_LOOK, {"lock": lock})).mappings().one()
    return Leadership(
        row["holders"] > 0, row["waiting"], int(row["fence"]), row["who"] or "", row["silent_s"]
    )


async def displace(engine: AsyncEngine, lock: str, application: str, after_s: float) -> int:
    """End the connections of an instance silent for ``after_s``; returns how many there were."""
    values = {"lock": lock, "application": application, "after": after_s}
    async with engine.connect() as connection:
        return int((await connection.execute(_DISPLACE, values)).scalar_one())
