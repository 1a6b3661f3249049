"""Amending, decreasing, batches of orders, order groups and queue positions."""

from __future__ import annotations

from typing import Any

import pytest

from src.core.sides import BookSide
from src.core.units import DOLLAR_CASH, SECOND
from src.simulator.exchange import Exchange
from src.simulator.order_changes import Amendment
from src.simulator.ratelimit import RateLimits
from src.simulator.records import NewOrder, VenueOrder
from src.simulator.refusals import OrderRefused
from src.simulator.venue import VenueRules
from src.simulator.world import CrowdQuote, CrowdTake

from .conftest import OTHER, T0, TICKER, Serve, make_exchange, make_market

BID, ASK = BookSide.BID, BookSide.ASK
ORDERS = "/portfolio/events/orders"


@pytest.fixture
def exchange() -> Exchange:
    made = make_exchange(make_market(), make_market(OTHER))
    for name in ("a", "b"):
        made.add_account(name, 1_000 * DOLLAR_CASH)
    return made


def place(exchange: Exchange, owner: str, price: int, count: int, **options: Any) -> VenueOrder:
    return exchange.create(owner, NewOrder(TICKER, options.pop("side", BID), price, count, **options))


def amend(exchange: Exchange, order: VenueOrder, **changes: Any) -> VenueOrder:
    fields: dict[str, Any] = {
        "order_id": order.order_id,
        "ticker": TICKER,
        "side": order.side,
        "price": order.price,
        "count": order.filled + order.remaining,
    }
    return exchange.amend("a", Amendment(**(fields | changes))).order


def sell(exchange: Exchange, price: int, count: int) -> None:
    exchange.apply(CrowdTake(exchange.now, TICKER, ASK, price, count))


@pytest.mark.parametrize(
    ("changes", "ahead"),
    [
        ({"count": 300}, 0),
        ({"expiration_ts": T0 + 60 * SECOND}, 0),
        ({"count": 600}, 400),
        ({"price": 4100}, 0),
        ({"price": 3900}, 400),
    ],
)
def test_only_a_smaller_size_or_another_expiry_keeps_the_place(
    exchange: Exchange, changes: dict[str, int], ahead: int
) -> None:
    first = place(exchange, "a", 4000, 500)
    place(exchange, "b", 4000, 400)
    amend(exchange, first, **changes)
    assert exchange.queue_position(first) == ahead


def test_the_queue_position_counts_better_prices_and_older_orders(exchange: Exchange) -> None:
    place(exchange, "b", 4200, 100)
    place(exchange, "b", 4000, 50)
    assert exchange.queue_position(place(exchange, "a", 4000, 500)) == 150


def test_an_amended_count_is_the_total_with_what_is_filled(exchange: Exchange) -> None:
    order = place(exchange, "a", 4000, 500)
    sell(exchange, 4000, 200)
    amend(exchange, order, count=600)
    assert (order.count, order.filled, order.remaining, order.reason) == (600, 200, 400, "Amend")
    with pytest.raises(OrderRefused, match="invalid_order_size"):
        amend(exchange, order, count=200)


def test_an_amended_price_can_trade_at_once_and_keeps_the_books_right(exchange: Exchange) -> None:
    exchange.apply(CrowdQuote(T0, TICKER, (), ((4500, 200),)))
    order = place(exchange, "a", 4000, 500)
    amend(exchange, order, price=4500)
    assert (order.filled, order.remaining) == (200, 300)
    assert exchange.book(TICKER).levels(BID) == ((4500, 300),)
    assert exchange.account("a").resting_collateral == 4500 * 300


def test_an_amendment_moves_or_lifts_the_expiration(exchange: Exchange) -> None:
    order = place(exchange, "a", 4000, 500, expiration_ts=T0 + 10 * SECOND)
    amend(exchange, order, expiration_ts=T0 + 20 * SECOND)
    exchange.advance(T0 + 15 * SECOND)
    assert order.remaining == 500
    amend(exchange, order, expiration_ts=0)
    exchange.advance(T0 + 30 * SECOND)
    assert order.remaining == 500
    amend(exchange, order, expiration_ts=T0 + 40 * SECOND)
    exchange.advance(T0 + 40 * SECOND)
    assert (order.remaining, order.reason) == (0, "ExpiryCancel")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ticker": OTHER}, "order_ticker_mismatch"),
        ({"side": ASK}, "order_side_mismatch"),
        ({"client_order_id": "another"}, "order_id_and_client_order_id_mismatch"),
        ({"updated_client_order_id": "mine"}, "order_already_exists"),
        ({"price": 4050}, "invalid_price"),
        ({"count": 10**9}, "insufficient_balance"),
        ({"order_id": "no such"}, "not_found"),
    ],
)
def test_a_refused_amendment_changes_nothing(exchange: Exchange, changes: dict[str, Any], code: str) -> None:
    order = place(exchange, "a", 4000, 500, client_order_id="mine")
    needed = exchange.account("a").resting_collateral
    with pytest.raises(OrderRefused) as refused:
        amend(exchange, order, **changes)
    assert refused.value.code == code
    assert (order.price, order.remaining, exchange.account("a").resting_collateral) == (4000, 500, needed)


def test_a_decrease_keeps_the_place_and_one_to_nothing_cancels(exchange: Exchange) -> None:
    order = place(exchange, "a", 4000, 500)
    place(exchange, "b", 4000, 400)
    exchange.decrease("a", order.order_id, reduce_by=100, market_ticker=TICKER)
    assert (order.remaining, order.reason, exchange.queue_position(order)) == (400, "Decrease", 0)
    assert exchange.account("a").resting_collateral == 4000 * 400
    exchange.decrease("a", order.order_id, reduce_to=0)
    assert (order.status.value, exchange.account("a").resting_collateral) == ("canceled", 0)
    with pytest.raises(OrderRefused, match="not_found"):
        exchange.decrease("a", order.order_id, reduce_to=0)


def test_a_group_over_its_limit_cancels_its_orders_and_refuses_more(exchange: Exchange) -> None:
    group = exchange.create_group("a", 300)
    orders = [place(exchange, "a", 4000 - 100 * n, 200, order_group_id=group.group_id) for n in range(3)]
    sell(exchange, 3000, 1_000)
    assert [order.filled for order in orders] == [200, 200, 0]
    assert (group.is_triggered, orders[2].status.value) == (True, "canceled")
    with pytest.raises(OrderRefused, match="exceeded_order_group_risk_limit"):
        place(exchange, "a", 4000, 100, order_group_id=group.group_id)
    exchange.reset_group("a", group.group_id)
    assert place(exchange, "a", 4000, 100, order_group_id=group.group_id).remaining == 100


def test_a_group_forgets_what_matched_more_than_15_seconds_ago(exchange: Exchange) -> None:
    group = exchange.create_group("a", 300)
    order = place(exchange, "a", 4000, 900, order_group_id=group.group_id)
    for n in range(3):
        exchange.advance(T0 + n * 15 * SECOND)
        sell(exchange, 4000, 200)
    assert (order.filled, group.is_triggered) == (600, False)
    sell(exchange, 4000, 100)
    assert (order.filled, group.is_triggered, order.status.value) == (700, True, "canceled")


def test_a_taking_order_stops_when_its_group_triggers(exchange: Exchange) -> None:
    exchange.apply(CrowdQuote(T0, TICKER, (), ((4500, 200), (4600, 200))))
    group = exchange.create_group("a", 200)
    order = place(exchange, "a", 4600, 400, order_group_id=group.group_id)
    assert (order.filled, order.remaining, order.status.value) == (200, 0, "canceled")


def test_cancel_all_can_trail_by_a_minute() -> None:
    exchange = make_exchange(make_market(), rules=VenueRules(cancel_all_trails=True))
    exchange.add_account("a", 1_000 * DOLLAR_CASH)
    exchange.cancel_all("a")
    soon = place(exchange, "a", 4000, 100)
    exchange.advance(T0 + 61 * SECOND)
    later = place(exchange, "a", 4000, 100)
    exchange.advance(T0 + 120 * SECOND)
    assert (soon.status.value, later.status.value) == ("canceled", "resting")


async def test_a_batch_fails_item_by_item_but_pays_for_all_at_once(serve: Serve) -> None:
    at = 0.0
    limits = RateLimits(write_refill=10, write_capacity=30)
    served = await serve(limits=limits, monotonic=lambda: at)
    order = {
        "ticker": TICKER,
        "side": "bid",
        "count": "1.00",
        "price": "0.4000",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }
    too_many = await served.client.call("POST", f"{ORDERS}/batched", {"orders": [order] * 4})
    assert (too_many.status_code, too_many.json()) == (429, {"error": "too many requests"})
    bad = order | {"price": "0.4050"}
    answer = await served.client.call("POST", f"{ORDERS}/batched", {"orders": [order, bad, order]})
    assert answer.status_code == 201
    items = answer.json()["orders"]
    assert [item.get("error", {}).get("code") for item in items] == [None, "invalid_price", None]
    assert (await served.client.call("POST", f"{ORDERS}/batched", {"orders": [order]})).status_code == 429
    at = 0.4
    ids = [{"order_id": items[0]["order_id"]}, {"order_id": "no such"}]
    canceled = await served.client.call("DELETE", f"{ORDERS}/batched", {"orders": ids})
    assert [item["reduced_by"] for item in canceled.json()["orders"]] == ["1.00", "0.00"]
    assert canceled.json()["orders"][1]["error"]["code"] == "not_found"


async def test_a_named_shard_from_one_on_pays_from_its_own_bucket(serve: Serve) -> None:
    limits = RateLimits(write_refill=0, write_capacity=10)
    served = await serve(limits=limits, rules=VenueRules(shard_of_series={"KXHIGHNY": 1}))
    served.exchange.deposit(served.client.key_id, DOLLAR_CASH * 100, exchange_index=1)
    answers = [await served.client.create(exchange_index=index) for index in (1, 1)]
    answers += [await served.client.create() for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 429, 201, 429]
