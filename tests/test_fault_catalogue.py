"""Every fault of the catalogue is covered by tests that exist, or says what it waits for."""

from __future__ import annotations

import re

import pytest

from tests.named_tests import ROOT, check_named_tests

NUMBERS = range(1, 73)
_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \|([^|]*)\| ([^|]+) \|$", re.MULTILINE)
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


@pytest.mark.parametrize("number", NUMBERS)
def test_a_fault_has_tests_that_exist_or_says_what_it_waits_for(number: int) -> None:
    """The row names a behaviour and at least one test, each of which is in the file it is said to be in."""
    behaviour, tests = _rows()[number]
    if number in _LATER:
        assert tests == f"later: {_LATER[number]}"
        return
    assert behaviour
    assert not tests.startswith("later")
    assert check_named_tests(tests)


def test_there_are_no_other_numbers() -> None:
    """The catalogue has 72 faults."""
    assert sorted(_rows()) == list(NUMBERS)
