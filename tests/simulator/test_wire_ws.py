"""The WebSocket face over real sockets: commands, sequence numbers, books, private channels, weather."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import websockets

from src.core.events import DailyMaximum, ForecastUpdate, ObservationUpdate
from src.core.sides import BookSide
from src.core.units import DOLLAR_CASH, HOUR, MINUTE, parse_count
from src.simulator.keys import generate_key
from src.simulator.outputs import BookChange
from src.simulator.server import ServerOptions, SimulatorServer
from src.simulator.world import CrowdQuote, CrowdTake, Determine, ListEvent, WeatherNews, WorldEvent
from src.simulator.ws_connection import Connection, Outbox

from .conftest import (
    OTHER,
    T0,
    TICKER,
    ScriptedWorld,
    Serve,
    Served,
    SignedClient,
    command,
    listing,
    make_market,
    receive,
)

QUOTE = CrowdQuote(T0, TICKER, ((4100, 2500), (4200, 1300)), ((4400, 1700), (4500, 2000)))


def quoted_world(*more: WorldEvent) -> ScriptedWorld:
    return ScriptedWorld([listing(make_market(), make_market(OTHER)), QUOTE, *more])


async def frames(socket: websockets.ClientConnection, count: int) -> list[dict[str, Any]]:
    return [await receive(socket) for _ in range(count)]


async def rest_book(served: Served, ticker: str = TICKER) -> dict[str, dict[str, str]]:
    body = (await served.client.get(f"/markets/{ticker}/orderbook"))["orderbook_fp"]
    return {"yes": dict(body["yes_dollars"]), "no": dict(body["no_dollars"])}


class ClientBook:
    """A client's book, built from frames alone; it insists on gapless sequence numbers."""

    def __init__(self) -> None:
        self.books: dict[str, dict[str, dict[str, int]]] = {}
        self.seq = 0

    def apply(self, frame: dict[str, Any]) -> None:
        assert frame["seq"] == self.seq + 1
        self.seq += 1
        msg = frame["msg"]
        if frame["type"] == "orderbook_snapshot":
            self.books[msg["market_ticker"]] = {
                side: {price: parse_count(size) for price, size in msg.get(f"{side}_dollars_fp", [])}
                for side in ("yes", "no")
            }
        elif frame["type"] == "orderbook_delta":
            levels = self.books[msg["market_ticker"]][msg["side"]]
            size = levels.get(msg["price_dollars"], 0) + parse_count(msg["delta_fp"])
            assert size >= 0
            levels[msg["price_dollars"]] = size
            if not size:
                del levels[msg["price_dollars"]]


async def test_upgrade_without_signature_is_401(serve: Serve) -> None:
    served = await serve()
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(served.service.ws_url)
    assert refused.value.response.status_code == 401
    wrong = served.client.headers("GET", "/trade-api/v2/markets")
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(served.service.ws_url, additional_headers=wrong)
    assert refused.value.response.status_code == 401


async def test_subscription_commands_and_their_sequence_numbers(serve: Serve) -> None:
    served = await serve(quoted_world())
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["orderbook_delta", "trade"], market_tickers=[TICKER])
        first, book, second = await frames(socket, 3)
        assert (first["id"], first["type"], first["msg"]) == (
            1,
            "subscribed",
            {"channel": "orderbook_delta", "sid": 1},
        )
        assert "seq" not in first
        assert (book["type"], book["sid"], book["seq"]) == ("orderbook_snapshot", 1, 1)
        assert second["msg"] == {"channel": "trade", "sid": 2}
        await command(
            socket, "update_subscription", 2, sids=[1], action="add_markets", market_tickers=[OTHER]
        )
        ok, other = await frames(socket, 2)
        assert (ok["id"], ok["type"], ok["sid"], ok["seq"]) == (2, "ok", 1, 2)
        assert ok["msg"] == {"market_tickers": [TICKER, OTHER]}
        assert (other["type"], other["seq"]) == ("orderbook_snapshot", 3)
        assert set(other["msg"]) == {"market_ticker", "market_id", "clock"}
        await command(
            socket, "update_subscription", 3, sid=1, action="delete_markets", market_tickers=[OTHER]
        )
        [ok] = await frames(socket, 1)
        assert (ok["seq"], ok["msg"]) == (4, {"market_tickers": [TICKER]})
        await command(socket, "update_subscription", 4, sids=[1], action="get_snapshot", market_ticker=TICKER)
        [again] = await frames(socket, 1)
        assert (again["id"], again["type"], again["seq"]) == (4, "orderbook_snapshot", 5)
        assert again["msg"] == book["msg"]
        await socket.send(json.dumps({"id": 5, "cmd": "list_subscriptions"}))
        [listed] = await frames(socket, 1)
        assert listed["msg"] == [
            {"channel": "orderbook_delta", "sid": 1},
            {"channel": "trade", "sid": 2},
        ]
        await command(socket, "unsubscribe", 6, sids=[1, 2])
        gone = await frames(socket, 2)
        assert [(each["sid"], each["seq"], each["type"]) for each in gone] == [
            (1, 6, "unsubscribed"),
            (2, 1, "unsubscribed"),
        ]


async def test_resubscribing_a_channel_adds_markets_to_the_same_sid(serve: Serve) -> None:
    served = await serve(quoted_world())
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["orderbook_delta"], market_ticker=TICKER)
        await frames(socket, 2)
        await command(socket, "subscribe", 2, channels=["orderbook_delta"], market_tickers=[TICKER, OTHER])
        ok, snapshot = await frames(socket, 2)
        assert (ok["type"], ok["sid"], ok["msg"]["market_tickers"]) == ("ok", 1, [TICKER, OTHER])
        assert (snapshot["sid"], snapshot["msg"]["market_ticker"]) == (1, OTHER)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{nope", 1),
        ("[]", 1),
        ('{"id":1,"cmd":"subscribe"}', 2),
        ('{"id":1,"cmd":"subscribe","params":{}}', 3),
        ('{"id":1,"cmd":"unsubscribe","params":{}}', 4),
        ('{"id":1,"cmd":"dance","params":{}}', 5),
        ('{"id":1,"cmd":"unsubscribe","params":{"sids":[9]}}', 7),
        ('{"id":1,"cmd":"unsubscribe","params":{"sids":[[]]}}', 7),
        ('{"id":1,"cmd":"update_subscription","params":{"sid":{},"action":"add_markets"}}', 7),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["nonsense"]}}', 8),
        ('{"id":1,"cmd":"subscribe","params":{"channels":[5]}}', 11),
        (
            '{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"market_ticker":"A","market_tickers":["B"]}}',
            11,
        ),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1,2],"action":"add_markets"}}', 12),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"]}}', 14),
    ],
)
async def test_command_errors(serve: Serve, text: str, code: int) -> None:
    served = await serve()
    async with served.client.connect() as socket:
        await socket.send(text)
        error = await receive(socket)
        assert (error["type"], error["msg"]["code"]) == ("error", code)


async def test_update_errors_for_a_known_subscription(serve: Serve) -> None:
    served = await serve()
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["trade"])
        await receive(socket)
        for params, code in (
            ({"sid": 1, "market_ticker": TICKER}, 15),
            ({"sid": 1, "action": "explode", "market_ticker": TICKER}, 13),
            ({"sid": 1, "action": "add_markets"}, 14),
            ({"sid": 1, "action": "get_snapshot", "market_ticker": TICKER}, 13),
            ({"sid": 1, "action": "delete_markets", "market_ticker": TICKER}, 11),
            ({"sid": 5, "action": "add_markets", "market_ticker": TICKER}, 7),
        ):
            await command(socket, "update_subscription", 2, **params)
            assert (await receive(socket))["msg"]["code"] == code


@pytest.mark.parametrize("yes_price", [False, True])
async def test_no_side_is_quoted_in_the_asked_leg(serve: Serve, yes_price: bool) -> None:
    served = await serve(quoted_world())
    async with served.client.connect() as socket:
        await command(
            socket,
            "subscribe",
            1,
            channels=["orderbook_delta"],
            market_tickers=[TICKER],
            use_yes_price=yes_price,
        )
        _, snapshot = await frames(socket, 2)
        expected = [["0.4400", "17.00"], ["0.4500", "20.00"]]
        if not yes_price:
            expected = [["0.5500", "20.00"], ["0.5600", "17.00"]]
        assert snapshot["msg"]["no_dollars_fp"] == expected
        assert snapshot["msg"]["yes_dollars_fp"] == [["0.4100", "25.00"], ["0.4200", "13.00"]]
        served.exchange.set_crowd_level(TICKER, BookSide.ASK, 4400, 0)
        delta = await receive(socket)
        assert delta["msg"]["side"] == "no"
        assert delta["msg"]["price_dollars"] == ("0.4400" if yes_price else "0.5600")
        assert delta["msg"]["delta_fp"] == "-17.00"


@pytest.mark.parametrize("yes_price", [False, True])
async def test_book_from_frames_equals_the_rest_book_after_random_flow(serve: Serve, yes_price: bool) -> None:
    rng = random.Random(3)
    served = await serve(quoted_world())
    mirror = ClientBook()
    served.exchange.add_account("maker", 10**15)
    async with served.client.connect() as socket:
        await command(
            socket,
            "subscribe",
            1,
            channels=["orderbook_delta"],
            market_tickers=[TICKER, OTHER],
            use_yes_price=yes_price,
        )
        await receive(socket)
        for step in range(120):
            ticker = rng.choice([TICKER, OTHER])
            mid = rng.randrange(30, 70)
            if step % 3 == 0:
                bids = tuple(((mid - 1 - i) * 100, rng.randrange(1, 3000)) for i in range(3))
                asks = tuple(((mid + 1 + i) * 100, rng.randrange(1, 3000)) for i in range(3))
                served.exchange.apply(CrowdQuote(T0, ticker, bids, asks))
            elif step % 3 == 1:
                await served.client.create(
                    ticker=ticker,
                    side=rng.choice(["bid", "ask"]),
                    price=f"0.{mid}",
                    count=f"{rng.randrange(1, 20)}.{rng.randrange(10)}",
                    self_trade_prevention_type="maker",
                )
            else:
                side = rng.choice(list(BookSide))
                served.exchange.apply(CrowdTake(T0, ticker, side, mid * 100, rng.randrange(1, 3000)))
            if step % 40 == 20:
                await command(
                    socket,
                    "update_subscription",
                    step,
                    sids=[1],
                    action="get_snapshot",
                    market_tickers=[ticker],
                )
                await _read_until(served, socket, mirror, lambda frame: "id" in frame)
        await command(socket, "update_subscription", 999, sids=[1], action="add_markets", market_ticker=OTHER)
        await _read_until(served, socket, mirror, lambda frame: frame.get("id") == 999)
        for ticker in (TICKER, OTHER):
            shown = mirror.books[ticker]
            if yes_price:
                shown["no"] = {f"{1 - float(price):.4f}": size for price, size in shown["no"].items()}
            rest = await rest_book(served, ticker)
            assert shown == {
                side: {price: parse_count(size) for price, size in levels.items()}
                for side, levels in rest.items()
            }
            assert any(shown.values())


async def _read_until(
    served: Served, socket: websockets.ClientConnection, mirror: ClientBook, done: Any
) -> None:
    while True:
        frame = await receive(socket)
        mirror.apply(frame)
        if done(frame):
            return


async def test_own_fills_orders_and_positions_arrive_without_sequence_numbers(serve: Serve) -> None:
    served = await serve(quoted_world())
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["fill", "user_orders", "market_positions"])
        await frames(socket, 3)
        await served.client.create(price="0.4400", count="20", client_order_id="mine")
        told = {frame["type"]: frame for frame in await frames(socket, 3)}
        fill, position, order = told["fill"], told["market_position"], told["user_order"]
        assert all("seq" not in frame for frame in (fill, position, order))
        assert (
            fill["msg"]
            | {
                "client_order_id": "mine",
                "is_taker": True,
                "count_fp": "17.00",
                "post_position_fp": "17.00",
                "fee_cost": "0.293300",
            }
            == fill["msg"]
        )
        assert position["msg"]["position_cost_dollars"] == "7.480000"
        assert (order["msg"]["status"], order["msg"]["remaining_count_fp"]) == ("resting", "3.00")
        assert order["msg"]["last_update_reason"] == "Trade"
        served.service.driver.step_until(T0 + 24 * HOUR)
        closed = await receive(socket)
        assert (closed["msg"]["status"], closed["msg"]["last_update_reason"]) == ("canceled", "CloseCancel")


async def test_trade_fill_and_order_of_a_match_come_in_any_order(serve: Serve) -> None:
    """They share id and time, which is what a client has to match them by; each channel keeps its order."""
    served = await serve(quoted_world())
    orders, ordinals = set(), []
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["trade", "fill", "user_orders"])
        await frames(socket, 3)
        for _ in range(40):
            served.exchange.apply(CrowdQuote(T0, TICKER, (), ((4400, 100),)))
            await served.client.create(price="0.4400", count="1")
            told = await frames(socket, 3)
            of = {frame["type"]: frame for frame in told}
            orders.add(tuple(frame["type"] for frame in told))
            ordinals.append(of["trade"]["seq"])
            assert of["fill"]["msg"]["trade_id"] == of["trade"]["msg"]["trade_id"]
            assert of["fill"]["msg"]["ts_ms"] == of["trade"]["msg"]["ts_ms"]
            assert of["user_order"]["msg"]["status"] == "executed"
            served.exchange.apply(CrowdQuote(T0, TICKER, (), ()))
    assert orders == set(itertools.permutations(("trade", "fill", "user_order")))
    assert ordinals == list(range(1, 41))


async def test_private_messages_go_to_their_own_account_only(serve: Serve, tmp_path: Path) -> None:
    served = await serve(quoted_world())
    served.exchange.add_account("second", 50 * DOLLAR_CASH)
    served.service.server.add_key(generate_key("second", tmp_path / "second.pem", "ed25519"))
    second = SignedClient(served.service, "second", (tmp_path / "second.pem").read_bytes())
    async with served.client.connect() as mine, second.connect() as theirs:
        for socket in (mine, theirs):
            await command(
                socket, "subscribe", 1, channels=["user_orders", "orderbook_delta"], market_ticker=TICKER
            )
            await frames(socket, 3)
        await served.client.create(client_order_id="mine")
        order, delta = await frames(mine, 2)
        assert (order["type"], delta["msg"]["client_order_id"]) == ("user_order", "mine")
        seen = await receive(theirs)
        assert (seen["type"], "client_order_id" in seen["msg"]) == ("orderbook_delta", False)
    await second.http.aclose()


async def test_public_trade_and_ticker(serve: Serve) -> None:
    served = await serve(quoted_world())
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["trade"])
        await command(
            socket, "subscribe", 2, channels=["ticker"], market_tickers=[TICKER], send_initial_snapshot=True
        )
        _, _, first = await frames(socket, 3)
        assert (first["msg"]["yes_bid_dollars"], first["msg"]["yes_ask_dollars"]) == ("0.4200", "0.4400")
        await served.client.create(price="0.4400", count="17")
        trade, ticker = await frames(socket, 2)
        assert (trade["type"], trade["seq"], trade["msg"]["taker_book_side"]) == ("trade", 1, "bid")
        [listed] = (await served.client.get("/markets/trades"))["trades"]
        [fill] = (await served.client.get("/portfolio/fills"))["fills"]
        assert trade["msg"]["trade_id"] == listed["trade_id"] == fill["trade_id"]
        assert "seq" not in ticker
        assert (ticker["msg"]["price_dollars"], ticker["msg"]["yes_ask_dollars"]) == ("0.4400", "0.4500")
        assert (ticker["msg"]["volume_fp"], ticker["msg"]["open_interest_fp"]) == ("17.00", "17.00")


async def test_lifecycle_announces_listing_result_and_payment_but_not_open_and_close(serve: Serve) -> None:
    late = make_market("KXHIGHNY-26NOV24-T48", event_ticker="KXHIGHNY-26NOV24", open_time=T0 + HOUR)
    world = quoted_world(
        ListEvent(T0 + MINUTE, "KXHIGHNY-26NOV24", "KXHIGHNY", "Tomorrow", (late,)),
        Determine(T0 + 30 * HOUR, TICKER, "no", 0, "49.00"),
    )
    served = await serve(world)
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["market_lifecycle_v2"])
        await command(
            socket, "subscribe", 2, channels=["orderbook_delta"], market_ticker="KXHIGHNY-26NOV24-T48"
        )
        await frames(socket, 2)
        served.service.driver.step_until(T0 + 2 * MINUTE)
        event, created, snapshot = await frames(socket, 3)
        assert (event["type"], event["seq"], event["msg"]["series_ticker"]) == (
            "event_lifecycle",
            1,
            "KXHIGHNY",
        )
        assert created["msg"]["event_type"] == "created"
        assert created["msg"]["price_ranges"] == [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]
        assert created["msg"]["additional_metadata"]["strike_type"] == "between"
        assert (snapshot["type"], snapshot["msg"]["market_ticker"]) == (
            "orderbook_snapshot",
            "KXHIGHNY-26NOV24-T48",
        )
        served.service.driver.step_until(T0 + 40 * HOUR)
        determined, settled = await frames(socket, 2)
        assert determined["seq"] == 3
        assert determined["msg"] == {
            "event_type": "determined",
            "market_ticker": TICKER,
            "determination_ts": (T0 + 30 * HOUR) // 10**9,
            "result": "no",
            "settlement_value": "0.0000",
        }
        assert (settled["seq"], settled["msg"]["event_type"]) == (4, "settled")
        assert settled["msg"]["settled_ts"] == (T0 + 31 * HOUR) // 10**9


async def test_market_clock_never_goes_back_and_is_shared_by_an_operation(serve: Serve) -> None:
    served = await serve(quoted_world())
    clocks: list[int] = []
    served.exchange.subscribe(
        lambda outputs: clocks.extend(each.clock for each in outputs if isinstance(each, BookChange))
    )
    before = served.exchange.markets[TICKER].clock
    served.exchange.apply(CrowdQuote(T0, TICKER, ((3000, 100), (2900, 100)), ((6000, 100),)))
    served.exchange.apply(CrowdTake(T0, TICKER, BookSide.BID, 6000, 50))
    assert set(clocks) == {before + 1, before + 2}
    assert clocks == sorted(clocks)


async def test_server_pings_with_its_payload(serve: Serve, tmp_path: Path) -> None:
    served = await serve()
    service = served.service
    options = ServerOptions(time.time_ns, time.monotonic, ping_interval=0.001)
    server = SimulatorServer(service.exchange, ScriptedWorld(), service.weather, service.driver, options)
    server.add_key(generate_key("pinged", tmp_path / "pinged.pem", "ed25519"))
    pinged = SignedClient(service, "pinged", (tmp_path / "pinged.pem").read_bytes())
    await server.start()
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{server.port}/trade-api/ws/v2"
        headers = pinged.headers("GET", "/trade-api/ws/v2")
        async with session.ws_connect(url, headers=headers, autoping=False) as socket:
            message = await socket.receive(timeout=5)
            assert (message.type, message.data) == (aiohttp.WSMsgType.PING, b"heartbeat")
    await server.stop()
    await pinged.http.aclose()


async def test_frames_sent_counts_every_frame_a_client_gets(serve: Serve) -> None:
    served = await serve(quoted_world(WeatherNews(T0 + MINUTE, observation(T0 + MINUTE))))
    received = 0
    async with served.client.connect() as socket, websockets.connect(served.service.weather_url) as weather:
        await command(socket, "subscribe", 1, channels=["orderbook_delta", "trade"], market_ticker=TICKER)
        received += len(await frames(socket, 3))
        served.exchange.apply(CrowdTake(T0, TICKER, BookSide.BID, 4500, 2000))
        served.service.driver.step_until(T0 + MINUTE)
        await receive(weather)
        received += 1
        expected = served.service.server.frames_sent
        while received < expected:
            await receive(socket)
            received += 1
        assert served.service.server.frames_sent == received == 8
        [connection] = served.service.server.sockets.connections
        assert connection.outbox.frames_sent == 7
        await command(socket, "list_subscriptions", 2)
        await receive(socket)
    assert served.service.server.frames_sent == 9


async def test_a_client_that_does_not_read_loses_its_subscriptions_with_code_25() -> None:
    outbox = Outbox(aiohttp.web.WebSocketResponse(), 3)
    connection = Connection(outbox, "key")
    subscription = connection.add_subscription("trade", None)
    for number in range(4):
        connection.publish(0, subscription, "trade", {"n": number})
    assert connection.subscriptions == {}
    [text] = outbox._frames
    assert json.loads(text)["msg"]["code"] == 25
    assert outbox.frames_sent == 1


def observation(ts: int) -> ObservationUpdate:
    return ObservationUpdate("KXHIGHNY", "KNYC", 48.0, ts, ts)


async def test_weather_history_comes_first_and_news_as_they_happen(serve: Serve) -> None:
    past = ForecastUpdate("KXHIGHNY", "KNYC", "2026-11-23", "nbm", 1.0, 51.5, T0 - HOUR, T0 - HOUR, T0 - HOUR)
    final = DailyMaximum("KXHIGHNY", "KNYC", "2026-11-23", 50, True, T0 + HOUR, T0 + HOUR)
    world = quoted_world(WeatherNews(T0 + MINUTE, observation(T0 + MINUTE)), WeatherNews(T0 + HOUR, final))
    world.past = [past]
    served = await serve(world)
    served.service.driver.step_until(T0 + MINUTE)
    async with websockets.connect(served.service.weather_url) as socket:
        first, second = await frames(socket, 2)
        assert first == {
            "type": "forecast",
            "series_ticker": "KXHIGHNY",
            "station": "KNYC",
            "target_date": "2026-11-23",
            "source": "nbm",
            "lead_days": 1.0,
            "tmax_f": 51.5,
            "issued_ts": T0 - HOUR,
            "ts_event": T0 - HOUR,
        }
        assert (second["type"], second["temp_f"]) == ("observation", 48.0)
        served.service.driver.step_until(T0 + HOUR)
        third = await receive(socket)
        assert (third["type"], third["tmax_f"], third["final"]) == ("daily_max", 50, True)


async def test_the_same_world_twice_gives_the_same_frames(serve: Serve) -> None:
    async def run() -> list[dict[str, Any]]:
        served = await serve(
            quoted_world(
                CrowdTake(T0 + MINUTE, TICKER, BookSide.ASK, 4100, 1500),
                Determine(T0 + 30 * HOUR, TICKER, "yes", 10_000, "50.00"),
            )
        )
        async with served.client.connect() as socket:
            await command(
                socket,
                "subscribe",
                1,
                channels=["orderbook_delta", "trade", "fill", "user_orders", "ticker"],
                market_ticker=TICKER,
            )
            collected = await frames(socket, 6)
            await served.client.create(price="0.4200", client_order_id="x")
            await served.client.create(price="0.4400", client_order_id="y")
            served.service.driver.step_until(T0 + 40 * HOUR)
            while len(collected) < served.service.server.frames_sent:
                collected.append(await receive(socket))
            return collected

    first, second = await run(), await run()
    assert first == second
    assert {"fill", "trade", "user_order", "ticker", "orderbook_delta"} < {each["type"] for each in first}


async def test_stopping_closes_every_connection(serve: Serve) -> None:
    served = await serve()
    async with served.client.connect() as socket, websockets.connect(served.service.weather_url) as weather:
        await asyncio.gather(served.service.stop(), socket.wait_closed(), weather.wait_closed())
        assert socket.close_code == weather.close_code == 1001
