"""Each known bug, put in on purpose, is caught; the summary of the run says which seed does it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.caught_by import CAUGHT_BY, first_catch
from tests.simulation.mutants import MUTANTS
from tests.simulation.world import run_world


def test_every_mutant_has_a_seed() -> None:
    """The table names each bug once."""
    assert set(CAUGHT_BY) == set(MUTANTS)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_known_bug_is_caught(name: str, record_property: Callable[[str, object], None]) -> None:
    """The seed of the table catches it, or one of the next; without the bug that seed is sound."""
    caught = first_catch(name)
    assert caught is not None, f"the worlds from {CAUGHT_BY[name]} on do not catch: {name}"
    assert not run_world(caught).violations, f"seed {caught} fails without the bug, too"
    record_property("mutant", f"seed {caught} catches: {name}")
