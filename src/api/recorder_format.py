"""The files of a recording: gzip streams of length-prefixed records.

A record is one head line ``<ts> <length> <kind>`` (``ts`` in nanoseconds UTC, ``length`` in bytes), the
payload exactly as it arrived, and a line feed. The writer flushes the compressor regularly, so a file that
ends in the middle (crash, power cut) is readable up to its last flush.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from src.core.errors import WireError
from src.core.units import Nanos

SUFFIX = ".rec.gz"
FORMAT = 1
_GZIP = 31  # zlib's window bits for a gzip stream
_READ_BYTES = 1 << 20
_COMPRESS_BYTES = 1 << 16
_MAX_HEAD_BYTES = 16_384


class Record(NamedTuple):
    """One recorded message: its kind, its bytes, and when it arrived."""

    kind: str
    payload: bytes
    ts: Nanos


class RecordFile:
    """One file being written. Not thread-safe: it belongs to the writing thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self.first_ts: Nanos | None = None
        self.last_ts: Nanos = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self._file = path.open("xb")
        self._compressor = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        self._buffer = bytearray()

    def write(self, record: Record) -> None:
        """Append a record. Raises ``OSError``."""
        self._buffer += b"%d %d %s\n" % (record.ts, len(record.payload), record.kind.encode())
        self._buffer += record.payload
        self._buffer += b"\n"
        self.counts[record.kind.partition(" ")[0]] += 1
        self.bytes_in += len(record.payload)
        if self.first_ts is None:
            self.first_ts = record.ts
        self.last_ts = record.ts
        if len(self._buffer) >= _COMPRESS_BYTES:
            self._out(self._compress())

    def flush(self) -> None:
        """Hand everything so far to the operating system in a form that can be read back."""
        self._out(self._compress() + self._compressor.flush(zlib.Z_SYNC_FLUSH))
        self._file.flush()

    def close(self) -> None:
        """Finish the stream and put it on the disk."""
        try:
            self._out(self._compress() + self._compressor.flush(zlib.Z_FINISH))
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Let the file go as it is, after an error."""
        self._file.raw.close()

    def summary(self) -> dict[str, Any]:
        """The file's line in the manifest."""
        return {
            "name": self.path.name,
            "complete": True,
            "records": dict(sorted(self.counts.items())),
            "first_ts": self.first_ts,
            "last_ts": self.last_ts,
            "payload_bytes": self.bytes_in,
            "file_bytes": self.bytes_out,
        }

    def _compress(self) -> bytes:
        data = self._compressor.compress(self._buffer)
        self._buffer.clear()
        return data

    def _out(self, data: bytes) -> None:
        self._file.write(data)
        self.bytes_out += len(data)


def recording_files(folder: Path) -> list[Path]:
    """The files of a recording in the order they were written."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_records(path: Path) -> Iterator[Record]:
    """The records of a file, of a damaged end as far as it is readable.

    Raises ``WireError`` for a file that is no recording, ``OSError`` for one that cannot be read.
    """
    buffer = bytearray()
    at = 0
    for chunk in _plain(path):
        del buffer[:at]
        at = 0
        buffer += chunk
        while (head_end := buffer.find(b"\n", at)) >= 0:
            ts, length, kind = _head(bytes(buffer[at:head_end]), path)
            end = head_end + 1 + length
            if len(buffer) <= end:
                break
            yield Record(kind, bytes(buffer[head_end + 1 : end]), ts)
            at = end + 1
        if head_end < 0 and len(buffer) - at > _MAX_HEAD_BYTES:
            raise WireError(path.name, bytes(buffer[at : at + 40]), "a record's head line")


def _plain(path: Path) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(_GZIP)
    with path.open("rb") as file:
        is_first = True
        while data := file.read(_READ_BYTES):
            try:
                yield decompressor.decompress(data)
            except zlib.error as error:
                if is_first:
                    raise WireError(path.name, str(error), "a recording (gzip)") from None
                return  # a damaged end: what came before it stands
            is_first = False


def _head(line: bytes, path: Path) -> tuple[Nanos, int, str]:
    ts, _, rest = line.decode("utf-8", "replace").partition(" ")
    length, _, kind = rest.partition(" ")
    if not (ts.isdecimal() and length.isdecimal() and kind):
        raise WireError(path.name, line[:80], "a record's head line: <ts> <length> <kind>")
    return int(ts), int(length), kind
