"""A decision is written whatever kind of number a strategy gives its reasons in."""

from __future__ import annotations

import numpy as np

from src.core.actions import GateResult, Refused
from src.monitoring.decision_log import DecisionLog


def line_of(**numbers: float) -> str:
    lines: list[str] = []
    log = DecisionLog(lambda ts, line: lines.append(line))
    log.observe(Refused("id", "s", "T", GateResult("gate", False, numbers), 5))
    return lines[0]


def test_numbers_of_numpy_are_written_as_pythons() -> None:
    assert line_of(edge=float(np.float64(0.25))) == line_of(edge=np.float64(0.25))


def test_numbers_that_are_none_stay_apart() -> None:
    """Two runs that differ in them must not compare equal."""
    assert len({line_of(edge=value) for value in (float("inf"), float("-inf"), float("nan"), 0.0)}) == 4
