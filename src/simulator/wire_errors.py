"""Kalshi's error bodies, in their four shapes, and the exception that carries one to the client."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from src.core.errors import TradingSystemError
from src.simulator.refusals import OrderRefused

# What ``msgspec`` raises for bytes that are not JSON of the form asked for, not UTF-8, or nested too deep.
UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


class ApiError(TradingSystemError):
    """An HTTP answer that is not a success."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


def nested(status: int, code: str, details: str = "") -> ApiError:
    """``{"error": {code, message, details?}}``: authentication and the matching engine."""
    error = {"code": code, "message": code.replace("_", " ")}
    if details:
        error["details"] = details
    return ApiError(status, {"error": error})


def refused(reason: OrderRefused) -> ApiError:
    """The engine's refusal on the wire."""
    return nested(reason.status, reason.code, reason.details)


def bad_request(details: str) -> ApiError:
    """``{code, message, details}``: a body that does not decode."""
    return ApiError(400, {"code": "bad_request", "message": "bad request", "details": details})


def invalid_parameter(name: str, why: str) -> ApiError:
    """``{"msg": ...}``: a query parameter out of its range."""
    return ApiError(400, {"msg": f"Parameter validation failed for {name}: {why}"})


def too_many_requests() -> ApiError:
    """``{"error": "too many requests"}``, without any header that says how long to wait."""
    return ApiError(429, {"error": "too many requests"})
