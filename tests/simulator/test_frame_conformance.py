"""Every WebSocket frame has the shape of Kalshi's own AsyncAPI description, where that is at hand."""

from __future__ import annotations

from typing import Any

import pytest

from src.core.fees import FeeSchedule
from src.core.grid import DECI_CENT
from src.core.units import HOUR, MINUTE
from src.simulator.service import SimulatorService
from src.simulator.world import ListEvent

from .conformance import check, lived_world, load
from .conftest import EVENT, OTHER, T0, TICKER, Serve, Served, command, make_market, receive


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    return load("asyncapi.yaml")


PAYLOADS = {
    "subscribed": "subscribedResponsePayload",
    "ok": "okResponsePayload",
    "unsubscribed": "unsubscribedResponsePayload",
    "error": "errorResponsePayload",
    "orderbook_snapshot": "orderbookSnapshotPayload",
    "orderbook_delta": "orderbookDeltaPayload",
    "ticker": "tickerPayload",
    "trade": "tradePayload",
    "fill": "fillPayload",
    "user_order": "userOrderPayload",
    "market_position": "marketPositionPayload",
    "market_lifecycle_v2": "marketLifecycleV2Payload",
    "event_lifecycle": "eventLifecyclePayload",
    "event_fee_update": "eventFeeUpdatePayload",
    "order_group_updates": "orderGroupUpdatesPayload",
}


async def _commands(socket: Any) -> None:
    channels = ["orderbook_delta", "ticker", "trade", "fill", "user_orders", "market_positions"]
    await command(socket, "subscribe", 1, channels=["market_lifecycle_v2", "order_group_updates"])
    await command(socket, "subscribe", 2, channels=channels, market_tickers=[TICKER, OTHER])
    await command(socket, "update_subscription", 3, sid=3, action="add_markets", market_ticker=OTHER)
    await command(socket, "subscribe", 4, channels=["nonsense"])


async def _everything(served: Served, service: SimulatorService) -> None:
    client, exchange = served.client, served.exchange
    group = exchange.create_group(client.key_id, 2_000)
    await client.create(price="0.4400", count="20", client_order_id="x", order_group_id=group.group_id)
    for act in (exchange.reset_group, exchange.trigger_group, exchange.delete_group):
        act(client.key_id, group.group_id)
    exchange.limit_group(client.key_id, exchange.create_group(client.key_id, 100).group_id, 200)
    exchange.change_event_fees(EVENT, FeeSchedule(multiplier_e4=5_000))
    exchange.change_event_fees(EVENT, None)
    exchange.change_grid(OTHER, DECI_CENT)
    for active in (False, True):
        exchange.set_market_active(OTHER, active)
    exchange.change_close_time(OTHER, exchange.now)
    exchange.advance(exchange.now)
    exchange.reopen(OTHER, exchange.now + HOUR)
    service.driver.step_until(T0 + 30 * HOUR)
    exchange.dispute(TICKER)
    exchange.amend_result(TICKER, "scalar", 4_000)
    service.driver.step_until(T0 + 40 * HOUR)


async def test_every_frame_has_the_documented_shape(serve: Serve, asyncapi: dict[str, Any]) -> None:
    world = lived_world()
    late = make_market("KXHIGHNY-26NOV24-T48", event_ticker="KXHIGHNY-26NOV24")
    world.script.insert(3, ListEvent(T0 + MINUTE, "KXHIGHNY-26NOV24", "KXHIGHNY", "Tomorrow", (late,)))
    served = await serve(world)
    seen: set[str] = set()
    steps: set[str] = set()
    async with served.client.connect() as socket:
        await _commands(socket)
        frame: dict[str, Any] = {"type": ""}
        while frame["type"] != "error":
            frame = await receive(socket)
            check(asyncapi, {"$ref": f"#/components/schemas/{PAYLOADS[frame['type']]}"}, frame)
            seen.add(frame["type"])
        await _everything(served, served.service)
        await command(socket, "unsubscribe", 5, sids=[1])
        while frame["type"] != "unsubscribed":
            frame = await receive(socket)
            check(asyncapi, {"$ref": f"#/components/schemas/{PAYLOADS[frame['type']]}"}, frame)
            seen.add(frame["type"])
            if isinstance(frame.get("msg"), dict):
                steps.add(frame["msg"].get("event_type", ""))
        await socket.send('{"id": 6, "cmd": "list_subscriptions"}')
        check(
            asyncapi,
            {"$ref": "#/components/schemas/listSubscriptionsResponsePayload"},
            await receive(socket),
        )
    assert seen == set(PAYLOADS)
    assert steps >= {"created", "triggered", "reset", "deleted", "limit_updated"}
    assert steps >= {"activated", "deactivated", "close_date_updated", "determined", "settled"}
