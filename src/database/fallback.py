"""The fallback journal: a small local file for what must not be lost while the database does not answer.

Every instance has a file of its own, named after its fencing number, so that one that was frozen and
replaced cannot write into its successor's. A start takes over what the files of its predecessors hold.
A file's space is taken when it is made, so that a halt can still be written on a full disk. Each line
carries a checksum and is on the disk before ``append`` returns; a line that a crash cut off never counted.
The unused rest of the file is zeros.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import msgspec

from src.core.errors import ConfigError
from src.database.errors import FallbackDamaged
from src.database.held import HeldEntry, from_json, to_json

RESERVE_BYTES = 1 << 20
_SUFFIX = ".journal"
_ZEROS = 1 << 16


class FallbackFile:
    """Implements ``durable.Fallback`` for the instance that writes ``ledger`` under ``fence``.

    ``ConfigError``: the folder cannot be written; ``FallbackDamaged``: a file there is not ours.
    """

    def __init__(self, folder: Path, ledger: str, fence: int, reserve: int = RESERVE_BYTES) -> None:
        self._path = folder / f"{ledger}.{fence}{_SUFFIX}"
        self._older: list[Path] = []
        self._inherited: list[HeldEntry] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in _predecessors(folder, ledger, fence):
                held, _ = _parse(path)
                if held:
                    self._older.append(path)
                    self._inherited += held
                else:
                    path.unlink()
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if os.fstat(self._file).st_size < reserve:
                os.posix_fallocate(self._file, 0, reserve)
                os.fsync(self._file)
            _sync_folder(folder)
            self._own, self._end = _parse(self._path)
        except OSError as error:
            raise ConfigError(
                f"fallback journal {self._path}: {error.strerror}: it needs {reserve // 1024} KiB and a "
                "folder that can be written (database.fallback_dir)"
            ) from None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self._inherited and not self._own

    @property
    def entries(self) -> tuple[HeldEntry, ...]:
        """What is held, in order."""
        return (*self._inherited, *self._own)

    def append(self, entry: HeldEntry) -> None:
        """Hold an entry; it is on the disk when this returns. Raises ``OSError``, and then holds nothing."""
        body = to_json(entry).encode()
        line = b"%08x %b\n" % (zlib.crc32(body), body)
        # The next line goes over whatever a failed one left.
        written = 0
        while written < len(line):
            written += os.pwrite(self._file, line[written:], self._end + written)
        os.fdatasync(self._file)
        self._own.append(entry)
        self._end += len(line)

    def clear(self) -> None:
        """Forget what is held: the database has it. Keeps the space. Raises ``OSError``."""
        for path in self._older:
            path.unlink(missing_ok=True)
        self._older.clear()
        self._inherited.clear()
        size = self._end
        for start in range(0, size, _ZEROS):
            os.pwrite(self._file, bytes(min(_ZEROS, size - start)), start)
        os.fdatasync(self._file)
        self._own.clear()
        self._end = 0

    def close(self) -> None:
        """Close the file; an empty one goes."""
        os.close(self._file)
        if self.is_empty:
            self._path.unlink(missing_ok=True)


def _predecessors(folder: Path, ledger: str, fence: int) -> list[Path]:
    """Files of earlier instances of the same ledger, oldest first."""
    numbered = []
    for path in folder.glob(f"{ledger}.*{_SUFFIX}"):
        number = path.name.removeprefix(f"{ledger}.").removesuffix(_SUFFIX)
        if number.isdigit() and int(number) < fence:
            numbered.append((int(number), path))
    return [path for _, path in sorted(numbered)]


def _parse(path: Path) -> tuple[list[HeldEntry], int]:
    """The entries of a file and where the next one goes."""
    used = path.read_bytes().rstrip(b"\0")
    entries: list[HeldEntry] = []
    end = 0
    while end < len(used):
        stop = used.find(b"\n", end)
        line = used[end:stop] if stop >= 0 else used[end:]
        body = line[9:]
        if stop < 0 or line[:9] != b"%08x " % zlib.crc32(body):
            break  # cut off by a crash or a full disk before it counted
        try:
            entries.append(from_json(body.decode()))
        except (ValueError, KeyError, msgspec.ValidationError) as error:
            raise FallbackDamaged(
                f"fallback journal {path}, byte {end}: written by another version ({error}): start the "
                "version that wrote it once, or move the file away and let the exchange's records tell"
            ) from None
        end = stop + 1
    return entries, end


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
