"""Faults of the trading WebSocket, seen by an independent client over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import websockets

from src.core.sides import BookSide
from src.core.units import MILLISECOND, SECOND
from src.simulator.faults import FaultPlan, FaultRule, When
from src.simulator.world import CrowdQuote

from .conftest import OTHER, T0, TICKER, ScriptedWorld, Serve, Served, command, listing, make_market, receive

BOOKS = When(channel="orderbook_delta")
QUOTE = CrowdQuote(T0, TICKER, ((3500, 2500),), ((4500, 2000),))


def quoted_world() -> ScriptedWorld:
    return ScriptedWorld([listing(make_market(), make_market(OTHER)), QUOTE])


async def faulty(serve: Serve, *rules: FaultRule, **options: Any) -> Served:
    return await serve(quoted_world(), faults=FaultPlan(rules, seed=7), **options)


async def subscribed(socket: websockets.ClientConnection, *channels: str, **params: Any) -> None:
    """Subscribe and read the acknowledgements and the first snapshot."""
    await command(socket, "subscribe", 1, channels=list(channels), market_tickers=[TICKER], **params)
    for _ in channels:
        assert (await receive(socket))["type"] == "subscribed"


def change(served: Served, size: int) -> None:
    """One book change: the size at a price of the crowd."""
    served.exchange.set_crowd_level(TICKER, BookSide.BID, 3400, size)


async def frames(socket: websockets.ClientConnection, count: int) -> list[dict[str, Any]]:
    return [await receive(socket) for _ in range(count)]


async def sequence(
    served: Served, socket: websockets.ClientConnection, changes: int, expected: int
) -> list[int]:
    """Make changes, and return the numbers of the frames that come of them."""
    for number in range(1, changes + 1):
        change(served, 100 * number)
    return [frame["seq"] for frame in await frames(socket, expected)]


async def test_drop_leaves_a_gap_in_the_sequence(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("ws.drop", When(channel="orderbook_delta", nth=5)))
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        # 1 subscribed, 2 snapshot, then changes: the third of them is lost.
        assert await sequence(served, socket, 5, 5) == [1, 2, 3, 5, 6]


async def test_dup_repeats_a_frame_with_its_number(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("ws.dup", When(channel="orderbook_delta", nth=3), {"times": 2}))
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        assert await sequence(served, socket, 2, 5) == [1, 2, 2, 2, 3]


async def test_reorder_lets_later_frames_pass(serve: Serve) -> None:
    rule = FaultRule("ws.reorder", When(channel="orderbook_delta", nth=3), {"by": 2, "hold": 60})
    served = await faulty(serve, rule)
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        assert await sequence(served, socket, 4, 5) == [1, 3, 4, 2, 5]


async def test_a_frame_held_for_reordering_comes_even_if_nothing_follows(serve: Serve) -> None:
    rule = FaultRule("ws.reorder", When(channel="orderbook_delta", nth=3), {"hold": 0.01})
    served = await faulty(serve, rule)
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        assert await sequence(served, socket, 1, 2) == [1, 2]


async def test_gap_and_reset_renumber_what_follows(serve: Serve) -> None:
    served = await faulty(
        serve,
        FaultRule("ws.gap", When(channel="orderbook_delta", nth=3), {"by": 10}),
        FaultRule("ws.seq_reset", When(channel="orderbook_delta", nth=5)),
    )
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        assert await sequence(served, socket, 5, 6) == [1, 12, 13, 1, 2, 3]


async def test_delay_keeps_the_order_and_the_frames_behind(serve: Serve) -> None:
    asked: list[float] = []
    entered, over = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        entered.set()
        await over.wait()

    rule = FaultRule("ws.delay", When(channel="orderbook_delta", nth=3), {"seconds": 8})
    served = await serve(quoted_world(), faults=FaultPlan([rule], sleep=sleep), monotonic=lambda: 0.0)
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        assert (await receive(socket))["type"] == "orderbook_snapshot"
        change(served, 100)
        change(served, 200)
        async with asyncio.timeout(5):
            await entered.wait()
        # A ping is answered, so nothing else was on its way.
        await (await socket.ping())
        over.set()
        assert [frame["seq"] for frame in await frames(socket, 2)] == [2, 3]
    assert asked == [8.0]


async def test_delay_holds_the_heartbeat_up_with_the_frames(serve: Serve) -> None:
    """The heartbeat is how a client tells a slow connection from a quiet one."""
    entered, over = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        entered.set()
        await over.wait()

    rule = FaultRule("ws.delay", When(channel="orderbook_delta", nth=3), {"seconds": 8})
    served = await serve(quoted_world(), faults=FaultPlan([rule], sleep=sleep), monotonic=lambda: 0.0)
    pinged: list[bytes] = []
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        await receive(socket)
        outbox = served.service.server.sockets.connections[0].outbox

        async def ping(payload: bytes) -> None:
            pinged.append(payload)

        outbox.socket.ping = ping  # type: ignore[method-assign]
        change(served, 100)
        late = asyncio.create_task(outbox.ping(b"late"))
        async with asyncio.timeout(5):
            await entered.wait()
        assert pinged == []
        over.set()
        await late
    assert pinged == [b"late"]


async def test_silence_keeps_the_connection_and_stops_frames_and_pings(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("ws.silent", When(channel="orderbook_delta", nth=3)))
    outbox_pings: list[bytes] = []
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        assert (await receive(socket))["type"] == "orderbook_snapshot"
        outbox = served.service.server.sockets.connections[0].outbox

        async def ping(payload: bytes) -> None:
            outbox_pings.append(payload)

        outbox.socket.ping = ping  # type: ignore[method-assign]
        await outbox.ping(b"before")
        change(served, 100)
        change(served, 200)
        await outbox.ping(b"after")
        await command(socket, "list_subscriptions", 2)
        # TCP lives: our own ping is answered, yet no frame came before the answer.
        await (await socket.ping())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await socket.recv()
    assert outbox_pings == [b"before"]


async def test_silence_ends_with_its_window(serve: Serve) -> None:
    rule = {"fault": "ws.silent", "when": {"from_ts": "+1s", "to_ts": "+2s"}}
    plan = FaultPlan.from_document({"rules": [rule]})
    served = await serve(quoted_world(), faults=plan)
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        assert (await receive(socket))["seq"] == 1
        served.service.driver.step_until(T0 + SECOND)
        change(served, 100)
        served.service.driver.step_until(T0 + 2 * SECOND)
        change(served, 200)
        assert (await receive(socket))["seq"] == 3


async def test_close_is_abrupt(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("ws.close", When(channel="orderbook_delta", nth=3)))
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        assert (await receive(socket))["type"] == "orderbook_snapshot"
        change(served, 100)
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await receive(socket)
        assert closed.value.rcvd is None


async def test_a_revoked_key_loses_its_connections_and_gets_no_new_one(serve: Serve) -> None:
    plan = FaultPlan()
    served = await serve(quoted_world(), faults=plan)
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        assert (await receive(socket))["type"] == "orderbook_snapshot"
        plan.add(FaultRule("key_revoked"))
        change(served, 100)
        with pytest.raises(websockets.ConnectionClosedError):
            await receive(socket)
    with pytest.raises(websockets.InvalidStatus) as refused:
        await served.client.connect()
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("code", [10, 25])
async def test_error_ends_one_subscription(serve: Serve, code: int) -> None:
    rule = FaultRule("ws.error", When(channel="orderbook_delta", nth=3), {"code": code})
    served = await faulty(serve, rule)
    async with served.client.connect() as socket:
        await subscribed(socket, "trade", "orderbook_delta")
        snapshot = next(each for each in await frames(socket, 1) if each["type"] == "orderbook_snapshot")
        change(served, 100)
        error = await receive(socket)
        assert (error["type"], error["sid"], error["msg"]["code"]) == ("error", snapshot["sid"], code)
        change(served, 200)
        await command(socket, "list_subscriptions", 2)
        listed = await receive(socket)
        assert [each["channel"] for each in listed["msg"]] == ["trade"]


async def test_merged_acks_leave_no_gap(serve: Serve) -> None:
    rule = FaultRule("ws.merge_acks", parameters={"hold": 0.05})
    served = await faulty(serve, rule)
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        seen = [await receive(socket)]
        for number in range(2, 12):
            params = {"sids": [1], "action": "add_markets", "market_tickers": [OTHER]}
            await command(socket, "update_subscription", number, **params)
        while seen[-1]["type"] != "ok":
            seen.append(await receive(socket))
        change(served, 100)
        seen.append(await receive(socket))
        acks = [each for each in seen if each["type"] == "ok"]
        assert [each["id"] for each in acks] == [11]
        assert acks[0]["msg"]["market_tickers"] == [TICKER, OTHER]
        assert [each["seq"] for each in seen] == [*range(1, len(seen) + 1)]


async def test_deprecate_field_of_a_channel(serve: Serve) -> None:
    served = await faulty(serve, FaultRule("deprecate_field", BOOKS, {"field": "price_dollars"}))
    async with served.client.connect() as socket:
        await subscribed(socket, "orderbook_delta")
        assert (await receive(socket))["msg"]["yes_dollars_fp"] == [["0.3500", "25.00"]]
        change(served, 100)
        body = (await receive(socket))["msg"]
        assert "price_dollars" not in body
        assert body["delta_fp"] == "1.00"


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("fill_after_cancel_ack", ["fill", "user_order", "user_order"]),
        ("reject_after_ack", ["user_order"]),
    ],
)
async def test_the_account_hears_of_it_only_after_the_answer(
    serve: Serve, fault: str, kinds: list[str]
) -> None:
    plan = FaultPlan()
    served = await serve(quoted_world(), faults=plan)
    server = served.service.server
    async with served.client.connect() as socket:
        await subscribed(socket, "fill", "user_orders")
        order_id = (await served.client.create(price="0.3000")).json()["order_id"]
        assert (await receive(socket))["msg"]["status"] == "resting"
        sent_by_then: list[int] = []
        sent = server.frames_sent
        # Called after the sockets' own listener: what it was told of has been sent, or is held back.
        served.exchange.subscribe(lambda outputs: sent_by_then.append(server.frames_sent))
        plan.add(FaultRule(fault))
        if fault == "fill_after_cancel_ack":
            path = f"/portfolio/events/orders/{order_id}?market_ticker={TICKER}"
            assert (await served.client.call("DELETE", path)).json()["reduced_by"] == "5.00"
        else:
            assert (await served.client.create(price="0.3100")).json()["remaining_count"] == "10.00"
            assert (await receive(socket))["msg"]["status"] == "resting"
            sent += 1
        assert sorted([(await receive(socket))["type"] for _ in kinds]) == kinds
        assert sent_by_then[-1] == sent
        assert server.frames_sent == sent + len(kinds)


async def test_the_same_seed_loses_the_same_frames(serve: Serve) -> None:
    rule = FaultRule("ws.drop", When(channel="orderbook_delta", probability=0.3))
    runs: list[list[int]] = []
    for _ in range(2):
        served = await faulty(serve, rule)
        async with served.client.connect() as socket:
            await command(socket, "subscribe", 1, channels=["orderbook_delta"], market_tickers=[TICKER])
            for number in range(1, 101):
                served.service.driver.step_until(T0 + number * MILLISECOND)
            await (await socket.ping())
            for number in range(1, 101):
                change(served, 100 * number)
            await command(socket, "list_subscriptions", 9)
            seen: list[int] = []
            while (frame := await receive(socket)).get("id") != 9:
                seen.append(frame.get("seq", 0))
            runs.append(seen)
    assert runs[0] == runs[1]
    assert 50 < len(runs[0]) < 90
