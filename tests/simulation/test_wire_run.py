"""A minute of the wire at its worst; an hour of it is ``python -m tests.simulation.wire_run``."""

from __future__ import annotations

import pytest

from tests.simulation.soak import quiet
from tests.simulation.wire_run import run


@pytest.fixture(autouse=True)
def no_log_lines() -> None:
    quiet()


def test_no_order_is_priced_from_a_book_in_doubt_and_all_books_are_equal_after_the_faults() -> None:
    findings = run(10, 1, seed=3, stalls=0.001)
    assert findings.wrong == []
    counts = findings.counts
    assert counts["boards_compared_equal"] == 2
    assert min(counts["ws.drop"], counts["ws.dup"], counts["ws.reorder"]) > 50
    assert counts["ws.delay"] >= 3
    assert counts["orders"] >= 20
    assert counts["vouched_books"] > 100
    assert findings.refusals["no_valid_book"] > 20


def test_the_same_holds_in_spells_of_faults_and_on_the_compiled_path() -> None:
    """Between the spells books are good and traded on, and changes that come together are read in runs."""
    options = {"stalls": 0.001, "calm": 4.0, "signals": 20, "changes": 60.0, "burst": 10}
    findings = run(10, 1, seed=3, compiled=True, **options)
    assert findings.wrong == []
    counts = findings.counts
    assert counts["boards_compared_equal"] == 2
    assert min(counts["ws.drop"], counts["ws.dup"], counts["ws.reorder"]) > 40
    assert counts["ws.delay"] >= 1
    assert counts["orders"] >= 50
    assert counts["batches"] >= 100


def test_neither_overtaken_messages_nor_overtaking_doubt_bring_an_old_book_back() -> None:
    """A small run that found both: orders came from books up to 11 s old."""
    assert run(20, 1, seed=2).wrong == []


def test_the_same_seed_is_the_same_run() -> None:
    first, again = (run(4, 1, seed=5, changes=5.0, stalls=0.001) for _ in range(2))
    assert first.document() == again.document()
    assert first.counts["ws.drop"] > 10


def test_without_its_guards_against_lateness_the_same_minute_is_found_wanting() -> None:
    """The check can fail: books that moved on unseen are then vouched for."""
    unguarded = {"late_after": None, "stale_after": 60.0, "silence_limit": 60.0}
    findings = run(8, 1, seed=3, stalls=0.001, feed_options=unguarded)
    assert any("s ago" in each for each in findings.wrong)
