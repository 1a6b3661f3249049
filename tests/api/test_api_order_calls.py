"""Batches, amendments and groups: nothing lost, nothing sent twice, every order has its own outcome."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from src.api.budget import RateBudget
from src.api.client import KalshiClient
from src.api.schema_orders import CancelItemBody, CreateOrderAnswer, CreateOrderBody
from src.core.errors import DefiniteError, FatalError, RetryableError, UnknownOutcomeError

BATCH = "/portfolio/events/orders/batched"


def order(number: int, **changes: Any) -> CreateOrderBody:
    fields = {
        "ticker": "T",
        "client_order_id": f"c{number}",
        "side": "bid",
        "count": "1.00",
        "price": "0.4000",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "exchange_index": 0,
    }
    return CreateOrderBody(**(fields | changes))


def created(asked: dict[str, Any]) -> dict[str, Any]:
    name = asked["client_order_id"]
    return {
        "order_id": f"o-{name}",
        "client_order_id": name,
        "fill_count": "0.00",
        "remaining_count": asked["count"],
        "ts_ms": 1,
    }


async def take_all(request: web.Request) -> web.Response:
    body = await request.json()
    return web.json_response({"orders": [created(each) for each in body["orders"]]}, status=201)


class Time:
    """A clock that sleeping moves."""

    at = 0.0

    def __call__(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


@pytest.fixture
async def small_client(exchange, signer, pause):
    """The smallest tier: a bucket of 100 write tokens, 20 of them kept for exits."""
    time = Time()
    client = KalshiClient(
        exchange.base_url,
        signer,
        budget=RateBudget(clock=time, sleep=time.sleep),
        sleep=pause,
        rng=lambda: 0.5,
    )
    yield client
    await client.aclose()


async def test_a_batch_beyond_the_bucket_is_split_and_every_order_has_an_outcome(exchange, small_client):
    exchange.routes[f"POST {BATCH}"] = take_all
    outcomes = await small_client.create_orders([order(number) for number in range(25)])
    sizes = [len(json.loads(seen.body)["orders"]) for seen in exchange.sent("POST", BATCH)]
    assert (sizes[0], sum(sizes)) == (8, 25)
    assert [outcome.order_id for outcome in outcomes] == [f"o-c{number}" for number in range(25)]


async def test_exits_may_spend_the_reserve(exchange, small_client):
    exchange.routes[f"POST {BATCH}"] = take_all
    exits = [order(n, reduce_only=True, time_in_force="immediate_or_cancel") for n in range(10)]
    await small_client.create_orders(exits)
    assert len(exchange.sent("POST", BATCH)) == 1


async def test_errors_inside_a_201_are_of_their_own_order_alone(exchange, client):
    async def mixed(request: web.Request) -> web.Response:
        asked = (await request.json())["orders"]
        refused = {"error": {"code": "insufficient_balance", "message": "no"}}
        strange = {"error": {"code": "a_code_added_since", "message": "?"}}
        other = {**created(asked[3]), "client_order_id": "somebody-else"}
        answers = [created(asked[0]), refused, strange, other, {"order_id": "o4"}]
        return web.json_response({"orders": answers}, status=201)

    exchange.routes[f"POST {BATCH}"] = mixed
    outcomes = await client.create_orders([order(number) for number in range(5)])
    kinds = [CreateOrderAnswer, DefiniteError, UnknownOutcomeError, UnknownOutcomeError, UnknownOutcomeError]
    assert [type(outcome) for outcome in outcomes] == kinds
    assert outcomes[1].code == "insufficient_balance"


@pytest.mark.parametrize(
    ("status", "body", "first", "rest"),
    [
        (500, "{}", UnknownOutcomeError, UnknownOutcomeError),
        (201, '{"orders":[]}', UnknownOutcomeError, UnknownOutcomeError),
        (429, '{"error":"too many requests"}', RetryableError, RetryableError),
        (401, '{"error":{"code":"authentication_error"}}', FatalError, RetryableError),
    ],
)
async def test_a_batch_that_fails_whole_fails_each_order(exchange, small_client, status, body, first, rest):
    async def fail(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    exchange.routes[f"POST {BATCH}"] = fail
    outcomes = await small_client.create_orders([order(number) for number in range(12)])
    assert [type(outcome) for outcome in outcomes] == [first] * 8 + [rest] * 4
    assert (len(exchange.sent("POST", BATCH)) == 1) is (rest is RetryableError)


async def test_cancels_are_sent_with_their_markets_and_answered_each(exchange, client):
    async def cancel(request: web.Request) -> web.Response:
        asked = (await request.json())["orders"]
        assert all(each["market_ticker"] == "T" for each in asked)
        gone = {"order_id": "o1", "reduced_by": "0.00", "error": {"code": "not_found", "message": "?"}}
        done = {"order_id": "o0", "reduced_by": "3.00", "ts_ms": 5}
        return web.json_response({"orders": [done, gone]})

    exchange.routes[f"DELETE {BATCH}"] = cancel
    done, gone = await client.cancel_orders([CancelItemBody("o0", "T", 0), CancelItemBody("o1", "T", 0)])
    assert done.reduced_by == "3.00"
    assert (type(gone), gone.code) == (DefiniteError, "not_found")


async def test_a_caller_cancelled_between_batches_learns_what_was_sent(exchange, small_client):
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await release.wait()
        return await take_all(request)

    exchange.routes[f"POST {BATCH}"] = slow
    results: list[Any] = []

    async def caller() -> None:
        results.extend(await small_client.create_orders([order(number) for number in range(12)]))
        await asyncio.sleep(0)

    task = asyncio.create_task(caller())
    async with asyncio.timeout(10):
        await arrived.wait()
    task.cancel()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [type(each) for each in results[:8]] == [CreateOrderAnswer] * 8
    assert [each.code for each in results[8:]] == ["not_sent"] * 4


async def test_exactly_one_way_to_decrease(client, exchange):
    for amounts in ({}, {"reduce_by": 1, "reduce_to": 1}):
        with pytest.raises(DefiniteError, match="exactly one"):
            await client.decrease_order("o1", "T", 0, **amounts)
    assert exchange.requests == []


async def test_an_amendment_without_an_answer_may_have_happened(client, exchange):
    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=503)

    exchange.routes["POST /portfolio/events/orders/o1/decrease"] = broken
    with pytest.raises(UnknownOutcomeError):
        await client.decrease_order("o1", "T", 0, reduce_by=100)
    assert len(exchange.requests) == 1
