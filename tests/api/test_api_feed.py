"""The feed over real sockets: discovery, gaps, reconnection, silence, and counting what was handled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from src.api.feed import KalshiFeed
from src.core.errors import ConfigError, FatalError
from src.core.events import (
    BookDelta,
    BookInvalid,
    BookSnapshot,
    FeedDown,
    FeedUp,
    MarketUpdate,
)
from src.core.units import SECOND
from src.execution.market_state import MarketState

A, B, C = "KXHIGHNY-26NOV23-B50.5", "KXHIGHNY-26NOV23-T57", "KXHIGHNY-26NOV24-T48"
# The stub numbers subscriptions in the order they were asked for.
SIDS = {"user_orders": 1, "fill": 2, "market_lifecycle_v2": 3, "orderbook_delta": 4, "trade": 5}
BOOKS, LIFE = 4, 3
NOW = 1_795_334_400 * SECOND


def snapshot(ticker: str, seq: int, **sides: Any) -> dict[str, Any]:
    return {"type": "orderbook_snapshot", "sid": BOOKS, "seq": seq, "msg": {"market_ticker": ticker, **sides}}


def delta(ticker: str, seq: int, **changes: Any) -> dict[str, Any]:
    msg = {"market_ticker": ticker, "price_dollars": "0.4000", "delta_fp": "5.00", "side": "yes", **changes}
    return {"type": "orderbook_delta", "sid": BOOKS, "seq": seq, "msg": msg}


class Reader:
    """Reads a feed's events with a time limit."""

    def __init__(self, feed: KalshiFeed) -> None:
        self.stream = feed.stream()

    async def next(self) -> Any:
        async with asyncio.timeout(10):
            return await anext(self.stream)

    async def until(self, kind: type, **fields: Any) -> Any:
        while True:
            event = await self.next()
            if isinstance(event, kind) and all(
                getattr(event, name) == value for name, value in fields.items()
            ):
                return event


class StoppedClock:
    """Gives one time for everything."""

    def now(self) -> int:
        return NOW


@pytest.fixture
def bad() -> list[tuple[str, str]]:
    return []


@pytest.fixture
async def make_feed(exchange, signer, client, clock, pause, bad) -> AsyncIterator[Callable[..., KalshiFeed]]:
    feeds: list[KalshiFeed] = []

    def make(**changes: Any) -> KalshiFeed:
        options: dict[str, Any] = {
            "series": ["KXHIGHNY"],
            "on_bad": lambda source, field: bad.append((source, field)),
            "sleep": pause,
            "rng": lambda: 0.5,
        }
        options |= {"clock": clock, **changes}
        feed = KalshiFeed(exchange.ws_url, signer, client, **options)
        feeds.append(feed)
        return feed

    yield make
    for feed in feeds:
        await feed.aclose()


@pytest.fixture
def feed(make_feed, exchange, make_market) -> KalshiFeed:
    exchange.markets = {ticker: make_market(ticker) for ticker in (A, B)}
    return make_feed()


@pytest.fixture
async def up(feed) -> Reader:
    """A feed that is up and whose books A and B have been sent (sequence 1 and 2)."""
    reader = Reader(feed)
    await reader.until(FeedUp, feed="market")
    return reader


async def test_markets_are_described_before_the_feed_is_up_and_before_any_book(feed, exchange):
    reader = Reader(feed)
    first, second = await reader.next(), await reader.next()
    assert [event.market.ticker for event in (first, second)] == [A, B]
    assert isinstance(await reader.next(), FeedUp)
    params = [command["params"] for command in exchange.all_commands]
    assert params[-1]["market_tickers"] == [A, B]
    assert params[-1]["use_yes_price"] is True
    await exchange.send(snapshot(A, 1, yes_dollars_fp=[["0.4000", "1.00"]]))
    event = await reader.next()
    assert isinstance(event, BookSnapshot)
    assert event.bids == ((4_000, 100),)


async def test_a_gap_invalidates_asks_for_snapshots_and_rebuilds(feed, exchange, up):
    await exchange.send(snapshot(A, 1), snapshot(B, 2), delta(A, 3), delta(A, 5), delta(B, 6))
    assert (await up.until(BookDelta)).seq == 3
    invalid = await up.until(BookInvalid)
    assert invalid.tickers == (A, B)
    command = await exchange.command("update_subscription", "get_snapshot")
    assert command["params"]["market_tickers"] == [A, B]
    await exchange.send(snapshot(A, 7), delta(B, 8), delta(A, 9))
    assert (await up.next()).seq == 7
    rebuilt = await up.next()
    assert (rebuilt.ticker, rebuilt.seq) == (A, 9)


async def test_counters_say_when_everything_received_has_been_consumed(feed, exchange, up):
    acknowledged = feed.frames_received
    await exchange.send(
        snapshot(A, 1), delta(A, 2), {"type": "brand_new", "sid": BOOKS, "seq": 3}, delta(A, 4)
    )
    await up.until(BookDelta, seq=4)
    assert feed.frames_received == acknowledged + 4
    assert feed.frames_handled == feed.frames_received - 1  # the last one is still in our hands
    await exchange.send(delta(A, 5))
    await up.until(BookDelta, seq=5)
    assert feed.frames_handled == feed.frames_received - 1
    await feed.aclose()
    with pytest.raises(StopAsyncIteration):
        await up.next()
    assert feed.frames_handled == feed.frames_received
    assert feed.frames_unknown == 1


async def test_reconnection_signs_afresh_backs_off_and_says_what_is_lost(
    feed, exchange, up, pause, check_signature
):
    await exchange.send(snapshot(A, 1))
    await up.until(BookSnapshot)
    await exchange.sockets[-1].close()
    assert (await up.next()).tickers == (A, B)
    down = await up.next()
    assert isinstance(down, FeedDown)
    assert "connection closed" in down.reason
    await up.until(MarketUpdate)
    await up.until(FeedUp)
    first, second = exchange.handshakes
    assert first["KALSHI-ACCESS-TIMESTAMP"] != second["KALSHI-ACCESS-TIMESTAMP"]
    assert all(
        check_signature(exchange.public, headers, "GET", "/trade-api/ws/v2") for headers in (first, second)
    )
    assert pause.waits == [0.25]
    await exchange.send(delta(A, 1))
    await exchange.send(snapshot(A, 2))
    assert isinstance(await up.next(), BookSnapshot)  # a change before the snapshot is not an event
    assert feed.reconnects == 1


async def test_a_book_received_in_the_moment_of_a_loss_is_not_newer_than_it(make_feed, exchange, make_market):
    """The clock stands still: the loss overtakes the book it was received with, and the next book is good."""
    exchange.markets = {A: make_market(A)}
    up, state = Reader(make_feed(clock=StoppedClock())), MarketState()
    await up.until(FeedUp)
    await exchange.send(snapshot(A, 1))
    overtaken = await up.until(BookSnapshot)
    await exchange.sockets[-1].close()
    invalid, down = await up.next(), await up.next()
    assert isinstance(down, FeedDown)
    state.apply(invalid)
    state.apply(down)
    described = await up.until(MarketUpdate)
    assert described.market.ticker == A
    state.apply(described)
    state.apply(await up.until(FeedUp))
    state.apply(overtaken)
    assert state.book(A) is None
    await exchange.send(snapshot(A, 1))
    state.apply(await up.until(BookSnapshot))
    assert state.book(A) is not None


async def test_failures_in_a_row_wait_longer_each_time(feed, exchange, pause):
    reader = Reader(feed)
    await reader.until(FeedUp)
    for _ in range(3):
        await exchange.sockets[-1].close()
        await reader.until(FeedDown)
        await reader.until(FeedUp)
    assert pause.waits == [0.25, 0.5, 1.0]


async def test_a_key_refused_twice_is_fatal_and_not_tried_for_ever(feed, exchange):
    exchange.refuse_handshakes = 99
    reader = Reader(feed)
    for _ in range(2):
        assert "HTTP 401" in (await reader.next()).reason
    with pytest.raises(FatalError, match="KALSHI_API_KEY"):
        await reader.next()
    assert len(exchange.handshakes) == 2


async def test_one_refused_handshake_is_signed_again(feed, exchange):
    exchange.refuse_handshakes = 1
    reader = Reader(feed)
    assert isinstance(await reader.next(), FeedDown)
    assert isinstance(await reader.until(FeedUp), FeedUp)


async def test_a_malformed_message_is_counted_and_its_market_invalidated(feed, exchange, up, bad):
    await exchange.send(snapshot(A, 1), snapshot(B, 2), delta(A, 3, price_dollars=0.4), delta(B, 4))
    invalid = await up.until(BookInvalid)
    assert invalid.tickers == (A,)
    assert (await up.next()).ticker == B
    assert bad == [("kalshi-ws", "kalshi-ws.msg.price_dollars")]


async def test_a_created_market_of_our_series_is_read_described_and_watched(feed, exchange, up, make_market):
    exchange.markets[C] = make_market(C, status="initialized")
    msg = {"event_type": "created", "market_ticker": C, "additional_metadata": {"event_ticker": C[:16]}}
    await exchange.send({"type": "market_lifecycle_v2", "sid": LIFE, "seq": 1, "msg": msg})
    update = await up.until(MarketUpdate)
    assert (update.market.ticker, update.market.series_ticker) == (C, "KXHIGHNY")
    command = await exchange.command("update_subscription", "add_markets")
    assert command["params"]["market_tickers"] == [C]


async def test_a_market_not_listed_yet_is_asked_for_again(make_feed, exchange, make_market):
    async def appear(seconds: float) -> None:
        exchange.markets[C] = make_market(C)

    up = Reader(make_feed(sleep=appear))
    await up.until(FeedUp)
    msg = {"event_type": "created", "market_ticker": C, "additional_metadata": {"event_ticker": C[:16]}}
    await exchange.send({"type": "market_lifecycle_v2", "sid": LIFE, "seq": 1, "msg": msg})
    assert (await up.until(MarketUpdate)).market.ticker == C


async def test_a_changed_grid_is_read_and_the_book_asked_for_again(feed, exchange, up, make_market):
    await exchange.send(snapshot(A, 1))
    await up.until(BookSnapshot)
    fine = [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]
    exchange.markets[A] = make_market(A, price_ranges=fine)
    msg = {"event_type": "price_level_structure_updated", "market_ticker": A, "price_ranges": fine}
    await exchange.send({"type": "market_lifecycle_v2", "sid": LIFE, "seq": 1, "msg": msg})
    assert (await up.until(BookInvalid)).tickers == (A,)
    assert (await up.until(MarketUpdate)).market.grid.finest_step == 10
    command = await exchange.command("update_subscription", "get_snapshot")
    assert command["params"]["market_tickers"] == [A]


async def test_a_changed_event_fee_reaches_the_engine(feed, exchange, up):
    exchange.event_terms = {"fee_multiplier_override": 0.5}
    msg = {"event_ticker": "KXHIGHNY-26NOV23", "fee_type_override": None, "fee_multiplier_override": 0.5}
    await exchange.send({"type": "event_fee_update", "sid": LIFE, "seq": 1, "msg": msg})
    assert (await up.until(MarketUpdate)).market.fees.multiplier_e4 == 5_000


async def test_watching_an_unknown_market_describes_it_first(feed, exchange, up, make_market):
    exchange.markets["KXRAIN-26NOV23-NYC"] = make_market("KXRAIN-26NOV23-NYC", status="closed")
    await feed.watch(["KXRAIN-26NOV23-NYC", A])
    assert (await up.until(MarketUpdate)).market.ticker == "KXRAIN-26NOV23-NYC"
    command = await exchange.command("update_subscription", "add_markets")
    assert command["params"]["market_tickers"] == ["KXRAIN-26NOV23-NYC"]
    await feed.unwatch([A])
    command = await exchange.command("update_subscription", "delete_markets")
    assert command["params"]["market_tickers"] == [A]


async def test_a_book_that_does_not_fit_can_be_asked_for_again(feed, exchange, up):
    await exchange.send(snapshot(A, 1))
    await up.until(BookSnapshot)
    await feed.resync([A], "does not fit")
    assert (await up.until(BookInvalid)).reason == "does not fit"
    assert (await exchange.command("update_subscription", "get_snapshot"))["params"]["market_tickers"] == [A]


async def test_silence_is_probed_and_then_the_connection_is_given_up(make_feed, exchange):
    feed = make_feed(probe_after=0.02, silence_limit=0.1, series=[])
    reader = Reader(feed)
    await reader.until(FeedUp)
    async with asyncio.timeout(10):
        while (await exchange.commands.get())["cmd"] != "list_subscriptions":
            pass
    exchange.mute = True
    assert "no message for" in (await reader.until(FeedDown)).reason


async def test_books_are_doubted_in_silence_before_the_connection_is_given_up(
    make_feed, exchange, make_market
):
    """Messages are held up somewhere: the books have moved on unseen, though the connection lives."""
    exchange.markets = {A: make_market(A)}
    feed = make_feed(probe_after=0.02, stale_after=0.1, silence_limit=60.0)
    reader = Reader(feed)
    await reader.until(FeedUp)
    await exchange.send(snapshot(A, 1, yes_dollars_fp=[["0.4000", "10.00"]]))
    await reader.until(BookSnapshot)
    exchange.mute = True
    doubt = await reader.until(BookInvalid)
    assert A in doubt.tickers
    assert doubt.reason.startswith("nothing heard for")
    assert feed.reconnects == 0


async def test_a_quiet_feed_whose_probes_are_answered_stays_up(make_feed, exchange):
    feed = make_feed(probe_after=0.01, silence_limit=5.0, series=[])
    reader = Reader(feed)
    await reader.until(FeedUp)
    async with asyncio.timeout(10):
        for _ in range(5):
            while (await exchange.commands.get())["cmd"] != "list_subscriptions":
                pass
    assert feed.reconnects == 0


async def test_discovery_that_fails_keeps_the_feed_down(feed, exchange, pause):
    exchange.routes["GET /events"] = {"cursor": ""}
    reader = Reader(feed)
    down = await reader.next()
    assert isinstance(down, FeedDown)
    assert "events" in down.reason
    del exchange.routes["GET /events"]
    await reader.until(FeedUp)


async def test_one_malformed_market_does_not_hide_the_others(feed, exchange, bad, make_market):
    exchange.markets[B] = make_market(B, price_ranges=None)
    reader = Reader(feed)
    assert (await reader.next()).market.ticker == A
    assert isinstance(await reader.next(), FeedUp)
    assert bad == [("kalshi-rest", "market.price_ranges")]


async def test_a_series_the_venue_does_not_list_is_reported_and_the_others_are_followed(
    make_feed, exchange, make_market, bad
):
    async def missing(_: web.Request) -> web.Response:
        return web.json_response({"error": {"code": "not_found", "message": "not found"}}, status=404)

    exchange.routes["GET /series/KXNONE"] = missing
    exchange.markets = {A: make_market(A)}
    reader = Reader(make_feed(series=["KXNONE", "KXHIGHNY"]))
    assert (await reader.next()).market.ticker == A
    assert isinstance(await reader.next(), FeedUp)
    assert bad == [("kalshi-rest", "series KXNONE is not listed")]


async def test_a_cancelled_stream_leaves_nothing_running(feed, exchange, up):
    before = {task for task in asyncio.all_tasks() if task.get_name() == "kalshi-feed"}
    assert len(before) == 1
    reader = asyncio.create_task(up.next())
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait({reader})
    assert not {task for task in asyncio.all_tasks() if task.get_name() == "kalshi-feed"}


NO_AT_REST = {"orderbook_fp": {"yes_dollars": [["0.3600", "1.00"]], "no_dollars": [["0.6100", "22.00"]]}}


async def test_asks_at_yes_prices_are_confirmed_by_rest_once(feed, exchange, up):
    exchange.routes[f"GET /markets/{A}/orderbook"] = NO_AT_REST
    sides = {"yes_dollars_fp": [["0.3600", "1.00"]], "no_dollars_fp": [["0.3900", "22.00"]]}
    await exchange.send(snapshot(A, 1, **sides), snapshot(A, 2, **sides))
    await up.until(BookSnapshot, seq=2)
    assert len(exchange.sent("GET", f"/markets/{A}/orderbook")) == 1


async def test_a_feed_that_sends_no_prices_after_all_is_given_up_before_any_book_is_told(feed, exchange, up):
    exchange.routes[f"GET /markets/{A}/orderbook"] = NO_AT_REST
    sides = {"yes_dollars_fp": [["0.3600", "1.00"]], "no_dollars_fp": [["0.6100", "22.00"]]}
    await exchange.send(snapshot(A, 1, **sides))
    assert isinstance(await up.next(), BookInvalid)
    assert "use_yes_price" in (await up.next()).reason
    with pytest.raises(FatalError, match="NO prices"):
        await up.next()


async def test_extras_are_followed_on_request_and_dropped(make_feed, exchange, make_market):
    exchange.markets = {A: make_market(A)}
    told: list[Any] = []
    feed = make_feed(extras=["market_positions"], on_message=told.append)
    reader = Reader(feed)
    await reader.until(FeedUp)
    sid = feed.subscriptions["market_positions"]
    position = {"position_cost_dollars": "1.00", "realized_pnl_dollars": "0.00", "fees_paid_dollars": "0.00"}
    msg = {"market_ticker": A, "position_fp": "2.00", **position}
    await exchange.send({"type": "market_position", "sid": sid, "msg": msg}, snapshot(A, 1))
    await reader.until(BookSnapshot)
    assert [message.count for message in told] == [200]
    await feed.drop_extras(["market_positions"])
    assert (await exchange.command("unsubscribe"))["params"]["sids"] == [sid]
    assert "market_positions" not in feed.subscriptions


def test_extras_without_a_taker_are_a_mistake(make_feed):
    with pytest.raises(ValueError, match="on_message"):
        make_feed(extras=["ticker"])


def test_production_is_refused_by_default(signer, clock, client):
    with pytest.raises(ConfigError, match="production"):
        KalshiFeed(
            "wss://external-api-ws.kalshi.com/trade-api/ws/v2", signer, client, clock, series=[], on_bad=print
        )
