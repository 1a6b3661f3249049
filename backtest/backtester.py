"""What would a strategy have earned, how sure is that, and what would fool us. See docs/BACKTESTING.md.

Give --data and --strategy; everything else has a default. Exit code 0; 1 when the ledger differs from the
simulated exchange, an audit fails or a replay differs; 2 for bad input; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    # A script runs with its own folder first on the path; the packages are found from the root.
    sys.path[0] = str(Path(__file__).parents[1].absolute())

from rich.console import Console

from backtest.analysis import analyse
from backtest.baselines import FAVOURITE
from backtest.honesty import audit_look_ahead, sensitivity
from backtest.options import parser, spec_of
from backtest.progress import Watch
from backtest.report import Report, Section, write_csv, write_json, write_whole
from backtest.report_html import render_html
from backtest.report_terminal import show
from backtest.sample import write_sample
from backtest.session import replay_folder
from backtest.spec import Spec, fill_model, make_plan, open_world
from backtest.strategies import make_strategy, names_of
from backtest.sweep import run_sweep
from backtest.sweep_report import Outputs, show_choice
from backtest.workers import parse_workers
from src.core.errors import ConfigError, WireError
from src.runtime.session_tape import is_session
from src.simulator.world import World

EXIT_BAD_INPUT, EXIT_INTERRUPTED = 2, 130
_AUDIT_SHARES = (0.3, 0.6, 0.9)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; bad input is one clear line and exit code 2."""
    given = parser(__doc__ or "").parse_args(arguments)
    try:
        return _main(given, Console())
    except (ConfigError, WireError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED


def _main(given: argparse.Namespace, console: Console) -> int:
    if given.make_sample is not None:
        console.print(write_sample(given.make_sample, given.seed), highlight=False)
        return 0
    if given.data is None:
        raise ConfigError("--data: name a folder, a file or generated:SEED[:DAYS]; try --make-sample first")
    spec = spec_of(given)
    watch = Watch(console, parse_workers(given.workers))
    if given.sweep is not None:
        outputs = Outputs(console, given.html, given.json, given.output)
        return run_sweep(spec, names_of(given.strategy or "all"), given.sweep, watch, outputs)
    folder = Path(spec.data)
    if folder.is_dir() and is_session(folder) and given.strategy is None:
        report = _replayed(spec, folder)
    else:
        report = _tested(given, spec, watch)
    show(report, console)
    traded = [section.result for section in report.sections if section.result.trades]
    if len(traded) > 1 and not watch.interrupted:
        show_choice(spec, traded, console)
    _write(report, given, console)
    if watch.interrupted:
        console.print("interrupted: this is what was done until then", style="bold yellow")
        return EXIT_INTERRUPTED
    sound = all(not s.result.differences and all(a.passed for a in s.audits) for s in report.sections)
    return 0 if sound else 1


def _replayed(spec: Spec, folder: Path) -> Report:
    """A session as it was traded, led through a fresh engine."""
    replayed = replay_folder(folder, spec.settings)
    verdict = replayed.difference or "all came out the same, byte for byte"
    notes = (f"replay of a recorded session: {replayed.decisions} decisions, {verdict}",)
    section = Section(replayed.result, analyse(replayed.result, seed=spec.seed))
    return Report(spec, "session", "as the session's exchange filled them", notes, [section])


def _tested(given: argparse.Namespace, spec: Spec, watch: Watch) -> Report:
    asked = names_of(given.strategy or "all")
    beside = (FAVOURITE,) if given.baselines and FAVOURITE not in asked else ()
    for name in asked:
        make_strategy(name, spec.settings)  # a mistake in a name shows before anything long begins
    world = open_world(spec)
    specs = [replace(spec, strategy=name) for name in (*asked, *beside)]
    results = watch.run(specs, "backtest", world)
    sections = [Section(result, analyse(result, seed=spec.seed)) for result in results]
    try:
        for section, named in zip(sections[: len(asked)], specs, strict=False):
            if not watch.interrupted:
                _check(section, named, world, given, watch)
    except KeyboardInterrupt:
        watch.interrupt()
    return Report(spec, world.kind, fill_model(world), getattr(world, "notes", ()), sections)


def _check(section: Section, spec: Spec, world: World, given: argparse.Namespace, watch: Watch) -> None:
    if given.audit:
        with watch.status(f"{spec.strategy}: looking for looks ahead"):
            plan_of = partial(make_plan, spec)
            section.audits = audit_look_ahead(section.result, world, plan_of, _AUDIT_SHARES)
    if given.sensitivity:
        section.variations = sensitivity(spec, watch)


def _write(report: Report, given: argparse.Namespace, console: Console) -> None:
    if given.output is not None:
        write_csv(report, given.output)
    if given.json is not None:
        write_json(report, given.json)
    if given.html is not None:
        write_whole(given.html, render_html(report))
    if given.log is not None:
        lines = (line for section in report.sections for _, line in section.result.log)
        write_whole(given.log, "\n".join(lines) + "\n")
    for path in (given.output, given.json, given.html, given.log):
        if path is not None:
            console.print(f"written: {path}", highlight=False)


if __name__ == "__main__":
    raise SystemExit(main())
