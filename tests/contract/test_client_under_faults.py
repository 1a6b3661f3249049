"""The client that talks to Kalshi, against the simulated exchange while that misbehaves."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from src.api.client import KalshiClient
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.api.signing import Signer, load_private_key
from src.core.book import OrderBook
from src.core.errors import DefiniteError, FatalError, VenueError, WireError
from src.core.events import (
    BookDelta,
    BookInvalid,
    BookSnapshot,
    Event,
    FeedDown,
    FeedUp,
    OrderAccepted,
    OrderUnknown,
)
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus
from src.core.sides import BookSide
from src.core.signal import OrderIntent, Purpose, TimeInForce
from src.core.units import HOUR, SECOND, Price
from src.simulator.faults import FaultPlan, FaultRule, When
from src.simulator.faults_observations import Observations
from src.simulator.outputs import BookChange, Output
from src.simulator.service import SimulatorService
from src.simulator.world import ListEvent, WorldEvent

T0 = 1_795_420_800 * SECOND
EVENT = "KXHIGHNY-26NOV23"
SERIES = "KXHIGHNY"
TICKER = f"{EVENT}-B0.5"
BOOKS = "orderbook_delta"
Levels = tuple[tuple[Price, int], ...]


@dataclass
class SmallWorld:
    """One event with some markets, in which nothing happens by itself."""

    markets: int = 20
    kind: str = "generated"
    start: int = T0
    end: int = T0 + 48 * HOUR
    days: int = 1

    def history(self) -> list[Any]:
        return []

    def events(self) -> Iterator[WorldEvent]:
        markets = (
            Market(
                ticker=f"{EVENT}-B{number}.5",
                event_ticker=EVENT,
                series_ticker=SERIES,
                status=MarketStatus.INITIALIZED,
                open_time=T0,
                close_time=T0 + 24 * HOUR,
                grid=LINEAR_CENT,
                fees=FeeSchedule(),
                title=f"market {number}",
            )
            for number in range(self.markets)
        )
        yield ListEvent(T0, EVENT, SERIES, "Highest temperature in NYC", tuple(markets))


@dataclass(frozen=True)
class Approved:
    intent: OrderIntent
    reserved: int = 10_000_000


def approved(client_order_id: str, price: Price = 3_000) -> Approved:
    return Approved(
        OrderIntent(
            client_order_id=client_order_id,
            signal_id="s",
            strategy="weather",
            ticker=TICKER,
            event_ticker=EVENT,
            side=BookSide.BID,
            price=price,
            count=1_000,
            time_in_force=TimeInForce.GOOD_TILL_CANCELED,
            purpose=Purpose.ENTRY,
            created_ts=0,
            trace_id="t",
        )
    )


@dataclass
class Bench:
    """A faulty exchange, and the client's parts before it."""

    service: SimulatorService
    signer: Signer
    client: KalshiClient
    bad: list[tuple[str, str]] = field(default_factory=list)

    @property
    def plan(self) -> FaultPlan:
        assert self.service.faults is not None
        return self.service.faults.plan

    @property
    def seen(self) -> Observations:
        assert self.service.faults is not None
        return self.service.faults.observations

    @property
    def gateway(self) -> KalshiGateway:
        return KalshiGateway(self.client, self.service.driver.clock)

    def feed(self, **options: Any) -> KalshiFeed:
        return KalshiFeed(
            self.service.ws_url,
            self.signer,
            self.client,
            self.service.driver.clock,
            series=[SERIES],
            on_bad=lambda source, what: self.bad.append((source, what)),
            **{"probe_after": 0.05, "silence_limit": 5.0, "sleep": at_once, **options},
        )


async def at_once(seconds: float) -> None:
    """A back-off that takes no time."""
    await asyncio.sleep(0)


Open = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[Bench] = []

    async def start(*rules: FaultRule, markets: int = 20) -> Bench:
        path = tmp_path / "key.pem"
        service = SimulatorService(
            SmallWorld(markets), path, key_type="ed25519", faults=FaultPlan(rules, seed=11)
        )
        await service.start()
        signer = Signer(service.key_id, load_private_key(str(path)), lambda: time.time_ns() // 1_000_000)
        opened.append(Bench(service, signer, KalshiClient(service.rest_url, signer, sleep=at_once)))
        return opened[-1]

    yield start
    for each in opened:
        await each.client.aclose()
        await each.service.stop()


class Books:
    """A consumer of the feed: builds books, and checks each against every state the venue's book ever had.

    A book that took a change across a gap would be in a state that never was.
    """

    def __init__(self, bench: Bench, feed: KalshiFeed) -> None:
        self.bench = bench
        self.feed = feed
        self.events: list[Event] = []
        self.deltas = 0
        self.invalidations = 0
        self.books = {ticker: OrderBook(ticker, LINEAR_CENT) for ticker in bench.service.exchange.markets}
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._states: dict[str, set[tuple[Levels, Levels]]] = defaultdict(set)
        self._sizes: dict[str, dict[BookSide, dict[Price, int]]] = {}
        for ticker in self.books:
            bids, asks = self.venue_state(ticker)
            self._sizes[ticker] = {BookSide.BID: dict(bids), BookSide.ASK: dict(asks)}
            self._states[ticker].add((bids, asks))
        bench.service.exchange.subscribe(self._remember)

    def _remember(self, outputs: Sequence[Output]) -> None:
        """Keep every state on the way: one operation may take several lots off a level, each a change."""
        for output in outputs:
            if isinstance(output, BookChange):
                sizes = self._sizes[output.ticker]
                level = sizes[output.side]
                level[output.price] = level.get(output.price, 0) + output.delta
                if not level[output.price]:
                    del level[output.price]
                bids = tuple(sorted(sizes[BookSide.BID].items(), reverse=True))
                self._states[output.ticker].add((bids, tuple(sorted(sizes[BookSide.ASK].items()))))

    def venue_state(self, ticker: str) -> tuple[Levels, Levels]:
        book = self.bench.service.exchange.book(ticker)
        return tuple(book.levels(BookSide.BID)), tuple(book.levels(BookSide.ASK))

    def own_state(self, ticker: str) -> tuple[Levels, Levels] | None:
        book = self.books[ticker]
        if not book.is_valid:
            return None
        return tuple(book.levels(BookSide.BID)), tuple(book.levels(BookSide.ASK))

    def are_equal(self) -> bool:
        return all(self.own_state(ticker) == self.venue_state(ticker) for ticker in self.books)

    async def feed_end(self) -> None:
        """Wait until the stream ends; raises what ended it."""
        assert self.task is not None
        await asyncio.shield(self.task)

    async def run(self) -> None:
        async for event in self.feed.stream():
            self.apply(event)
            self.changed.set()

    def apply(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, BookInvalid):
            self.invalidations += 1
            for ticker in event.tickers:
                self.books[ticker].invalidate()
        elif isinstance(event, BookSnapshot):
            self.books[event.ticker].apply_snapshot(event.bids, event.asks, event.seq, event.ts_recv, None)
        elif isinstance(event, BookDelta):
            book = self.books[event.ticker]
            assert book.is_valid, f"a change of {event.ticker} without a snapshot"
            book.apply_delta(event.side, event.price, event.delta, event.seq, event.ts_recv, None)
            self.deltas += 1
        else:
            return
        if not isinstance(event, BookInvalid):
            assert self.own_state(event.ticker) in self._states[event.ticker], event

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, which can come true with an event only; a check that failed is raised."""
        async with asyncio.timeout(30):
            while not condition():
                assert self.task is not None
                if self.task.done():
                    self.task.result()
                    raise AssertionError("the stream ended")
                self.changed.clear()
                waiting = asyncio.create_task(self.changed.wait())
                await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()

    async def until_seen(self, kind: type[Event], count: int = 1) -> None:
        await self.until(lambda: sum(isinstance(each, kind) for each in self.events) >= count)


@asynccontextmanager
async def following(bench: Bench, **options: Any) -> AsyncIterator[Books]:
    """A feed in use, up and with all books."""
    feed = bench.feed(**options)
    books = Books(bench, feed)
    task = books.task = asyncio.create_task(books.run())
    try:
        await books.until(
            lambda: books.are_equal() and any(isinstance(each, FeedUp) for each in books.events)
        )
        yield books
    finally:
        await feed.aclose()
        await asyncio.gather(task, return_exceptions=True)


async def trade_books(books: Books, changes: int, seed: int = 5) -> None:
    """Change random levels of random markets; every change is one frame."""
    rng = random.Random(seed)
    exchange = books.bench.service.exchange
    tickers = list(books.books)
    for number in range(changes):
        side = rng.choice((BookSide.BID, BookSide.ASK))
        price = rng.randrange(3_000, 4_000, 100) if side is BookSide.BID else rng.randrange(6_000, 7_000, 100)
        exchange.set_crowd_level(rng.choice(tickers), side, price, rng.randrange(1, 1_000_000))
        if number % 20 == 0:
            await asyncio.sleep(0)


async def quiesce(books: Books) -> None:
    """End the faults, let every subscription speak once more, and wait until all books are equal."""
    books.bench.plan.clear()
    await trade_books(books, 1, seed=99)
    await books.until(lambda: books.are_equal() and books.feed.is_settled)


# --- orders ---------------------------------------------------------------------------------------


async def test_a_lost_answer_is_unknown_and_the_order_exists_once(bench: Open) -> None:
    on = await bench(FaultRule("lose_response", When(method="POST")))
    outcome = await on.gateway.submit(approved("c1"))
    assert isinstance(outcome, OrderUnknown)
    key_id = on.service.key_id
    assert {name: len(each) for name, each in on.seen.orders_by_client_id(key_id).items()} == {"c1": 1}
    on.plan.clear()
    report = await on.gateway.report(0)
    assert [each.client_order_id for each in report.orders] == ["c1"]
    # Sent again under the same id it is told to exist, and is not there twice.
    again = await on.gateway.submit(approved("c1"))
    assert isinstance(again, OrderUnknown)
    assert again.reason == "exists"
    assert len(on.seen.live_orders(key_id)) == 1
    posts = [each.status for each in on.seen.requests if each.method == "POST"]
    assert posts == [None, 409]


async def test_a_lost_request_is_unknown_and_the_order_does_not_exist(bench: Open) -> None:
    on = await bench(FaultRule("lose_request", When(method="POST", nth=1)))
    assert isinstance(await on.gateway.submit(approved("c1")), OrderUnknown)
    assert on.seen.orders_by_client_id(on.service.key_id) == {}
    assert isinstance(await on.gateway.submit(approved("c1")), OrderAccepted)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("applied", [False, True])
async def test_a_server_error_on_an_order_is_unknown_and_sent_once(
    bench: Open, status: int, html: bool, applied: bool
) -> None:
    parameters = {"status": status, "html": html, "applied": applied}
    on = await bench(FaultRule("5xx", When(method="POST"), parameters))
    assert isinstance(await on.gateway.submit(approved("c1")), OrderUnknown)
    assert len(on.seen.orders_by_client_id(on.service.key_id)) == int(applied)
    assert [each.method for each in on.seen.requests] == ["POST"]


async def test_half_filled_and_later_rejected_orders_are_told_by_the_report(bench: Open) -> None:
    on = await bench(
        FaultRule("half_fill", When(method="POST", nth=1)),
        FaultRule("reject_after_ack", When(method="POST", nth=2)),
    )
    half, rejected = await on.gateway.submit(approved("c1")), await on.gateway.submit(approved("c2"))
    assert isinstance(half, OrderAccepted)
    assert isinstance(rejected, OrderAccepted)
    report = await on.gateway.report(0)
    orders = {each.client_order_id: each for each in report.orders}
    assert (orders["c1"].filled, orders["c1"].remaining) == (500, 500)
    assert (orders["c2"].filled, orders["c2"].status.value) == (0, "canceled")
    assert [each.count for each in report.fills] == [500]
    assert [each.count for each in report.positions] == [500]


# --- reports --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["positions_fail", "balance_fail"])
async def test_a_read_that_fails_is_an_error_and_never_an_empty_report(bench: Open, fault: str) -> None:
    on = await bench(FaultRule(fault))
    with pytest.raises(VenueError):
        await on.gateway.report(0)


async def test_a_lost_cursor_is_an_error_and_small_pages_are_read_to_the_end(bench: Open) -> None:
    on = await bench(FaultRule("page_size", When(path="/portfolio/orders"), {"size": 2}))
    for number in range(5):
        assert isinstance(await on.gateway.submit(approved(f"c{number}")), OrderAccepted)
    assert len((await on.gateway.report(0)).orders) == 5
    on.plan.add(FaultRule("cursor_fail", When(path="/portfolio/orders"), {"answer": "first_page"}))
    with pytest.raises(DefiniteError, match="cursor"):
        await on.gateway.report(0)


async def test_a_revoked_key_is_fatal_after_at_most_three_requests(bench: Open) -> None:
    on = await bench(FaultRule("key_revoked"))
    with pytest.raises(FatalError):
        await on.gateway.report(0)
    assert 1 <= len([each for each in on.seen.requests if each.signature != "none"]) <= 3


async def test_a_revoked_key_ends_the_feed(bench: Open) -> None:
    on = await bench()
    async with following(on) as books:
        asked = on.seen.request_count
        on.plan.add(FaultRule("key_revoked"))
        await trade_books(books, 1)
        with pytest.raises(FatalError):
            async with asyncio.timeout(10):
                await books.feed_end()
        assert on.seen.request_count - asked <= 3


@pytest.mark.parametrize("status", [410, 404])
async def test_an_endpoint_that_is_gone_is_an_error_by_name(bench: Open, status: int) -> None:
    on = await bench(FaultRule("deprecate_endpoint", When(path="/portfolio/positions"), {"status": status}))
    with pytest.raises(FatalError if status == 410 else VenueError):
        await on.gateway.report(0)


async def test_a_field_missing_from_the_records_fails_the_report_and_names_it(bench: Open) -> None:
    rule = FaultRule("deprecate_field", When(path="/portfolio/balance"), {"field": "balance_dollars"})
    on = await bench(rule)
    with pytest.raises((WireError, VenueError), match="balance_dollars"):
        await on.gateway.report(0)


# --- feed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        FaultRule("ws.drop", When(channel=BOOKS, probability=0.05)),
        FaultRule("ws.dup", When(channel=BOOKS, probability=0.05), {"times": 2}),
        FaultRule("ws.reorder", When(channel=BOOKS, probability=0.05), {"by": 3}),
        FaultRule("ws.gap", When(channel=BOOKS, probability=0.02), {"by": 3}),
        FaultRule("ws.seq_reset", When(channel=BOOKS, probability=0.01)),
        FaultRule("ws.error", When(channel=BOOKS, probability=0.002), {"code": 25}),
        FaultRule("ws.error", When(channel=BOOKS, probability=0.002), {"code": 10}),
    ],
    ids=lambda rule: f"{rule.fault}{rule.parameters.get('code', '')}",
)
async def test_books_are_never_wrong_and_equal_the_venues_in_the_end(bench: Open, rule: FaultRule) -> None:
    on = await bench(markets=6)
    async with following(on) as books:
        on.plan.add(rule)
        await trade_books(books, 3_000)
        struck = on.plan.rules[0].fired
        await quiesce(books)
        assert struck >= 3
        assert books.invalidations >= 1
        assert books.deltas > 20


async def test_all_kinds_of_loss_at_once(bench: Open) -> None:
    on = await bench(markets=6)
    async with following(on) as books:
        for fault in ("ws.drop", "ws.dup", "ws.reorder"):
            on.plan.add(FaultRule(fault, When(channel=BOOKS, probability=0.02)))
        await trade_books(books, 3_000)
        await quiesce(books)
        assert books.invalidations >= 3


async def test_silence_takes_the_feed_down_within_the_limit(bench: Open) -> None:
    on = await bench()
    async with following(on, silence_limit=0.2, probe_after=0.05) as books:
        on.plan.add(FaultRule("ws.silent", When(times=1)))
        began = asyncio.get_running_loop().time()
        await trade_books(books, 50)
        await books.until_seen(FeedDown)
        assert asyncio.get_running_loop().time() - began < 5
        down = next(each for each in books.events if isinstance(each, FeedDown))
        assert "no message" in down.reason
        await books.until_seen(FeedUp, 2)
        await quiesce(books)


async def test_an_abrupt_close_is_down_and_up_again(bench: Open) -> None:
    on = await bench()
    async with following(on) as books:
        on.plan.add(FaultRule("ws.close", When(channel=BOOKS, times=1)))
        await trade_books(books, 1)
        await books.until_seen(FeedUp, 2)
        await quiesce(books)
        assert sum(isinstance(each, FeedDown) for each in books.events) == 1


async def test_merged_acknowledgements_make_no_false_gap(bench: Open) -> None:
    on = await bench(FaultRule("ws.merge_acks", parameters={"hold": 0.02}), markets=500)
    async with following(on) as books:
        await trade_books(books, 500)
        await books.until(books.are_equal)
        assert books.invalidations == 0
        assert not any(isinstance(each, FeedDown) for each in books.events)


async def test_a_price_that_is_gone_is_counted_and_the_book_not_vouched_for(bench: Open) -> None:
    on = await bench()
    async with following(on) as books:
        on.plan.add(FaultRule("deprecate_field", When(channel=BOOKS, times=1), {"field": "price_dollars"}))
        on.service.exchange.set_crowd_level(TICKER, BookSide.BID, 3_000, 700)
        await books.until_seen(BookInvalid)
        invalid = next(each for each in books.events if isinstance(each, BookInvalid))
        assert TICKER in invalid.tickers
        assert "price_dollars" in invalid.reason
        assert any("price_dollars" in what for _, what in on.bad)
        await quiesce(books)
