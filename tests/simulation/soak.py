"""Run many worlds on all cores: ``python -m tests.simulation.soak --worlds 20000``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import structlog
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from tests.simulation.world import Result, run_world

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


def main() -> int:
    """Run the worlds; print every failing seed with its trace, and what was seen how often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--trace", action="store_true", help="print the end of each world's trace")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.worlds)
    seen: Counter[str] = Counter()
    failed: list[Result] = []
    columns = ("worlds", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"), initializer=quiet) as pool,
        Progress(*columns) as progress,
    ):
        bar = progress.add_task("worlds", total=len(seeds))
        for result in pool.map(run_world, seeds, chunksize=8):
            progress.advance(bar)
            seen.update(dict.fromkeys(result.seen, 1))
            if options.trace:
                progress.console.print(result.describe(), markup=False)
            elif result.violations:
                failed.append(result)
                remember(result)
                progress.console.print(result.describe(), markup=False)
    for what, worlds in sorted(seen.items()):
        print(f"{worlds:8d} worlds: {what}")
    print(f"{len(failed)} of {len(seeds)} worlds failed: {[result.seed for result in failed][:20]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
