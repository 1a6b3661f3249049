"""Drills about market data: an order may only rest on a book that is the exchange's, and fresh."""

from __future__ import annotations

from src.runtime.drill_bench import Bench, DrillFailed
from src.simulator.faults import When

_BOOKS = "orderbook_delta"


async def lost_frames(bench: Bench) -> str:
    """One book frame in ten never comes."""
    await bench.start()
    bench.fault("ws.drop", When(channel=_BOOKS, probability=0.1))
    await _doubt(bench)
    return await _repaired(bench, "gap seen, books asked for again")


async def doubled_frames(bench: Bench) -> str:
    """Book frames come twice."""
    await bench.start()
    bench.fault("ws.dup", When(channel=_BOOKS, probability=0.2))
    await bench.say()
    return await _repaired(bench, "no change was applied twice")


async def reordered_frames(bench: Bench) -> str:
    """Book frames overtake each other."""
    await bench.start()
    bench.fault("ws.reorder", When(channel=_BOOKS, probability=0.1))
    await _doubt(bench)
    return await _repaired(bench, "order of numbers broken, books asked for again")


async def sequence_reset(bench: Bench) -> str:
    """The sequence starts again at 1."""
    await bench.start()
    bench.fault("ws.seq_reset", When(channel=_BOOKS, nth=5))
    await _doubt(bench)
    return await _repaired(bench, "taken as a reset, not as old news")


async def sequence_gap(bench: Bench) -> str:
    """A subscription skips numbers."""
    await bench.start()
    bench.fault("ws.gap", When(channel=_BOOKS, nth=5), by=3)
    await _doubt(bench)
    return await _repaired(bench, "all of the subscription's books were doubted")


async def merged_acknowledgements(bench: Bench) -> str:
    """Acknowledgements of subscriptions are merged and use up numbers."""
    bench.fault("ws.merge_acks")
    await bench.start()
    await bench.enter()
    return await _repaired(bench, "no false gap")


async def silent_connection(bench: Bench) -> str:
    """The connection lives and says nothing."""
    await bench.start()
    bench.fault("ws.silent")
    gate = await bench.refused("no_valid_book", "feed_lag")
    bench.plan.clear()
    return await _repaired(bench, f"refused by {gate}, reconnected")


async def late_frames(bench: Bench) -> str:
    """Frames come two seconds late."""
    await bench.start()
    bench.fault("ws.delay", When(channel=_BOOKS), seconds=2.0)
    gate = await bench.refused("feed_lag", "no_valid_book")
    bench.plan.clear()
    return await _repaired(bench, f"refused by {gate}")


async def closed_connection(bench: Bench) -> str:
    """The connection is reset in the middle of the day."""
    await bench.start()
    before = bench.feed.reconnects
    bench.fault("ws.close", When(channel=_BOOKS, nth=10))
    await bench.until(lambda: bench.feed.reconnects > before, "a reconnect")
    return await _repaired(bench, "reconnected, records read again")


async def ended_subscription(bench: Bench) -> str:
    """The exchange ends a subscription with an error."""
    await bench.start()
    bench.fault("ws.error", When(channel=_BOOKS, nth=5), code=25)
    await _doubt(bench)
    return await _repaired(bench, "subscribed again")


async def missing_price(bench: Bench) -> str:
    """A field disappears from book frames."""
    await bench.start()
    bench.fault("deprecate_field", When(channel=_BOOKS), field="price_dollars")
    gate = await bench.refused("no_valid_book", "feed_lag")
    if not bench.watch.bad:
        raise DrillFailed("frames without a price were not counted")
    bench.plan.clear()
    return await _repaired(bench, f"counted, refused by {gate}, no price was made up")


async def _doubt(bench: Bench) -> None:
    """Until some book was doubted: an alarm that never sounds proves nothing."""
    before = bench.watch.doubts
    await bench.until(lambda: bench.watch.doubts > before, "a book that is doubted")


async def _repaired(bench: Bench, what: str) -> str:
    bench.plan.clear()
    await bench.until(bench.books_equal, "every book equal to the exchange's again")
    await bench.possible_again()
    return f"{what}; books equal again"
