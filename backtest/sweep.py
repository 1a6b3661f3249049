"""A grid over settings keys on all cores. Every run counts as a trial when the best is judged.

The file maps settings keys to lists of values::

    strategies.weather_model.model_weight: [0.2, 0.4, 0.6]
    trading.min_edge_threshold: [0.03, 0.05]
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel, ValidationError

from backtest.progress import Watch
from backtest.selection import select
from backtest.spec import Spec
from backtest.sweep_report import Outputs, Sweep, report_sweep
from src.core.errors import ConfigError
from src.runtime.settings import KNOWN_KEYS, Settings

_MOST_RUNS = 2_000


def read_grid(path: Path) -> dict[str, list[Any]]:
    """The grid of a file. Raises ``ConfigError`` naming the key."""
    try:
        body = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"--sweep: {path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(body, dict) or not body:
        raise ConfigError(f"--sweep: {path} must map settings keys to lists of values")
    known = {".".join(key) for key in KNOWN_KEYS}
    for key, values in body.items():
        if key not in known:
            raise ConfigError(f"--sweep: {key!r} is no settings key; see config/config.yaml")
        if not isinstance(values, list) or not values:
            raise ConfigError(f"--sweep: {key} needs a list of values, got {values!r}")
    return body


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
    """Run every combination for one strategy, judge the choice among them, and show it. Exit code 0.

    After Ctrl-C those that were done are judged, and the exit code is 130.
    """
    if len(names) != 1:
        raise ConfigError("--sweep: name one --strategy")
    grid = read_grid(path)
    points = list(itertools.product(*grid.values()))
    if len(points) > _MOST_RUNS:
        raise ConfigError(f"--sweep: {len(points)} combinations; {_MOST_RUNS} is the most")
    specs = []
    for point in points:
        settings = spec.settings
        for key, value in zip(grid, point, strict=True):
            settings = with_value(settings, key, value)
        specs.append(replace(spec, strategy=names[0], settings=settings))
    results = watch.run(specs, f"sweep of {names[0]}")
    # A run that was cut short covers other days than the rest, so it cannot be compared with them.
    end = max(result.end for result in results)
    whole = [(point, result) for point, result in zip(points, results, strict=False) if result.end == end]
    done, kept = [point for point, _ in whole], [result for _, result in whole]
    report_sweep(Sweep(spec, names[0], tuple(grid), done, kept, select(kept)), given)
    return 130 if watch.interrupted else 0
