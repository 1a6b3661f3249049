"""Whatever is asked, by REST or WebSocket: an answer of the documented forms, never an internal error."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import httpx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from src.simulator.ratelimit import RateLimits
from src.simulator.service import SimulatorService
from src.simulator.ws_commands import Commands
from src.simulator.ws_connection import Connection, Outbox

from .conftest import EVENT, OTHER, TICKER, ScriptedWorld, SignedClient

FLAT = {"code", "message", "details"}
# A cursor of the exchange's form with more digits than Python converts.
LONG_CURSOR = base64.urlsafe_b64encode(b"after:" + b"9" * 5_000).decode()
# Times and numbers at and beyond the bounds of what datetimes and 64 bits hold.
_NUMBERS = [0, 1, -1, 7, 60, 99, 1_795_420_800, 2**31, 2**53, 2**62, 2**63, 2**64, -(2**63), 10**30]
_TEXTS = [
    "", "0", "1", "-1", "0.40", "0.4000", "10.00", "-5.00", "1e9", "9" * 30, "9" * 5_000, "99999999999999.99",
    "bid", "ask", "yes", "no", "true", "false", "good_till_canceled", "immediate_or_cancel", "fill_or_kill",
    "taker_at_cross", "maker", "open", "settled", "all", TICKER, OTHER, EVENT, "KXHIGHNY", "order-1",
    "YWZ0ZXI6MQ==", "YWZ0ZXI6", LONG_CURSOR, "\x00", "é", "\U0001f600", "a" * 65, "٣", "²",
]  # fmt: skip
_FIELDS = [
    "ticker", "side", "count", "price", "time_in_force", "self_trade_prevention_type", "client_order_id",
    "updated_client_order_id", "post_only", "reduce_only", "expiration_time", "cancel_order_on_pause",
    "exchange_index", "order_group_id", "order_id", "reduce_by", "reduce_to", "market_ticker", "orders",
    "contracts_limit", "contracts_limit_fp", "amount", "source", "destination", "source_exchange_shard",
    "destination_exchange_shard", "client_transfer_id", "subaccount",
]  # fmt: skip
_PARAMETERS = [
    "limit", "cursor", "ticker", "tickers", "market_ticker", "market_tickers", "event_ticker", "status",
    "series_ticker", "depth", "period_interval", "start_ts", "end_ts", "min_ts", "max_ts", "min_close_ts",
    "max_close_ts", "min_created_ts", "max_created_ts", "min_settled_ts", "max_settled_ts", "min_updated_ts",
    "with_nested_markets", "include_latest_before_start", "exchange_index", "subaccount", "order_id",
    "count_filter", "settlement_status", "mve_filter", "category", "is_block_trade", "show_historical",
]  # fmt: skip

_ANSWERS = {"subscribed", "unsubscribed", "ok", "error", "orderbook_snapshot", "ticker"}

texts = st.sampled_from(_TEXTS) | st.text(max_size=12)
scalars = st.one_of(
    texts,
    st.sampled_from(_NUMBERS),
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
ORDER = {
    "ticker": TICKER,
    "side": "bid",
    "count": "2.00",
    "price": "0.4000",
    "time_in_force": "good_till_canceled",
    "self_trade_prevention_type": "taker_at_cross",
}
objects = st.dictionaries(st.sampled_from(_FIELDS), values, max_size=5)
orders = st.dictionaries(st.sampled_from(_FIELDS), values, max_size=2).map(lambda changes: ORDER | changes)
batches = st.lists(orders | objects, max_size=3).map(lambda items: {"orders": items})
bodies = st.one_of(
    (orders | objects | batches | values).map(lambda body: json.dumps(body).encode()),
    st.binary(max_size=30),
    st.sampled_from([b"", b"{", b'{"ticker":"\xff"}', b"[" * 20_000, b'{"a":' * 20_000, b"9" * 5_000]),
)
queries = st.dictionaries(
    st.sampled_from(_PARAMETERS) | texts, texts | st.sampled_from(_NUMBERS).map(str), max_size=3
)
own_orders = st.integers(1, 5).map(lambda back: f"own order {back}")
segments = st.one_of(
    own_orders,
    st.sampled_from([TICKER, OTHER, EVENT, "KXHIGHNY"]),
    texts.filter(lambda text: text not in {"", ".", ".."} and len(text) < 1_000),
)
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])


@dataclass
class Wire:
    """A served exchange on a loop of its own, which turns while a question waits for its answer."""

    runner: asyncio.Runner
    service: SimulatorService
    client: SignedClient
    statuses: Counter[int] = field(default_factory=Counter)

    def known(self, segment: str) -> str:
        """``own order N`` is the id of the Nth newest order, as long as there is one."""
        orders = list(self.service.exchange.account(self.service.key_id).orders)
        back = int(segment[-1]) if segment.startswith("own order ") else 0
        return orders[-back] if 0 < back <= len(orders) else segment

    def ask(self, method: str, path: str, query: dict[str, str], body: bytes, signed: bool) -> httpx.Response:
        target = quote(path, safe="/")
        if query:
            target += "?" + urlencode(query)
        # Beyond 8 kB the HTTP parser refuses a request line before any API is asked.
        assume(len(target) < 8_000)
        headers = self.client.headers(method, target) if signed else {}
        answer = self.runner.run(self.client.http.request(method, target, content=body, headers=headers))
        self.statuses[answer.status_code] += 1
        return answer


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One exchange for all examples: what earlier ones left behind is part of what is tried."""
    path = tmp_path_factory.mktemp("fuzz") / "key.pem"
    limits = RateLimits("test", *[10**9] * 4, balance_per_second=10**9)
    service = SimulatorService(ScriptedWorld(), path, key_type="ed25519", limits=limits)
    with asyncio.Runner() as runner:
        runner.run(service.start())
        client = SignedClient(service, service.key_id, path.read_bytes())
        try:
            yield Wire(runner, service, client)
        finally:
            runner.run(client.http.aclose())
            runner.run(service.stop())


def is_documented(answer: httpx.Response) -> bool:
    """A success, or one of Kalshi's four forms of an error."""
    if answer.status_code < 300:
        return not answer.content or isinstance(answer.json(), dict)
    body = answer.json()
    match body:
        case {"error": {"code": str(), "message": str()} as inner}:
            return set(inner) <= FLAT
        case {"error": "too many requests"}:
            return answer.status_code == 429
        case {"msg": str()} | {"code": str(), "message": str(), "details": str()}:
            return answer.status_code == 400 and (len(body) == 1 or set(body) == FLAT)
    return False


def check(wire: Wire, answer: httpx.Response) -> None:
    asked = f"{answer.request.method} {answer.request.url} {answer.request.content[:200]!r}"
    said = f"{answer.status_code} {answer.text[:200]}"
    assert answer.status_code < 500, f"{asked} -> {said}"
    assert is_documented(answer), f"{asked} -> {said}"


@settings(max_examples=500)
@given(st.data())
def test_known_endpoints_answer_any_parameters_and_bodies_in_a_documented_form(wire, data):
    """Every route, with ids that exist and that do not, odd queries, and bodies of wrong types."""
    method, route = data.draw(st.sampled_from(wire.service.server.routes))
    path = re.sub(r"\{[^}]*\}", lambda _: wire.known(data.draw(segments)).replace("/", "%"), route)
    method = data.draw(st.just(method) | methods) if data.draw(st.integers(0, 9)) == 0 else method
    body = data.draw(bodies) if method != "GET" else b""
    signed = data.draw(st.integers(0, 9)) > 0
    check(wire, wire.ask(method, path, data.draw(queries), body, signed))


@settings(max_examples=100)
@given(methods, texts, queries, bodies)
def test_unknown_paths_are_not_found_in_a_documented_form(wire, method, tail, query, body):
    for path in (f"/trade-api/v2/{tail}", f"/trade-api/v2/portfolio/{tail}/x", f"/{tail}"):
        if len(path) < 1_000 and not path.startswith("//"):
            check(wire, wire.ask(method, path, query, body, signed=True))


@settings(max_examples=300)
@given(orders, st.sampled_from(["", "batched", "amend", "decrease"]), st.data())
def test_orders_of_nearly_right_form_are_taken_or_refused(wire, order, action, data):
    """Creating, changing and batching; the account's cash stays what its records say."""
    base = "/trade-api/v2/portfolio/events/orders"
    content: Any = order
    if action == "batched":
        base, content = f"{base}/batched", {"orders": [order, data.draw(orders)]}
    elif action:
        base = f"{base}/{wire.known(data.draw(own_orders))}/{action}"
    check(wire, wire.ask("POST", base, {}, json.dumps(content).encode(), signed=True))
    account = wire.service.exchange.account(wire.service.key_id)
    assert account.cash >= 0


_PARAMS = [
    "channels", "market_ticker", "market_tickers", "market_id", "market_ids", "sid", "sids", "action",
    "use_yes_price", "send_initial_snapshot", "skip_ticker_ack", "shard_factor", "shard_key",
]  # fmt: skip
SUBSCRIBE = json.dumps({"cmd": "subscribe", "params": {"channels": ["trade", "fill"]}})
_WORDS = [
    "orderbook_delta",
    "ticker",
    "trade",
    "fill",
    "user_orders",
    "market_lifecycle_v2",
    "communications",
]
_WORDS += ["add_markets", "delete_markets", "get_snapshot", TICKER, OTHER]
words = st.sampled_from(_WORDS)
odd = st.sampled_from([[], {}, [[]], [{}], [1, 1], [1], 1, True, [True], 1.0, None, "", 10**30])
arguments = odd | words | st.lists(words, max_size=3)
ids = odd | st.lists(st.integers(0, 3), max_size=2)
others = st.dictionaries(st.sampled_from(_PARAMS), arguments, max_size=3)


def _command(name: str, **params: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A command whose own parameters may be odd or missing, with some that are others'."""
    own = st.fixed_dictionaries({}, optional=params)
    both = st.builds(lambda first, second: first | second, others, own)
    return st.fixed_dictionaries({"cmd": st.just(name), "params": both | odd}, optional={"id": odd})


commands = st.one_of(
    _command("subscribe", channels=st.lists(words, min_size=1, max_size=2) | odd),
    _command("update_subscription", sids=ids, action=words | odd),
    _command("unsubscribe", sids=ids),
    st.fixed_dictionaries({"cmd": st.just("list_subscriptions") | odd}, optional={"id": odd}),
)
frames_of_commands = st.one_of(commands, commands, commands, values).map(
    lambda each: json.dumps(each).encode()
)


@settings(max_examples=300)
@given(st.lists(frames_of_commands | st.binary(max_size=20), min_size=1, max_size=5))
def test_any_commands_are_answered_and_the_connection_goes_on(wire, frames):
    """Each command has an answer or, what is no command, an error; numbers go on without a gap."""
    outbox = Outbox(aiohttp.web.WebSocketResponse(), 10**6)
    connection = Connection(outbox, wire.service.key_id)
    handler = Commands(wire.service.exchange)
    handler.handle(connection, SUBSCRIBE, is_too_fast=False)
    for frame in frames:
        told = outbox.frames_sent
        handler.handle(connection, frame, is_too_fast=False)
        assert outbox.frames_sent > told or b"get_snapshot" in frame  # of markets that nobody knows
    last: dict[int, int] = {}
    for answer in map(json.loads, outbox._frames):
        assert answer["type"] in _ANSWERS
        if "seq" in answer:
            assert answer["seq"] == last.get(answer["sid"], 0) + 1
            last[answer["sid"]] = answer["seq"]


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", f"/markets?cursor={LONG_CURSOR}", b""),
        ("GET", f"/portfolio/orders?cursor={LONG_CURSOR}", b""),
        ("POST", f"/portfolio/events/orders?exchange_index={'9' * 5_000}", json.dumps(ORDER).encode()),
        ("POST", "/portfolio/events/orders", b"[" * 200_000),
        ("POST", "/portfolio/events/orders", b'{"ticker":"\xff","exchange_index":1}'),
        ("POST", "/portfolio/events/orders/batched", b'{"orders":' + b"[" * 200_000),
        ("POST", "/portfolio/order_groups/create", b'{"contracts_limit":"\xff"}'),
    ],
)
def test_numbers_without_end_bottomless_nesting_and_bytes_that_are_no_text(wire, method, target, body):
    """What once was an internal error: each is answered like any other bad request, or overlooked."""
    full = f"/trade-api/v2{target}"
    asked = wire.client.http.request(method, full, content=body, headers=wire.client.headers(method, full))
    answer = wire.runner.run(asked)
    check(wire, answer)
    assert answer.status_code < 300 or answer.status_code == 400


@pytest.mark.parametrize("stamp", ["9" * 5_000, "²", "-1", "1.5", "", "٣" * 13, "\xff"])
def test_a_timestamp_that_is_no_time_is_not_authenticated(wire, stamp):
    path = "/trade-api/v2/portfolio/balance"
    headers = wire.client.headers("GET", path) | {"KALSHI-ACCESS-TIMESTAMP": stamp.encode()}
    answer = wire.runner.run(wire.client.http.get(path, headers=headers))
    assert answer.status_code == 401
    assert is_documented(answer)
