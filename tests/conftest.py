"""Rules every test obeys: only this machine is spoken to, and no task outlives its test."""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Examples take as long as the machine is busy, so time is no criterion. In CI the examples are the same
# in every run: a red build must mean a change.
settings.register_profile(
    "project",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")


class OutsideNetworkError(RuntimeError):
    """A test tried to reach another machine."""


def _refuse_outside(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or name in {"", "localhost"}:
        return
    try:
        local = ipaddress.ip_address(str(name)).is_loopback or str(name) in {"0.0.0.0", "::"}
    except ValueError:
        local = False
    if not local:
        raise OutsideNetworkError(f"a test tried to reach {name!r}; tests speak to this machine only")


@pytest.fixture(scope="session", autouse=True)
def only_this_machine() -> Iterator[None]:
    """Name lookups and connections that lead elsewhere fail, whatever library makes them."""
    patch = pytest.MonkeyPatch()
    look_up, connect, connect_ex = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex

    def guarded_look_up(host: object, *args: Any, **kwargs: Any) -> Any:
        _refuse_outside(host)
        return look_up(host, *args, **kwargs)  # type: ignore[arg-type]

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            _refuse_outside(address[0])
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            _refuse_outside(address[0])
        return connect_ex(self, address)

    patch.setattr(socket, "getaddrinfo", guarded_look_up)
    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    yield
    patch.undo()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every asynchronous test gets ``no_leaked_task``, first, so that it looks after all other fixtures."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.fixturenames.insert(0, "no_leaked_task")


@pytest.fixture
async def no_leaked_task() -> AsyncIterator[None]:
    """Fail a test whose tasks are still there when its fixtures are gone."""
    yield
    own = asyncio.current_task()
    leaked: set[asyncio.Task[Any]] = set()
    for _ in range(20):
        # A cancelled task needs a turn of the loop to end.
        leaked = {task for task in asyncio.all_tasks() if task is not own}
        if not leaked:
            return
        await asyncio.sleep(0)
    names = ", ".join(sorted(f"{task.get_name()} ({task.get_coro()!r})" for task in leaked))
    pytest.fail(f"tasks outlive their test: {names}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which seed caught which planted bug (also in CI, where only the summary is read)."""
    lines = [
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == "mutant"
    ]
    if lines:
        terminalreporter.section("planted bugs")
        for line in sorted(lines):
            terminalreporter.write_line(line)
