"""Every point of the reference's checklist and of its gotchas is a behaviour with tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.named_tests import ROOT, check_named_tests

# Section of the reference -> (document, how many points it has).
SECTIONS = {15: ("docs/SIMULATOR.md", 12), 16: ("docs/API_MANUAL.md", 40)}
_ROW = re.compile(r"^\| (1[56])\.(\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def _rows(section: int) -> list[tuple[int, str, str]]:
    """Point, behaviour and tests of each row about a section."""
    text = (ROOT / SECTIONS[section][0]).read_text()
    return [
        (int(point), what, tests) for found, point, what, tests in _ROW.findall(text) if int(found) == section
    ]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_row_names_a_behaviour_and_tests_that_exist(section: int) -> None:
    """A test that is renamed or removed takes the claim with it."""
    for point, behaviour, tests in _rows(section):
        assert behaviour.strip()
        assert check_named_tests(tests), f"{section}.{point} ({behaviour.strip()}) has no test"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_point_is_there(section: int) -> None:
    """One row or more for each, and none that the reference does not have."""
    _, points = SECTIONS[section]
    assert {point for point, *_ in _rows(section)} == set(range(1, points + 1))
