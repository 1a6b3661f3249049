"""Every REST answer has the shape of Kalshi's own OpenAPI description, where that is at hand."""

from __future__ import annotations

import re
from typing import Any

import pytest

from src.core.fees import FeeSchedule, FeeType
from src.core.units import DAY, DOLLAR_CASH, SECOND
from src.simulator.answers import API
from src.simulator.venue import VenueRules

from .conformance import check, lived_world, load, schema_of
from .conftest import (
    EVENT,
    OTHER,
    T0,
    TICKER,
    Serve,
    Served,
)

ORDERS = "/portfolio/events/orders"
GROUPS = "/portfolio/order_groups"
SERIES = "/series/KXHIGHNY"
SPAN = f"start_ts={T0 // SECOND - 3600}&end_ts={T0 // SECOND + 7200}&period_interval=60"
NO_BODY: dict[str, Any] = {}


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return load("openapi.yaml")


async def live(serve: Serve) -> tuple[Served, dict[str, str]]:
    """An account that has done everything, and the ids its paths need."""
    served = await serve(lived_world(), rules=VenueRules(weekly_pause=False))
    client, exchange = served.client, served.exchange
    served.service.driver.step_until(T0 + 1)
    group = exchange.create_group(client.key_id, 100_000)
    await client.create(price="0.4400", count="20", client_order_id="x", cancel_order_on_pause=True)
    resting = (await client.create(ticker=OTHER, order_group_id=group.group_id)).json()
    await client.create(ticker=OTHER, expiration_time=T0 // SECOND + 10**7)
    exchange.deposit(client.key_id, DOLLAR_CASH, exchange_index=1)
    moved = await client.call(
        "POST", "/portfolio/intra_exchange_instance_transfer", ROUTES[TRANSFER][1] | {"amount": 5}
    )
    later = T0 + 10 * DAY
    exchange.change_series_fees("KXHIGHNY", FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES), later)
    exchange.change_event_fees(EVENT, FeeSchedule(multiplier_e4=5_000))
    return served, {
        "order_id": resting["order_id"],
        "group_id": group.group_id,
        "transfer_id": moved.json()["transfer_id"],
    }


async def archived(serve: Serve) -> tuple[Served, dict[str, str]]:
    """The same long after: markets are paid and have left the live endpoints."""
    served, ids = await live(serve)
    served.service.driver.step_until(T0 + 200 * DAY)
    return served, ids


TRANSFER = "POST /portfolio/intra_exchange_instance_transfer"
ORDER = {
    "ticker": OTHER,
    "side": "bid",
    "count": "1.00",
    "price": "0.3000",
    "time_in_force": "good_till_canceled",
    "self_trade_prevention_type": "taker_at_cross",
}
# Route -> (the rest of its URL, body). Names in braces are filled in from the ids of the scene.
ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "GET /exchange/status": ("", NO_BODY),
    "GET /exchange/schedule": ("", NO_BODY),
    "GET /exchange/user_data_timestamp": ("", NO_BODY),
    "GET /api_keys": ("", NO_BODY),
    "GET /account/limits": ("", NO_BODY),
    "GET /account/endpoint_costs": ("", NO_BODY),
    "GET /series": ("", NO_BODY),
    "GET /series/fee_changes": ("?show_historical=true", NO_BODY),
    "GET /series/{ticker}": ("KXHIGHNY", NO_BODY),
    "GET /series/{series}/markets/{ticker}/candlesticks": (
        f"{SERIES}/markets/{TICKER}/candlesticks?{SPAN}&include_latest_before_start=true",
        NO_BODY,
    ),
    "GET /series/{series}/events/{event}/candlesticks": (
        f"{SERIES}/events/{EVENT}/candlesticks?{SPAN}",
        NO_BODY,
    ),
    "GET /events": ("?with_nested_markets=true", NO_BODY),
    "GET /events/fee_changes": ("", NO_BODY),
    "GET /events/multivariate": ("", NO_BODY),
    "GET /events/{ticker}": (EVENT, NO_BODY),
    "GET /events/{ticker}/metadata": (f"/events/{EVENT}/metadata", NO_BODY),
    "GET /account/api_usage_level/volume_progress": ("", NO_BODY),
    "GET /communications/rfqs": ("", NO_BODY),
    "GET /communications/quotes": ("", NO_BODY),
    "GET /communications/block-trade-proposals": ("", NO_BODY),
    "GET /multivariate_event_collections": ("", NO_BODY),
    "GET /milestones": ("?limit=5", NO_BODY),
    "GET /structured_targets": ("", NO_BODY),
    "GET /incentive_programs": ("", NO_BODY),
    "GET /search/tags_by_categories": ("", NO_BODY),
    "GET /search/filters_by_sport": ("", NO_BODY),
    "GET /portfolio/deposits": ("", NO_BODY),
    "GET /portfolio/withdrawals": ("", NO_BODY),
    "GET /portfolio/target_balance_allocation": ("", NO_BODY),
    "GET /portfolio/subaccounts/netting": ("", NO_BODY),
    "GET /markets": ("", NO_BODY),
    "GET /markets/trades": (f"?ticker={TICKER}", NO_BODY),
    "GET /markets/orderbooks": (f"?tickers={TICKER}&tickers={OTHER}", NO_BODY),
    "GET /markets/candlesticks": (f"?market_tickers={TICKER},{OTHER}&{SPAN}", NO_BODY),
    "GET /markets/{ticker}": (TICKER, NO_BODY),
    "GET /markets/{ticker}/orderbook": (f"/markets/{TICKER}/orderbook", NO_BODY),
    "GET /historical/cutoff": ("", NO_BODY),
    "GET /historical/markets": ("", NO_BODY),
    "GET /historical/trades": ("", NO_BODY),
    "GET /historical/fills": ("", NO_BODY),
    "GET /historical/orders": ("", NO_BODY),
    "GET /historical/positions": ("", NO_BODY),
    "GET /historical/markets/{ticker}": (TICKER, NO_BODY),
    "GET /historical/markets/{ticker}/candlesticks": (
        f"/historical/markets/{TICKER}/candlesticks?{SPAN}",
        NO_BODY,
    ),
    "GET /portfolio/balance": ("", NO_BODY),
    "GET /portfolio/subaccounts/balances": ("", NO_BODY),
    "GET /portfolio/positions": ("?settlement_status=all", NO_BODY),
    "GET /portfolio/fills": ("", NO_BODY),
    "GET /portfolio/orders": ("", NO_BODY),
    "GET /portfolio/settlements": ("", NO_BODY),
    "GET /portfolio/orders/queue_positions": ("", NO_BODY),
    "GET /portfolio/orders/{order_id}": ("{order_id}", NO_BODY),
    "GET /portfolio/orders/{order_id}/queue_position": (
        "/portfolio/orders/{order_id}/queue_position",
        NO_BODY,
    ),
    f"POST {ORDERS}": ("", ORDER),
    f"DELETE {ORDERS}": ("", NO_BODY),
    f"DELETE {ORDERS}/{{order_id}}": ("{order_id}?market_ticker=" + OTHER, NO_BODY),
    f"POST {ORDERS}/{{order_id}}/amend": (ORDERS + "/{order_id}/amend", ORDER | {"price": "0.3100"}),
    f"POST {ORDERS}/{{order_id}}/decrease": (ORDERS + "/{order_id}/decrease", {"reduce_by": "1.00"}),
    f"POST {ORDERS}/batched": ("", {"orders": [ORDER, ORDER | {"price": "0.3333"}]}),
    f"DELETE {ORDERS}/batched": ("", {"orders": [{"order_id": "{order_id}"}, {"order_id": "no"}]}),
    f"GET {GROUPS}": ("", NO_BODY),
    f"POST {GROUPS}/create": ("", {"contracts_limit": 10}),
    f"GET {GROUPS}/{{group_id}}": ("{group_id}", NO_BODY),
    f"DELETE {GROUPS}/{{group_id}}": ("{group_id}", NO_BODY),
    f"PUT {GROUPS}/{{group_id}}/reset": (GROUPS + "/{group_id}/reset", NO_BODY),
    f"PUT {GROUPS}/{{group_id}}/trigger": (GROUPS + "/{group_id}/trigger", NO_BODY),
    f"PUT {GROUPS}/{{group_id}}/limit": (GROUPS + "/{group_id}/limit", {"contracts_limit": 20}),
    TRANSFER: (
        "",
        {
            "source": "event_contract",
            "destination": "event_contract",
            "amount": 5,
            "source_exchange_shard": 1,
            "destination_exchange_shard": 0,
        },
    ),
    "GET /portfolio/intra_exchange_instance_transfers": ("", NO_BODY),
    "GET /portfolio/intra_exchange_instance_transfers/{transfer_id}": ("{transfer_id}", NO_BODY),
}


def url_of(route: str, ids: dict[str, str]) -> str:
    path, rest = route.partition(" ")[2], ROUTES[route][0]
    if rest.startswith("/"):
        return str(_filled(rest, ids))
    base = path.rpartition("/")[0] + "/" if path.endswith("}") else path
    return f"{base}{_filled(rest, ids)}"


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, ids) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, ids) for each in value]
    if isinstance(value, str) and "{" in value:
        return value.format(**ids)
    return value


@pytest.mark.parametrize("scene", [live, archived])
@pytest.mark.parametrize("route", ROUTES)
async def test_an_answer_has_the_documented_shape(
    serve: Serve, openapi: dict[str, Any], route: str, scene: Any
) -> None:
    served, ids = await scene(serve)
    method, _, path = route.partition(" ")
    body = _filled(ROUTES[route][1], ids)
    response = await served.client.call(method, url_of(route, ids), body or None)
    if scene is live and "/historical/markets/{" not in path:
        assert response.status_code < 300, response.text
    schema = schema_of(openapi, method, path, response.status_code)
    if response.status_code == 204:
        assert response.content == b""
    elif schema is not None:
        check(openapi, schema, response.json())
    else:
        # Errors nobody described come from the matching engine, in its nested shape.
        check(openapi, {"$ref": "#/components/schemas/ErrorResponse"}, response.json()["error"])


async def test_every_route_is_checked(serve: Serve) -> None:
    served = await serve()
    own = {f"{method} {path.removeprefix(API)}" for method, path in served.service.server.routes}
    others = {each for each in own if " /sim/" in each or " /trade-api/ws" in each}
    retired = {each for each in own if re.match(r"(POST|DELETE) /portfolio/orders", each)}
    assert own - others - retired == set(ROUTES)


async def test_historical_answers_hold_what_left_the_live_ones(serve: Serve) -> None:
    served, _ = await archived(serve)
    client = served.client
    for name, listed in (("markets", "markets"), ("fills", "fills"), ("orders", "orders")):
        assert (await client.get(f"/historical/{name}"))[listed] != []
    assert (await client.get("/historical/positions"))["market_positions"] != []
    assert (await client.get("/historical/trades"))["trades"] != []
    assert [each["ticker"] for each in (await client.get("/markets"))["markets"]] == [OTHER]
    candles = (await client.get(f"/historical/markets/{TICKER}/candlesticks?{SPAN}"))["candlesticks"]
    assert (candles[0]["volume"], candles[0]["price"]["mean"]) == ("17.00", "0.4400")
