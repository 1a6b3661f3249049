"""The error catalogue: what every documented failure means for reads, creates and cancels."""

from __future__ import annotations

import json

import httpx
import pytest
import respx

from src.api.budget import RateBudget
from src.api.endpoints import CANCEL_ORDER, CREATE_ORDER, ORDERS
from src.api.errors import Effect, ErrorBody, classify, parse_error_body
from src.api.rest import EXIT_ATTEMPTS, READ_ATTEMPTS, RestTransport
from src.core.errors import ConfigError, DefiniteError, FatalError, RetryableError, UnknownOutcomeError

BASE = "http://exchange.test/trade-api/v2"
R, D, U, F = RetryableError, DefiniteError, UnknownOutcomeError, FatalError


def nested(code: str, details: str = "") -> bytes:
    return json.dumps({"error": {"code": code, "message": code, "details": details}}).encode()


def flat(code: str) -> bytes:
    return json.dumps({"code": code, "message": code}).encode()


MSG = b'{"msg":"Parameter validation failed for limit"}'
BUSY = b'{"error":"too many requests"}'
HTML = b"<html><body>502 Bad Gateway</body></html>"

# (status, body, class for a read, class for a create)
TABLE = [
    (400, flat("bad_request"), D, D),
    (400, MSG, D, D),
    (400, nested("invalid_price"), D, D),
    (400, nested("invalid_order", "post only cross"), D, D),
    (400, nested("invalid_order_size"), D, D),
    (400, nested("order_side_mismatch"), D, D),
    (400, nested("order_ticker_mismatch"), D, D),
    (400, nested("order_id_and_client_order_id_mismatch"), D, D),
    (400, nested("insufficient_balance"), D, D),
    (400, nested("available_balance_too_low"), D, D),
    (400, nested("self_cross_attempt_partially_filled"), D, U),
    (400, nested("a_code_added_since"), D, U),
    (400, HTML, R, U),
    (401, nested("authentication_error", "INCORRECT_API_KEY_SIGNATURE"), F, F),
    (401, nested("authentication_error", "NOT_FOUND"), F, F),
    (401, nested("signature_is_missing_from_headers"), F, F),
    (401, nested("header_timestamp_expired"), F, F),
    (403, nested("forbidden"), F, F),
    (403, HTML, R, U),
    (404, nested("not_found"), D, D),
    (404, nested("user_not_found"), D, D),
    (409, nested("order_already_exists"), D, U),
    (409, nested("trading_paused"), D, D),
    (409, nested("exchange_paused"), D, D),
    (409, nested("market_inactive"), D, D),
    (409, nested("transfer_exists"), D, U),
    (410, nested("deprecated_v1_order_endpoint"), F, F),
    (429, BUSY, R, R),
    (429, b"", R, R),
    (302, HTML, R, U),
    *(
        (status, body, R, U)
        for status in (500, 502, 503, 504)
        for body in (nested("internal_error"), HTML, b"")
    ),
]


@pytest.mark.parametrize(("status", "body", "read", "create"), TABLE)
def test_every_documented_failure_has_its_class(status, body, read, create):
    assert type(classify(Effect.READ, status, body)) is read
    for effect in (Effect.CREATE, Effect.CANCEL):
        error = classify(effect, status, body)
        assert type(error) is create
        assert error.status == status


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            nested("invalid_order", "post only cross"),
            ErrorBody("invalid_order", "invalid_order", "post only cross"),
        ),
        (flat("bad_request"), ErrorBody("bad_request", "bad_request")),
        (MSG, ErrorBody("parameter_validation", "Parameter validation failed for limit")),
        (BUSY, ErrorBody("too_many_requests", "too many requests")),
        (HTML, None),
        (b"[]", None),
        (b"", None),
        (b'{"error":null}', None),
        (b'{"error":{"code":null}}', ErrorBody()),
    ],
)
def test_four_error_shapes_are_parsed_and_others_are_not(body, expected):
    assert parse_error_body(body) == expected


def test_fatal_errors_say_how_to_mend_them():
    stale = classify(Effect.READ, 401, nested("header_timestamp_expired"))
    assert "clock" in str(stale)
    refused = classify(Effect.READ, 401, nested("authentication_error", "NOT_FOUND"))
    assert "KALSHI_API_KEY" in str(refused)
    assert "environment" in str(refused)
    assert "write::trade" in str(classify(Effect.CREATE, 403, nested("forbidden")))


@pytest.fixture
async def transport(signer, budget, pause):
    transport = RestTransport(BASE, signer, budget, sleep=pause, rng=lambda: 0.5)
    yield transport
    await transport.aclose()


@respx.mock
async def test_a_read_is_repeated_with_backoff_and_a_fresh_signature_each_time(transport, pause):
    route = respx.get(f"{BASE}/portfolio/orders").mock(
        side_effect=[
            httpx.Response(503, content=HTML),
            httpx.ReadTimeout(""),
            httpx.Response(200, content=b"{}"),
        ]
    )
    assert await transport.request(ORDERS) == b"{}"
    stamps = [call.request.headers["KALSHI-ACCESS-TIMESTAMP"] for call in route.calls]
    signatures = {call.request.headers["KALSHI-ACCESS-SIGNATURE"] for call in route.calls}
    assert len(set(stamps)) == len(signatures) == 3
    assert pause.waits == [0.5 * 0.25, 0.5 * 0.5]


@respx.mock
async def test_a_read_gives_up_after_its_attempts(transport, pause):
    route = respx.get(f"{BASE}/portfolio/orders").mock(return_value=httpx.Response(429, content=BUSY))
    with pytest.raises(RetryableError, match="too_many_requests"):
        await transport.request(ORDERS)
    assert route.call_count == READ_ATTEMPTS
    assert len(pause.waits) == READ_ATTEMPTS - 1


@respx.mock
async def test_a_refused_read_is_signed_once_more_and_then_fatal(transport):
    route = respx.get(f"{BASE}/portfolio/orders").mock(
        return_value=httpx.Response(401, content=nested("authentication_error", "NOT_FOUND"))
    )
    with pytest.raises(FatalError):
        await transport.request(ORDERS)
    assert route.call_count == 2


@respx.mock
@pytest.mark.parametrize("endpoint", [CREATE_ORDER, CANCEL_ORDER], ids=["create", "cancel"])
@pytest.mark.parametrize(
    "answer",
    [
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.Response(503, content=HTML),
        httpx.Response(401, content=nested("header_timestamp_expired")),
        httpx.Response(500, content=nested("internal_error")),
    ],
)
async def test_orders_and_cancels_leave_at_most_once_whatever_comes_back(transport, pause, endpoint, answer):
    url = BASE + endpoint.path.format(order_id="a1")
    route = respx.request(endpoint.method, url).mock(side_effect=[answer])
    path = {"order_id": "a1"} if endpoint is CANCEL_ORDER else None
    with pytest.raises((RetryableError, UnknownOutcomeError, FatalError)):
        await transport.request(endpoint, path=path)
    assert route.call_count == 1
    assert pause.waits == []


@respx.mock
@pytest.mark.parametrize(("is_exit", "calls"), [(False, 1), (True, EXIT_ATTEMPTS)])
async def test_after_a_429_exits_are_repeated_with_jitter_and_entries_are_not(
    transport, pause, is_exit, calls
):
    route = respx.post(f"{BASE}/portfolio/events/orders").mock(return_value=httpx.Response(429, content=BUSY))
    with pytest.raises(RetryableError) as caught:
        await transport.request(CREATE_ORDER, is_exit=is_exit)
    assert caught.value.code == "too_many_requests"
    assert route.call_count == calls
    assert pause.waits == [0.125, 0.25, 0.5][: calls - 1]


@respx.mock
async def test_a_cancel_gets_through_once_the_storm_of_429_is_over(transport):
    route = respx.delete(f"{BASE}/portfolio/events/orders/a1").mock(
        side_effect=[httpx.Response(429, content=BUSY), httpx.Response(200, content=b"{}")]
    )
    assert await transport.request(CANCEL_ORDER, path={"order_id": "a1"}) == b"{}"
    assert route.call_count == 2


@respx.mock
@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
async def test_only_failures_before_sending_prove_that_nothing_was_sent(transport, error):
    respx.post(f"{BASE}/portfolio/events/orders").mock(side_effect=error("x"))
    with pytest.raises(RetryableError) as caught:
        await transport.request(CREATE_ORDER)
    assert caught.value.code == "not_sent"


@respx.mock
@pytest.mark.parametrize(
    "error",
    [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError],
)
async def test_failures_after_sending_may_have_happened(transport, error):
    respx.post(f"{BASE}/portfolio/events/orders").mock(side_effect=error("x"))
    with pytest.raises(UnknownOutcomeError):
        await transport.request(CREATE_ORDER)


@respx.mock
async def test_clock_offset_is_measured_unless_the_answer_is_cached(transport, wall):
    # 2026-11-22T08:00:00Z, half a second in on average; our clock reads ten seconds more.
    headers = {"Date": "Sun, 22 Nov 2026 08:00:00 GMT"}
    wall.ms = 1_795_334_400_000 + 10_500
    respx.get(f"{BASE}/portfolio/orders").mock(
        side_effect=[
            httpx.Response(200, content=b"{}", headers={**headers, "Age": "12"}),
            httpx.Response(200, content=b"{}", headers=headers),
        ]
    )
    await transport.request(ORDERS)
    assert transport.clock_offset is None
    await transport.request(ORDERS)
    assert transport.clock_offset is not None
    assert abs(transport.clock_offset - 10_000_000_000) < 100_000_000


async def test_private_calls_without_a_key_say_what_is_missing(budget):
    transport = RestTransport(BASE, None, budget)
    with pytest.raises(ConfigError, match="KALSHI_API_KEY"):
        await transport.request(ORDERS)
    await transport.aclose()


def test_budget_default_is_the_smallest_tier():
    budget = RateBudget()
    assert (budget.read.rate, budget.write.rate, budget.balance.rate) == (200, 100, 1)
