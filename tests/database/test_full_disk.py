"""A full volume under a real PostgreSQL server: writes fail cleanly, what was committed is there after."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.core.actions import Noted, StateChanged, TradingState
from src.core.errors import ConfigError
from src.database.durable import DurableStore
from src.database.embedded import EmbeddedPostgres
from src.database.errors import DatabaseUnavailable
from src.database.fallback import FallbackFile
from src.database.store import PostgresStore

HALT = StateChanged(TradingState.HALTED, "store", "the disk is full", None, 9)


@pytest.fixture
def volume() -> Iterator[Path]:
    """A file system of its own with room for a small server and little more."""
    folder = Path(tempfile.mkdtemp(prefix="kalshi-full-"))
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        shutil.rmtree(folder)
        pytest.skip("this machine does not let us mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    shutil.rmtree(folder)


async def _write_until_it_fails(store: DurableStore) -> int:
    """How many batches were committed before the volume was full."""
    for number in range(10_000):
        try:
            await store.append([Noted("flood", {"text": "x" * 2_000, "n": number}, n) for n in range(500)])
        except DatabaseUnavailable:
            return number
    raise AssertionError("the volume never filled")


async def test_a_full_volume_fails_cleanly_and_loses_nothing_committed(volume: Path) -> None:
    """The journal's write is an outage, not a crash of ours; HALTED goes into the reserve; with room again
    the server (killed by its own panic or not) has every committed batch, takes the halt, and writes on."""
    server = EmbeddedPostgres(volume / "postgres")
    primary = await PostgresStore.open(await server.start(), "live")
    fallback = FallbackFile(volume / "fallback", "live", await primary.lock("trader"))
    store = DurableStore(primary, fallback, server.revive)
    ballast = volume / "ballast"
    free = shutil.disk_usage(volume).free
    ballast.write_bytes(bytes(max(0, free - 24 * 1024 * 1024)))
    written = await _write_until_it_fails(store)
    with pytest.raises(OSError, match="No space"):
        (volume / "flood.log").write_bytes(bytes(200 * 1024 * 1024))
    store.hold_state(HALT)
    ballast.unlink()
    (volume / "flood.log").unlink()
    for attempt in range(5):
        try:
            await store.append([Noted("after", {}, 10)])
            break
        except (DatabaseUnavailable, ConfigError):
            assert attempt < 4
    state = await primary.load()
    assert (state.state, state.state_who) == (TradingState.HALTED, "store")
    entries = await primary.journal(limit=1_000_000)
    assert sum(entry.record.kind == "flood" for entry in entries if isinstance(entry.record, Noted)) == (
        written * 500
    )
    await primary.close()
    fallback.close()
    await server.stop()
