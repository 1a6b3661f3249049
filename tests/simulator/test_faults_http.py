"""Faults of single requests, seen by an independent client over real sockets."""

from __future__ import annotations

import asyncio
import base64
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from src.core.events import VenueOrderStatus
from src.core.sides import BookSide
from src.core.units import SECOND
from src.simulator.faults import FaultPlan, FaultRule, When
from src.simulator.faults_rules import Moment
from src.simulator.world import CrowdQuote

from .conftest import OTHER, T0, TICKER, ScriptedWorld, Serve, Served, listing, make_market

CREATE = When(method="POST", path="/portfolio/events/orders")
QUOTE = CrowdQuote(T0, TICKER, ((3500, 2500), (3400, 1300)), ((4000, 600), (4100, 900), (4500, 2000)))


def quoted_world() -> ScriptedWorld:
    return ScriptedWorld([listing(make_market(), make_market(OTHER)), QUOTE])


class Pauses:
    """A sleep that ends when the test says so, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.entered = asyncio.Event()
        self.over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.entered.set()
        await self.over.wait()


async def faulty(
    serve: Serve, *rules: FaultRule, world: ScriptedWorld | None = None, **options: Any
) -> Served:
    return await serve(world or quoted_world(), faults=FaultPlan(rules, seed=7), **options)


def statuses(served: Served) -> list[int | None]:
    assert served.service.faults is not None
    return [each.status for each in served.service.faults.observations.requests]


async def test_lose_response_accepts_the_order_and_resets(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("lose_response", When(method="POST", nth=1)))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await served.client.create(client_order_id="lost", price="0.3000")
    again = await served.client.create(client_order_id="lost", price="0.3000")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "order_already_exists")
    assert served.service.faults is not None
    seen = served.service.faults.observations
    orders = seen.orders_by_client_id(served.client.key_id)
    assert [len(each) for each in orders.values()] == [1]
    assert [each.client_order_id for each in seen.live_orders(served.client.key_id)] == ["lost"]
    assert statuses(served) == [None, 409]
    assert [each.faults for each in seen.requests] == [("lose_response",), ()]


async def test_lose_request_resets_before_anything_happens(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("lose_request", When(method="POST", times=1)))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await served.client.create(client_order_id="lost", price="0.3000")
    assert not served.exchange.account(served.client.key_id).orders
    assert (await served.client.create(client_order_id="lost", price="0.3000")).status_code == 201


@pytest.mark.parametrize(("phase", "exists_meanwhile"), [("request", False), ("response", True)])
async def test_delay_waits_before_or_after_the_work(serve: Serve, phase: str, exists_meanwhile: bool) -> None:
    pauses = Pauses()
    rule = FaultRule("delay", When(method="POST"), {"seconds": 8, "phase": phase})
    served = await serve(quoted_world(), faults=FaultPlan([rule], sleep=pauses))
    asked = asyncio.create_task(served.client.create(price="0.3000"))
    async with asyncio.timeout(5):
        await pauses.entered.wait()
    assert bool(served.exchange.account(served.client.key_id).orders) is exists_meanwhile
    assert not asked.done()
    pauses.over.set()
    assert (await asked).status_code == 201
    assert pauses.asked == [8.0]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("html", [False, True])
async def test_5xx_answers_without_or_after_handling(serve: Serve, status: int, html: bool) -> None:
    served = await faulty(
        serve,
        FaultRule("5xx", When(method="POST", nth=1), {"status": status, "html": html}),
        FaultRule("5xx", When(method="POST", nth=2), {"status": status, "html": html, "applied": True}),
    )
    for number, expected in ((1, 0), (2, 1)):
        answer = await served.client.create(client_order_id=f"c{number}", price="0.3000")
        assert answer.status_code == status
        kind = "text/html" if html else "application/json"
        assert answer.headers["content-type"].startswith(kind)
        assert len(served.exchange.account(served.client.key_id).orders) == expected


async def test_a_rule_for_one_market_finds_it_in_body_path_and_query(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("429", When(ticker=f"{OTHER[:-2]}*")))
    call = served.client.call
    assert (await served.client.create(ticker=OTHER, price="0.3000")).status_code == 429
    assert (await served.client.create(price="0.3000")).status_code == 201
    for path, expected in (
        (f"/markets/{OTHER}/orderbook", 429),
        (f"/markets/{TICKER}/orderbook", 200),
        (f"/markets?tickers={TICKER},{OTHER}", 429),
        (f"/portfolio/orders?ticker={TICKER}", 200),
    ):
        assert (await call("GET", path)).status_code == expected


async def test_a_lost_answer_of_a_rejected_order_is_lost_too(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("reject_after_ack", CREATE), FaultRule("lose_response", CREATE))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await served.client.create(price="0.3000", client_order_id="c1")
    (order,) = served.exchange.account(served.client.key_id).orders.values()
    assert order.status is VenueOrderStatus.CANCELED


async def test_429_has_no_retry_after(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("429", When(path="/markets", times=2)))
    for expected in (429, 429, 200):
        answer = await served.client.call("GET", "/markets")
        assert answer.status_code == expected
        if expected == 429:
            assert answer.json() == {"error": "too many requests"}
            assert "retry-after" not in answer.headers


async def test_read_lag_hides_a_new_order_from_list_and_get_until_it_is_old(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("read_lag", parameters={"seconds": 3}))
    order_id = (await served.client.create(price="0.3000", client_order_id="c1")).json()["order_id"]
    assert (await served.client.get("/portfolio/orders"))["orders"] == []
    assert (await served.client.call("GET", f"/portfolio/orders/{order_id}")).status_code == 404
    stamp = (await served.client.get("/exchange/user_data_timestamp"))["as_of_time"]
    assert stamp == "2026-11-23T07:59:57Z"
    # It is hidden, not absent: the id is taken.
    assert (await served.client.create(price="0.3000", client_order_id="c1")).status_code == 409
    served.service.driver.step_until(T0 + 2 * SECOND)
    assert (await served.client.get("/portfolio/orders"))["orders"] == []
    served.service.driver.step_until(T0 + 3 * SECOND)
    listed = (await served.client.get("/portfolio/orders"))["orders"]
    assert [each["order_id"] for each in listed] == [order_id]
    assert (await served.client.call("GET", f"/portfolio/orders/{order_id}")).status_code == 200


async def test_page_size_makes_pages_small_and_whole(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("page_size", When(path="/portfolio/orders"), {"size": 2}))
    for number in range(5):
        assert (await served.client.create(price="0.3000", client_order_id=f"c{number}")).status_code == 201
    seen: list[str] = []
    sizes: list[int] = []
    cursor = ""
    while True:
        page = await served.client.get(f"/portfolio/orders?limit=100&cursor={cursor}")
        seen += [each["client_order_id"] for each in page["orders"]]
        sizes.append(len(page["orders"]))
        cursor = page["cursor"]
        if not cursor:
            break
    assert sizes == [2, 2, 1]
    assert sorted(seen) == [f"c{number}" for number in range(5)]


@pytest.mark.parametrize("answer", ["error", "first_page"])
async def test_cursor_fail_strikes_only_requests_with_a_cursor(serve: Serve, answer: str) -> None:
    served = await faulty(serve, FaultRule("cursor_fail", parameters={"answer": answer}))
    first = await served.client.get("/markets?limit=1")
    second = await served.client.call("GET", f"/markets?limit=1&cursor={first['cursor']}")
    if answer == "error":
        assert second.status_code == 500
    else:
        assert second.json() == first


@pytest.mark.parametrize(
    ("fault", "path", "other"),
    [
        ("balance_fail", "/portfolio/balance", "/portfolio/positions"),
        ("positions_fail", "/portfolio/positions", "/portfolio/balance"),
    ],
)
async def test_one_read_of_the_account_fails(serve: Serve, fault: str, path: str, other: str) -> None:
    served = await faulty(serve, FaultRule(fault, parameters={"status": 502, "html": True}))
    failed = await served.client.call("GET", path)
    assert (failed.status_code, "<html>" in failed.text) == (502, True)
    assert (await served.client.call("GET", other)).status_code == 200


async def test_a_revoked_key_is_401_and_the_public_is_served(serve: Serve) -> None:
    until = Moment(10 * SECOND, after_start=True)
    served = await faulty(serve, FaultRule("key_revoked", When(to_ts=until)))
    answer = await served.client.call("GET", "/portfolio/balance")
    assert (answer.status_code, answer.json()["error"]["details"]) == (401, "NOT_FOUND")
    assert (await served.client.http.get("/trade-api/v2/markets")).status_code == 200
    served.service.driver.step_until(T0 + 10 * SECOND)
    assert (await served.client.call("GET", "/portfolio/balance")).status_code == 200


@pytest.mark.parametrize("status", [410, 404])
async def test_deprecate_endpoint(serve: Serve, status: int) -> None:
    rule = FaultRule("deprecate_endpoint", When(path="/markets/*/orderbook"), {"status": status})
    served = await faulty(serve, rule)
    assert (await served.client.call("GET", f"/markets/{TICKER}/orderbook")).status_code == status
    assert (await served.client.call("GET", f"/markets/{TICKER}")).status_code == 200


async def test_deprecate_field_leaves_the_rest(serve: Serve) -> None:
    rule = FaultRule("deprecate_field", When(path="/markets*"), {"field": "price_ranges"})
    served = await faulty(serve, rule)
    listed = (await served.client.get("/markets"))["markets"]
    assert len(listed) == 2
    for market in (*listed, (await served.client.get(f"/markets/{TICKER}"))["market"]):
        assert "price_ranges" not in market
        assert market["price_level_structure"] == "linear_cent"
    nested = (await served.client.get("/events?with_nested_markets=true"))["events"][0]["markets"]
    assert "price_ranges" in nested[0]


async def test_half_fill_of_an_order_that_would_fill_whole(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("half_fill", CREATE))
    taken = (await served.client.create(price="0.4500", time_in_force="immediate_or_cancel")).json()
    assert (taken["fill_count"], taken["remaining_count"]) == ("5.00", "0.00")
    served.exchange.apply(QUOTE)
    rested = (await served.client.create(price="0.4500")).json()
    assert (rested["fill_count"], rested["remaining_count"]) == ("5.00", "5.00")


async def test_half_fill_of_an_order_that_rests(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("half_fill", CREATE))
    # Behind 25 contracts of the crowd at the same price.
    answer = (await served.client.create(price="0.3500")).json()
    order = (await served.client.get(f"/portfolio/orders/{answer['order_id']}"))["order"]
    assert (order["status"], order["fill_count_fp"], order["remaining_count_fp"]) == (
        "resting",
        "5.00",
        "5.00",
    )
    assert served.exchange.book(TICKER).size_at(BookSide.BID, 3500) == 2500 + 500


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("post_only_cross", "PostOnlyCrossCancel"),
        ("self_trade", "SelfTradeCancel"),
        ("closed", "CloseCancel"),
    ],
)
async def test_reject_after_ack(serve: Serve, reason: str, shown: str) -> None:
    served = await faulty(serve, FaultRule("reject_after_ack", CREATE, {"reason": reason}))
    answer = await served.client.create(price="0.4500")
    assert (answer.status_code, answer.json()["remaining_count"]) == (201, "10.00")
    order = served.exchange.account(served.client.key_id).orders[answer.json()["order_id"]]
    assert (order.status, order.reason, order.filled) == (VenueOrderStatus.CANCELED, shown, 0)
    assert order.order_id not in served.exchange.account(served.client.key_id).open_orders


async def test_fill_after_cancel_ack_changes_what_the_cancel_took_out(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("fill_after_cancel_ack", parameters={"count": "4.00"}))
    order_id = (await served.client.create(price="0.3000")).json()["order_id"]
    answer = await served.client.call("DELETE", f"/portfolio/events/orders/{order_id}?market_ticker={TICKER}")
    assert (answer.status_code, answer.json()["reduced_by"]) == (200, "6.00")
    account = served.exchange.account(served.client.key_id)
    assert account.orders[order_id].status is VenueOrderStatus.CANCELED
    assert [each.count for each in account.fills] == [400]
    assert account.position_count(TICKER) == 400


@pytest.mark.parametrize("offset", [-30, 30])
async def test_clock_offset_moves_the_date_and_the_signature_check(serve: Serve, offset: int) -> None:
    served = await faulty(serve, FaultRule("clock_offset", parameters={"seconds": offset}))
    refused = await served.client.call("GET", "/portfolio/balance")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "header_timestamp_expired")
    told = parsedate_to_datetime(refused.headers["date"]).timestamp()
    path = "/trade-api/v2/portfolio/balance"
    headers = served.client.headers("GET", path, skew_ms=offset * 1_000)
    assert abs(told - int(headers["KALSHI-ACCESS-TIMESTAMP"]) / 1_000) < 5
    assert (await served.client.http.get(path, headers=headers)).status_code == 200


async def test_every_request_is_observed_with_its_signature_and_tokens(serve: Serve) -> None:
    served = await faulty(serve)
    path = "/trade-api/v2/portfolio/balance"
    await served.client.get("/portfolio/balance")
    headers = served.client.headers("GET", path)
    wrong = headers | {"KALSHI-ACCESS-SIGNATURE": base64.b64encode(b"nonsense").decode()}
    assert (await served.client.http.get(path, headers=wrong)).status_code == 401
    await served.client.http.get("/trade-api/v2/markets?limit=1")
    assert served.service.faults is not None
    seen = served.service.faults.observations
    assert [(each.method, each.path, each.query, each.signature, each.status) for each in seen.requests] == [
        ("GET", path, "", "valid", 200),
        ("GET", path, "", "invalid", 401),
        ("GET", "/trade-api/v2/markets", "limit=1", "none", 200),
    ]
    assert seen.tokens_spent() == {served.client.key_id: 1.0}
    assert seen.balance(served.client.key_id) == 1_000_000_000
    assert seen.positions(served.client.key_id) == {}


async def test_the_same_seed_and_requests_meet_the_same_faults_over_the_wire(serve: Serve) -> None:
    rule = FaultRule("5xx", When(path="/markets", probability=0.5))
    seen: list[list[int]] = []
    for _ in range(2):
        served = await faulty(serve, rule)
        seen.append([(await served.client.call("GET", "/markets")).status_code for _ in range(30)])
    assert seen[0] == seen[1]
    assert {200, 503} == set(seen[0])
