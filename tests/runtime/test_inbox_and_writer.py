"""Urgent news first, limits that hold, batches in order."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from src.core.actions import Noted
from src.core.events import BookInvalid, PublicTrade, Tick
from src.core.sides import BookSide
from src.runtime.inbox import Inbox
from src.runtime.writer import StoreWriter
from tests.runtime.fakes import MemoryStore


def _trade(number: int) -> PublicTrade:
    return PublicTrade("T", str(number), 5_000, 100, BookSide.BID, number, number)


async def test_urgent_events_overtake_market_data() -> None:
    """Account news and feed doubts are handled before queued market data, each lane in order."""
    inbox = Inbox()
    await inbox.put(_trade(1))
    await inbox.put(_trade(2))
    inbox.put_urgent(Tick(3))
    await inbox.put(BookInvalid(("T",), "gap", 4))
    got = [(await inbox.get())[0] for _ in range(4)]
    assert [type(event).__name__ for event in got] == ["Tick", "BookInvalid", "PublicTrade", "PublicTrade"]
    assert inbox.is_empty


async def test_a_full_market_lane_makes_its_feed_wait_and_loses_nothing() -> None:
    """Back-pressure, not loss."""
    inbox = Inbox(market_limit=2)
    await inbox.put(_trade(1))
    await inbox.put(_trade(2))
    waiting = asyncio.create_task(inbox.put(_trade(3)))
    await asyncio.sleep(0)
    assert not waiting.done()
    first, _ = await inbox.get()
    await asyncio.wait_for(waiting, 1)
    rest = [(await inbox.get())[0] for _ in range(2)]
    assert [event.ts_recv for event in (first, *rest)] == [1, 2, 3]


def test_a_full_urgent_lane_is_fatal() -> None:
    """It never drops and never waits: the process ends instead."""
    inbox = Inbox(urgent_limit=1)
    inbox.put_urgent(Tick(1))
    with pytest.raises(RuntimeError, match="urgent lane is full"):
        inbox.put_urgent(Tick(2))


async def test_records_are_written_in_order_and_flushed_means_stored() -> None:
    """Thousands of records arrive once each, in the order they were made."""
    store = MemoryStore()
    writer = StoreWriter(store, lambda reason: None, 1.0)
    task = asyncio.create_task(writer.run())
    try:
        for number in range(5_000):
            writer.put([Noted("n", {"number": number}, number)])
        await asyncio.wait_for(writer.flushed(), 5)
        assert [record.ts for record in store.records if isinstance(record, Noted)] == list(range(5_000))
        assert writer.waiting == 0
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
