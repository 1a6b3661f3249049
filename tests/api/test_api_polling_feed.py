"""Market data without a key: polled books, and what a failed poll says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from src.api.client import KalshiClient
from src.api.polling import PollingFeed
from src.core.events import BookInvalid, BookSnapshot, FeedDown, FeedUp, MarketUpdate

A, B = "KXHIGHNY-26NOV23-B50.5", "KXHIGHNY-26NOV23-T57"


class Books:
    """The stub's ``/markets/orderbooks``."""

    def __init__(self) -> None:
        self.books: dict[str, Any] = {
            A: {"yes_dollars": [["0.3500", "40.00"]], "no_dollars": [["0.6100", "22.00"]]},
            B: {"yes_dollars": None, "no_dollars": []},
        }
        self.asked: list[list[str]] = []
        self.broken = False

    async def __call__(self, request: web.Request) -> web.Response:
        wanted = request.query.getall("tickers")
        self.asked.append(wanted)
        if self.broken:
            return web.json_response({"error": "too many requests"}, status=429)
        found = [{"ticker": t, "orderbook_fp": self.books[t]} for t in wanted if t in self.books]
        return web.json_response({"orderbooks": found})


@pytest.fixture
def books(exchange, make_market) -> Books:
    books = Books()
    exchange.markets = {ticker: make_market(ticker) for ticker in (A, B)}
    exchange.routes["GET /markets/orderbooks"] = books
    return books


@pytest.fixture
def bad() -> list[tuple[str, str]]:
    return []


@pytest.fixture
async def feed(exchange, clock, budget, pause, books, bad):
    client = KalshiClient(exchange.base_url, None, budget=budget, sleep=pause)
    yield PollingFeed(
        client,
        clock,
        series=["KXHIGHNY"],
        on_bad=lambda source, field: bad.append((source, field)),
        sleep=pause,
    )
    await client.aclose()


async def take(stream: Any, count: int) -> list[Any]:
    async with asyncio.timeout(10):
        return [await anext(stream) for _ in range(count)]


async def test_markets_then_up_then_whole_books_with_a_counter_of_their_own(feed, exchange):
    stream = feed.stream()
    events = await take(stream, 7)
    assert [type(event) for event in events] == [
        MarketUpdate,
        MarketUpdate,
        FeedUp,
        BookSnapshot,
        BookSnapshot,
        BookSnapshot,
        BookSnapshot,
    ]
    first, empty, again, _ = events[3:]
    assert (first.ticker, first.bids, first.asks) == (A, ((3_500, 4_000),), ((3_900, 2_200),))
    assert (empty.bids, empty.asks) == ((), ())
    assert again.seq > empty.seq > first.seq
    assert all("KALSHI-ACCESS-KEY" not in seen.headers for seen in exchange.requests)
    await stream.aclose()


async def test_a_failed_poll_is_down_never_an_empty_book_and_recovers(feed, books):
    stream = feed.stream()
    await take(stream, 5)
    books.broken = True
    (down,) = await take(stream, 1)
    assert isinstance(down, FeedDown)
    books.broken = False
    events = await take(stream, 4)
    assert [type(event) for event in events[:3]] == [MarketUpdate, MarketUpdate, FeedUp]
    await stream.aclose()


async def test_a_book_that_is_missing_or_malformed_is_invalid(feed, books, bad):
    books.books = {A: {"yes_dollars": [["0.3500", "-1.00"]], "no_dollars": []}}
    stream = feed.stream()
    events = await take(stream, 5)
    assert [(type(event), event.tickers) for event in events[3:]] == [
        (BookInvalid, (A,)),
        (BookInvalid, (B,)),
    ]
    assert bad == [("kalshi-rest", "yes_dollars")]
    await stream.aclose()


async def test_watched_markets_are_described_and_finished_ones_dropped(feed, exchange, books, make_market):
    stream = feed.stream()
    await take(stream, 5)
    await feed.watch(["KXRAIN-26NOV23-NYC"])
    exchange.markets["KXRAIN-26NOV23-NYC"] = make_market("KXRAIN-26NOV23-NYC", status="finalized")
    (update,) = await take(stream, 1)
    assert update.market.ticker == "KXRAIN-26NOV23-NYC"
    await take(stream, 2)
    await feed.unwatch([A])
    await take(stream, 1)
    assert books.asked[-1] == [B]
    await feed.aclose()
    with pytest.raises(StopAsyncIteration):
        await take(stream, 3)
