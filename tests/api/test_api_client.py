"""The typed calls: pages, parameters, limits, and answers that break their contract."""

from __future__ import annotations

import pytest
from aiohttp import web

from src.api.client import KalshiClient
from src.api.convert import to_exchange_status, to_levels
from src.core.errors import ConfigError, DefiniteError, RetryableError, WireError


def order(number: int) -> dict[str, str]:
    return {
        "order_id": f"o{number}",
        "ticker": "T",
        "book_side": "bid",
        "status": "resting",
        "yes_price_dollars": "0.3700",
        "initial_count_fp": "1.00",
        "fill_count_fp": "0.00",
        "remaining_count_fp": "1.00",
        "created_time": "2026-11-22T08:00:00Z",
    }


def paged(cursors: dict[str, str]):
    async def page(request: web.Request) -> web.Response:
        at = request.query.get("cursor", "")
        body = {"orders": [order(list(cursors).index(at))], "cursor": cursors[at]}
        return web.json_response(body)

    return page


async def test_lists_are_read_to_the_last_page(exchange, client):
    exchange.routes["GET /portfolio/orders"] = paged({"": "a", "a": "b", "b": ""})
    assert [found.order_id for found in await client.orders(status="resting")] == ["o0", "o1", "o2"]
    assert [seen.query["limit"] for seen in exchange.requests] == ["1000"] * 3


@pytest.mark.parametrize(
    "cursors", [{"": "a", "a": "a"}, {"": "a", "a": "b", "b": "a"}], ids=["same", "loop"]
)
async def test_a_repeated_cursor_is_an_error_not_a_shorter_list(exchange, client, cursors):
    exchange.routes["GET /portfolio/orders"] = paged(cursors)
    with pytest.raises(DefiniteError, match="cursor repeats"):
        await client.orders()


async def test_a_cursor_that_never_ends_is_an_error(exchange, client, monkeypatch):
    monkeypatch.setattr("src.api.calls.MAX_PAGES", 5)
    count = iter(range(1_000))

    async def endless(_: web.Request) -> web.Response:
        return web.json_response({"orders": [], "cursor": f"c{next(count)}"})

    exchange.routes["GET /portfolio/orders"] = endless
    with pytest.raises(DefiniteError, match="no last page"):
        await client.orders()


async def test_a_missing_list_is_an_error_naming_the_field_never_an_empty_list(exchange, client):
    exchange.routes["GET /portfolio/positions"] = {"cursor": ""}
    with pytest.raises(WireError, match=r"market_positions: expected this field"):
        await client.positions()


async def test_limits_are_learned_by_the_budget(exchange, client, budget):
    exchange.routes["GET /account/limits"] = {
        "usage_tier": "advanced",
        "read": {"refill_rate": 300, "bucket_capacity": 900},
        "write": {"refill_rate": 310, "bucket_capacity": 910},
        "grants": [],
    }
    assert (await client.limits()).usage_tier == "advanced"
    assert (budget.read.capacity, budget.write.rate) == (900, 310)


async def test_exchange_status_is_read_from_a_503_that_carries_it(exchange, client, clock):
    async def paused(_: web.Request) -> web.Response:
        return web.json_response({"exchange_active": False, "trading_active": False}, status=503)

    exchange.routes["GET /exchange/status"] = paused
    status = to_exchange_status(await client.exchange_status(), clock.now())
    assert (status.exchange_active, status.trading_active) == (False, False)


async def test_an_error_page_is_not_an_exchange_status(exchange, client):
    async def broken(_: web.Request) -> web.Response:
        return web.Response(text="<html>", status=503)

    exchange.routes["GET /exchange/status"] = broken
    with pytest.raises(RetryableError):
        await client.exchange_status()


async def test_books_convert_both_sides_to_yes_prices_and_null_is_an_empty_side(exchange, client):
    exchange.routes["GET /markets/T/orderbook"] = {
        "orderbook_fp": {
            "yes_dollars": [["0.4100", "25.00"], ["0.4200", "13.00"]],
            "no_dollars": [["0.5600", "17.00"]],
        }
    }
    exchange.routes["GET /markets/orderbooks"] = {
        "orderbooks": [{"ticker": "T", "orderbook_fp": {"yes_dollars": None}}]
    }
    book = await client.orderbook("T")
    assert to_levels(book.yes_dollars, book.no_dollars) == (((4100, 2500), (4200, 1300)), ((4400, 1700),))
    (other,) = await client.orderbooks(["T", "U"])
    assert to_levels(other.orderbook_fp.yes_dollars, other.orderbook_fp.no_dollars) == ((), ())
    assert exchange.requests[-1].path == "/markets/orderbooks"


async def test_an_answer_without_a_book_is_an_error_not_an_empty_book(exchange, client):
    exchange.routes["GET /markets/T/orderbook"] = {"orderbook": {}}
    with pytest.raises(WireError, match="orderbook_fp"):
        await client.orderbook("T")


async def test_markets_leave_combinations_out(exchange, client, make_market):
    exchange.markets["KXHIGHNY-26NOV23-B50.5"] = make_market("KXHIGHNY-26NOV23-B50.5")
    assert len(await client.markets(event_ticker="KXHIGHNY-26NOV23")) == 1
    assert exchange.requests[-1].query["mve_filter"] == "exclude"


async def test_public_reads_work_without_a_key_and_are_not_signed(exchange, budget):
    client = KalshiClient(exchange.base_url, None, budget=budget)
    assert (await client.series("KXHIGHNY")).fee_type == "quadratic"
    assert "KALSHI-ACCESS-KEY" not in exchange.requests[-1].headers
    with pytest.raises(ConfigError, match="KALSHI_API_SECRET"):
        await client.balance()
    await client.aclose()


async def test_with_a_key_public_reads_are_signed_too_and_all_ask_for_english(exchange, client):
    """Unsigned reads may come from a cache of 15 seconds; the wording of rules is compared in English."""
    await client.series("KXHIGHNY")
    headers = exchange.requests[-1].headers
    assert headers["KALSHI-ACCESS-KEY"]
    assert headers["Accept-Language"] == "en"


async def test_paths_are_signed_as_they_are_sent(exchange, client):
    exchange.routes["GET /portfolio/orders/a b"] = {"order": order(1)}
    assert (await client.order("a b")).order_id == "o1"


def test_production_is_refused_by_default(signer):
    with pytest.raises(ConfigError, match="production"):
        KalshiClient("https://external-api.kalshi.com/trade-api/v2", signer)
