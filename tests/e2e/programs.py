"""The program as a stranger starts it: real processes, their output, their exit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "main.py"
DATA = ROOT.parent / "shared" / "data"
# Nothing of the machine's own settings reaches the program.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
# Generous: on a machine that does much else a start alone may take half a minute.
LIMIT = 90.0
T = TypeVar("T")


def until(condition: Callable[[], T | None], what: str, limit: float = LIMIT) -> T:
    """The first truthy answer of ``condition``. The only place where these tests wait for a process."""
    deadline = time.monotonic() + limit
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {limit:g} s")
        time.sleep(0.02)


class Program:
    """``python SCRIPT ARGUMENTS`` in a folder of its own, with an environment of its own."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        script: Path = MAIN,
    ) -> None:
        name = f"{arguments[0]}-{time.monotonic_ns()}"
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(script), *arguments],
                cwd=folder,
                env=inherited | dict(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        """Standard output so far."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """Standard error so far."""
        return self._err.read_text()

    @property
    def log(self) -> list[dict[str, Any]]:
        """The complete JSON lines of standard error."""
        whole = self.err.rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in whole if line.startswith("{")]

    def wait(self, limit: float = LIMIT) -> int:
        """The exit code."""
        return self.process.wait(limit)

    def stop(self, number: signal.Signals = signal.SIGTERM, limit: float = LIMIT) -> int:
        """Send a signal and wait for the exit code (minus the signal's number if it was not handled)."""
        self.process.send_signal(number)
        return self.wait(limit)

    def until(self, condition: Callable[[], T | None], what: str, limit: float = LIMIT) -> T:
        """Like the function, but an early end of the program fails at once, with its words."""

        def checked() -> T | None:
            answer = condition()
            if not answer and self.process.poll() is not None:
                raise AssertionError(f"{what}: ended with {self.process.returncode}")
            return answer

        try:
            return until(checked, what, limit)
        except AssertionError as error:
            raise AssertionError(f"{error}; its last words: {self.err[-2000:]}") from None

    def until_logged(self, event: str) -> dict[str, Any]:
        """The first log line of an event."""
        return self.until(
            lambda: next((line for line in self.log if line.get("event") == event), None), f"log of {event}"
        )

    def metrics_url(self) -> str:
        """Where ``run`` serves its health and metrics (it takes a free port in these tests)."""
        return f"http://127.0.0.1:{self.until_logged('running')['metrics_port']}"

    def healthy(self) -> dict[str, Any]:
        """The body of ``/healthz``, once it says that all is well."""
        url = self.metrics_url()

        def asked() -> dict[str, Any] | None:
            answer = httpx.get(f"{url}/healthz", trust_env=False)
            body: dict[str, Any] = answer.json()
            return body if answer.status_code == 200 and body["state"] == "active" else None

        return self.until(asked, "healthy and active")
