"""Every fault of the catalogue is covered by tests that exist, or says what it waits for."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NUMBERS = range(1, 73)
_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \|([^|]*)\| ([^|]+) \|$", re.MULTILINE)
_TEST = re.compile(r"`([^`]+\.py)::(\w+)`")
# Components that are not built yet; a fault of the exchange, of orders, risk, database, clock or process
# has to be covered.
_LATER = {
    58: "news",
    59: "news",
    60: "news",
    65: "Telegram",
    66: "deployment",
    68: "deployment",
    71: "no strategy places pairs yet",
}


def _rows() -> dict[int, tuple[str, str]]:
    """Behaviour and tests of each numbered row of the document."""
    text = (ROOT / "docs/RELIABILITY.md").read_text()
    found = _ROW.findall(text)
    assert len({number for number, *_ in found}) == len(found), "a number is there twice"
    return {int(number): (behaviour.strip(), tests.strip()) for number, _, behaviour, tests in found}


@cache
def _tests_of(file: str) -> frozenset[str]:
    """Names of the test functions in a file, from its source."""
    tree = ast.parse((ROOT / file).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_fault_has_tests_that_exist_or_says_what_it_waits_for(number: int) -> None:
    """The row names a behaviour and at least one test, each of which is in the file it is said to be in."""
    behaviour, tests = _rows()[number]
    if number in _LATER:
        assert tests == f"later: {_LATER[number]}"
        return
    named = _TEST.findall(tests)
    assert behaviour
    assert named
    assert not tests.startswith("later")
    for file, name in named:
        assert name.startswith("test_")
        assert name in _tests_of(file), f"{file} has no {name}"


def test_there_are_no_other_numbers() -> None:
    """The catalogue has 72 faults."""
    assert sorted(_rows()) == list(NUMBERS)
