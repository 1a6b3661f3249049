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

    ``answers`` are statuses that carry the call's normal body although they are not 2xx.
    """

    method: str
    path: str
    effect: Effect = Effect.READ
    cost: int = 10
    bucket: Bucket = Bucket.READ
    private: bool = False
    answers: frozenset[int] = frozenset()


EXCHANGE_STATUS = Endpoint("GET", "/exchange/status", answers=frozenset({500, 503, 504}))
USER_DATA_TIMESTAMP = Endpoint("GET", "/exchange/user_data_timestamp")
LIMITS = Endpoint("GET", "/account/limits", private=True)
SERIES = Endpoint("GET", "/series/{series_ticker}")
EVENTS = Endpoint("GET", "/events")
EVENT = Endpoint("GET", "/events/{event_ticker}")
MARKETS = Endpoint("GET", "/markets")
ORDERBOOK = Endpoint("GET", "/markets/{ticker}/orderbook")
ORDERBOOKS = Endpoint("GET", "/markets/orderbooks")
BALANCE = Endpoint("GET", "/portfolio/balance", private=True, cost=1, bucket=Bucket.BALANCE)
POSITIONS = Endpoint("GET", "/portfolio/positions", private=True)
ORDERS = Endpoint("GET", "/portfolio/orders", private=True)
ORDER = Endpoint("GET", "/portfolio/orders/{order_id}", private=True, cost=2)
FILLS = Endpoint("GET", "/portfolio/fills", private=True)
SETTLEMENTS = Endpoint("GET", "/portfolio/settlements", private=True)
CREATE_ORDER = Endpoint("POST", "/portfolio/events/orders", Effect.CREATE, bucket=Bucket.WRITE, private=True)
CANCEL_ORDER = Endpoint(
    "DELETE", "/portfolio/events/orders/{order_id}", Effect.CANCEL, cost=2, bucket=Bucket.WRITE, private=True
)
