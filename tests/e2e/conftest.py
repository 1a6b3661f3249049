"""Programs that end with their test, a database server, and a standing simulated exchange."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from src.database.embedded import EmbeddedPostgres
from tests.e2e.plain_client import PlainClient
from tests.e2e.programs import MAIN, Program

Start = Callable[..., Program]

# Looser than the defaults, so that a day of world time shows dozens of orders.
LOOSE = """\
trading: {min_edge_threshold: 0.01, max_open_positions: 50, max_portfolio_heat: 0.9}
risk:
  circuit_breaker_consecutive_losses: 100
  max_24h_loss_percentage: 100
  max_drawdown_percentage: 100
  cooldown_after_loss_seconds: 0
  max_trades_per_hour: 1000
  max_trades_per_day: 1000
strategies: {weather_model: {model_weight: 1.0, thesis_margin: 0.0}}
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A working folder that other users may enter, for the database server that does not run as root."""
    path = Path(tempfile.mkdtemp(prefix="kalshi-e2e-"))
    path.chmod(0o755)
    (path / "loose.yaml").write_text(LOOSE)
    (path / "empty.yaml").write_text("")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """``start("run", ..., env={...})``; whatever still runs at the end of the test is killed."""
    programs: list[Program] = []

    def begin(*arguments: str, env: Mapping[str, str] | None = None, script: Path = MAIN) -> Program:
        programs.append(Program(folder, *arguments, env=env, script=script))
        return programs[-1]

    yield begin
    for program in programs:
        if program.process.poll() is None:
            program.process.kill()
            program.wait()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database_url() -> Any:
    """A PostgreSQL server for the run; each exchange's key names a ledger of its own in it."""
    path = Path(tempfile.mkdtemp(prefix="kalshi-e2e-pg-"))
    path.chmod(0o755)
    async with EmbeddedPostgres(path / "postgres", durable=False) as url:
        yield url
    shutil.rmtree(path)


class Venue:
    """A standing simulated exchange: its program, its ready file, and a client of our own."""

    def __init__(self, program: Program, ready_file: Path) -> None:
        self.program = program
        self.ready_file = ready_file
        program.until(ready_file.exists, "the ready file")
        self.ready: dict[str, str] = json.loads(ready_file.read_text())
        self.client = PlainClient(self.ready)

    @property
    def schema(self) -> str:
        """The ledger of this exchange's account."""
        return "simulated_" + self.ready["key_id"].replace("-", "")[:24]

    def variables(self) -> dict[str, str]:
        """What a person would export to reach it without a ready file."""
        return {
            "KALSHI_BASE_URL": self.ready["rest_url"],
            "KALSHI_API_KEY": self.ready["key_id"],
            "KALSHI_API_SECRET": self.ready["private_key_path"],
            "TRADING_ENABLED": "true",
        }


@pytest.fixture
def exchange(start: Start, folder: Path) -> Iterator[Callable[..., Venue]]:
    """``exchange("--speed", "2000")``: a simulated exchange that is ready."""
    venues: list[Venue] = []

    def stand(*arguments: str) -> Venue:
        ready = folder / f"ready-{len(venues)}.json"
        venues.append(Venue(start("simulate", "--port", "0", "--ready-file", str(ready), *arguments), ready))
        return venues[-1]

    yield stand
    for venue in venues:
        venue.client.close()


@pytest.fixture
def with_database(database_url: str) -> dict[str, str]:
    """Variables that every ``run`` of these tests gets."""
    return {"DATABASE_URL": database_url, "KATS__MONITORING__PORT": "0"}
