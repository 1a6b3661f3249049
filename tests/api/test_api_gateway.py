"""Submit, cancel and report over real sockets: what is said when answers are lost, late or strange."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from src.api.budget import RateBudget
from src.api.client import KalshiClient
from src.api.gateway import KalshiGateway
from src.core.actions import AmendOrder, CancelOrder
from src.core.errors import DefiniteError, FatalError, RetryableError
from src.core.events import CancelAnswered, OrderAccepted, OrderRejected, OrderUnknown
from src.core.sides import BookSide
from src.core.signal import OrderIntent, Purpose, TimeInForce
from src.core.units import MILLISECOND, SECOND

CREATE = "/portfolio/events/orders"
TICKER = "KXHIGHNY-26NOV23-B50.5"
ACCEPTED = {
    "order_id": "a1",
    "client_order_id": "6f0c",
    "fill_count": "4.00",
    "remaining_count": "8.00",
    "average_fill_price": "0.3700",
    "ts_ms": 1_795_420_800_345,
}


@dataclass(frozen=True)
class Approved:
    intent: OrderIntent
    reserved: int = 7_560_000


def approved(**changes: Any) -> Approved:
    fields: dict[str, Any] = {
        "client_order_id": "6f0c",
        "signal_id": "s",
        "strategy": "weather",
        "ticker": TICKER,
        "event_ticker": "KXHIGHNY-26NOV23",
        "side": BookSide.ASK,
        "price": 3_700,
        "count": 1_200,
        "time_in_force": TimeInForce.GOOD_TILL_CANCELED,
        "purpose": Purpose.ENTRY,
        "created_ts": 0,
        "trace_id": "t",
    }
    return Approved(OrderIntent(**{**fields, **changes}))


def answering(body: Any, status: int = 201):
    async def handler(_: web.Request) -> web.Response:
        if isinstance(body, str):
            return web.Response(text=body, status=status, content_type="text/html")
        return web.json_response(body, status=status)

    return handler


def refusing(code: str, status: int, details: str = ""):
    return answering({"error": {"code": code, "message": code, "details": details}}, status)


async def drop(request: web.Request) -> web.Response:
    """The request was taken; its answer never arrives."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.fixture
def gateway(client, clock) -> KalshiGateway:
    return KalshiGateway(client, clock)


async def test_an_accepted_order_carries_the_venues_id_and_fills(exchange, gateway):
    exchange.routes[f"POST {CREATE}"] = answering(ACCEPTED)
    outcome = await gateway.submit(approved())
    assert isinstance(outcome, OrderAccepted)
    assert (outcome.order_id, outcome.filled, outcome.remaining) == ("a1", 400, 800)
    assert outcome.ts_event == 1_795_420_800_345 * MILLISECOND
    (sent,) = exchange.sent("POST", CREATE)
    assert json.loads(sent.body)["price"] == "0.3700"
    assert sent.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("handler", "kind", "says"),
    [
        (refusing("invalid_order", 400, "post only cross"), OrderRejected, "invalid_order"),
        (refusing("insufficient_balance", 400), OrderRejected, "insufficient_balance"),
        (refusing("not_found", 404), OrderRejected, "not_found"),
        (refusing("trading_paused", 409), OrderRejected, "trading_paused"),
        (refusing("authentication_error", 401), OrderRejected, "authentication_error"),
        (answering({"error": "too many requests"}, 429), OrderRejected, "too_many_requests"),
        (refusing("order_already_exists", 409), OrderUnknown, "exists"),
        (refusing("something_new", 400), OrderUnknown, "something_new"),
        (refusing("exchange_unavailable", 503), OrderUnknown, "503"),
        (refusing("internal_error", 500), OrderUnknown, "500"),
        (answering("<html>Bad Gateway</html>", 502), OrderUnknown, "502"),
        (answering("<html>welcome</html>", 200), OrderUnknown, "malformed"),
        (answering({**ACCEPTED, "client_order_id": "other"}), OrderUnknown, "another order"),
        (answering({**ACCEPTED, "fill_count": None}), OrderUnknown, "fill_count"),
        (answering({**ACCEPTED, "fill_count": "4.001"}), OrderUnknown, "fill_count"),
        (drop, OrderUnknown, "no answer"),
    ],
)
async def test_submit_outcomes(exchange, gateway, handler, kind, says):
    exchange.routes[f"POST {CREATE}"] = handler
    outcome = await gateway.submit(approved())
    assert type(outcome) is kind
    shown = outcome.reason if isinstance(outcome, OrderUnknown) else outcome.code
    assert says in shown
    assert outcome.client_order_id == "6f0c"
    assert len(exchange.sent("POST", CREATE)) == 1


async def test_a_refused_connection_is_a_rejection_because_nothing_was_sent(signer, clock):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    gateway = KalshiGateway(KalshiClient(f"http://127.0.0.1:{port}/trade-api/v2", signer), clock)
    outcome = await gateway.submit(approved())
    assert isinstance(outcome, OrderRejected)
    assert outcome.code == "not_sent"
    await gateway.aclose()


async def test_an_order_the_venue_would_refuse_is_not_sent(exchange, gateway):
    outcome = await gateway.submit(approved(price=10_000))
    assert isinstance(outcome, OrderRejected)
    assert outcome.code == "invalid_intent"
    assert exchange.requests == []


async def test_a_caller_cancelled_mid_send_still_gets_the_outcome_and_then_its_cancellation(
    exchange, gateway
):
    arrived, answer = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        arrived.set()
        await answer.wait()
        return web.json_response(ACCEPTED, status=201)

    exchange.routes[f"POST {CREATE}"] = slow
    outcomes: list[object] = []

    async def executor() -> None:
        outcomes.append(await gateway.submit(approved()))
        await asyncio.Event().wait()

    task = asyncio.create_task(executor())
    async with asyncio.timeout(10):
        await arrived.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        answer.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert isinstance(outcomes[0], OrderAccepted)
    assert len(exchange.sent("POST", CREATE)) == 1


async def test_a_caller_cancelled_while_it_waits_for_budget_has_sent_nothing(exchange, signer, clock):
    waiting = asyncio.Event()

    async def forever(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    budget = RateBudget(clock=lambda: 0.0, sleep=forever)
    await budget.write.acquire(75)
    client = KalshiClient(exchange.base_url, signer, budget=budget)
    gateway = KalshiGateway(client, clock)
    outcomes: list[object] = []

    async def executor() -> None:
        outcomes.append(await gateway.submit(approved()))

    task = asyncio.create_task(executor())
    async with asyncio.timeout(10):
        await waiting.wait()
    task.cancel()
    await asyncio.wait({task})
    (outcome,) = outcomes
    assert isinstance(outcome, OrderRejected)
    assert outcome.code == "not_sent"
    assert exchange.requests == []
    await client.aclose()


async def test_an_order_without_budget_in_time_is_refused_not_sent_late(exchange, signer, clock):
    budget = RateBudget(clock=lambda: 0.0)
    await budget.write.acquire(80)
    budget.write.rate = 1.0
    client = KalshiClient(exchange.base_url, signer, budget=budget)
    outcome = await KalshiGateway(client, clock).submit(approved())
    assert isinstance(outcome, OrderRejected)
    assert (outcome.code, exchange.requests) == ("not_sent", [])
    await client.aclose()


CANCEL = CancelOrder("6f0c", "a1", TICKER, 2)


@pytest.mark.parametrize(
    ("handler", "outcome", "says"),
    [
        (answering({"order_id": "a1", "reduced_by": "8.00", "ts_ms": 1}, 200), "canceled", "8.00"),
        (answering({"order_id": "b2", "reduced_by": "8.00", "ts_ms": 1}, 200), "failed", "b2"),
        (refusing("not_found", 404), "not_found", "404"),
        (refusing("market_inactive", 409), "failed", "market_inactive"),
        (answering("<html>", 503), "failed", "503"),
        (answering({"order_id": "a1"}, 200), "failed", "reduced_by"),
        (drop, "failed", "no answer"),
    ],
)
async def test_cancel_outcomes(exchange, gateway, handler, outcome, says):
    exchange.routes[f"DELETE {CREATE}/a1"] = handler
    answer = await gateway.cancel(CANCEL)
    assert isinstance(answer, CancelAnswered)
    assert answer.outcome == outcome
    assert says in answer.detail
    (sent,) = exchange.sent("DELETE", f"{CREATE}/a1")
    assert sent.query == {"market_ticker": TICKER, "exchange_index": "2"}


async def test_a_cancel_without_the_venues_id_is_not_sent(exchange, gateway):
    answer = await gateway.cancel(CancelOrder("6f0c", "", TICKER, 0))
    assert (answer.outcome, exchange.requests) == ("failed", [])


def listed(order_id: str, status: str, filled: str, updated: str) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "client_order_id": f"c-{order_id}",
        "ticker": TICKER,
        "book_side": "bid",
        "status": status,
        "yes_price_dollars": "0.4000",
        "initial_count_fp": "5.00",
        "fill_count_fp": filled,
        "remaining_count_fp": "0.00",
        "last_update_time": updated,
    }


@pytest.fixture
def records(exchange) -> Any:
    """The stub's portfolio: order b is resting in the first list and executed in the second."""

    async def orders(request: web.Request) -> web.Response:
        if request.query.get("status") == "resting":
            rows = [listed("b", "executed", "5.00", "2026-11-22T08:00:09Z")]
        else:
            rows = [
                listed("a", "canceled", "0.00", "2026-11-22T08:00:01Z"),
                listed("b", "resting", "1.00", "2026-11-22T08:00:02Z"),
            ]
        return web.json_response({"orders": rows, "cursor": ""})

    fill = {
        "trade_id": "t1",
        "order_id": "b",
        "ticker": TICKER,
        "book_side": "bid",
        "yes_price_dollars": "0.4000",
        "count_fp": "5.00",
        "fee_cost": "0.084000",
        "is_taker": True,
        "created_time": "2026-11-22T08:00:02Z",
    }
    exchange.routes |= {
        "GET /exchange/user_data_timestamp": {"as_of_time": "2026-11-22T08:00:10Z"},
        "GET /portfolio/orders": orders,
        "GET /portfolio/fills": {"fills": [fill], "cursor": ""},
        "GET /portfolio/settlements": {"settlements": [], "cursor": ""},
        "GET /portfolio/positions": {"market_positions": [], "event_positions": [], "cursor": ""},
        "GET /portfolio/balance": {"balance": 9801, "balance_dollars": "98.0186", "portfolio_value": 0},
    }
    return exchange


async def test_a_report_is_whole_and_read_in_the_order_that_makes_it_consistent(records, gateway, clock):
    report = await gateway.report(1_795_334_400 * SECOND + 5)
    assert [seen.path for seen in records.requests] == [
        "/exchange/user_data_timestamp",
        "/portfolio/orders",
        "/portfolio/orders",
        "/portfolio/fills",
        "/portfolio/settlements",
        "/portfolio/positions",
        "/portfolio/balance",
    ]
    assert {order.order_id: (order.status.value, order.filled) for order in report.orders} == {
        "a": ("canceled", 0),
        "b": ("executed", 500),
    }
    assert records.requests[3].query["min_ts"] == "1795334400"
    assert (report.balance, report.fills[0].fee) == (98_018_600, 84_000)
    assert report.started_ts < report.ts_recv
    assert not report.at_once
    assert report.as_of == 1_795_334_410 * SECOND


async def test_a_report_is_of_one_instant_where_time_stands_still_meanwhile(
    records, gateway, clock, monkeypatch
):
    """A world in lockstep: nothing can have traded between the reads, so one report opens the ledger."""
    monkeypatch.setattr(type(clock), "now", lambda self: self.at)
    assert (await gateway.report(0)).at_once


async def test_a_report_from_the_beginning_asks_for_everything(records, gateway):
    await gateway.report(0)
    assert all("min_ts" not in seen.query for seen in records.requests)
    assert len(records.sent("GET", "/portfolio/orders")) == 1


@pytest.mark.parametrize("path", ["orders", "fills", "settlements", "positions", "balance"])
async def test_a_report_that_cannot_be_read_whole_raises(records, gateway, path):
    records.routes[f"GET /portfolio/{path}"] = answering("<html>", 503)
    with pytest.raises(RetryableError):
        await gateway.report(0)


async def test_a_malformed_report_is_an_error_naming_the_field(records, gateway):
    records.routes["GET /portfolio/balance"] = {"balance": 9801}
    with pytest.raises(DefiniteError, match="balance_dollars"):
        await gateway.report(0)


async def test_a_revoked_key_stops_the_report_after_two_requests(records, gateway):
    records.routes["GET /exchange/user_data_timestamp"] = refusing("authentication_error", 401)
    with pytest.raises(FatalError, match="KALSHI_API_KEY"):
        await gateway.report(0)
    assert len(records.requests) == 2


AMEND = AmendOrder("6f0c", "a1", TICKER, 0, BookSide.ASK, 3_700, 900, 1_795_421_400 * SECOND)


async def test_an_amendment_sends_the_total_and_repeats_the_orders_own_terms(exchange, gateway):
    """The wire's ``count`` is what has filled plus what shall rest."""
    exchange.routes[f"POST {CREATE}/a1/amend"] = answering({**ACCEPTED, "order_id": "a1"}, 200)
    answer = await gateway.amend(AMEND)
    assert (answer.outcome, answer.count, answer.expiration_ts) == ("amended", 900, AMEND.expiration_ts)
    assert answer.ts_event == 1_795_420_800_345 * MILLISECOND
    (sent,) = exchange.sent("POST", f"{CREATE}/a1/amend")
    assert json.loads(sent.body) == {
        "ticker": TICKER,
        "side": "ask",
        "price": "0.3700",
        "count": "9.00",
        "exchange_index": 0,
        "client_order_id": "6f0c",
        "expiration_time": 1_795_421_400,
    }


@pytest.mark.parametrize(
    "handler",
    [
        drop,
        refusing("not_found", 404),
        refusing("invalid_order_size", 400),
        answering({**ACCEPTED, "order_id": "another"}, 200),
        answering("<html>Bad Gateway</html>", 502),
        answering({"order_id": "a1"}, 200),
    ],
)
async def test_an_amendment_without_a_good_answer_proves_nothing(exchange, gateway, handler):
    """Sent once; the engine asks the records and takes the order out where it must not be larger."""
    exchange.routes[f"POST {CREATE}/a1/amend"] = handler
    answer = await gateway.amend(AMEND)
    assert (answer.outcome, answer.client_order_id) == ("failed", "6f0c")
    assert answer.detail
    assert len(exchange.sent("POST", f"{CREATE}/a1/amend")) == 1
