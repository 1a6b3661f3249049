"""The messages of a file: our recorder's, or lines of JSON that somebody else recorded.

A line is one WebSocket frame, or ``{"recv_ms": <ms UTC>, "event": <frame>}``. Compressed (gzip) or not.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, NamedTuple, TypeAlias

import msgspec

from src.api.decoding import UNREADABLE
from src.api.recorder_format import Record, read_records
from src.api.recorder_tape import FRAME
from src.core.errors import ConfigError, WireError
from src.core.units import Nanos

_GZIP_MAGIC = b"\x1f\x8b"
MICROSECOND: Nanos = 1_000
_is_head_line = re.compile(rb"[0-9]+ [0-9]+ [a-z-]+").match


_Milliseconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e15)]


class Stream(NamedTuple):
    """The records of one file, and whether our own recorder wrote them."""

    is_recording: bool
    records: Iterator[Record]


class _Line(msgspec.Struct):
    """A line with the frame inside. A bare frame has none of these fields."""

    event: msgspec.Raw = msgspec.Raw()
    recv_ms: _Milliseconds | None = None


def open_stream(path: Path) -> Stream:
    """The messages of ``path``; those of lines have the kind ``ws``, and time 0 when the line gives none.

    Raises ``ConfigError`` for a file that cannot be read or is empty, and, while its messages are taken, for
    a line that is not JSON, naming its number.
    """
    try:
        with _plain(path) as file:
            first = file.readline(200)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from None
    if not first:
        raise ConfigError(f"{path}: the file is empty; there is nothing to replay")
    if _is_head_line(first):
        return Stream(True, _recorded(path))
    return Stream(False, _lines(path))


def _plain(path: Path) -> gzip.GzipFile | BinaryIO:
    with path.open("rb") as file:
        is_compressed = file.read(2) == _GZIP_MAGIC
    return gzip.open(path, "rb") if is_compressed else path.open("rb")


def _unreadable(path: Path, error: Exception) -> ConfigError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ConfigError(f"{path}: cannot be read ({reason}); give a recording or lines of JSON")


def _recorded(path: Path) -> Iterator[Record]:
    try:
        yield from read_records(path)
    except (OSError, WireError) as error:
        raise _unreadable(path, error) from None


def _lines(path: Path) -> Iterator[Record]:
    count = 0
    try:
        with _plain(path) as file:
            for number, line in enumerate(file, 1):
                text = line.strip()
                if text:
                    count += 1
                    yield _record(text, number, path)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from None
    if not count:
        raise ConfigError(f"{path}: the file holds only empty lines; there is nothing to replay")


def _record(text: bytes, number: int, path: Path) -> Record:
    try:
        line = _line(text)
    except UNREADABLE as error:
        raise ConfigError(
            f"{path}: line {number} is not JSON ({error}); every line must be one WebSocket frame, or "
            '{"recv_ms": ..., "event": frame}'
        ) from None
    frame = bytes(line.event) or text
    if frame.startswith(b'"'):
        frame = msgspec.json.decode(frame, type=str).encode()  # the frame as it came, within quotes
    # A float holds the microseconds of today exactly, but not the nanoseconds.
    return Record(FRAME, frame, 0 if line.recv_ms is None else round(line.recv_ms * 1_000) * MICROSECOND)


def _line(text: bytes) -> _Line:
    try:
        return msgspec.json.decode(text, type=_Line)
    except msgspec.ValidationError:
        # JSON of another form is a message for the frames' parser, which says what is wrong with it.
        msgspec.json.decode(text)
        return _Line()
