"""Raw messages, with their arrival times, to rotating compressed files.

The caller's thread only puts a message into a queue; compressing and writing happen in a thread of the
recorder's own. The queue is bounded in bytes: at the limit (a disk that cannot keep up) messages are
dropped and counted, and the file says where. The feed is never made to wait.
"""

from __future__ import annotations

import asyncio
import json
import queue
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from src.api.recorder_format import FORMAT, SUFFIX, Record, RecordFile, recording_files
from src.core.errors import ConfigError
from src.core.ports import Clock
from src.core.units import HOUR, Nanos

OnRaw: TypeAlias = Callable[[str, bytes, Nanos], None]
"""Called with (kind, payload, time of arrival) for every message."""

MANIFEST = "manifest.json"
ROTATE_BYTES = 64 * 1024 * 1024
QUEUE_BYTES = 64 * 1024 * 1024
FLUSH_S = 5.0
_RECORD_BYTES = 200  # what a queued message costs beside its payload
_NUMBER = re.compile(r"\A([0-9]{6})-")


@dataclass(frozen=True, slots=True)
class RecorderStats:
    """What has been recorded so far. ``queued_bytes`` wait to be written, ``lag`` nanoseconds behind."""

    records: int
    payload_bytes: int
    file_bytes: int
    files: int
    dropped: int
    queued_bytes: int
    lag: Nanos


class Recorder:
    """Writes ``<number>-<first time>.rec.gz`` files and ``manifest.json`` into ``folder``.

    ``about`` goes into the recording's first record (where the messages come from). A file ends after
    ``rotate_bytes`` compressed bytes or ``rotate_every`` nanoseconds of message time. An existing
    recording in the folder is continued with new files; nothing is overwritten.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        about: Mapping[str, object],
        *,
        rotate_bytes: int = ROTATE_BYTES,
        rotate_every: Nanos = HOUR,
        flush_every: float = FLUSH_S,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._about = dict(about)
        self._rotate_bytes = rotate_bytes
        self._rotate_every = rotate_every
        self._flush_every = flush_every
        self._queue_bytes = queue_bytes
        self._queue: queue.SimpleQueue[Record | threading.Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        # Each counter has one writing thread: the caller's for what is put, ours for what is written.
        self._put = self._written = 0
        self._records = self._payload_bytes = 0
        self._dropped = self._gap = 0
        self._written_ts: Nanos = 0
        self._number = 0
        self._file: RecordFile | None = None
        self._closed_bytes = 0
        self._files: list[dict[str, Any]] = []
        self._is_closing = False
        self.failure = ""
        """Why writing has stopped, once it has."""

    def start(self) -> None:
        """Begin. Raises ``ConfigError`` when the folder cannot be used."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._files = _listed(self._folder)
            self._write_manifest()
        except OSError as error:
            raise ConfigError(
                f"--out: {self._folder} cannot be written ({error.strerror}); choose another folder"
            ) from error
        numbers = [_NUMBER.match(entry["name"]) for entry in self._files]
        self._number = max((int(found[1]) for found in numbers if found), default=0)
        self._thread = threading.Thread(target=self._write_all, name="recorder", daemon=True)
        self._thread.start()
        about = json.dumps({"format": FORMAT, **self._about}, sort_keys=True)
        self.on_raw("start", about.encode(), self._clock.now())

    def on_raw(self, kind: str, payload: bytes, ts: Nanos) -> None:
        """Record a message that arrived at ``ts``. Never waits, never raises."""
        size = len(payload) + _RECORD_BYTES
        if self.failure or self._put - self._written + size > self._queue_bytes:
            self._dropped += 1
            self._gap += 1
            return
        if self._gap:
            gap, self._gap = str(self._gap).encode(), 0
            self._put += len(gap) + _RECORD_BYTES
            self._queue.put(Record("dropped", gap, ts))
        self._put += size
        self._records += 1
        self._payload_bytes += len(payload)
        self._queue.put(Record(kind, payload, ts))

    def on_body(self, kind: str, body: bytes) -> None:
        """Record a REST body that arrives now."""
        self.on_raw(kind, body, self._clock.now())

    def stats(self) -> RecorderStats:
        """Figures for a progress line."""
        waiting = self._put - self._written
        file = self._file
        return RecorderStats(
            records=self._records,
            payload_bytes=self._payload_bytes,
            file_bytes=self._closed_bytes + (file.bytes_out if file else 0),
            files=self._number,
            dropped=self._dropped,
            queued_bytes=waiting,
            lag=max(0, self._clock.now() - self._written_ts) if waiting and self._written_ts else 0,
        )

    async def flush(self) -> None:
        """Wait until everything put so far is readable on the disk."""
        done = threading.Event()
        self._queue.put(done)
        while not await asyncio.to_thread(done.wait, 1.0):
            if self._thread is None or not self._thread.is_alive():
                return

    async def aclose(self) -> None:
        """Write what is queued, finish the file and the manifest."""
        if self._thread is None:
            return
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._thread = None

    # --- the writing thread ----------------------------------------------------------------------

    def _write_all(self) -> None:
        try:
            self._write_until_closed()
        except Exception as error:
            # Nobody awaits this thread: the reason is kept where the progress line and the caller look.
            reason = error.strerror if isinstance(error, OSError) else repr(error)
            self.failure = f"{reason} while writing to {self._folder}"
            if self._file is not None:
                self._file.abandon()
            self._drain()

    def _write_until_closed(self) -> None:
        flushed_at = time.monotonic()
        while True:
            try:
                item = self._queue.get(timeout=self._flush_every)
            except queue.Empty:
                item = threading.Event()
            if isinstance(item, Record):
                self._write(item)
            if item is None:
                self._is_closing = True
                self._end_file()
                return
            is_due = time.monotonic() - flushed_at >= self._flush_every
            if isinstance(item, threading.Event) or is_due:
                if self._file is not None:
                    self._file.flush()
                flushed_at = time.monotonic()
            if isinstance(item, threading.Event):
                item.set()

    def _write(self, record: Record) -> None:
        file = self._file
        if file is not None and file.first_ts is not None:
            too_old = record.ts - file.first_ts >= self._rotate_every
            if too_old or file.bytes_out >= self._rotate_bytes:
                self._end_file()
                file = None
        if file is None:
            file = self._file = self._next_file(record.ts)
        file.write(record)
        self._written += len(record.payload) + _RECORD_BYTES
        self._written_ts = record.ts

    def _next_file(self, ts: Nanos) -> RecordFile:
        self._number += 1
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(ts // 1_000_000_000))
        return RecordFile(self._folder / f"{self._number:06d}-{stamp}{SUFFIX}")

    def _end_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
            self._closed_bytes += file.bytes_out
            self._files.append(file.summary())
        self._write_manifest()

    def _write_manifest(self) -> None:
        content = {"format": FORMAT, "about": self._about, "dropped": self._dropped, "files": self._files}
        partial = self._folder / f"{MANIFEST}.partial"
        partial.write_text(json.dumps(content, indent=1) + "\n")
        partial.replace(self._folder / MANIFEST)

    def _drain(self) -> None:
        """After a failure: let those who wait go on, and let memory go."""
        while not self._is_closing and (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()


def _listed(folder: Path) -> list[dict[str, Any]]:
    """The manifest's files, and those an interrupted run left without an entry."""
    entries: list[dict[str, Any]] = []
    manifest = folder / MANIFEST
    if manifest.exists():
        try:
            entries = [dict(entry) for entry in json.loads(manifest.read_text())["files"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"--out: {manifest} is not a recording's manifest; choose another folder"
            ) from error
    known = {entry.get("name") for entry in entries}
    found = [path.name for path in recording_files(folder)]
    lost = [{"name": name, "complete": False} for name in found if name not in known]
    return sorted([*entries, *lost], key=lambda entry: str(entry.get("name")))
