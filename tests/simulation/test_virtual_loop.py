"""The virtual loop: time jumps, order is kept, and a stuck program says so."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulation.virtual_loop import StuckError, VirtualLoop


def test_time_jumps_to_the_next_timer() -> None:
    """Hours of sleeping take no time and end in the right order."""
    loop, woken = VirtualLoop(), []

    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((seconds, loop.time()))

    async def both() -> None:
        await asyncio.gather(sleeper(7_200.0), sleeper(3_600.0))

    loop.run_until_complete(both())
    loop.close()
    assert woken == [(3_600.0, 3_600.0), (7_200.0, 7_200.0)]


def test_waiting_for_nothing_is_an_error() -> None:
    """A deadlock ends with an error instead of hanging."""
    loop = VirtualLoop()
    waiting = loop.create_future()
    with pytest.raises(StuckError, match="no timer"):
        loop.run_until_complete(waiting)
    loop.close()
