"""Many settings of one strategy, side by side. Every one that was tried counts as a trial of the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ValidationError

from backtest.analysis import daily_profits
from backtest.estimators import moments
from backtest.plan import Result
from backtest.progress import Watch
from backtest.search import Point, Search, read_search, survivors
from backtest.selection import select
from backtest.spec import Spec
from backtest.sweep_report import Outputs, Sweep, report_sweep
from src.core.errors import ConfigError
from src.runtime.settings import Settings

EXIT_INTERRUPTED = 130


def with_value(settings: Settings, key: str, value: object) -> Settings:
    """Settings with one dotted key changed. Raises ``ConfigError`` for a value its field does not accept."""
    *sections, name = key.split(".")
    chain: list[BaseModel] = [settings]
    for section in sections:
        chain.append(getattr(chain[-1], section))
    try:
        checked = getattr(type(chain[-1]).model_validate({name: value}), name)
    except ValidationError as error:
        raise ConfigError(f"--sweep: {key} = {value!r}: {error.errors()[0]['msg']}") from error
    changed = chain.pop().model_copy(update={name: checked})
    for section in reversed(sections):
        changed = chain.pop().model_copy(update={section: changed})
    return cast("Settings", changed)


def run_sweep(spec: Spec, names: Sequence[str], path: Path, watch: Watch, given: Outputs) -> int:
    """Run what the file asks for with one strategy, judge the choice among them, and show it. Exit code 0.

    After Ctrl-C those that were done are judged, and the exit code is 130.
    """
    if len(names) != 1:
        raise ConfigError("--sweep: name one --strategy")
    search = read_search(path)
    points = search.points(spec.seed)
    specs = [_spec_of(spec, names[0], search, point) for point in points]
    results = _climb(specs, search.rungs, watch)
    # A run that was cut short covers other days than the rest, so it cannot be compared with them.
    end = max(result.end for result in results.values())
    whole = {number: result for number, result in sorted(results.items()) if result.end == end}
    if len(whole) < len(points):
        given.console.print(
            f"{len(points)} configurations were drawn, {len(whole)} of them run to the same end; "
            "all count as trials"
        )
    kept = list(whole.values())
    chosen = [points[number] for number in whole]
    report_sweep(Sweep(spec, names[0], search.keys, chosen, kept, select(kept, len(points))), given)
    return EXIT_INTERRUPTED if watch.interrupted else 0


def _climb(specs: Sequence[Spec], rungs: Sequence[float], watch: Watch) -> dict[int, Result]:
    """Run the specs on each rung's share of the data; the better ones go on. Results of the last one."""
    left = list(range(len(specs)))
    results: dict[int, Result] = {}
    for share in rungs:
        title = f"sweep of {specs[0].strategy}" + (f", {share:.0%} of the data" if share < 1.0 else "")
        found = watch.run([replace(specs[number], share=share) for number in left], title)
        results = dict(zip(left, found, strict=False))
        if watch.interrupted:
            break
        ranked = sorted(left, key=lambda number: (-_sharpe(results[number]), number))
        left = sorted(ranked[: survivors(len(left))])
    return results


def _sharpe(result: Result) -> float:
    return moments([pnl for _, pnl in daily_profits(result)]).sharpe or 0.0


def _spec_of(spec: Spec, strategy: str, search: Search, point: Point) -> Spec:
    settings = spec.settings
    for key, value in zip(search.keys, point, strict=True):
        settings = with_value(settings, key, value)
    return replace(spec, strategy=strategy, settings=settings)
