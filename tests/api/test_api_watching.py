"""Watching the exchange: its status, our clock, our key, our books, and filters that cannot be combined."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest
from aiohttp import web

from src.api.clock_offset import ClockOffsetEstimate
from src.api.key_check import check_key
from src.api.market_filter import MarketFilter, TimeFilter
from src.api.schema_orders import ApiKeyBody, ApiKeysAnswer
from src.api.spot_check import SpotChecker
from src.api.status_source import StatusSource
from src.core.errors import DefiniteError
from src.core.events import ClockOffset, ExchangeSchedule, ExchangeStatus, FeedDown, FeedUp
from src.core.units import MILLISECOND, SECOND

# --- clock --------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset_ms", [-1_700, -300, 0, 40, 600, 30_000])
def test_many_answers_measure_the_offset_far_better_than_a_second(offset_ms):
    rng, estimate = random.Random(offset_ms), ClockOffsetEstimate()
    for _ in range(40):
        sent = rng.randrange(1_000_000, 2_000_000)
        served, back = sent + rng.randrange(5, 30), rng.randrange(5, 30)
        estimate.add(sent, served + back, (served - offset_ms) // 1_000 * 1_000)
    assert estimate.offset_ms is not None
    assert abs(estimate.offset_ms - offset_ms) < 120
    assert estimate.least_ms <= abs(offset_ms)
    assert estimate.least_ms >= abs(offset_ms) - 250


def test_a_clock_that_steps_is_measured_anew_from_the_step_on():
    estimate = ClockOffsetEstimate()
    assert (estimate.offset_ms, estimate.least_ms) == (None, 0)
    for at in range(0, 10_000, 1_300):
        estimate.add(at, at + 10, at // 1_000 * 1_000)
    assert abs(estimate.offset_ms or 0) < 500
    estimate.add(-3_590_000, -3_589_990, 10_000)
    assert estimate.least_ms > 3_598_000


DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ALWAYS_OPEN = {
    "schedule": {
        "standard_hours": [
            {
                "start_time": "2020-01-01T00:00:00Z",
                "end_time": "2100-01-01T00:00:00Z",
                **{day: [{"open_time": "00:00", "close_time": "00:00"}] for day in DAYS},
            }
        ],
        "maintenance_windows": [],
    }
}

# --- status -------------------------------------------------------------------------------------


@pytest.fixture
def source(client, clock, pause) -> StatusSource:
    return StatusSource(client, clock, interval=7.0, sleep=pause)


async def read(stream: Any, count: int) -> list[Any]:
    async with asyncio.timeout(10):
        return [await anext(stream) for _ in range(count)]


async def test_status_and_clock_are_told_and_a_failed_read_is_a_feed_down(exchange, source, pause):
    exchange.routes["GET /exchange/status"] = {"exchange_active": True, "trading_active": False}
    stream = source.stream()
    up, offset, status = await read(stream, 3)
    assert (up.feed, type(up), type(offset)) == ("exchange", FeedUp, ClockOffset)
    assert (status.exchange_active, status.trading_active) == (True, False)

    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>")

    exchange.routes["GET /exchange/status"] = broken
    (down,) = await read(stream, 1)
    assert isinstance(down, FeedDown)
    assert (down.feed, "502" in down.reason) == ("exchange", True)
    exchange.routes["GET /exchange/status"] = {"exchange_active": True, "trading_active": True}
    assert [type(event) for event in await read(stream, 3)] == [FeedUp, ClockOffset, ExchangeStatus]
    assert 7.0 in pause.waits
    await stream.aclose()


async def test_a_pause_told_with_an_error_status_is_a_status_not_a_failure(exchange, source):
    async def paused(_: web.Request) -> web.Response:
        return web.json_response({"exchange_active": False, "trading_active": False}, status=503)

    exchange.routes["GET /exchange/status"] = paused
    stream = source.stream()
    status = (await read(stream, 3))[-1]
    assert isinstance(status, ExchangeStatus)
    assert not status.exchange_active
    await stream.aclose()


async def test_a_clock_half_a_second_off_is_warned_of_once(exchange, client, clock, pause, wall, caplog):
    wall.ms += 60_000_000_000  # the stub's Date is the real time, which this is far from
    exchange.routes["GET /exchange/status"] = {"exchange_active": True, "trading_active": True}
    exchange.routes["GET /exchange/schedule"] = ALWAYS_OPEN
    stream = StatusSource(client, clock, sleep=pause).stream()
    with caplog.at_level(logging.WARNING, logger="src.api.status"):
        events = await read(stream, 8)
    assert [record.name for record in caplog.records] == ["src.api.status"]
    assert abs(events[1].offset) > 500 * MILLISECOND
    await stream.aclose()
    quiet = StatusSource(client, clock, sleep=pause, watches_clock=False).stream()
    seen = [type(event) for event in await read(quiet, 4)]
    assert seen == [FeedUp, ExchangeStatus, ExchangeSchedule, ExchangeStatus]
    await quiet.aclose()


# --- key ----------------------------------------------------------------------------------------


def keys(*scopes: str, expires: int | None = None) -> ApiKeysAnswer:
    return ApiKeysAnswer([ApiKeyBody("k", "bot", list(scopes))], expires)


@pytest.mark.parametrize(
    ("answer", "missing", "excess"),
    [
        (keys("read", "write::trade"), [], []),
        (keys("read", "write"), [], ["write,"]),
        (keys("read", "write::trade", "write::transfer", "new::scope"), [], ["write::transfer"]),
        (keys("read"), ["write::trade"], []),
        (keys("read::portfolio_balance", "write::trade"), ["scope read"], []),
        (ApiKeysAnswer([]), ["KALSHI_API_KEY"], []),
    ],
)
def test_a_key_is_judged_by_what_it_cannot_and_should_not_do(answer, missing, excess):
    found = check_key(answer, "k", 100)
    assert len(found.missing) == len(missing)
    assert len(found.excess) == len(excess)
    assert all(part in text for part, text in zip(missing, found.missing, strict=True))
    assert all(part in text for part, text in zip(excess, found.excess, strict=True))


def test_a_lapsed_attestation_bars_some_markets_and_not_the_key():
    lapsed = check_key(keys("read", "write::trade", expires=99), "k", 100)
    assert lapsed.missing == ()
    assert [("attestation" in text, "sports" in text) for text in lapsed.restricted] == [(True, True)]
    assert check_key(keys("read", "write::trade", expires=101), "k", 100).restricted == ()


# --- books --------------------------------------------------------------------------------------


class Books:
    """Our book of T, moved by hand, and the resynchronisations asked for."""

    def __init__(self) -> None:
        self.bids: dict[int, int] = {4_000: 100, 3_900: 200}
        self.asked: list[tuple[Any, str]] = []

    def read(self, ticker: str) -> Any:
        return None if ticker == "none" else (tuple(self.bids.items()), ((4_400, 1_700),))

    async def resync(self, tickers: Any, reason: str) -> None:
        self.asked.append((tickers, reason))


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def checker(client, books, pause) -> SpotChecker:
    return SpotChecker(client, lambda: ["T"], books.read, books.resync, sleep=pause, rng=lambda: 0.5)


def at_rest(exchange: Any, bids: dict[int, int], meanwhile: Any = None) -> None:
    async def answer(_: web.Request) -> web.Response:
        if meanwhile is not None:
            meanwhile()
        yes = [[f"{price / 10_000:.4f}", f"{count / 100:.2f}"] for price, count in bids.items()]
        return web.json_response({"orderbook_fp": {"yes_dollars": yes, "no_dollars": [["0.5600", "17.00"]]}})

    exchange.routes["GET /markets/T/orderbook"] = answer


async def test_equal_books_agree_after_one_look(exchange, checker, books):
    at_rest(exchange, books.bids)
    assert await checker.check("T") is True
    assert (checker.checked, checker.divergent, books.asked) == (1, 0, [])
    assert len(exchange.requests) == 1


async def test_a_level_that_stays_wrong_is_a_divergence_and_has_the_book_rebuilt(exchange, checker, books):
    at_rest(exchange, {4_000: 100, 3_800: 5})
    assert await checker.check("T") is False
    assert checker.divergent == 1
    assert books.asked == [(("T",), "2 levels differ from the exchange's book")]


async def test_a_book_that_moves_while_it_is_compared_is_not_called_wrong(exchange, checker, books):
    def move() -> None:
        books.bids[4_000] += 100

    at_rest(exchange, {4_000: 12_345, 3_900: 200}, move)
    assert await checker.check("T") is True

    def catch_up() -> None:
        books.bids = {4_100: 700}

    at_rest(exchange, {4_100: 700})
    checker._sleep = _then(catch_up)
    assert await checker.check("T") is True
    assert books.asked == []


def _then(act: Any) -> Any:
    async def sleep(_: float) -> None:
        act()

    return sleep


async def test_what_cannot_be_compared_is_neither_right_nor_wrong(checker):
    assert await checker.check("none") is None
    assert await checker.check("T") is None  # the stub has no such book
    assert (checker.checked, checker.failed) == (0, 1)


async def test_the_checker_chooses_a_market_now_and_then(exchange, checker, books, pause):
    looks, enough = iter(range(1, 1_000)), asyncio.Event()
    at_rest(exchange, books.bids, lambda: next(looks) > 2 and enough.set())
    task = asyncio.create_task(checker.run())
    async with asyncio.timeout(10):
        await enough.wait()
    task.cancel()
    await asyncio.wait({task})
    assert checker.checked >= 2
    assert pause.waits[0] == 30.0


# --- filters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (MarketFilter(status="finalized"), "status is finalized"),
        (MarketFilter(status="open", time=TimeFilter("close", 1)), "min_close_ts .* status open"),
        (MarketFilter(status="closed", time=TimeFilter("settled", None, 2)), "max_settled_ts"),
        (MarketFilter(status="settled", time=TimeFilter("created", 1)), "min_created_ts .* unopened or open"),
        (MarketFilter(status="open", time=TimeFilter("updated", 1)), "min_updated_ts"),
        (MarketFilter(event_ticker="E", time=TimeFilter("updated", 1)), "min_updated_ts .* event_ticker=E"),
        (MarketFilter(tickers=("T",), time=TimeFilter("updated", 1)), "min_updated_ts .* tickers=T"),
        (MarketFilter(mve="only", time=TimeFilter("updated", 1)), "min_updated_ts .* mve_filter=only"),
        (MarketFilter(time=TimeFilter("close")), "min_close_ts is empty"),
        (MarketFilter(time=TimeFilter("close", 3, 2)), "min_close_ts is 3"),
    ],
)
def test_filters_that_exclude_each_other_are_refused_by_name(wanted, names):
    with pytest.raises(DefiniteError, match=names) as caught:
        wanted.query(100)
    assert caught.value.code == "invalid_filter"


def test_a_filter_in_order_says_only_what_was_given():
    wanted = MarketFilter(series_ticker="S", time=TimeFilter("updated", 5 * SECOND // SECOND))
    assert wanted.query(10) == [
        ("series_ticker", "S"),
        ("mve_filter", "exclude"),
        ("limit", 10),
        ("min_updated_ts", 5),
    ]
