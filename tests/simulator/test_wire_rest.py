"""The REST face over real sockets: signatures, error shapes, orders, listings, limits."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from src.core.sides import BookSide
from src.core.units import DOLLAR_CASH, HOUR, MINUTE
from src.simulator.keys import generate_key
from src.simulator.ratelimit import RateLimits
from src.simulator.venue import VenueRules
from src.simulator.world import CrowdQuote, Determine

from .conftest import EVENT, OTHER, T0, TICKER, ScriptedWorld, Serve, SignedClient, listing, make_market

BALANCE = "/portfolio/balance"


def quoted_world() -> ScriptedWorld:
    quote = CrowdQuote(T0, TICKER, ((4100, 2500), (4200, 1300), (4000, 100)), ((4400, 1700), (4500, 2000)))
    return ScriptedWorld([listing(make_market(), make_market(OTHER)), quote])


@pytest.mark.parametrize("key_type", ["rsa", "ed25519"])
async def test_signed_requests_are_served_with_either_key_type(serve: Serve, key_type: str) -> None:
    served = await serve(key_type=key_type)
    body = await served.client.get(BALANCE)
    assert body["balance_dollars"] == "1000.000000"
    assert body["balance"] == 100_000
    assert served.service.private_key_path.stat().st_mode & 0o777 == 0o600


async def test_unauthenticated_requests_get_kalshis_401_bodies(serve: Serve, tmp_path: Path) -> None:
    served = await serve()
    path = f"/trade-api/v2{BALANCE}"
    good = served.client.headers("GET", path)

    async def answer(headers: dict[str, str]) -> dict[str, str]:
        response = await served.client.http.get(path, headers=headers)
        assert response.status_code == 401
        error: dict[str, str] = response.json()["error"]
        return error

    assert await answer({}) == {
        "code": "signature_is_missing_from_headers",
        "message": "signature is missing from headers",
    }
    assert (await answer(good | {"KALSHI-ACCESS-SIGNATURE": "AAAA"}))["details"] == (
        "INCORRECT_API_KEY_SIGNATURE"
    )
    for_other_path = served.client.headers("GET", "/trade-api/v2/portfolio/orders")
    assert (await answer(for_other_path))["details"] == "INCORRECT_API_KEY_SIGNATURE"
    assert (await answer(good | {"KALSHI-ACCESS-KEY": "nobody"}))["details"] == "NOT_FOUND"
    for skew in (-11_000, 11_000):
        stale = served.client.headers("GET", path, skew)
        assert (await answer(stale))["code"] == "header_timestamp_expired"
    within = served.client.headers("GET", path, -8_000)
    assert (await served.client.http.get(path, headers=within)).status_code == 200
    generate_key("other", tmp_path / "other.pem")
    stranger = SignedClient(served.service, served.client.key_id, (tmp_path / "other.pem").read_bytes())
    response = await stranger.call("GET", BALANCE)
    assert response.json()["error"]["details"] == "INCORRECT_API_KEY_SIGNATURE"
    await stranger.http.aclose()


@pytest.mark.parametrize("salt", [padding.PSS.DIGEST_LENGTH, padding.PSS.MAX_LENGTH])
async def test_a_pss_signature_may_have_any_salt_and_has_to_be_pss(serve: Serve, salt: Any) -> None:
    """Documented is a salt as long as the digest; clients in use send the longest that fits."""
    served = await serve(key_type="rsa")
    path = f"/trade-api/v2{BALANCE}"
    headers = served.client.headers("GET", path)
    text = f"{headers['KALSHI-ACCESS-TIMESTAMP']}GET{path}".encode()
    key = serialization.load_pem_private_key(served.service.private_key_path.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)

    async def status(form: padding.PSS | padding.PKCS1v15) -> int:
        signed = base64.b64encode(key.sign(text, form, hashes.SHA256())).decode()
        answer = await served.client.http.get(path, headers=headers | {"KALSHI-ACCESS-SIGNATURE": signed})
        return answer.status_code

    assert await status(padding.PSS(padding.MGF1(hashes.SHA256()), salt)) == 200
    assert await status(padding.PSS(padding.MGF1(hashes.SHA512()), salt)) == 401
    assert await status(padding.PKCS1v15()) == 401


async def test_query_string_is_not_signed(serve: Serve) -> None:
    served = await serve()
    body = await served.client.get("/portfolio/orders?status=resting&limit=5")
    assert body == {"orders": [], "cursor": ""}


async def test_public_endpoints_need_no_key_but_a_bad_signature_is_refused(serve: Serve) -> None:
    served = await serve()
    url = f"/trade-api/v2/markets/{TICKER}"
    assert (await served.client.http.get(url)).status_code == 200
    bad = served.client.headers("GET", "/elsewhere")
    assert (await served.client.http.get(url, headers=bad)).status_code == 401


async def test_order_is_created_read_filled_and_cancelled(serve: Serve) -> None:
    served = await serve(quoted_world())
    client = served.client
    response = await client.create(count="20.00", price="0.4400", client_order_id="mine")
    assert response.status_code == 201
    created = response.json()
    assert (created["fill_count"], created["remaining_count"]) == ("17.00", "3.00")
    assert created["average_fill_price"] == "0.4400"
    assert created["average_fee_paid"] == "0.0173"
    assert created["ts_ms"] == T0 // 1_000_000
    order = (await client.get(f"/portfolio/orders/{created['order_id']}"))["order"]
    assert (order["status"], order["client_order_id"]) == ("resting", "mine")
    assert order["taker_fill_cost_dollars"] == "7.480000"
    [fill] = (await client.get("/portfolio/fills"))["fills"]
    assert (fill["fee_cost"], fill["count_fp"], fill["is_taker"]) == ("0.293300", "17.00", True)
    assert "client_order_id" not in fill
    positions = await client.get("/portfolio/positions?count_filter=position")
    assert positions["market_positions"][0]["position_fp"] == "17.00"
    assert positions["event_positions"][0]["event_ticker"] == EVENT
    path = f"/portfolio/events/orders/{created['order_id']}"
    response = await client.call("DELETE", f"{path}?market_ticker={TICKER}")
    assert (response.status_code, response.json()["reduced_by"]) == (200, "3.00")
    again = await client.call("DELETE", path)
    unknown = await client.call("DELETE", "/portfolio/events/orders/unknown")
    assert again.status_code == unknown.status_code == 404
    assert again.json() == unknown.json() == {"error": {"code": "not_found", "message": "not found"}}
    assert (await client.get("/portfolio/orders?status=resting"))["orders"] == []
    [canceled] = (await client.get("/portfolio/orders?status=canceled"))["orders"]
    assert (canceled["fill_count_fp"], canceled["remaining_count_fp"]) == ("17.00", "0.00")
    balance = await client.get(BALANCE)
    assert balance["balance_dollars"] == "992.226700"
    assert balance["portfolio_value"] == 714


async def test_asks_pay_the_complement(serve: Serve) -> None:
    served = await serve(quoted_world())
    response = await served.client.create(side="ask", price="0.4200", count="10")
    assert response.json()["average_fill_price"] == "0.4200"
    [order] = (await served.client.get("/portfolio/orders"))["orders"]
    assert (order["outcome_side"], order["book_side"], order["no_price_dollars"]) == ("no", "ask", "0.5800")
    assert order["taker_fill_cost_dollars"] == "5.800000"


async def test_client_order_id_reuse_is_409_for_ever(serve: Serve) -> None:
    served = await serve()
    first = await served.client.create(client_order_id="once")
    path = f"/portfolio/events/orders/{first.json()['order_id']}"
    for _ in range(2):
        response = await served.client.create(client_order_id="once", price="0.3000")
        assert response.status_code == 409
        assert response.json()["error"]["code"] == "order_already_exists"
        await served.client.call("DELETE", path)
    assert len((await served.client.get("/portfolio/orders"))["orders"]) == 1


@pytest.mark.parametrize(
    ("changes", "status", "shape", "code"),
    [
        ({"count": 10}, 400, "flat", "bad_request"),
        ({"price": 0.4}, 400, "flat", "bad_request"),
        ({"side": "yes"}, 400, "flat", "bad_request"),
        ({"time_in_force": "GTT"}, 400, "flat", "bad_request"),
        ({"ticker": ""}, 400, "flat", "bad_request"),
        ({"post_only": "yes"}, 400, "flat", "bad_request"),
        ({"price": "0.4050"}, 400, "nested", "invalid_price"),
        ({"price": "1.2"}, 400, "nested", "invalid_price"),
        ({"count": "0.001"}, 400, "nested", "invalid_order_size"),
        ({"count": "100000"}, 400, "nested", "insufficient_balance"),
        ({"price": "0.4400", "post_only": True}, 400, "nested", "invalid_order"),
        ({"reduce_only": True}, 400, "nested", "invalid_order"),
        ({"ticker": "NOPE"}, 404, "nested", "not_found"),
        ({"exchange_index": 2}, 404, "nested", "not_found"),
        ({"subaccount": 3}, 404, "nested", "user_not_found"),
    ],
)
async def test_refused_orders_have_kalshis_error_shapes(
    serve: Serve, changes: dict[str, object], status: int, shape: str, code: str
) -> None:
    served = await serve(quoted_world())
    response = await served.client.create(**changes)
    body = response.json()
    assert response.status_code == status
    assert (body if shape == "flat" else body["error"])["code"] == code
    assert "message" in (body if shape == "flat" else body["error"])
    assert (await served.client.get("/portfolio/orders"))["orders"] == []


async def test_post_only_cross_says_so(serve: Serve) -> None:
    served = await serve(quoted_world())
    response = await served.client.create(price="0.4400", post_only=True)
    assert response.json()["error"]["details"] == "post only cross"


async def test_a_taker_that_meets_its_own_order_is_a_201_with_nothing_filled(serve: Serve) -> None:
    """Self-trade prevention is no error: the order exists, has id and no fill, and is canceled."""
    served = await serve()
    await served.client.create(side="ask", price="0.4500")
    met = await served.client.create(price="0.4500")
    assert met.status_code == 201
    assert (met.json()["fill_count"], met.json()["remaining_count"]) == ("0.00", "0.00")
    order = (await served.client.get(f"/portfolio/orders/{met.json()['order_id']}"))["order"]
    assert (order["status"], order["fill_count_fp"]) == ("canceled", "0.00")


async def test_cancels_of_unknown_gone_and_filled_orders_answer_alike(serve: Serve) -> None:
    """So a 404 proves nothing about what became of an order."""
    served = await serve(quoted_world())
    client = served.client
    filled = (await client.create(price="0.4400", count="1")).json()["order_id"]
    gone = (await client.create(count="1")).json()["order_id"]
    await client.call("DELETE", f"/portfolio/events/orders/{gone}")
    answers = [
        await client.call("DELETE", f"/portfolio/events/orders/{order_id}")
        for order_id in (filled, gone, "7f9d1d1e-0000-4000-8000-000000000000")
    ]
    assert {(each.status_code, each.text) for each in answers} == {(404, answers[0].text)}
    assert answers[0].json()["error"]["code"] == "not_found"


async def test_counts_may_be_hundredths_and_cash_below_a_cent_is_cut_from_the_balance(serve: Serve) -> None:
    """``balance`` is whole cents, rounded down; ``balance_dollars`` is exact."""
    served = await serve(quoted_world())
    created = (await served.client.create(price="0.4400", count="0.37")).json()
    assert created["fill_count"] == "0.37"
    [fill] = (await served.client.get("/portfolio/fills"))["fills"]
    assert (fill["count_fp"], fill["fee_cost"]) == ("0.37", "0.006400")
    balance = await served.client.get(BALANCE)
    assert (balance["balance_dollars"], balance["balance"]) == ("999.830800", 99_983)


async def test_body_that_is_not_json_is_a_flat_400(serve: Serve) -> None:
    served = await serve()
    path = "/trade-api/v2/portfolio/events/orders"
    response = await served.client.http.post(
        path, content=b"{nope", headers=served.client.headers("POST", path)
    )
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "path",
    [
        "/markets?limit=1001",
        "/markets?limit=many",
        "/markets?status=over",
        "/markets?status=open&min_close_ts=1",
        "/events?limit=201",
        "/portfolio/orders?limit=1001",
        "/portfolio/orders?status=live",
        f"/markets/{TICKER}/orderbook?depth=101",
        "/markets/orderbooks",
    ],
)
async def test_bad_query_parameters_answer_with_msg(serve: Serve, path: str) -> None:
    served = await serve()
    response = await served.client.call("GET", path)
    assert response.status_code == 400
    assert list(response.json()) == ["msg"]
    assert response.json()["msg"].startswith("Parameter validation failed for ")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/portfolio/orders"),
        ("DELETE", "/portfolio/orders/abc"),
        ("POST", "/portfolio/orders/batched"),
        ("POST", "/portfolio/orders/abc/amend"),
    ],
)
async def test_v1_writes_are_gone(serve: Serve, method: str, path: str) -> None:
    served = await serve()
    response = await served.client.call(method, path, {})
    assert response.status_code == 410
    assert response.json()["error"]["code"] == "deprecated_v1_order_endpoint"


async def test_unknown_things_are_not_found(serve: Serve) -> None:
    served = await serve()
    for path in ("/markets/NOPE", "/markets/NOPE/orderbook", "/events/NOPE", "/series/NOPE", "/nonsense"):
        response = await served.client.call("GET", path)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


async def test_rate_limits_refuse_with_a_bare_string_body(serve: Serve) -> None:
    limits = RateLimits(
        tier="basic", read_refill=0, read_capacity=20, write_refill=0, write_capacity=22, balance_per_second=1
    )
    served = await serve(limits=limits, monotonic=lambda: 5.0)
    assert (await served.client.call("GET", "/portfolio/orders")).status_code == 200
    assert (await served.client.call("GET", "/markets")).status_code == 200
    refused = await served.client.call("GET", "/markets")
    assert (refused.status_code, refused.json()) == (429, {"error": "too many requests"})
    assert not {name for name in refused.headers if name.startswith(("retry", "x-rate"))}
    assert (await served.client.http.get("/trade-api/v2/markets")).status_code == 200
    statuses = [(await served.client.create()).status_code for _ in range(3)]
    assert statuses == [201, 201, 429]
    assert (await served.client.call("DELETE", "/portfolio/events/orders")).status_code == 204
    balances = [(await served.client.call("GET", BALANCE)).status_code for _ in range(2)]
    assert balances == [200, 429]


async def test_pages_walk_every_record_once_and_a_garbage_cursor_is_page_one(serve: Serve) -> None:
    served = await serve()
    ids = [(await served.client.create(count="1")).json()["order_id"] for _ in range(7)]
    seen: list[str] = []
    cursor = ""
    for size in (3, 3, 1):
        body = await served.client.get(f"/portfolio/orders?limit=3&cursor={cursor}")
        seen += [order["order_id"] for order in body["orders"]]
        assert len(body["orders"]) == size
        cursor = body["cursor"]
        if len(seen) == 3:
            await served.client.create(count="1")
    assert (seen, cursor) == (ids[::-1], "")
    garbage = await served.client.get("/portfolio/orders?limit=3&cursor=garbage")
    assert len(garbage["orders"]) == 3


async def test_cancel_all_answers_204_and_clears_the_book(serve: Serve) -> None:
    served = await serve()
    for _ in range(3):
        await served.client.create()
    response = await served.client.call("DELETE", "/portfolio/events/orders")
    assert (response.status_code, response.content) == (204, b"")
    assert served.exchange.book(TICKER).levels(BookSide.BID) == ()


async def test_books_are_ascending_bids_of_both_outcomes(serve: Serve) -> None:
    served = await serve(quoted_world())
    body = await served.client.get(f"/markets/{TICKER}/orderbook?depth=2")
    assert body == {
        "orderbook_fp": {
            "yes_dollars": [["0.4100", "25.00"], ["0.4200", "13.00"]],
            "no_dollars": [["0.5500", "20.00"], ["0.5600", "17.00"]],
        }
    }
    books = (await served.client.get(f"/markets/orderbooks?tickers={TICKER}&tickers={OTHER}"))["orderbooks"]
    assert [book["ticker"] for book in books] == [TICKER, OTHER]
    assert books[1]["orderbook_fp"] == {"yes_dollars": [], "no_dollars": []}
    market = (await served.client.get(f"/markets/{TICKER}"))["market"]
    assert (market["yes_bid_dollars"], market["yes_ask_dollars"]) == ("0.4200", "0.4400")
    assert (market["no_bid_dollars"], market["yes_ask_size_fp"]) == ("0.5600", "17.00")
    empty = (await served.client.get(f"/markets/{OTHER}"))["market"]
    assert (empty["yes_bid_dollars"], empty["yes_ask_dollars"]) == ("0.0000", "1.0000")


async def test_market_filters(serve: Serve) -> None:
    later = make_market(OTHER, open_time=T0 + HOUR)
    served = await serve(ScriptedWorld([listing(make_market(), later)]))

    async def tickers(query: str) -> list[str]:
        return [each["ticker"] for each in (await served.client.get(f"/markets?{query}"))["markets"]]

    assert await tickers("status=open") == [TICKER]
    assert await tickers("status=unopened") == [OTHER]
    assert await tickers(f"tickers={OTHER},NOPE") == [OTHER]
    assert await tickers(f"event_ticker={EVENT}") == [TICKER, OTHER]
    assert await tickers("series_ticker=KXNONE") == []
    assert await tickers("mve_filter=only") == []
    served.service.driver.step_until(T0 + HOUR)
    assert await tickers("status=open") == [TICKER, OTHER]
    # The statuses that markets have are no filters, and match nothing.
    assert await tickers("status=active") == []
    served.service.driver.step_until(T0 + 24 * HOUR)
    assert await tickers("status=closed") == [TICKER, OTHER]


async def test_trading_pause_shows_in_the_status_and_refuses_orders(serve: Serve) -> None:
    served = await serve()
    served.exchange.set_exchange_status(exchange_active=True, trading_active=False)
    status = await served.client.get("/exchange/status")
    assert (status["exchange_active"], status["trading_active"]) == (True, False)
    response = await served.client.create()
    assert (response.status_code, response.json()["error"]["code"]) == (409, "trading_paused")


async def test_settlements_are_listed_and_paid_by_the_worlds_clock(serve: Serve) -> None:
    world = quoted_world()
    world.script.append(Determine(T0 + 30 * HOUR, TICKER, "yes", 10_000, "50.00"))
    served = await serve(world)
    await served.client.create(price="0.4400", count="10")
    served.service.driver.step_until(T0 + 30 * HOUR)
    market = (await served.client.get(f"/markets/{TICKER}"))["market"]
    assert (market["status"], market["result"], market["expiration_value"]) == ("determined", "yes", "50.00")
    assert (await served.client.get("/portfolio/settlements"))["settlements"] == []
    served.service.driver.step_until(T0 + 31 * HOUR)
    [paid] = (await served.client.get("/portfolio/settlements"))["settlements"]
    assert (paid["revenue"], paid["value"], paid["yes_count_fp"]) == (1000, 100, "10.00")
    assert (paid["yes_total_cost_dollars"], paid["fee_cost"]) == ("4.400000", "0.172500")
    assert (await served.client.get("/portfolio/positions"))["market_positions"] == []
    settled = (await served.client.get("/portfolio/positions?settlement_status=settled"))["market_positions"]
    assert settled[0]["realized_pnl_dollars"] == "5.600000"
    assert served.exchange.account(served.client.key_id).cash == 1_005_427_500
    assert (await served.client.get("/markets?status=settled"))["markets"][0]["ticker"] == TICKER


async def test_balance_deducts_resting_collateral_only_when_told_to(serve: Serve) -> None:
    for rules, expected in ((VenueRules(), "1000.000000"), (VenueRules(True), "996.000000")):
        served = await serve(rules=rules, balance=1_000 * DOLLAR_CASH)
        await served.client.create()
        assert (await served.client.get(BALANCE))["balance_dollars"] == expected


async def test_two_accounts_see_only_their_own(serve: Serve, tmp_path: Path) -> None:
    served = await serve()
    served.exchange.add_account("second", 50 * DOLLAR_CASH)
    served.service.server.add_key(generate_key("second", tmp_path / "second.pem", "ed25519"))
    second = SignedClient(served.service, "second", (tmp_path / "second.pem").read_bytes())
    mine = (await served.client.create(client_order_id="same")).json()["order_id"]
    assert (await second.create(client_order_id="same", side="ask", count="4")).status_code == 201
    assert (await second.call("GET", f"/portfolio/orders/{mine}")).status_code == 404
    assert (await second.call("DELETE", f"/portfolio/events/orders/{mine}")).status_code == 404
    [own] = (await second.get("/portfolio/orders"))["orders"]
    assert (own["book_side"], own["status"]) == ("ask", "executed")
    positions = (await second.get("/portfolio/positions"))["market_positions"]
    assert positions[0]["position_fp"] == "-4.00"
    assert (await served.client.get("/portfolio/positions"))["market_positions"][0]["position_fp"] == "4.00"
    assert (await second.get(BALANCE))["balance_dollars"] == "47.532800"
    await second.http.aclose()


async def test_the_simulators_own_endpoints(serve: Serve) -> None:
    served = await serve()
    clock = (await served.client.http.get("/sim/v1/clock")).json()
    assert clock == {"now_ns": T0, "speed": 0.0, "mode": "lockstep"}
    served.service.driver.step_until(T0 + MINUTE)
    assert (await served.client.http.get("/sim/v1/clock")).json()["now_ns"] == T0 + MINUTE
    world = (await served.client.http.get("/sim/v1/world")).json()
    assert world == {"kind": "generated", "start_ns": T0, "end_ns": T0 + 48 * HOUR, "days": 1, "seed": 7}


async def test_a_running_world_is_brought_up_to_date_by_each_request(serve: Serve) -> None:
    at = time.monotonic()
    served = await serve(speed=1e-6, monotonic=lambda: at)
    assert (await served.client.http.get("/sim/v1/clock")).json()["mode"] == "realtime"
    at += 3600 * 1e6
    body = await served.client.get("/exchange/user_data_timestamp")
    assert body["as_of_time"] == "2026-11-23T09:00:00Z"


async def test_a_service_can_be_started_on_a_port_and_stops_listening(serve: Serve, tmp_path: Path) -> None:
    served = await serve()
    await served.service.stop()
    with pytest.raises(httpx.ConnectError):
        await served.client.http.get("/sim/v1/clock")
