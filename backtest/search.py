"""Which settings a sweep tries: a grid, random draws, or a search that gives up on the worse ones early.

The file maps settings keys to lists of values, or to ``{low: A, high: B}`` where a search draws them::

    search: {halving: 27}
    strategies.weather_model.model_weight: {low: 0.1, high: 0.6}
    trading.min_edge_threshold: [0.03, 0.05]

Without ``search`` every combination of the lists is run. ``random: N`` draws N combinations. ``halving: N``
draws N, runs them on the first ninth of the data, the better third of them on the first third, and the best
third of those on all of it (successive halving with factor 3: Jamieson and Talwalkar 2016). Every
combination that was ever run counts as a trial.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import yaml

from src.core.errors import ConfigError
from src.runtime.settings import KNOWN_KEYS

Point: TypeAlias = tuple[Any, ...]
MOST_RUNS = 2_000
_FACTOR = 3
_RUNGS = (1 / 9, 1 / 3, 1.0)
_KINDS = ("random", "halving")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones where both ends are."""

    low: float
    high: float

    def draw(self, rng: Random) -> float:
        """One of them, to six digits."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return rng.randint(self.low, self.high)
        return float(f"{rng.uniform(self.low, self.high):.6g}")


@dataclass(frozen=True, slots=True)
class Search:
    """What a sweep's file asks for. ``kind``: ``grid``, ``random`` or ``halving``, with ``draws``."""

    kind: str
    draws: int
    keys: tuple[str, ...]
    values: tuple[list[Any] | Range, ...]

    def points(self, seed: int) -> list[Point]:
        """The combinations to try first, each once. Same seed, same points."""
        if self.kind == "grid":
            return list(itertools.product(*(v for v in self.values if isinstance(v, list))))
        rng, drawn = Random(seed), dict[str, Point]()
        # Lists alone have so many combinations; asking for more must end.
        for _ in range(20 * self.draws):
            point = tuple(v.draw(rng) if isinstance(v, Range) else rng.choice(v) for v in self.values)
            drawn[repr(point)] = point
            if len(drawn) == self.draws:
                break
        return list(drawn.values())

    @property
    def rungs(self) -> tuple[float, ...]:
        """Shares of the data on which the points left are run, one after the other."""
        return _RUNGS if self.kind == "halving" else (1.0,)


def survivors(count: int) -> int:
    """How many of ``count`` points go on to the next rung."""
    return math.ceil(count / _FACTOR)


def read_search(path: Path) -> Search:
    """The search of a file. Raises ``ConfigError`` naming the key and the mend."""
    try:
        body = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"--sweep: {path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(body, dict) or not body.keys() - {"search"}:
        raise ConfigError(f"--sweep: {path} must map settings keys to lists of values")
    kind, draws = _kind(body.pop("search", None))
    known = {".".join(key) for key in KNOWN_KEYS}
    for key in body:
        if key not in known:
            raise ConfigError(f"--sweep: {key!r} is no settings key; see config/config.yaml")
    search = Search(kind, draws, tuple(body), tuple(_values(key, body[key], kind) for key in body))
    runs = math.prod(len(v) for v in search.values if isinstance(v, list)) if kind == "grid" else draws
    if runs > MOST_RUNS:
        raise ConfigError(
            f"--sweep: {runs} combinations; {MOST_RUNS} is the most. Try `search: {{random: N}}`"
        )
    return search


def _kind(given: object) -> tuple[str, int]:
    if given is None:
        return "grid", 0
    if isinstance(given, dict) and len(given) == 1:
        ((kind, draws),) = given.items()
        if kind in _KINDS and isinstance(draws, int) and draws >= 1:
            return kind, draws
    raise ConfigError(f"--sweep: search is {{random: N}} or {{halving: N}} with N from 1, got {given!r}")


def _values(key: str, given: object, kind: str) -> list[Any] | Range:
    if isinstance(given, list) and given:
        return given
    if isinstance(given, dict) and given.keys() == {"low", "high"}:
        low, high = given["low"], given["high"]
        if kind == "grid":
            raise ConfigError(f"--sweep: {key} is a range: add `search: {{random: N}}`, or list its values")
        if (
            all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
            and low < high
        ):
            return Range(low, high)
    raise ConfigError(f"--sweep: {key} needs a list of values or {{low: A, high: B}}, got {given!r}")
