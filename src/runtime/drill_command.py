"""``drill``: the fault catalogue on the user's own configuration, as a table."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from src.core.errors import ConfigError, TradingSystemError
from src.database import migrate
from src.database.embedded import EmbeddedPostgres
from src.execution.limits import RiskLimits
from src.runtime.assemble import risk_limits
from src.runtime.drill_bench import Bench
from src.runtime.drill_catalogue import DRILLS, Drill
from src.runtime.drill_judge import judge
from src.runtime.settings import Settings

_AT_ONCE = 3
_CONTROL_DRILLS = "src.execution.drills"
_LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What one drill came to."""

    area: str
    fault: str
    passed: bool
    happened: str
    seconds: float


async def drill_command(settings: Settings, root: Path, console: Console, only: str, *, as_json: bool) -> int:
    """Run the drills whose area or fault contains ``only``; exit code 1 when one fails.

    Everything happens on this machine: a simulated exchange for each fault, and a database schema of its own.
    """
    drills = [drill for drill in DRILLS if _wanted(only, drill.area, drill.fault)]
    controls = [
        each for each in drill_controls(risk_limits(settings)) if _wanted(only, each.area, each.fault)
    ]
    if not drills and not controls:
        areas = ", ".join(dict.fromkeys(drill.area for drill in DRILLS))
        raise ConfigError(f"--only: no drill contains {only!r}; areas are {areas}")
    started = time.monotonic()
    progress = Progress(
        TextColumn("drill"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=as_json,
    )
    with progress:
        task = progress.add_task("", total=len(drills))

        def done(result: DrillResult) -> None:
            verdict = "" if result.passed else "[red]FAILED[/red] "
            progress.update(task, advance=1, description=f"{verdict}{result.fault}")

        results = [*controls, *(await run_drills(settings, root, drills, done))]
    failed = sum(1 for result in results if not result.passed)
    took = time.monotonic() - started
    if as_json:
        body = {"drills": len(results), "failed": failed, "seconds": round(took, 1)}
        print(json.dumps({**body, "results": [asdict(result) for result in results]}))
    else:
        console.print(_table(results))
        verdict = "all passed" if not failed else f"{failed} FAILED"
        console.print(
            f"{len(results)} drills in {took:.0f} s: {verdict}. After each fault, ledger and exchange "
            "agreed to the last centicent, no order was there twice, and nothing was entered while stopped.",
            highlight=False,
        )
    return 1 if failed else 0


def _wanted(only: str, area: str, fault: str) -> bool:
    return only.lower() in f"{area}: {fault}".lower()


def drill_controls(limits: RiskLimits) -> list[DrillResult]:
    """Each risk control against a violation of the user's limits, where the engine brings such drills."""
    if importlib.util.find_spec(_CONTROL_DRILLS) is None:
        return []
    results = []
    for drilled in importlib.import_module(_CONTROL_DRILLS).run_drills(limits):
        happened = drilled.problem or "refused what violates it"
        results.append(DrillResult("controls", drilled.control, not drilled.problem, happened, 0.0))
    return results


async def run_drills(
    settings: Settings, root: Path, drills: Sequence[Drill], done: Callable[[DrillResult], None]
) -> list[DrillResult]:
    """Run drills, a few at a time, and return their results in the order given."""
    limits = risk_limits(settings)
    url, embedded = settings.database_url, None
    if url is None:
        embedded = EmbeddedPostgres(root / settings.database.embedded_dir)
        url = await embedded.start()
    lanes: asyncio.Queue[str] = asyncio.Queue()
    for lane in range(min(_AT_ONCE, len(drills))):
        lanes.put_nowait(f"drill_{lane}")
    with tempfile.TemporaryDirectory(prefix="kats-drill-") as folder:

        async def one(number: int, drill: Drill) -> DrillResult:
            schema = await lanes.get()
            try:
                result = await _run(drill, limits, url, schema, Path(folder), number)
            finally:
                lanes.put_nowait(schema)
            done(result)
            return result

        try:
            return list(await asyncio.gather(*(one(number, drill) for number, drill in enumerate(drills))))
        finally:
            while not lanes.empty():
                await migrate.drop(url, lanes.get_nowait())
            if embedded is not None:
                await embedded.stop()


async def _run(
    drill: Drill, limits: RiskLimits, url: str, schema: str, folder: Path, seed: int
) -> DrillResult:
    began = time.monotonic()
    await migrate.upgrade(url, schema)
    await migrate.empty(url, schema)
    bench = Bench(limits, url, schema, folder, seed)
    try:
        async with asyncio.timeout(_LONGEST_S):
            await bench.open()
            happened = await drill.play(bench)
            await judge(bench)
        passed = True
    except TimeoutError:
        passed, happened = False, f"not over within {_LONGEST_S:g} s"
    except TradingSystemError as error:
        passed, happened = False, str(error)
    finally:
        await bench.close()
    return DrillResult(drill.area, drill.fault, passed, happened, round(time.monotonic() - began, 1))


def _table(results: Sequence[DrillResult]) -> Table:
    table = Table(title="fault drills")
    table.add_column("fault", no_wrap=True)
    table.add_column("what happened", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    area = ""
    for result in results:
        if result.area != area:
            area = result.area
            table.add_section()
            table.add_row(Text(area, "bold"), "", "", "")
        verdict = Text("passed", "green") if result.passed else Text("FAILED", "bold red")
        table.add_row(Text(result.fault), Text(result.happened), verdict, f"{result.seconds:.1f}")
    return table
