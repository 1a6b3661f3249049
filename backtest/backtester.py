"""``python backtest/backtester.py --data PATH --strategy NAME|all``; see docs/BACKTESTING.md."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    # A script runs with its own folder first on the path; the packages are found from the root.
    sys.path[0] = str(Path(__file__).parents[1].absolute())

from rich.console import Console

from backtest.analysis import analyse
from backtest.clockwork import Latency
from backtest.honesty import audit_look_ahead, sensitivity
from backtest.report import Report, Section, write_csv, write_json, write_whole
from backtest.report_html import render_html
from backtest.report_terminal import show
from backtest.runner import Result, run
from backtest.sample import write_sample
from backtest.spec import Spec, fill_model, make_plan, open_world, run_all
from backtest.strategies import DESCRIPTIONS, names_of
from backtest.sweep import run_sweep
from src.core.errors import ConfigError
from src.core.units import SECOND, parse_cash
from src.runtime.settings import load_settings

EXIT_BAD_INPUT = 2
_AUDIT_SHARES = (0.3, 0.6, 0.9)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    known = "; ".join(f"{name}: {what}" for name, what in DESCRIPTIONS.items())
    options = argparse.ArgumentParser(
        prog="backtester.py", description=__doc__, epilog=f"Strategies: {known}"
    )
    add = options.add_argument
    add("--data", help="folder of tables, a .csv or .parquet file, or generated:SEED[:DAYS]")
    add("--strategy", default="all", help="name, name,name or all")
    add("--series", default="", help="series of a folder, comma-separated (default: all)")
    add("--from", dest="date_from", default="", help="first event day of a folder, e.g. 2024-01-01")
    add("--to", dest="date_to", default="", help="last event day")
    add("--config", type=Path, help="YAML settings, as config/config.yaml (default: the built-in defaults)")
    add("--balance", default="10000", help="dollars to start with")
    add("--latency-ms", type=float, default=250.0, help="feed, order and answer together")
    add("--tick-seconds", type=float, default=300.0, help="how often the engine decides on its own")
    add("--seed", type=int, default=0, help="ids and resampling")
    add("--output", type=Path, help="CSV, one row per trade")
    add("--html", type=Path, help="report as one HTML file")
    add("--json", type=Path, help="report as JSON")
    add("--log", type=Path, help="decision log, one JSON object a line")
    add("--audit", action="store_true", help="look-ahead audit: rerun on cut-off data")
    add("--sensitivity", action="store_true", help="rerun with other latency, fees, quotes and sizes")
    add("--sweep", type=Path, help="YAML grid over settings keys, run on all cores")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes for sensitivity, sweep and all")
    add("--make-sample", type=Path, metavar="FILE", help="write a small generated CSV to try --data with")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; bad input is one clear line and exit code 2."""
    given = parser().parse_args(arguments)
    try:
        return _main(given, Console())
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT


def _main(given: argparse.Namespace, console: Console) -> int:
    if given.make_sample is not None:
        console.print(write_sample(given.make_sample, given.seed), highlight=False)
        return 0
    if given.data is None:
        raise ConfigError("--data: name a folder, a file or generated:SEED[:DAYS]")
    spec = _spec(given)
    names = names_of(given.strategy)
    if given.sweep is not None:
        return run_sweep(spec, names, given.sweep, given.workers, console)
    world = open_world(spec)
    specs = [replace(spec, strategy=name) for name in names]
    if len(specs) == 1:
        results: list[Result] = [run(make_plan(specs[0], world))]
    else:
        results = run_all(specs, given.workers)
    sections = [Section(result, analyse(result, seed=spec.seed)) for result in results]
    for section, named in zip(sections, specs, strict=True):
        if given.audit:
            section.audits = audit_look_ahead(section.result, world, partial(make_plan, named), _AUDIT_SHARES)
        if given.sensitivity:
            section.variations = sensitivity(named, given.workers)
    notes = getattr(world, "notes", ())
    report = Report(spec, world.kind, fill_model(world), notes, sections)
    show(report, console)
    _write(report, given, console)
    sound = all(not s.result.differences and all(a.passed for a in s.audits) for s in sections)
    return 0 if sound else 1


def _spec(given: argparse.Namespace) -> Spec:
    try:
        balance = parse_cash(f"{Decimal(given.balance):f}", "balance")
    except (InvalidOperation, ValueError):
        raise ConfigError(f"--balance: {given.balance!r} is not an amount of dollars, e.g. 10000") from None
    if balance <= 0:
        raise ConfigError(f"--balance: {given.balance} must be above zero")
    if given.config is not None and not given.config.is_file():
        raise ConfigError(f"--config: {given.config} does not exist")
    if not 1 <= given.tick_seconds <= 86_400:
        raise ConfigError(f"--tick-seconds: {given.tick_seconds:g} is not from 1 to 86400")
    return Spec(
        data=given.data,
        strategy="",
        settings=load_settings(given.config, {}, None),
        series=tuple(name.strip() for name in given.series.split(",") if name.strip()),
        date_from=given.date_from,
        date_to=given.date_to,
        latency=Latency.of_total(given.latency_ms),
        balance=balance,
        tick=int(given.tick_seconds * SECOND),
        seed=given.seed,
    )


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
