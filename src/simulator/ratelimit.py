"""Token buckets with continuous refill, per key: read, write, and one of its own for the balance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

DEFAULT_COST = 10
CANCEL_COST = 2
GET_ORDER_COST = 2


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
    """The buckets of one key."""

    def __init__(self, limits: RateLimits, monotonic: Callable[[], float]) -> None:
        self._read = TokenBucket(limits.read_refill, limits.read_capacity, monotonic)
        self._write = TokenBucket(limits.write_refill, limits.write_capacity, monotonic)
        self._balance = TokenBucket(limits.balance_per_second, limits.balance_per_second, monotonic)

    def admits(self, method: str, path: str) -> bool:
        """Charge a request; ``path`` begins after ``/trade-api/v2``."""
        if path == "/portfolio/balance":
            return self._balance.take(1)
        if path.startswith("/portfolio/events/orders"):
            return self._write.take(CANCEL_COST if method == "DELETE" else DEFAULT_COST)
        single_order = path.startswith("/portfolio/orders/")
        return self._read.take(GET_ORDER_COST if single_order else DEFAULT_COST)
