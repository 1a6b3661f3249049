"""Faults of single HTTP requests: a middleware around everything the server does with them.

The order within one request: delays, loss, answers in place of the real one, changed questions, the
request itself, changed answers, late delays, loss of the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import msgspec
from aiohttp import web

from src.core.units import SECOND, Nanos
from src.simulator.answers import WS_PATH, json_answer
from src.simulator.auth import KEY_HEADER
from src.simulator.faults import ActiveRule, FaultPlan, RequestFacts
from src.simulator.faults_answers import changed_body, in_place_of
from src.simulator.faults_observations import Observations, RequestSeen
from src.simulator.faults_orders import OrderFaults
from src.simulator.faults_reset import reset_connection
from src.simulator.faults_ws import FaultySockets
from src.simulator.rest_orders import parse_new_order
from src.simulator.wire_errors import UNREADABLE, ApiError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HALF = 2


class RequestFaults:
    """Plays a plan's request faults. ``signer`` tells (signature validity, key id) of a request."""

    def __init__(
        self,
        plan: FaultPlan,
        orders: OrderFaults,
        sockets: FaultySockets,
        observations: Observations,
        *,
        now: Callable[[], Nanos],
        wall_clock: Callable[[], Nanos],
        signer: Callable[[web.Request], tuple[str, str]],
        created_ts: Callable[[str, str], Nanos | None],
    ) -> None:
        self._plan = plan
        self._orders = orders
        self._sockets = sockets
        self._observations = observations
        self._now = now
        self._wall_clock = wall_clock
        self._signer = signer
        self._created_ts = created_ts

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let the faults that strike this request happen around its handling."""
        path = request.raw_path.partition("?")[0]
        if path.startswith("/sim/"):
            return await handler(request)
        struck = self._plan.on_request(await _facts(request, path))
        signature, key_id = self._signer(request)
        names = tuple(each.rule.fault for each in struck)
        seen = RequestSeen(self._now(), request.method, path, request.query_string, signature, key_id, names)
        self._observations.note(seen)
        response = await self._play(request, handler, struck, seen)
        if response is None:
            reset_connection(request)
            return web.Response()  # goes nowhere: the connection is gone
        if not response.prepared:
            if self._plan.clock_offset():
                response.headers["Date"] = formatdate(self._wall_clock() / SECOND, usegmt=True)
            seen.status = response.status
        return response

    async def _play(
        self, request: web.Request, handler: Handler, struck: list[ActiveRule], seen: RequestSeen
    ) -> web.StreamResponse | None:
        """The answer, or None when the client gets none."""
        is_upgrade = seen.path == WS_PATH
        await self._wait(struck, "request")
        if _has(struck, "lose_request") or (is_upgrade and _has(struck, "lose_response")):
            return None
        answer: web.StreamResponse | None = in_place_of(struck, at_once=True)
        if answer is None and is_upgrade:
            seen.status = 101
            return await handler(request)
        if answer is None:
            real = await self._around_order(self._changed_question(request, struck), handler, struck, seen)
            answer = in_place_of(struck, at_once=False) or self._changed_answer(real, struck, seen)
        await self._wait(struck, "response")
        return None if _has(struck, "lose_response") else answer

    async def _wait(self, struck: list[ActiveRule], phase: str) -> None:
        for each in struck:
            if each.rule.fault == "delay" and each.args["phase"] == phase:
                await self._plan.sleep(each.args["seconds"] / SECOND)

    def _changed_question(self, request: web.Request, struck: list[ActiveRule]) -> web.Request:
        changes: dict[str, str] = {}
        for each in struck:
            if each.rule.fault == "page_size":
                size = each.args["size"]
                asked = request.query.get("limit", "")
                if not asked.isdecimal() or not 0 < int(asked) <= size:
                    changes["limit"] = str(size)
            elif each.rule.fault == "cursor_fail":
                changes["cursor"] = "lost"  # what cannot be read means the first page
        return request.clone(rel_url=request.rel_url.update_query(changes)) if changes else request

    async def _around_order(
        self, request: web.Request, handler: Handler, struck: list[ActiveRule], seen: RequestSeen
    ) -> web.StreamResponse:
        """Handle a request with what happens to its order just before and after it."""
        key_id = seen.key_id
        fill = _first(struck, "fill_after_cancel_ack")
        if fill is not None and key_id:
            order_id = seen.path.rpartition("/")[2]
            with self._sockets.holding_account_frames(key_id):
                self._orders.fill_part(key_id, order_id, fill.args["count"])
                response = await handler(request)
                await _write_now(response, request, struck, seen)
            return response
        half, late = _first(struck, "half_fill"), _first(struck, "reject_after_ack")
        if (half is None and late is None) or not key_id:
            return await handler(request)
        try:
            new = parse_new_order(await request.read())
        except ApiError:
            return await handler(request)
        share = 0 if late is not None else new.count // _HALF
        self._orders.leave_only(new, share)
        response = await handler(request)
        order_id = _order_id(response)
        if order_id and late is not None:
            with self._sockets.holding_account_frames(key_id):
                self._orders.reject(key_id, order_id, late.args["reason"])
                await _write_now(response, request, struck, seen)
        elif order_id:
            self._orders.fill_up_to(key_id, order_id, share)
        return response

    def _changed_answer(
        self, response: web.StreamResponse, struck: list[ActiveRule], seen: RequestSeen
    ) -> web.StreamResponse:
        changing = [each for each in struck if each.rule.fault in {"read_lag", "deprecate_field"}]
        if not changing or response.prepared or not isinstance(response, web.Response):
            return response
        body = _json(response)
        if body is None:
            return response
        status = response.status
        for each in changing:
            status, body = changed_body(each, status, body, self._now(), seen, self._created_ts)
        return json_answer(body, status)


async def _write_now(
    response: web.StreamResponse, request: web.Request, struck: list[ActiveRule], seen: RequestSeen
) -> None:
    """Answer before the account's frames are let go, unless something else is to happen to the answer."""
    if not any(_has(struck, each) for each in ("lose_response", "5xx", "delay", "deprecate_field")):
        await response.prepare(request)
        await response.write_eof()
        seen.status = response.status


async def _facts(request: web.Request, path: str) -> RequestFacts:
    tickers = set(path.split("/"))
    for name in ("ticker", "tickers", "market_ticker"):
        for value in request.query.getall(name, []):
            tickers.update(value.split(","))
    if request.method != "GET":
        # Reading a GET's body would forbid to change its question.
        tickers |= _tickers_in(await request.read())
    return RequestFacts(
        request.method,
        path,
        frozenset(tickers),
        has_cursor=bool(request.query.get("cursor")),
        has_key=KEY_HEADER in request.headers,
    )


def _tickers_in(raw: bytes) -> set[str]:
    try:
        body: Any = msgspec.json.decode(raw) if raw else None
    except UNREADABLE:
        return set()
    parts = body.get("orders", [body]) if isinstance(body, dict) else []
    found = (
        [each.get("ticker") for each in parts if isinstance(each, dict)] if isinstance(parts, list) else []
    )
    return {each for each in found if isinstance(each, str)}


def _has(struck: list[ActiveRule], fault: str) -> bool:
    return _first(struck, fault) is not None


def _first(struck: list[ActiveRule], fault: str) -> ActiveRule | None:
    return next((each for each in struck if each.rule.fault == fault), None)


def _json(response: web.Response) -> Any:
    """The decoded body of a JSON answer; None for any other."""
    if response.content_type != "application/json" or not isinstance(response.body, bytes):
        return None
    return msgspec.json.decode(response.body)


def _order_id(response: web.StreamResponse) -> str:
    if response.status != 201 or not isinstance(response, web.Response):
        return ""
    body = _json(response)
    return str(body.get("order_id", "")) if isinstance(body, dict) else ""
