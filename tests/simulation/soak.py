"""Run many worlds on all cores: ``python -m tests.simulation.soak --worlds 20000``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import structlog
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tests.simulation.caught_by import first_catch
from tests.simulation.mutants import MUTANTS
from tests.simulation.world import Result, run_world

# What a world does to the program; the rest of what is counted is what came of it.
FAULTS = frozenset(
    {
        "429 on an order",
        "5xx, order accepted",
        "5xx, order not accepted",
        "account frame lost",
        "book frame lost",
        "cash moved by the owner",
        "connection lost",
        "determined again",
        "exchange paused",
        "market closed early",
        "order amended by hand",
        "order ended by the venue after its acknowledgement",
        "refused after its acknowledgement",
        "report failed",
        "request late",
        "request lost",
        "response lost",
        "second instance took over",
        "settled no",
        "settled scalar",
        "settled void",
        "settled yes",
        "start while the store is away",
        "store away",
        "store failed after commit",
        "store failed before commit",
        "store slow",
    }
)
REGRESSIONS = Path(__file__).with_name("regressions.txt")


def quiet() -> None:
    """The program's own log lines are not wanted here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def regressions() -> list[int]:
    """Seeds that once found a bug."""
    lines = REGRESSIONS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]


def remember(result: Result) -> None:
    """Keep a failing seed for ever."""
    if result.seed not in regressions():
        with REGRESSIONS.open("a") as file:
            file.write(f"{result.seed} {result.violations[0][:140]}\n")


def _catch(name: str) -> tuple[str, int | None]:
    return name, first_catch(name)


def _columns() -> tuple[ProgressColumn | str, ...]:
    return (
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


def _report(seen: Counter[str], worlds: int, failed: int, seconds: float, jobs: int) -> None:
    """Worlds, crashes, faults by kind, violations, speed; then everything else that happened."""
    crashes = sum(times for what, times in seen.items() if what.startswith("crash at "))
    injected = {what: times for what, times in seen.items() if what in FAULTS or what.startswith("crash at ")}
    print("faults injected, by kind:")
    for what, times in sorted(injected.items(), key=lambda item: -item[1]):
        print(f"{times:10,d}  {what}")
    print("what else happened:")
    for what, times in sorted(seen.items()):
        if what not in injected:
            print(f"{times:10,d}  {what}")
    print(f"worlds run        {worlds:,d} in {seconds:.0f} s ({worlds / seconds:.1f}/s in {jobs} processes)")
    print(f"crashes           {crashes:,d}")
    print(f"faults injected   {sum(injected.values()):,d} of {len(injected)} kinds")
    print(f"violations        {failed:,d}")


def main() -> int:
    """Run the worlds, then the planted bugs; print every failing seed with its trace, and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=2_000, help="how many seeds (default 2000)")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes at once (default: one for each core)"
    )
    parser.add_argument("--trace", action="store_true", help="only print the end of each world's trace")
    options = parser.parse_args()
    for name in ("worlds", "jobs"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    seeds = range(options.first, options.first + options.worlds)
    if options.trace:
        quiet()
        for seed in seeds:
            print(run_world(seed).describe())
        return 0
    seen: Counter[str] = Counter()
    failed: list[Result] = []
    missed: list[str] = []
    with (
        ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn"), initializer=quiet) as pool,
        Progress(*_columns()) as progress,
    ):
        bar = progress.add_task("worlds", total=len(seeds))
        began = time.monotonic()
        for result in pool.map(run_world, seeds, chunksize=min(8, -(-len(seeds) // 8))):
            progress.advance(bar)
            seen.update(result.seen)
            if result.violations:
                failed.append(result)
                remember(result)
                progress.console.print(result.describe(), markup=False)
        seconds = time.monotonic() - began
        bar = progress.add_task("planted bugs", total=len(MUTANTS))
        for name, seed in pool.map(_catch, MUTANTS):
            progress.advance(bar)
            if seed is None:
                missed.append(name)
            said = f"seed {seed} catches" if seed is not None else "NOT CAUGHT"
            progress.console.print(f"{said}: {name}", markup=False)
    _report(seen, len(seeds), len(failed), seconds, options.jobs)
    print(f"planted bugs      {len(MUTANTS) - len(missed)} of {len(MUTANTS)} caught")
    if failed:
        print(f"failing seeds     {[result.seed for result in failed][:20]}")
    return 1 if failed or missed else 0


if __name__ == "__main__":
    sys.exit(main())
