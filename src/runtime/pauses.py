"""Pauses that the interpreter itself makes in the event loop, kept short while the daemon trades."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SWITCH_INTERVAL_S = 0.000_5
"""How long a thread at work may keep the loop waiting for the interpreter's lock; Python's own 5 ms are paid
again at every socket the loop turns to."""


def shorten_pauses() -> None:
    """To be called once, when what lasts for the process's life has been built.

    A full collection looks at every object there is, 50 to 150 ms for the 200,000 of modules and settings,
    and it comes when there are a quarter more. What is there now is not looked at again: reference counts
    free it all the same, only cycles among these very objects stay.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()


@contextmanager
def collection_put_off() -> Iterator[None]:
    """While modules are loaded beside a loop at work: their objects set off collections that find nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
