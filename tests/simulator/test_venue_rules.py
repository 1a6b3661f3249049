"""Pauses, disputes, reopening, shards, read lag, candlesticks, fee changes and channel errors."""

from __future__ import annotations

from typing import Any

import pytest

from src.core.fees import FeeSchedule, FeeType
from src.core.market import MarketStatus
from src.core.sides import BookSide
from src.core.units import DAY, DOLLAR_CASH, HOUR, MINUTE, SECOND, Nanos
from src.simulator.exchange import Exchange
from src.simulator.ratelimit import RateLimits
from src.simulator.records import NewOrder
from src.simulator.refusals import OrderRefused
from src.simulator.transfers import TransferRequest
from src.simulator.venue import VenueRules
from src.simulator.world import CrowdQuote, CrowdTake, Determine

from .conftest import (
    EVENT,
    OTHER,
    T0,
    TICKER,
    Serve,
    command,
    listing,
    make_market,
    receive,
)

BID, ASK = BookSide.BID, BookSide.ASK
# Thursday 2026-11-26 03:00 in New York (winter), and Thursday 2026-07-09 03:00 there (summer).
WINTER = 1_795_680_000 * SECOND
SUMMER = 1_783_580_400 * SECOND


def exchange_at(start: Nanos, **rules: Any) -> Exchange:
    exchange = Exchange(seed=7, start=start, rules=VenueRules(**rules))
    market = make_market(open_time=start, close_time=start + 5 * DAY)
    exchange.apply(listing(market, ts=start))
    exchange.add_account("a", 100 * DOLLAR_CASH)
    return exchange


def bid(exchange: Exchange, **options: Any) -> Any:
    return exchange.create("a", NewOrder(TICKER, BID, 4000, 100, **options))


@pytest.mark.parametrize("pause", [WINTER, SUMMER])
def test_thursdays_from_three_to_five_in_new_york_orders_are_refused(pause: Nanos) -> None:
    exchange = exchange_at(pause - HOUR)
    kept, marked = bid(exchange), bid(exchange, cancel_on_pause=True)
    exchange.advance(pause - 1)
    assert exchange.is_trading_active
    exchange.advance(pause)
    assert (kept.status.value, marked.status.value, marked.reason) == ("resting", "canceled", "HaltCancel")
    with pytest.raises(OrderRefused, match="trading_paused"):
        bid(exchange)
    exchange.apply(CrowdQuote(pause, TICKER, (), ((3900, 500),)))
    exchange.apply(CrowdTake(pause, TICKER, ASK, 4000, 100))
    assert (kept.filled, exchange.book(TICKER).levels(ASK)) == (0, ())
    assert exchange.cancel("a", kept.order_id, TICKER)[1] == 100
    exchange.advance(pause + 2 * HOUR)
    assert bid(exchange).remaining == 100


def test_without_the_rule_there_is_no_weekly_pause() -> None:
    exchange = exchange_at(WINTER, weekly_pause=False)
    assert bid(exchange).remaining == 100


async def test_status_and_schedule_tell_the_weekly_pause(serve: Serve) -> None:
    served = await serve()
    week = (await served.client.get("/exchange/schedule"))["schedule"]["standard_hours"][0]
    assert week["thursday"] == [
        {"open_time": "00:00", "close_time": "03:00"},
        {"open_time": "05:00", "close_time": "00:00"},
    ]
    served.service.driver.step_until(WINTER)
    status = await served.client.get("/exchange/status")
    assert (status["exchange_active"], status["trading_active"]) == (True, False)
    assert status["exchange_estimated_resume_time"] == "2026-11-26T10:00:00Z"


def test_a_disputed_result_is_paid_only_as_amended_and_after_a_new_timer() -> None:
    exchange = exchange_at(T0)
    exchange.apply(CrowdQuote(T0, TICKER, (), ((4000, 100),)))
    bid(exchange)
    exchange.apply(Determine(T0 + HOUR, TICKER, "yes", 10_000, "50"))
    exchange.dispute(TICKER)
    exchange.advance(T0 + 10 * HOUR)
    assert exchange.account("a").settlements == []
    exchange.amend_result(TICKER, "scalar", 2_500)
    exchange.advance(T0 + 11 * HOUR - 1)
    assert exchange.markets[TICKER].market.status is MarketStatus.AMENDED
    exchange.advance(T0 + 11 * HOUR)
    [paid] = exchange.account("a").settlements
    assert (paid.result, paid.value, paid.revenue) == ("scalar", 2_500, DOLLAR_CASH // 4)
    with pytest.raises(ValueError, match="finalized"):
        exchange.dispute(TICKER)


def test_a_market_closed_early_can_be_opened_again() -> None:
    exchange = exchange_at(T0)
    resting = bid(exchange)
    exchange.change_close_time(TICKER, T0 + 1)
    exchange.advance(T0 + 2)
    assert (resting.status.value, resting.reason) == ("canceled", "CloseCancel")
    with pytest.raises(OrderRefused, match="market_inactive"):
        bid(exchange)
    exchange.reopen(TICKER, T0 + HOUR)
    assert bid(exchange).remaining == 100
    exchange.advance(T0 + HOUR)
    assert exchange.markets[TICKER].market.status is MarketStatus.CLOSED


def test_cash_on_one_shard_backs_nothing_on_another() -> None:
    exchange = exchange_at(T0, shard_of_series={"KXHIGHNY": 2})
    with pytest.raises(OrderRefused, match="user_not_found"):
        bid(exchange)
    exchange.transfer("a", TransferRequest(DOLLAR_CASH // 10, 0, 2, "t-1"))
    with pytest.raises(OrderRefused, match="insufficient_balance"):
        bid(exchange)
    with pytest.raises(OrderRefused, match="transfer_already_exists"):
        exchange.transfer("a", TransferRequest(1, 0, 2, "t-1"))
    exchange.transfer("a", TransferRequest(DOLLAR_CASH, 0, 2))
    order = bid(exchange)
    with pytest.raises(OrderRefused, match="insufficient_balance"):
        exchange.transfer("a", TransferRequest(DOLLAR_CASH, 2, 0))
    with pytest.raises(OrderRefused, match="not_found"):
        exchange.cancel("a", order.order_id)
    assert exchange.cancel("a", order.order_id, exchange_index=2)[1] == 100
    assert exchange.account("a").cash == 100 * DOLLAR_CASH


async def test_transfers_between_shards_count_in_centicents_and_an_order_needs_its_own_shard(
    serve: Serve,
) -> None:
    """10,000 is a dollar. A shard that never had cash knows no user; an id alone is sought on shard 0."""
    served = await serve(rules=VenueRules(shard_of_series={"KXHIGHNY": 2}))
    client = served.client
    unfunded = await client.create()
    assert (unfunded.status_code, unfunded.json()["error"]["code"]) == (404, "user_not_found")
    moved = {"source": "event_contract", "destination": "event_contract"}
    shards = {"source_exchange_shard": 0, "destination_exchange_shard": 2}
    path = "/portfolio/intra_exchange_instance_transfer"
    assert (await client.call("POST", path, moved | shards | {"amount": 10_000})).status_code == 200
    [_, there] = (await client.get("/portfolio/balance"))["balance_breakdown"]
    assert there == {"exchange_index": 2, "balance": "1.000000"}
    poor = await client.create(count="10.00")
    assert (poor.status_code, poor.json()["error"]["code"]) == (400, "insufficient_balance")
    order_id = (await client.create(count="1.00")).json()["order_id"]
    order = f"/portfolio/events/orders/{order_id}"
    assert (await client.call("DELETE", order)).status_code == 404
    assert (await client.call("DELETE", f"{order}?market_ticker={TICKER}")).status_code == 200


async def test_the_balance_is_told_shard_by_shard(serve: Serve) -> None:
    served = await serve(rules=VenueRules(shard_of_series={"KXHIGHNY": 2}))
    served.exchange.transfer(served.client.key_id, TransferRequest(250 * DOLLAR_CASH, 0, 2))
    body = await served.client.get("/portfolio/balance")
    assert body["balance"] == 100_000
    assert [each["balance"] for each in body["balance_breakdown"]] == ["750.000000", "250.000000"]
    assert (await served.client.get("/portfolio/balance?exchange_index=2"))["balance"] == 25_000
    status = await served.client.get("/exchange/status")
    assert [each["exchange_index"] for each in status["exchange_index_statuses"]] == [0, 2]


async def test_portfolio_views_lag_and_say_how_far(serve: Serve) -> None:
    served = await serve(rules=VenueRules(read_lag=SECOND))
    client, step = served.client, served.service.driver.step_until
    served.exchange.apply(CrowdQuote(T0, TICKER, (), ((4000, 300),)))
    order_id = (await client.create(count="5")).json()["order_id"]
    assert (await client.call("GET", f"/portfolio/orders/{order_id}")).status_code == 404
    assert (await client.get("/portfolio/fills"))["fills"] == []
    assert (await client.get("/portfolio/balance"))["balance_dollars"] == "1000.000000"
    step(T0 + SECOND - 1)
    assert (await client.get("/portfolio/positions"))["market_positions"] == []
    step(T0 + SECOND)
    assert (await client.get("/exchange/user_data_timestamp"))["as_of_time"] == "2026-11-23T08:00:00Z"
    await client.call("DELETE", f"/portfolio/events/orders/{order_id}")
    stale = (await client.get(f"/portfolio/orders/{order_id}"))["order"]
    assert (stale["status"], stale["fill_count_fp"], stale["remaining_count_fp"]) == (
        "resting",
        "3.00",
        "2.00",
    )
    assert len((await client.get("/portfolio/fills"))["fills"]) == 1
    assert (await client.get("/portfolio/balance"))["balance_dollars"] == "998.749600"
    step(T0 + 2 * SECOND)
    assert (await client.get(f"/portfolio/orders/{order_id}"))["order"]["status"] == "canceled"
    assert (await client.get("/portfolio/orders?status=resting"))["orders"] == []


async def test_candlesticks_come_from_the_trades_and_quotes(serve: Serve) -> None:
    served = await serve()
    exchange, client = served.exchange, served.client
    exchange.apply(CrowdQuote(T0 + 1, TICKER, ((4000, 500),), ((4400, 500),)))
    exchange.apply(CrowdTake(T0 + 2, TICKER, BID, 4400, 100))
    exchange.apply(CrowdTake(T0 + MINUTE, TICKER, ASK, 4000, 300))
    exchange.apply(CrowdQuote(T0 + 2 * MINUTE + 1, TICKER, ((4100, 500),), ((4300, 500),)))
    exchange.advance(T0 + 4 * MINUTE)
    at = T0 // SECOND
    span = f"start_ts={at}&end_ts={at + 240}&period_interval=1"
    body = await client.get(f"/series/KXHIGHNY/markets/{TICKER}/candlesticks?{span}")
    first, second, third, _ = body["candlesticks"]
    assert first["end_period_ts"] == at + 60
    assert first["price"] == {
        "open_dollars": "0.4400",
        "low_dollars": "0.4000",
        "high_dollars": "0.4400",
        "close_dollars": "0.4000",
        "mean_dollars": "0.4100",
        "previous_dollars": None,
    }
    assert (first["volume_fp"], second["volume_fp"]) == ("4.00", "0.00")
    assert (second["price"]["close_dollars"], second["price"]["previous_dollars"]) == (None, "0.4000")
    assert (third["yes_bid"]["open_dollars"], third["yes_bid"]["close_dollars"]) == ("0.4000", "0.4100")
    exchange.advance(T0 + DAY + 3 * MINUTE)
    market = (await client.get(f"/markets/{TICKER}"))["market"]
    assert (market["previous_yes_bid_dollars"], market["previous_yes_ask_dollars"]) == ("0.4100", "0.4300")
    assert market["previous_price_dollars"] == "0.4000"


@pytest.mark.parametrize("query", ["", "start_ts=1&end_ts=2&period_interval=5", "start_ts=2&end_ts=1"])
async def test_a_malformed_range_of_candlesticks_is_a_validation_error(serve: Serve, query: str) -> None:
    served = await serve()
    path = f"/series/KXHIGHNY/markets/{TICKER}/candlesticks?{query}"
    answer = await served.client.call("GET", path)
    assert (answer.status_code, list(answer.json())) == (400, ["msg"])


async def test_fees_change_when_scheduled_and_an_event_can_have_its_own(serve: Serve) -> None:
    served = await serve()
    exchange, client = served.exchange, served.client
    maker = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES)
    exchange.change_series_fees("KXHIGHNY", maker, T0 + HOUR)
    async with client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["market_lifecycle_v2"])
        await receive(socket)
        exchange.change_event_fees(EVENT, FeeSchedule(multiplier_e4=5_000))
        frame = await receive(socket)
    assert (frame["type"], frame["msg"]["fee_multiplier_override"]) == ("event_fee_update", 0.5)
    assert exchange.markets[TICKER].market.fees.multiplier_e4 == 5_000
    assert (await client.get(f"/events/{EVENT}"))["event"]["fee_multiplier_override"] == 0.5
    [change] = (await client.get("/series/fee_changes"))["series_fee_change_arr"]
    assert change["fee_type"] == "quadratic_with_maker_fees"
    served.service.driver.step_until(T0 + HOUR)
    assert (await client.get("/series/fee_changes"))["series_fee_change_arr"] == []
    exchange.change_event_fees(EVENT, None)
    assert exchange.markets[OTHER].market.fees == maker
    assert len((await client.get("/events/fee_changes"))["event_fee_changes"]) == 2


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"shard_key": 1}, 20),
        ({"shard_factor": 0}, 19),
        ({"shard_factor": 101}, 22),
        ({"shard_factor": 4, "shard_key": 4}, 21),
    ],
)
async def test_communications_check_their_sharding(serve: Serve, params: dict[str, int], code: int) -> None:
    served = await serve()
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["communications"], **params)
        assert (await receive(socket))["msg"]["code"] == code


async def test_too_many_commands_and_markets_are_refused(serve: Serve, monkeypatch: Any) -> None:
    monkeypatch.setattr("src.simulator.ws.COMMANDS_PER_SECOND", 2)
    monkeypatch.setattr("src.simulator.ws_commands.MOST_MARKETS", 1)
    served = await serve(monotonic=lambda: 0.0)
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["trade"], market_tickers=[TICKER, OTHER])
        assert (await receive(socket))["msg"]["code"] == 26
        await command(socket, "list_subscriptions", 2)
        assert (await receive(socket))["type"] == "ok"
        await command(socket, "list_subscriptions", 3)
        assert (await receive(socket))["msg"]["code"] == 27


async def test_the_costs_shown_are_the_costs_charged(serve: Serve) -> None:
    served = await serve(limits=RateLimits(write_refill=0, write_capacity=22))
    costs = (await served.client.get("/account/endpoint_costs"))["endpoint_costs"]
    shown = {(each["method"], each["path"].removeprefix("/trade-api/v2")): each["cost"] for each in costs}
    cancel = shown["DELETE", "/portfolio/events/orders/:order_id"]
    answers = [await served.client.create() for _ in range(2)]
    gone = await served.client.call("DELETE", "/portfolio/events/orders/none")
    full = await served.client.call("DELETE", "/portfolio/events/orders/none")
    assert ([each.status_code for each in answers], gone.status_code, full.status_code) == (
        [201] * 2,
        404,
        429,
    )
    limits = await served.client.get("/account/limits")
    assert limits["write"]["bucket_capacity"] == 22 == 2 * 10 + cancel
    [key] = (await served.client.get("/api_keys"))["api_keys"]
    assert key["api_key_id"] == served.client.key_id
