"""The client that trades for real against the simulated exchange, over real sockets: they must agree."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from src.api.client import KalshiClient
from src.api.convert import to_levels, to_market
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.api.key_check import check_key
from src.api.market_filter import TimeFilter
from src.api.schema_orders import AmendOrderBody, CancelItemBody, CreateOrderAnswer, CreateOrderBody
from src.api.signing import Signer, load_private_key
from src.api.spot_check import SpotChecker
from src.api.status_source import StatusSource
from src.core.actions import AmendOrder
from src.core.book import OrderBook
from src.core.errors import DefiniteError
from src.core.events import (
    BookDelta,
    BookSnapshot,
    DailyMaximum,
    ExchangeStatus,
    FeedUp,
    ForecastUpdate,
)
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus, Strike, StrikeKind
from src.core.sides import BookSide
from src.core.units import HOUR, MINUTE, SECOND
from src.simulator.faults_orders import OrderFaults
from src.simulator.service import SimulatorService
from src.simulator.venue import VenueRules
from src.simulator.world import CrowdQuote, CrowdTake, Determine, ListEvent, WorldEvent

T0 = 1_795_420_800 * SECOND
START = T0 // SECOND
EVENT = "KXHIGHNY-26NOV23"
TICKER, OTHER = f"{EVENT}-B50.5", f"{EVENT}-T57"
BIDS, ASKS = ((4_100, 2_500), (4_200, 1_300)), ((4_400, 1_700), (4_500, 2_000))


def make_market(ticker: str) -> Market:
    return Market(
        ticker=ticker,
        event_ticker=EVENT,
        series_ticker="KXHIGHNY",
        status=MarketStatus.INITIALIZED,
        open_time=T0,
        close_time=T0 + 24 * HOUR,
        grid=LINEAR_CENT,
        fees=FeeSchedule(),
        strike=Strike(StrikeKind.BETWEEN, 50, 51),
        title="50° to 51°",
        settlement_timer_seconds=3600,
        rules_primary="If the maximum is between 50 and 51.",
    )


class StoppedClock:
    def now(self) -> int:
        return T0


@dataclass
class ScriptedWorld:
    kind: str = "generated"
    start: int = T0
    end: int = T0 + 48 * HOUR
    days: int = 1
    seed: int = 7
    script: list[WorldEvent] = field(
        default_factory=lambda: [
            ListEvent(T0, EVENT, "KXHIGHNY", "Highest", (make_market(TICKER), make_market(OTHER))),
            CrowdQuote(T0, TICKER, BIDS, ASKS),
            CrowdTake(T0 + MINUTE, TICKER, BookSide.BID, 4_400, 300),
            CrowdTake(T0 + 2 * HOUR, TICKER, BookSide.ASK, 4_200, 200),
            Determine(T0 + 30 * HOUR, TICKER, "yes", 10_000, "50.00"),
            Determine(T0 + 30 * HOUR, OTHER, "no", 0, "50.00"),
        ]
    )

    def history(self) -> Iterable[ForecastUpdate | DailyMaximum]:
        return ()

    def events(self) -> Iterator[WorldEvent]:
        return iter(self.script)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[SimulatorService]:
    rules = VenueRules(live_window=20 * HOUR)
    service = SimulatorService(ScriptedWorld(), tmp_path / "key.pem", key_type="ed25519", rules=rules)
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
def signer(service: SimulatorService) -> Signer:
    key = load_private_key(str(service.private_key_path))
    return Signer(service.key_id, key, lambda: time.time_ns() // 1_000_000)


@pytest.fixture
async def client(service: SimulatorService, signer: Signer) -> AsyncIterator[KalshiClient]:
    client = KalshiClient(service.rest_url, signer)
    client.budget.balance.resize(1_000, 1_000)
    await client.limits()
    yield client
    await client.aclose()


def order(name: str, **changes: Any) -> CreateOrderBody:
    fields = {
        "ticker": TICKER,
        "client_order_id": name,
        "side": "bid",
        "count": "10.00",
        "price": "0.4000",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "exchange_index": 0,
    }
    return CreateOrderBody(**(fields | changes))


async def test_public_reads(service, client):
    service.driver.step_until(T0 + 3 * HOUR)
    assert (await client.exchange_status()).trading_active
    assert (await client.exchange_schedule()).standard_hours
    assert [each.ticker for each in await client.series_list(category="Climate and Weather")] == ["KXHIGHNY"]
    series, event = await client.series("KXHIGHNY"), await client.event(EVENT)
    raw = await client.markets(event_ticker=EVENT, status="open")
    assert {to_market(each, event, series).ticker for each in raw} == {TICKER, OTHER}
    assert to_market(await client.market(TICKER), event, series).grid == LINEAR_CENT
    closing = TimeFilter("close", START, START + 25 * 3_600)
    assert len(await client.markets(series_ticker="KXHIGHNY", time=closing)) == 2
    assert [each.event_ticker for each in await client.events("KXHIGHNY", "open")] == [EVENT]
    (book,) = await client.orderbooks([TICKER])
    single = await client.orderbook(TICKER)
    assert to_levels(single.yes_dollars, single.no_dollars) == to_levels(
        book.orderbook_fp.yes_dollars, book.orderbook_fp.no_dollars
    )
    assert await client.series_fee_changes("KXHIGHNY", show_historical=True) == []
    assert await client.event_fee_changes(EVENT) == []


async def test_costs_and_keys(client, signer):
    costs = await client.endpoint_costs()
    assert costs.default_cost == 10
    found = check_key(await client.api_keys(), signer.key_id, START)
    assert found.missing == ()


async def test_trades_and_candles_stay_whole_when_they_move_to_the_archive(service, client):
    service.driver.step_until(T0 + 3 * HOUR)
    live_trades = await client.trades_all(ticker=TICKER)
    span = (START, START + 3 * 3_600)
    live_candles = await client.candles_all("KXHIGHNY", TICKER, *span, 60)
    assert len(live_trades) == 2
    assert sum(candle.volume for candle in live_candles) == 500
    batch = await client.markets_candles([TICKER, OTHER], *span, 60)
    assert batch[TICKER] == live_candles
    by_event, _ = await client.event_candles("KXHIGHNY", EVENT, *span, 60)
    assert by_event[TICKER] == live_candles
    service.driver.step_until(T0 + 47 * HOUR)  # both are older than the live window now
    assert await client.trades(ticker=TICKER) == []
    assert await client.trades_all(ticker=TICKER) == live_trades


async def test_settled_markets_and_their_candles_are_found_in_the_archive(service, client):
    service.driver.step_until(T0 + 3 * HOUR)
    span = (START, START + 3 * 3_600)
    live = await client.candles_all("KXHIGHNY", TICKER, *span, 60)
    service.driver.step_until(T0 + 55 * HOUR)
    assert await client.markets(event_ticker=EVENT) == []
    assert len(await client.markets_all(event_ticker=EVENT)) == 2
    assert await client.archived_market(TICKER)
    archived = await client.candles_all("KXHIGHNY", TICKER, *span, 60)
    assert [(candle.end_ts, candle.volume) for candle in archived] == [(c.end_ts, c.volume) for c in live]


async def test_an_order_is_created_amended_decreased_and_cancelled(service, client):
    service.driver.step_until(T0)
    created = await client.create_order(order("a"))
    assert (created.client_order_id, created.remaining_count) == ("a", "10.00")
    amended = await client.amend_order(
        created.order_id, AmendOrderBody(TICKER, "bid", "0.3900", "8.00", client_order_id="a")
    )
    assert amended.remaining_count == "8.00"
    smaller = await client.decrease_order(created.order_id, TICKER, 0, reduce_by=100)
    assert smaller.remaining_count == "7.00"
    assert (await client.decrease_order(created.order_id, TICKER, 0, reduce_to=500)).remaining_count == "5.00"
    (queued,) = await client.queue_positions(tickers=[TICKER])
    assert queued.order_id == created.order_id
    assert await client.queue_position(created.order_id) == queued.queue_position_fp
    assert (await client.cancel_order(created.order_id, TICKER, 0)).reduced_by == "5.00"
    with pytest.raises(DefiniteError) as caught:
        await client.cancel_order(created.order_id, TICKER, 0)
    assert caught.value.code == "not_found"
    assert (await client.order(created.order_id)).status == "canceled"


async def test_the_gateway_amends_to_a_total_and_keeps_the_place_in_the_queue(service, client):
    """What has filled counts: three filled and a total of six leave three resting, where they were."""
    service.driver.step_until(T0)
    gateway, exchange = KalshiGateway(client, StoppedClock()), service.exchange
    created = await client.create_order(order("a", expiration_time=START + 60))
    account = exchange.account(service.key_id)
    resting = account.orders[created.order_id]
    OrderFaults(exchange).fill_up_to(service.key_id, created.order_id, 300)
    before = exchange.queue_position(resting)
    wanted = AmendOrder("a", created.order_id, TICKER, 0, resting.side, resting.price, 600, T0 + 120 * SECOND)
    answer = await gateway.amend(wanted)
    assert (answer.outcome, answer.count, answer.ts_event) == ("amended", 600, exchange.now)
    assert (resting.filled, resting.remaining) == (300, 300)
    assert exchange.queue_position(resting) == before
    assert resting.request.expiration_ts == T0 + 120 * SECOND
    answer = await gateway.amend(replace(wanted, count=300))
    assert answer.outcome == "failed"  # a total must exceed what has filled
    assert "invalid_order_size" in answer.detail


async def test_batches_answer_each_order(service, client):
    service.driver.step_until(T0)
    good, bad, dear = await client.create_orders(
        [order("a"), order("b", price="0.4050"), order("c", count="99999.00", price="0.4300")]
    )
    assert isinstance(good, CreateOrderAnswer)
    assert (type(bad), bad.code) == (DefiniteError, "invalid_price")
    assert (type(dear), dear.code) == (DefiniteError, "insufficient_balance")
    done, gone = await client.cancel_orders(
        [CancelItemBody(good.order_id, TICKER, 0), CancelItemBody("no-such-order", TICKER, 0)]
    )
    assert done.reduced_by == "10.00"
    assert gone.code == "not_found"
    await client.create_order(order("d"))
    await client.cancel_all_orders()
    assert await client.orders(status="resting") == []


async def test_an_order_group_is_a_kill_switch(service, client):
    service.driver.step_until(T0)
    group = await client.create_order_group(10_000)
    created = await client.create_order(order("a", order_group_id=group))
    assert (await client.order_group(group)).orders == [created.order_id]
    await client.trigger_order_group(group)
    assert (await client.order(created.order_id)).status == "canceled"
    with pytest.raises(DefiniteError):
        await client.create_order(order("b", order_group_id=group))
    await client.reset_order_group(group)
    await client.limit_order_group(group, 500)
    assert [each.contracts_limit_fp for each in await client.order_groups()] == ["5.00"]
    await client.delete_order_group(group)
    assert await client.order_groups() == []


async def test_the_accounts_records_in_both_tiers(service, client):
    service.driver.step_until(T0)
    bought = await client.create_order(order("a", price="0.4400", time_in_force="immediate_or_cancel"))
    assert bought.fill_count == "10.00"
    fills, orders = await client.fills_all(), await client.orders_all()
    assert [each.position_fp for each in await client.positions()] == ["10.00"]
    service.driver.step_until(T0 + 55 * HOUR)
    assert (await client.fills(), await client.orders()) == ([], [])
    assert [each.trade_id for each in await client.fills_all()] == [each.trade_id for each in fills]
    assert [each.order_id for each in await client.orders_all()] == [each.order_id for each in orders]
    assert [each.ticker for each in await client.positions_all()] == [TICKER]


async def test_the_status_source_sees_a_pause(service, client):
    source = StatusSource(client, service.driver.clock, interval=0.0, watches_clock=False)
    stream = source.stream()
    async with asyncio.timeout(10):
        assert isinstance(await anext(stream), FeedUp)
        status = await anext(stream)
    assert isinstance(status, ExchangeStatus)
    assert status.trading_active
    await stream.aclose()


async def test_the_feed_confirms_its_prices_follows_extras_and_its_books_are_the_exchanges(
    service, client, signer
):
    service.driver.step_until(T0)
    told: list[Any] = []
    feed = KalshiFeed(
        service.ws_url,
        signer,
        client,
        service.driver.clock,
        series=["KXHIGHNY"],
        on_bad=lambda *what: pytest.fail(str(what)),
        extras=["ticker", "market_positions", "order_group_updates"],
        on_message=told.append,
    )
    stream = feed.stream()
    books = {ticker: OrderBook(ticker, LINEAR_CENT) for ticker in (TICKER, OTHER)}

    async def until(done: Any) -> None:
        async with asyncio.timeout(10):
            while not done():
                match await anext(stream):
                    case BookSnapshot() as s:
                        books[s.ticker].apply_snapshot(s.bids, s.asks, s.seq, s.ts_recv, s.ts_event)
                    case BookDelta() as d:
                        books[d.ticker].apply_delta(d.side, d.price, d.delta, d.seq, d.ts_recv, d.ts_event)

    await until(lambda: books[TICKER].best_ask is not None)
    assert (books[TICKER].best_bid, books[TICKER].best_ask) == (4_200, 4_400)
    bought = await client.create_order(order("a", price="0.4400", time_in_force="immediate_or_cancel"))
    assert bought.fill_count == "10.00"
    await until(lambda: {type(message).__name__ for message in told} >= {"Ticker", "PositionUpdate"})
    await until(lambda: books[TICKER].size_at(BookSide.ASK, 4_400) == 700)
    asked: list[Any] = []

    async def resync(*what: Any) -> None:
        asked.append(what)

    def read(ticker: str) -> Any:
        book = books[ticker]
        return tuple(book.levels(BookSide.BID)), tuple(book.levels(BookSide.ASK))

    checker = SpotChecker(client, books.keys, read, resync)
    assert [await checker.check(ticker) for ticker in books] == [True, True]
    assert asked == []
    assert set(feed.subscriptions) >= {"ticker", "market_positions", "order_group_updates"}
    await feed.drop_extras(["ticker"])
    await feed.aclose()
    assert (feed.frames_malformed, feed.frames_unknown) == (0, 0)
