"""The recorder: nothing lost, files that rotate and can be read after a crash, a feed never blocked."""

from __future__ import annotations

import errno
import json
import threading

import pytest

from src.api.recorder import MANIFEST
from src.api.recorder_format import Record, RecordFile, read_records, recording_files
from src.core.errors import ConfigError, WireError
from src.core.units import HOUR


def payloads(folder) -> list[bytes]:
    return [r.payload for path in recording_files(folder) for r in read_records(path) if r.kind == "ws"]


async def test_bytes_come_back_exactly_with_kind_and_arrival(make_recorder, tmp_path):
    """Payloads may hold line feeds, other alphabets, nothing at all, or look like a head line."""
    recorder = make_recorder()
    odd = [
        b'{"a":1}',
        b"",
        b"line\nfeed\n",
        "50° to 51°".encode(),
        b"5 5 ws\nxxxxx\n",
        bytes(range(256)) * 500,
    ]
    for number, payload in enumerate(odd):
        recorder.on_raw("rest 200 GET /a?b=c d", payload, 1_000 + number)
    await recorder.aclose()
    [path] = recording_files(tmp_path / "recording")
    records = list(read_records(path))[1:]
    assert records == [Record("rest 200 GET /a?b=c d", odd[n], 1_000 + n) for n in range(len(odd))]


async def test_files_rotate_by_size_and_by_time(make_recorder, tmp_path):
    """A new file begins when the old one is large enough, or its first message old enough."""
    recorder = make_recorder(rotate_every=HOUR)
    for hour in range(3):
        recorder.on_raw("ws", b"x", recorder._clock.now() + hour * HOUR)
    await recorder.aclose()
    assert len(recording_files(tmp_path / "recording")) == 3
    small = make_recorder(folder=tmp_path / "small", rotate_bytes=1)
    for _ in range(3):
        small.on_raw("ws", b"y" * 70_000, small._clock.now())
    await small.aclose()
    assert len(recording_files(tmp_path / "small")) >= 3
    assert payloads(tmp_path / "small") == [b"y" * 70_000] * 3


async def test_manifest_counts_and_time_ranges(make_recorder, tmp_path):
    """The manifest names every file with its counts by kind and its first and last time."""
    recorder = make_recorder()
    recorder.on_raw("ws", b"abc", 10**18 * 2)
    recorder.on_raw("rest 200 GET /x", b"{}", 10**18 * 2 + 5)
    await recorder.aclose()
    manifest = json.loads((tmp_path / "recording" / MANIFEST).read_text())
    files = dict(enumerate(manifest["files"]))
    assert [entry["records"] for entry in files.values()] == [{"start": 1}, {"rest": 1, "ws": 1}]
    assert (files[1]["first_ts"], files[1]["last_ts"]) == (10**18 * 2, 10**18 * 2 + 5)
    path = tmp_path / "recording" / files[1]["name"]
    assert files[1]["file_bytes"] == path.stat().st_size
    assert files[1]["complete"] is True
    assert manifest["dropped"] == 0


async def test_a_crash_leaves_a_readable_prefix(make_recorder, tmp_path):
    """Everything up to the last flush is readable while the file is unfinished; a cut end is left out."""
    recorder = make_recorder()
    for number in range(500):
        recorder.on_raw("ws", b'{"n":%d}' % number, recorder._clock.now())
    await recorder.flush()
    [path] = recording_files(tmp_path / "recording")
    as_after_kill = path.read_bytes()
    await recorder.aclose()
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    (crashed / path.name).write_bytes(as_after_kill)
    assert payloads(crashed) == [b'{"n":%d}' % number for number in range(500)]
    (crashed / path.name).write_bytes(as_after_kill[: len(as_after_kill) * 2 // 3])
    kept = payloads(crashed)
    assert kept == [b'{"n":%d}' % number for number in range(len(kept))]
    assert 0 < len(kept) < 500


async def test_a_recording_is_continued_not_overwritten(make_recorder, tmp_path):
    """A second run in the same folder adds files; one that a crash left is named as incomplete."""
    folder = tmp_path / "recording"
    folder.mkdir()
    lost = RecordFile(folder / "000007-20261122T000000Z.rec.gz")
    lost.write(Record("start", b'{"format":1}', 5))
    lost.flush()
    recorder = make_recorder()
    await recorder.aclose()
    names = [path.name[:6] for path in recording_files(folder)]
    assert names == ["000007", "000008"]
    manifest = json.loads((folder / MANIFEST).read_text())
    assert [entry["complete"] for entry in manifest["files"]] == [False, True]
    lost.close()


async def test_at_the_limit_messages_are_dropped_and_counted(make_recorder, tmp_path, monkeypatch):
    """A disk that stands still costs messages, never the feed's time; the gap is marked in the file."""
    may_write = threading.Event()
    write = RecordFile.write

    def slow(self: RecordFile, record: Record) -> None:
        assert may_write.wait(30)
        write(self, record)

    monkeypatch.setattr(RecordFile, "write", slow)
    recorder = make_recorder(queue_bytes=10_000)
    for number in range(100):
        recorder.on_raw("ws", b"x" * 800, number + 1)
    stats = recorder.stats()
    assert 0 < stats.queued_bytes <= 10_000
    assert stats.dropped > 80
    may_write.set()
    await recorder.flush()
    recorder.on_raw("ws", b"again", 200)
    await recorder.aclose()
    records = [r for path in recording_files(tmp_path / "recording") for r in read_records(path)]
    assert [r.payload for r in records if r.kind == "dropped"] == [str(stats.dropped).encode()]
    assert records[-1].payload == b"again"


async def test_a_full_disk_is_said_and_stops_recording(make_recorder, monkeypatch):
    """The reason is kept, what comes after is counted as dropped, and closing does not hang."""

    def full(self: RecordFile, record: Record) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RecordFile, "write", full)
    recorder = make_recorder()
    await recorder.flush()
    recorder.on_raw("ws", b"x", 1)
    assert "No space left on device" in recorder.failure
    assert recorder.stats().dropped == 1
    await recorder.aclose()


async def test_a_folder_that_cannot_be_used_is_named(make_recorder, tmp_path):
    """A file in the way, or a manifest of something else, is a clear error."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match=r"--out: .*file"):
        make_recorder(folder=tmp_path / "file" / "below")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MANIFEST).write_text('{"tables": {}}')
    with pytest.raises(ConfigError, match="not a recording's manifest"):
        make_recorder(folder=tmp_path / "other")


def test_a_file_that_is_no_recording_is_named(tmp_path):
    """Neither another gzip nor plain text is taken for a recording."""
    path = tmp_path / "x.rec.gz"
    path.write_bytes(b"hello")
    with pytest.raises(WireError, match=r"x\.rec\.gz"):
        list(read_records(path))
