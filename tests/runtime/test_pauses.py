"""Pauses of the interpreter: what is set is set, and what was put off comes back."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from src.runtime.pauses import SWITCH_INTERVAL_S, collection_put_off, shorten_pauses


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Other tests of this process are to find the interpreter as it was."""
    interval, was_on = sys.getswitchinterval(), gc.isenabled()
    yield
    gc.unfreeze()
    sys.setswitchinterval(interval)
    if was_on:
        gc.enable()


def test_what_exists_at_the_start_is_not_looked_at_again() -> None:
    shorten_pauses()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
    assert gc.get_freeze_count() > 10_000


def test_collection_is_off_while_modules_load_and_on_again_even_after_a_failure() -> None:
    seen: list[bool] = []

    def load() -> None:
        with collection_put_off():
            seen.append(gc.isenabled())
            raise ImportError("no numba")

    with pytest.raises(ImportError, match="no numba"):
        load()
    assert seen == [False]
    assert gc.isenabled()


def test_collection_that_was_off_stays_off() -> None:
    gc.disable()
    with collection_put_off():
        pass
    assert not gc.isenabled()
