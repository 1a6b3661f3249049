"""Answers a fault gives in place of the real one, and what it changes in a real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from src.core.units import Nanos
from src.simulator.answers import API, json_answer
from src.simulator.faults import ActiveRule
from src.simulator.faults_observations import RequestSeen
from src.simulator.wire_errors import nested, too_many_requests

_ORDERS = f"{API}/portfolio/orders"
_REVOKED = {
    "error": {"code": "authentication_error", "message": "authentication_error", "details": "NOT_FOUND"}
}
_PHRASES = {
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def in_place_of(struck: Sequence[ActiveRule], *, at_once: bool) -> web.Response | None:
    """The first fault's own answer: ``at_once`` without handling the request, or else after it."""
    for each in struck:
        is_applied = each.args.get("applied", False)
        if is_applied is not at_once and (answer := _answer(each)) is not None:
            return answer
    return None


def _answer(active: ActiveRule) -> web.Response | None:
    match active.rule.fault:
        case "5xx" | "balance_fail" | "positions_fail":
            return _failure(active.args["status"], html=active.args["html"])
        case "429":
            error = too_many_requests()
            return json_answer(error.body, error.status)
        case "key_revoked":
            return json_answer(_REVOKED, 401)
        case "deprecate_endpoint":
            status = active.args["status"]
            error = nested(status, "endpoint_deprecated" if status == 410 else "not_found")
            return json_answer(error.body, status)
        case "cursor_fail" if active.args["answer"] == "error":
            return _failure(500, html=False)
    return None


def _failure(status: int, *, html: bool) -> web.Response:
    phrase = _PHRASES[status]
    if html:
        page = f"<html><head><title>{status} {phrase}</title></head><body><h1>{phrase}</h1></body></html>"
        return web.Response(text=page, status=status, content_type="text/html")
    error = nested(status, phrase.lower().replace(" ", "_"))
    return json_answer(error.body, status)


def changed_body(
    active: ActiveRule,
    status: int,
    body: Any,
    now: Nanos,
    seen: RequestSeen,
    created_ts: Callable[[str, str], Nanos | None],
) -> tuple[int, Any]:
    """Status and body of an answer as a fault leaves them.

    ``created_ts(key_id, order_id)`` tells when an order came into being.
    """
    if active.rule.fault == "deprecate_field":
        return status, without(body, active.args["field"])
    lag: Nanos = active.args["seconds"]

    def is_hidden(order: Any) -> bool:
        born = created_ts(seen.key_id, order["order_id"])
        return born is not None and now - born < lag

    if status != 200 or not isinstance(body, dict):
        return status, body
    if "as_of_time" in body:
        at = datetime.fromisoformat(body["as_of_time"]) - timedelta(microseconds=lag // 1_000)
        return status, body | {"as_of_time": at.isoformat().replace("+00:00", "Z")}
    if seen.path == _ORDERS:
        return status, body | {"orders": [each for each in body["orders"] if not is_hidden(each)]}
    if (
        seen.path.startswith(f"{_ORDERS}/")
        and isinstance(body.get("order"), dict)
        and is_hidden(body["order"])
    ):
        return 404, nested(404, "not_found").body
    return status, body


def without(value: Any, field: str) -> Any:
    """A copy of JSON data that lacks every key of this name, at any depth."""
    if isinstance(value, dict):
        return {name: without(each, field) for name, each in value.items() if name != field}
    if isinstance(value, list | tuple):
        return [without(each, field) for each in value]
    return value
