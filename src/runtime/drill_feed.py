"""Drills about market data: an order may only rest on a book that is the exchange's, and fresh."""

from __future__ import annotations

from typing import Any

from src.runtime.drill_bench import Bench
from src.runtime.drill_stage import DrillFailed
from src.simulator.faults import When

_BOOKS = "orderbook_delta"


async def lost_frames(bench: Bench) -> str:
    """One book frame in ten never comes."""
    what = "gap seen, books asked for again"
    return await _doubted(bench, what, "ws.drop", When(channel=_BOOKS, probability=0.1))


async def doubled_frames(bench: Bench) -> str:
    """Book frames come twice."""
    await bench.start()
    bench.fault("ws.dup", When(channel=_BOOKS, probability=0.2))
    await bench.say()
    return await _repaired(bench, "no change was applied twice")


async def reordered_frames(bench: Bench) -> str:
    """Book frames overtake each other."""
    what = "order of numbers broken, books asked for again"
    return await _doubted(bench, what, "ws.reorder", When(channel=_BOOKS, probability=0.1))


async def sequence_reset(bench: Bench) -> str:
    """The sequence starts again at 1."""
    what = "taken as a reset, not as old news"
    return await _doubted(bench, what, "ws.seq_reset", When(channel=_BOOKS, nth=5))


async def sequence_gap(bench: Bench) -> str:
    """A subscription skips numbers."""
    what = "all of the subscription's books were doubted"
    return await _doubted(bench, what, "ws.gap", When(channel=_BOOKS, nth=5), by=3)


async def merged_acknowledgements(bench: Bench) -> str:
    """Acknowledgements of subscriptions are merged and use up numbers."""
    bench.fault("ws.merge_acks")
    await bench.start()
    await bench.enter()
    return await _repaired(bench, "no false gap")


async def silent_connection(bench: Bench) -> str:
    """The connection lives and says nothing."""
    return await _refused(bench, "reconnected", "ws.silent")


async def late_frames(bench: Bench) -> str:
    """Frames come two seconds late."""
    return await _refused(bench, "books doubted", "ws.delay", When(channel=_BOOKS), seconds=2.0)


async def closed_connection(bench: Bench) -> str:
    """The connection is reset in the middle of the day."""
    await bench.start()
    before = bench.feed.reconnects
    bench.fault("ws.close", When(channel=_BOOKS, nth=10))
    await bench.until(lambda: bench.feed.reconnects > before, "a reconnect")
    return await _repaired(bench, "reconnected, records read again")


async def ended_subscription(bench: Bench) -> str:
    """The exchange ends a subscription with an error."""
    what = "subscribed again"
    return await _doubted(bench, what, "ws.error", When(channel=_BOOKS, nth=5), code=25)


async def missing_price(bench: Bench) -> str:
    """A field disappears from book frames."""
    what = "no price was made up"
    told = await _refused(bench, what, "deprecate_field", When(channel=_BOOKS), field="price_dollars")
    if not bench.watch.bad:
        raise DrillFailed("frames without a price were not counted")
    return f"counted, {told}"


async def _doubted(bench: Bench, what: str, kind: str, when: When, **settings: Any) -> str:
    """A fault that some book is doubted for: an alarm that never sounds proves nothing."""
    await bench.start()
    bench.fault(kind, when, **settings)
    before = bench.watch.doubts
    await bench.until(lambda: bench.watch.doubts > before, "a book that is doubted")
    return await _repaired(bench, what)


async def _refused(bench: Bench, what: str, kind: str, when: When | None = None, **settings: Any) -> str:
    """A fault for which entries are refused while it lasts."""
    await bench.start()
    bench.fault(kind, when, **settings)
    gate = await bench.refused("no_valid_book", "feed_lag")
    bench.plan.clear()
    return await _repaired(bench, f"refused by {gate}, {what}")


async def _repaired(bench: Bench, what: str) -> str:
    bench.plan.clear()
    await bench.until(bench.books_equal, "every book equal to the exchange's again")
    await bench.possible_again()
    return f"{what}; books equal again"
