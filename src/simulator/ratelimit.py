"""Token buckets with continuous refill, per key: read, write (one per shard), and one for the balance.

The table of costs that differ from the default is the one ``/account/endpoint_costs`` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import msgspec

from src.simulator.wire_errors import UNREADABLE

DEFAULT_COST = 10
# (method, path after /trade-api/v2 with a parameter as ``:name``) -> tokens; a batch pays per item.
ENDPOINT_COSTS: Mapping[tuple[str, str], int] = {
    ("DELETE", "/portfolio/events/orders"): 2,
    ("DELETE", "/portfolio/events/orders/:order_id"): 2,
    ("DELETE", "/portfolio/events/orders/batched"): 2,
    ("GET", "/portfolio/orders/:order_id"): 2,
}
_WRITES = ("/portfolio/events/orders", "/portfolio/order_groups")
# A number too long for a shard is refused later; Python would not even convert thousands of digits.
_MOST_SHARD_DIGITS = 9
_BATCH = "/portfolio/events/orders/batched"
_NOT_AN_ORDER_ID = frozenset({"batched", "queue_positions"})


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Tokens per second and capacity. The defaults are those of Kalshi's highest tier.

    ``balance_per_second`` is generous where Kalshi is not (1 to 5): a world may run much faster than time.
    """

    tier: str = "prestige"
    read_refill: int = 10_000
    read_capacity: int = 10_000
    write_refill: int = 8_000
    write_capacity: int = 16_000
    balance_per_second: int = 1_000


class Bucket(Enum):
    """Which of a key's buckets pays."""

    READ = "read"
    WRITE = "write"
    BALANCE = "balance"


@dataclass(frozen=True, slots=True)
class Charge:
    """``tokens`` from a bucket. ``shard`` is 0 but for single writes that name another one."""

    bucket: Bucket
    tokens: int
    shard: int = 0


def charge_of(method: str, path: str, query: Mapping[str, str], body: bytes) -> Charge:
    """What a request costs; ``path`` begins after ``/trade-api/v2``."""
    if path == "/portfolio/balance":
        return Charge(Bucket.BALANCE, 1)
    cost = ENDPOINT_COSTS.get((method, _template(path)), DEFAULT_COST)
    if method == "GET" or not path.startswith(_WRITES):
        return Charge(Bucket.READ, cost)
    if path == _BATCH:
        return Charge(Bucket.WRITE, cost * max(_items(body), 1))
    return Charge(Bucket.WRITE, cost, _named_shard(query, body))


def _template(path: str) -> str:
    for orders in ("/portfolio/events/orders", "/portfolio/orders"):
        order_id = path.removeprefix(f"{orders}/")
        if order_id != path and "/" not in order_id and order_id not in _NOT_AN_ORDER_ID:
            return f"{orders}/:order_id"
    return path


class _Batch(msgspec.Struct):
    orders: list[msgspec.Raw] = []


class _Routed(msgspec.Struct):
    exchange_index: int = 0


def _items(body: bytes) -> int:
    """Items of a batch; a body that does not decode is refused later and costs as one."""
    try:
        return len(msgspec.json.decode(body, type=_Batch).orders)
    except UNREADABLE:
        return 1


def _named_shard(query: Mapping[str, str], body: bytes) -> int:
    """The shard a single write names: only those from 1 on have buckets of their own."""
    named = query.get("exchange_index", "")
    if named.isdecimal() and len(named) <= _MOST_SHARD_DIGITS:
        return int(named)
    if b"exchange_index" not in body:
        return 0
    try:
        return max(msgspec.json.decode(body, type=_Routed).exchange_index, 0)
    except UNREADABLE:
        return 0


class TokenBucket:
    """A bucket that is full at first."""

    def __init__(self, refill: float, capacity: float, monotonic: Callable[[], float]) -> None:
        self._refill = refill
        self._capacity = capacity
        self._monotonic = monotonic
        self._tokens = capacity
        self._at = monotonic()

    def take(self, cost: float) -> bool:
        """Take ``cost`` tokens if they are there."""
        now = self._monotonic()
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._refill)
        self._at = now
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True


class RateBudget:
    """The buckets of one key. ``spent`` counts the tokens taken so far."""

    def __init__(self, limits: RateLimits, monotonic: Callable[[], float]) -> None:
        self.spent = 0.0
        self._limits = limits
        self._monotonic = monotonic
        self._buckets: dict[tuple[Bucket, int], TokenBucket] = {}

    def admits(self, charge: Charge) -> bool:
        """Pay for a request, all of it at once or not at all."""
        name = (charge.bucket, charge.shard)
        bucket = self._buckets.get(name) or self._buckets.setdefault(name, self._new_bucket(charge.bucket))
        if not bucket.take(charge.tokens):
            return False
        self.spent += charge.tokens
        return True

    def _new_bucket(self, bucket: Bucket) -> TokenBucket:
        limits = self._limits
        refill, capacity = {
            Bucket.READ: (limits.read_refill, limits.read_capacity),
            Bucket.WRITE: (limits.write_refill, limits.write_capacity),
            Bucket.BALANCE: (limits.balance_per_second, limits.balance_per_second),
        }[bucket]
        return TokenBucket(refill, capacity, self._monotonic)
