"""The calls this system makes: method, path below the base, effect, token cost, and which bucket pays."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from src.api.errors import Effect


class Bucket(Enum):
    """Which of the account's token buckets a call is charged to."""

    READ = "read"
    WRITE = "write"
    BALANCE = "balance"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``private`` calls need a key; public ones are signed too when there is one (fresh, not edge-cached).

    ``answers`` are statuses that carry the call's normal body although they are not 2xx. ``cost`` is of one
    order where a call takes many, and counts until the venue's own list of costs has been learned.
    """

    method: str
    path: str
    effect: Effect = Effect.READ
    cost: int = 10
    bucket: Bucket = Bucket.READ
    private: bool = False
    answers: frozenset[int] = frozenset()


def _read(path: str, cost: int = 10) -> Endpoint:
    return Endpoint("GET", path, cost=cost)


def _own(path: str, cost: int = 10) -> Endpoint:
    return Endpoint("GET", path, cost=cost, private=True)


def _write(method: str, path: str, effect: Effect, cost: int = 10) -> Endpoint:
    return Endpoint(method, path, effect, cost, Bucket.WRITE, private=True)


# --- exchange and market data ------------------------------------------------------------------------

EXCHANGE_STATUS = Endpoint("GET", "/exchange/status", answers=frozenset({500, 503, 504}))
EXCHANGE_SCHEDULE = _read("/exchange/schedule")
USER_DATA_TIMESTAMP = _read("/exchange/user_data_timestamp")
SERIES_LIST = _read("/series")
SERIES = _read("/series/{series_ticker}")
SERIES_FEE_CHANGES = _read("/series/fee_changes")
EVENTS = _read("/events")
EVENT = _read("/events/{event_ticker}")
EVENT_FEE_CHANGES = _read("/events/fee_changes")
MARKETS = _read("/markets")
MARKET = _read("/markets/{ticker}")
ORDERBOOK = _read("/markets/{ticker}/orderbook")
ORDERBOOKS = _read("/markets/orderbooks")
TRADES = _read("/markets/trades")
CANDLES = _read("/series/{series_ticker}/markets/{ticker}/candlesticks")
MARKETS_CANDLES = _read("/markets/candlesticks")
EVENT_CANDLES = _read("/series/{series_ticker}/events/{ticker}/candlesticks")

# --- the archive -------------------------------------------------------------------------------------

ARCHIVE_CUTOFF = _read("/historical/cutoff")
ARCHIVED_MARKETS = _read("/historical/markets")
ARCHIVED_MARKET = _read("/historical/markets/{ticker}")
ARCHIVED_CANDLES = _read("/historical/markets/{ticker}/candlesticks")
ARCHIVED_TRADES = _read("/historical/trades")
ARCHIVED_FILLS = _own("/historical/fills")
ARCHIVED_ORDERS = _own("/historical/orders")
ARCHIVED_POSITIONS = _own("/historical/positions")

# --- account -----------------------------------------------------------------------------------------

LIMITS = _own("/account/limits")
ENDPOINT_COSTS = _read("/account/endpoint_costs")
API_KEYS = _own("/api_keys")
BALANCE = Endpoint("GET", "/portfolio/balance", cost=1, bucket=Bucket.BALANCE, private=True)
POSITIONS = _own("/portfolio/positions")
ORDERS = _own("/portfolio/orders")
ORDER = _own("/portfolio/orders/{order_id}", cost=2)
QUEUE_POSITIONS = _own("/portfolio/orders/queue_positions")
QUEUE_POSITION = _own("/portfolio/orders/{order_id}/queue_position")
FILLS = _own("/portfolio/fills")
SETTLEMENTS = _own("/portfolio/settlements")
ORDER_GROUPS = _own("/portfolio/order_groups")
ORDER_GROUP = _own("/portfolio/order_groups/{order_group_id}")

# --- orders: what can only shrink our orders is a CANCEL, everything else a CREATE -------------------

_ORDERS = "/portfolio/events/orders"
_GROUPS = "/portfolio/order_groups"
CREATE_ORDER = _write("POST", _ORDERS, Effect.CREATE)
CREATE_ORDERS = _write("POST", f"{_ORDERS}/batched", Effect.CREATE)
AMEND_ORDER = _write("POST", f"{_ORDERS}/{{order_id}}/amend", Effect.CREATE)
DECREASE_ORDER = _write("POST", f"{_ORDERS}/{{order_id}}/decrease", Effect.CANCEL)
CANCEL_ORDER = _write("DELETE", f"{_ORDERS}/{{order_id}}", Effect.CANCEL, cost=2)
CANCEL_ORDERS = _write("DELETE", f"{_ORDERS}/batched", Effect.CANCEL, cost=2)
CANCEL_ALL_ORDERS = _write("DELETE", _ORDERS, Effect.CANCEL, cost=2)
CREATE_ORDER_GROUP = _write("POST", f"{_GROUPS}/create", Effect.CREATE)
RESET_ORDER_GROUP = _write("PUT", f"{_GROUPS}/{{order_group_id}}/reset", Effect.CREATE)
LIMIT_ORDER_GROUP = _write("PUT", f"{_GROUPS}/{{order_group_id}}/limit", Effect.CREATE)
TRIGGER_ORDER_GROUP = _write("PUT", f"{_GROUPS}/{{order_group_id}}/trigger", Effect.CANCEL)
DELETE_ORDER_GROUP = _write("DELETE", f"{_GROUPS}/{{order_group_id}}", Effect.CANCEL)
