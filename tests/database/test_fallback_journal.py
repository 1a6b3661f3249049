"""What must not be lost while the database does not answer: the local file, and its way into the database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.core.actions import Noted, OrderStatus, StateChanged, TradingState
from src.core.errors import ConfigError, IntentTakenError, StoreUnavailableError
from src.core.signal import Purpose
from src.database import one_writer
from src.database.connection import connect
from src.database.durable import DurableStore
from src.database.errors import DatabaseUnavailable, DuplicateOrder, FallbackDamaged, FencedOut
from src.database.fallback import FallbackFile
from src.database.held import HeldBatch, HeldEntry, HeldIntent, HeldState
from src.database.store import PostgresStore
from src.execution.executor import MAX_COMMIT_TO_SEND_S
from tests.database.records import approved, changed, intent
from tests.simulation.virtual_loop import VirtualLoop

RESERVE = 64 * 1024
HALT = StateChanged(TradingState.HALTED, "owner", "no more", None, 7)
ACTIVE = StateChanged(TradingState.ACTIVE, "system", "reconciled", None, 8)
EXIT = intent("exit-1", purpose=Purpose.EXIT, reduce_only=True)
ENTRIES: list[HeldEntry] = [
    HeldIntent(3, EXIT, 0),
    HeldState(3, HALT),
    HeldBatch(3, 9, (Noted("note", {"n": 1}, 1), changed(EXIT, OrderStatus.EXECUTED, 5))),
]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[FallbackFile]:
    """An empty file of the instance with fence 3."""
    file = FallbackFile(tmp_path, "live", 3, RESERVE)
    yield file
    file.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this machine does not let us mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _again(path: Path, fence: int = 4) -> tuple[HeldEntry, ...]:
    file = FallbackFile(path, "live", fence, RESERVE)
    entries = file.entries
    os.close(file._file)
    return entries


def test_what_was_held_is_there_for_the_next_instance(held: FallbackFile, tmp_path: Path) -> None:
    for entry in ENTRIES:
        held.append(entry)
    assert _again(tmp_path) == tuple(ENTRIES)
    assert _again(tmp_path, fence=2) == (), "an older instance does not take its successor's"


def test_a_line_that_a_crash_cut_off_at_any_byte_never_counted(held: FallbackFile, tmp_path: Path) -> None:
    """Whatever part of the last line reached the disk, the lines before it are read and nothing else."""
    held.append(ENTRIES[0])
    first = held._end
    held.append(ENTRIES[1])
    path = tmp_path / "live.3.journal"
    whole = path.read_bytes()
    for length in range(first, held._end, 7):
        path.write_bytes(whole[:length] + bytes(held._end - length))
        assert _again(tmp_path) == (ENTRIES[0],)


def test_a_cleared_file_keeps_its_space_and_takes_new_entries(held: FallbackFile, tmp_path: Path) -> None:
    for entry in ENTRIES:
        held.append(entry)
    size = (tmp_path / "live.3.journal").stat().st_size
    held.clear()
    assert held.is_empty
    assert (tmp_path / "live.3.journal").stat().st_size == size
    held.append(ENTRIES[1])
    assert _again(tmp_path) == (ENTRIES[1],)


def test_an_entry_of_another_version_is_named_and_not_skipped(held: FallbackFile, tmp_path: Path) -> None:
    """A line that is whole but says what we do not understand is a matter for a person."""
    body = b'{"fence":3,"intent":{"unheard":"of"},"reserved":0}'
    (tmp_path / "live.3.journal").write_bytes(b"%08x %b\n" % (zlib.crc32(body), body))
    with pytest.raises(FallbackDamaged, match=r"live\.3\.journal, byte 0"):
        _again(tmp_path)


def test_a_halt_is_written_on_a_full_disk(small_disk: Path) -> None:
    """The space was taken at the start: when nothing else can be written, a halt still can."""
    file = FallbackFile(small_disk, "live", 3, RESERVE)
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "flood.log").write_bytes(bytes(300 * 1024))
    file.append(HeldState(3, HALT))
    assert _again(small_disk, fence=3) == (HeldState(3, HALT),)
    with pytest.raises(OSError, match="No space left"):
        file.append(HeldBatch(3, 1, tuple(Noted("flood", {"text": "x" * 1_000}, n) for n in range(200))))
    assert _again(small_disk, fence=3) == (HeldState(3, HALT),), "a failed entry holds nothing"
    with pytest.raises(ConfigError, match=r"it needs 1024 KiB .*database\.fallback_dir"):
        FallbackFile(small_disk, "paper", 1)
    file.close()


# --- the database's side -----------------------------------------------------------------------------


class Broken:
    """PostgreSQL that can be told not to answer, before or after it did what was asked."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self.fails = ""

    async def _through(self, call: object) -> None:
        if self.fails == "before":
            call.close()  # type: ignore[attr-defined]
            raise DatabaseUnavailable("gone")
        await call  # type: ignore[misc]
        if self.fails == "after":
            raise DatabaseUnavailable("the answer was lost")

    @property
    def fence(self) -> int:
        return self._store.fence

    @property
    def next_batch(self) -> int:
        return self._store.next_batch

    async def put_intent(self, order: object) -> None:
        await self._through(self._store.put_intent(order))  # type: ignore[arg-type]

    async def append(self, records: object) -> None:
        await self._through(self._store.append(records))  # type: ignore[arg-type]

    async def replay(self, entries: object) -> None:
        await self._through(self._store.replay(entries))  # type: ignore[arg-type]

    async def load(self) -> object:
        return await self._store.load()


@pytest.fixture
async def broken(store: PostgresStore) -> Broken:
    """The real store behind a switch, as the one writer."""
    await store.lock("trader")
    return Broken(store)


async def test_an_entry_is_refused_and_an_exit_is_held_while_the_database_is_down(
    broken: Broken, held: FallbackFile, store: PostgresStore
) -> None:
    """No row, no entry. The exit's intent is on the disk first, and a row after the next contact."""
    durable = DurableStore(broken, held)  # type: ignore[arg-type]
    broken.fails = "before"
    with pytest.raises(StoreUnavailableError):
        await durable.put_intent(approved("entry-1"))
    exit_order = approved("exit-1", purpose=Purpose.EXIT, reduce_only=True)
    await durable.put_intent(exit_order)
    assert held.entries == (HeldIntent(store.fence, exit_order.intent, exit_order.reserved),)
    broken.fails = ""
    await durable.append([changed(exit_order.intent, OrderStatus.EXECUTED, 5)])
    assert held.is_empty
    orders = (await store.load()).orders
    assert [(row.intent.signal_id, row.status) for row in orders] == [("exit-1", OrderStatus.EXECUTED)]
    await durable.put_intent(approved("entry-2"))
    assert len((await store.load()).orders) == 2


class Frozen:
    """PostgreSQL that takes a request and never answers."""

    fence, next_batch = 3, 1

    async def put_intent(self, order: object) -> None:
        await asyncio.get_running_loop().create_future()


def test_a_first_exit_does_not_wait_for_a_frozen_database_until_it_is_withdrawn(held: FallbackFile) -> None:
    """It is held, and may leave, well within the executor's limit; the next one is held at once."""
    loop = VirtualLoop()
    durable = DurableStore(Frozen(), held)  # type: ignore[arg-type]
    try:
        for number, limit in ((1, MAX_COMMIT_TO_SEND_S / 2), (2, MAX_COMMIT_TO_SEND_S / 2)):
            loop.run_until_complete(durable.put_intent(approved(f"exit-{number}", purpose=Purpose.EXIT)))
            assert loop.time() < limit
            assert len(held.entries) == number
    finally:
        loop.close()


async def test_a_commit_that_is_given_up_leaves_no_answer_for_the_next(
    broken: Broken, store: PostgresStore
) -> None:
    """Cancelled between request and answer, at any turn of the loop: the next order's answer is its own."""
    for turns in range(1, 12):
        given_up = asyncio.ensure_future(store.put_intent(approved(f"given up {turns}")))
        for _ in range(turns):
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        await store.put_intent(approved(f"next {turns}"))
    signals = {row.intent.signal_id for row in (await store.load()).orders}
    assert {f"next {turns}" for turns in range(1, 12)} <= signals


class HungConnection:
    """A connection to a frozen server: a cancelled command is never known to be over."""

    terminated = False

    def is_closed(self) -> bool:
        return self.terminated

    async def fetchval(self, sql: str, *arguments: object) -> object:
        return await asyncio.get_running_loop().create_future()

    def terminate(self) -> None:
        self.terminated = True


async def test_a_connection_that_was_given_up_on_is_not_used_again(store: PostgresStore) -> None:
    """asyncpg would let the next command wait, without a limit, for the end of the cancelled one."""
    hung = HungConnection()
    store._orders._connection = hung  # type: ignore[assignment]
    given_up = asyncio.ensure_future(store.put_intent(approved("given up")))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    assert hung.terminated
    await store.put_intent(approved("next"))
    assert [row.intent.signal_id for row in (await store.load()).orders] == ["next"]


async def test_an_exit_that_a_replaced_instance_sent_by_its_file_is_not_sent_again(
    broken: Broken, held: FallbackFile
) -> None:
    """Its row came in after this instance had read the store: no reason to end. An entry's would be one."""
    durable = DurableStore(broken, held)  # type: ignore[arg-type]
    await broken.replay([HeldIntent(3, EXIT, 0)])
    with pytest.raises(IntentTakenError, match="another instance"):
        await durable.put_intent(approved("exit-1", purpose=Purpose.EXIT, reduce_only=True))
    assert held.is_empty
    await durable.put_intent(approved("entry-1"))
    with pytest.raises(DuplicateOrder):
        await durable.put_intent(approved("entry-1"))


async def test_if_neither_can_be_written_there_is_no_order(broken: Broken, held: FallbackFile) -> None:
    durable = DurableStore(broken, held)  # type: ignore[arg-type]
    broken.fails = "before"
    held.append = _no_space  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailableError, match="neither database nor fallback journal"):
        await durable.put_intent(approved("exit-1", purpose=Purpose.EXIT))


def _no_space(entry: HeldEntry) -> None:
    raise OSError(28, "No space left on device")


async def test_a_batch_whose_answer_was_lost_is_kept_once(broken: Broken, store: PostgresStore) -> None:
    """The commit went through, the connection broke: the same batch brought again changes nothing."""
    batch = [Noted("note", {"n": n}, n) for n in range(3)]
    await broken.append(batch)
    replayed = PostgresStore(store._url, store._schema, store._engine, store._fence)
    await replayed.append(batch)  # a client that has not heard that number 1 is in
    assert len(await store.journal()) == 3
    await replayed.append([Noted("next", {}, 9)])
    assert len(await store.journal()) == 4
    await replayed.close()


async def test_replaying_twice_changes_nothing(store: PostgresStore) -> None:
    """A crash between the database's commit and the clearing of the file costs nothing."""
    await store.lock("trader")
    for _ in range(2):
        await store.replay(ENTRIES)
    state = await store.load()
    assert [(row.intent.signal_id, row.status) for row in state.orders] == [("exit-1", OrderStatus.EXECUTED)]
    assert (state.state, state.state_who) == (TradingState.HALTED, "owner")
    assert len(await store.journal()) == 2


async def test_only_stops_are_believed_from_the_file(store: PostgresStore) -> None:
    """A halt the database knows of is not lifted by a local file."""
    await store.lock("trader")
    await store.append([HALT])
    await store.replay([HeldState(store.fence, ACTIVE)])
    assert (await store.load()).state is TradingState.HALTED


async def test_an_instance_that_was_cut_off_and_replaced_sends_no_exit_either(
    store: PostgresStore, held: FallbackFile, server_url: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wakes up with dead connections: before an exit goes by the local file the database is asked again,
    and says that another instance has taken over."""
    monkeypatch.setattr(one_writer, "LOCK_WAIT_MS", 50)
    await store.lock("trader")
    durable = DurableStore(store, held)
    await durable.put_intent(approved("entry-1"))
    admin = await connect(server_url, schema)
    drop = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = $1 AND pid <> pg_backend_pid()"
    )
    await admin.execute(drop, f"kalshi-trading:{schema}")
    await admin.close()
    successor = await PostgresStore.open(server_url, schema)
    await successor.lock("trader")
    with pytest.raises(FencedOut):
        await durable.put_intent(approved("exit-1", purpose=Purpose.EXIT, reduce_only=True))
    assert held.is_empty
    await successor.close()


async def test_records_of_an_instance_that_was_replaced_are_not_put_over_its_successors(
    store: PostgresStore, server_url: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The successor read the exchange's records since: an older batch would undo that. Intents go in."""
    monkeypatch.setattr(one_writer, "LOCK_WAIT_MS", 50)
    await store.lock("trader")
    first = store.fence
    await store.close()
    successor = await PostgresStore.open(server_url, schema)
    await successor.lock("trader")
    await successor.append([Noted("later", {}, 50)])
    await successor.replay(
        [HeldIntent(first, EXIT, 0), HeldBatch(first, 4, (changed(EXIT, OrderStatus.CANCELED, 2),))]
    )
    assert [row.status for row in (await successor.load()).orders] == [OrderStatus.PENDING_NEW]
    assert len(await successor.journal()) == 1
    await successor.close()
