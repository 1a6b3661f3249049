"""The switch to compiled books: once, for feeds of many markets, and never at the price of the plain ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from src.core.events import BookSnapshot, FeedUp, MarketUpdate
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus
from src.execution.market_state import MarketState
from src.runtime import compiled_books
from src.runtime.compiled_books import FROM_MARKETS, compile_books

TICKER = "KXHIGHNY-26NOV23-B50.5"


class FakeFeed:
    """A feed of ``watched`` markets, which notes what it was told."""

    def __init__(self, watched: int) -> None:
        self.watched = watched
        self.told = asyncio.Event()
        self.make: Callable[[], Any] | None = None

    def read_compiled(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.told.set()


def state_with_a_book() -> MarketState:
    state = MarketState()
    market = Market(
        ticker=TICKER,
        event_ticker="KXHIGHNY-26NOV23",
        series_ticker="KXHIGHNY",
        status=MarketStatus.ACTIVE,
        open_time=0,
        close_time=2**62,
        grid=LINEAR_CENT,
        fees=FeeSchedule(),
    )
    for event in (
        FeedUp("market", 0),
        MarketUpdate(market, 0),
        BookSnapshot(TICKER, ((4_000, 900),), ((6_000, 350),), 1, None, 1),
    ):
        state.apply(event)
    return state


async def test_a_feed_of_many_markets_gets_compiled_books_that_hold_what_the_plain_ones_held() -> None:
    feed, state = FakeFeed(FROM_MARKETS - 1), state_with_a_book()
    plain = state.book(TICKER)

    async def grows(_: float) -> None:
        feed.watched = FROM_MARKETS

    service = asyncio.create_task(compile_books(feed, state, grows))
    await feed.told.wait()
    moved = state.book(TICKER)
    assert moved is not None
    assert moved is not plain
    assert (moved.best_bid, moved.best_ask, moved.best_bid_size, moved.seq) == (4_000, 6_000, 900, 1)
    assert feed.make is not None
    feed.make().admit(TICKER)
    assert not service.done()  # a service that ended would be started again
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)


async def test_what_cannot_be_compiled_leaves_the_plain_books(monkeypatch: pytest.MonkeyPatch) -> None:
    feed, state = FakeFeed(FROM_MARKETS), state_with_a_book()
    plain = state.book(TICKER)
    monkeypatch.setattr(compiled_books, "_COMPILE", "raise ImportError('no numba here')")
    assert await compiled_books._compiled() == "ImportError: no numba here"
    said = asyncio.Event()
    monkeypatch.setattr(compiled_books.log, "warning", lambda *_, **__: said.set())
    service = asyncio.create_task(compile_books(feed, state))
    await said.wait()
    assert state.book(TICKER) is plain
    assert feed.make is None
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)
