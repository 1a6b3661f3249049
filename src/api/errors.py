"""What a failed call means: one table from (effect, HTTP status, body) to an error class.

Source: Kalshi's error catalogue and its engine's reject codes (REST codes are their snake_case forms).
For a call that changes orders only a code known to mean "refused" is definite; everything else may have
happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import msgspec

from src.api.decoding import UNREADABLE
from src.core.errors import DefiniteError, FatalError, RetryableError, UnknownOutcomeError, VenueError

ORDER_EXISTS = "order_already_exists"
NOT_FOUND = "not_found"
NOT_SENT = "not_sent"
RATE_LIMITED = "too_many_requests"
HTTP_NOT_FOUND = 404


class Effect(Enum):
    """What a call does at the venue; decides whether it may be repeated and what silence means."""

    READ = "read"
    CREATE = "create"
    CANCEL = "cancel"


# Codes that say the order was not taken. Missing on purpose, because fills may have happened before them:
# self_cross_attempt_partially_filled, immediate_or_cancelled, expired, the self-trade cancels.
REFUSALS = frozenset(
    {
        "available_balance_too_low",
        "bad_request",
        "customer_account_not_found",
        "exceeded_order_group_risk_limit",
        "exceeded_per_market_risk_limit",
        "exceeded_sell_position_floor",
        "exchange_paused",
        "fok_insufficient_volume",
        "insufficient_balance",
        "invalid_order",
        "invalid_order_size",
        "invalid_price",
        "market_already_closed",
        "market_inactive",
        "market_not_found",
        NOT_FOUND,
        "order_group_cancel",
        "order_group_not_found",
        "order_id_and_client_order_id_mismatch",
        "order_side_mismatch",
        "order_ticker_mismatch",
        "parameter_validation",
        "permission_denied_for_customer_account",
        "post_only_cross",
        "self_cross_attempt",
        "trading_paused",
        "user_not_found",
    }
)

_KEY_MEND = (
    "check that KALSHI_API_KEY and KALSHI_API_SECRET belong together and to this environment "
    "(demo and production keys differ), and that this machine's clock is right"
)
_CLOCK_MEND = "this machine's clock is wrong: synchronise it (NTP) and start again"
_SCOPE_MEND = (
    "the API key may not do this: it needs the scopes read and write::trade, must not be restricted to "
    "another subaccount, and its region attestation must not have lapsed"
)
_GONE_MEND = "this endpoint no longer exists: update the system"


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The venue's code, message and details, from whichever of its four shapes; empty where absent."""

    code: str = ""
    message: str = ""
    details: str = ""

    @property
    def text(self) -> str:
        """Code, message and details on one line, cut to a length fit for logs."""
        parts = dict.fromkeys(part for part in (self.code, self.message, self.details) if part)
        return " / ".join(parts)[:300]


def parse_error_body(body: bytes) -> ErrorBody | None:
    """Parse ``{"error":{..}}``, ``{code,message}``, ``{"msg":..}`` or ``{"error":".."}``; else None."""
    try:
        document = msgspec.json.decode(body)
    except UNREADABLE:
        return None
    if not isinstance(document, dict):
        return None
    inner = document.get("error", document)
    if isinstance(inner, str):
        return ErrorBody(code=inner.strip().lower().replace(" ", "_"), message=inner)
    if not isinstance(inner, dict):
        return None
    if "msg" in inner and "code" not in inner:
        return ErrorBody(code="parameter_validation", message=str(inner["msg"]))
    found = {name: str(inner.get(name) or "") for name in ("code", "message", "details")}
    return ErrorBody(**found)


def classify(effect: Effect, status: int, body: bytes) -> VenueError:
    """The error for an answer that is not a success."""
    error = parse_error_body(body)
    code = error.code if error else ""
    shown = error.text if error else f"no JSON ({len(body)} bytes)"
    text = f"HTTP {status}: {shown}"
    if status == 429:
        return RetryableError(text, code=RATE_LIMITED, status=status)
    if status == 401:
        mend = _CLOCK_MEND if code == "header_timestamp_expired" else _KEY_MEND
        return FatalError(f"{text}: {mend}", code=code or "unauthorized", status=status)
    if status == 410:
        return FatalError(f"{text}: {_GONE_MEND}", code=code or "gone", status=status)
    if status == 403 and error is not None:
        return FatalError(f"{text}: {_SCOPE_MEND}", code=code or "forbidden", status=status)
    if effect is Effect.READ:
        # An error page instead of JSON comes from something in between, and passes.
        if status >= 500 or status == 408 or error is None:
            return RetryableError(text, code=code, status=status)
        return DefiniteError(text, code=code, status=status)
    if 400 <= status < 500 and code in REFUSALS:
        return DefiniteError(text, code=code, status=status)
    return UnknownOutcomeError(text, code=code, status=status)


def item_error(error: ErrorBody) -> VenueError:
    """The error for one order of a batch, which has no status of its own."""
    kind = DefiniteError if error.code in REFUSALS else UnknownOutcomeError
    return kind(error.text or "an error without code and message", code=error.code)
