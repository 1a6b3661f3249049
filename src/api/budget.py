"""The venue's rate limits, spent in tokens before a request leaves.

Source: Kalshi "Rate limits": continuous token buckets for reads and writes, sizes per account from
``GET /account/limits``, costs from ``GET /account/endpoint_costs``, and a bucket of one request a second
for the balance. An empty bucket answers 429 and names no time to wait, so the waiting is done here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum

from src.api.endpoints import Bucket, Endpoint
from src.api.errors import NOT_SENT
from src.core.errors import RetryableError

Sleep = Callable[[float], Awaitable[object]]


# Tokens are counted in floats: less than this is nothing.
_TINY = 1e-6


class Priority(Enum):
    """Cancels and exits may use the reserve and pass whatever is queued."""

    NORMAL = "normal"
    EXIT = "exit"


def loop_time() -> float:
    """Monotonic seconds of the running loop."""
    return asyncio.get_running_loop().time()


class TokenBucket:
    """``rate`` tokens a second up to ``capacity``; ``reserve`` of them only for ``Priority.EXIT``."""

    def __init__(
        self,
        rate: float,
        capacity: float,
        *,
        reserve: float = 0.0,
        clock: Callable[[], float] = loop_time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._at: float | None = None
        self._queued = 0.0
        self._turn = asyncio.Lock()
        self.rate, self.capacity, self.reserve = rate, capacity, reserve
        self._tokens = capacity

    def resize(self, rate: float, capacity: float, reserve: float = 0.0) -> None:
        """Take over the account's own numbers; tokens in hand are kept up to the new capacity."""
        if rate <= 0 or capacity <= 0:
            raise ValueError(f"rate limit of {rate} tokens/s, capacity {capacity}: both must be positive")
        self.rate, self.capacity, self.reserve = rate, capacity, reserve
        self._tokens = min(self._tokens, capacity)

    def wait_for(self, cost: float, priority: Priority = Priority.NORMAL) -> float:
        """Seconds until ``cost`` tokens could be taken now, ahead of those already queued."""
        self._refill()
        missing = cost + self._floor(cost, priority) - self._tokens
        return 0.0 if missing <= _TINY else missing / self.rate

    def room(self, cost: float, priority: Priority = Priority.NORMAL) -> int:
        """How many requests of ``cost`` can be paid at once now; at least one, which may have to wait."""
        self._refill()
        return (
            max(1, int((self._tokens - self._floor(cost, priority) + _TINY) // cost)) if cost > 0 else 1_000
        )

    def drain(self) -> None:
        """The venue says that the bucket is empty, whatever was counted here.

        Entries then wait until the reserve is full again, cancels and exits only for their own cost.
        """
        self._refill()
        self._tokens = 0.0

    async def acquire(
        self, cost: float, priority: Priority = Priority.NORMAL, max_wait: float | None = None
    ) -> None:
        """Take ``cost`` tokens, waiting for them in turn.

        Raises ``RetryableError`` (code ``not_sent``) at once when that would take longer than
        ``max_wait`` seconds: a request that must be fresh is better refused than late.
        """
        if cost > self.capacity:
            raise ValueError(f"a request of {cost} tokens never fits a bucket of {self.capacity}")
        if max_wait is not None:
            wait = self.wait_for(cost + (self._queued if priority is Priority.NORMAL else 0), priority)
            if wait > max_wait:
                raise RetryableError(
                    f"rate budget: {wait:.2f} s to wait, at most {max_wait:.2f} allowed; not sent",
                    code=NOT_SENT,
                )
        if priority is Priority.EXIT:
            await self._take(cost, priority)
            return
        self._queued += cost
        try:
            async with self._turn:
                await self._take(cost, priority)
        finally:
            self._queued -= cost

    async def _take(self, cost: float, priority: Priority) -> None:
        while (wait := self.wait_for(cost, priority)) > 0:
            await self._sleep(wait)
        self._tokens -= cost

    def _floor(self, cost: float, priority: Priority) -> float:
        if priority is Priority.EXIT:
            return 0.0
        # A reserve larger than a small bucket can spare must not lock normal requests out for ever.
        return max(0.0, min(self.reserve, self.capacity - cost))

    def _refill(self) -> None:
        now = self._clock()
        if self._at is not None:
            self._tokens = min(self.capacity, self._tokens + (now - self._at) * self.rate)
        self._at = now


class RateBudget:
    """The account's buckets and costs. Starts with the smallest tier's numbers until it is taught better."""

    def __init__(self, *, clock: Callable[[], float] = loop_time, sleep: Sleep = asyncio.sleep) -> None:
        self.read = TokenBucket(200, 200, clock=clock, sleep=sleep)
        self.write = TokenBucket(100, 100, reserve=_reserve(100), clock=clock, sleep=sleep)
        self.balance = TokenBucket(1, 1, clock=clock, sleep=sleep)
        self._default_cost: int | None = None
        self._costs: dict[tuple[str, str], int] = {}

    def learn(
        self, *, read_rate: float, read_capacity: float, write_rate: float, write_capacity: float
    ) -> None:
        """Use the limits read from the account."""
        self.read.resize(read_rate, read_capacity)
        self.write.resize(write_rate, write_capacity, _reserve(write_capacity))

    def learn_costs(self, default: int, costs: Iterable[tuple[str, str, int]]) -> None:
        """Use the venue's costs in place of ours: (method, path, tokens), and ``default`` for the rest."""
        self._costs = {(method.upper(), _pattern(path)): cost for method, path, cost in costs}
        self._default_cost = default

    def cost(self, endpoint: Endpoint) -> int:
        """Tokens of one request (of one order, where a request takes many)."""
        if self._default_cost is None or endpoint.bucket is Bucket.BALANCE:
            return endpoint.cost
        return self._costs.get((endpoint.method, _pattern(endpoint.path)), self._default_cost)

    def bucket(self, endpoint: Endpoint) -> TokenBucket:
        """The bucket that pays for ``endpoint``."""
        match endpoint.bucket:
            case Bucket.READ:
                return self.read
            case Bucket.WRITE:
                return self.write
            case Bucket.BALANCE:
                return self.balance


def _reserve(capacity: float) -> float:
    # A fifth of the bucket: ten cancels on the smallest tier, at two tokens each.
    return capacity / 5


def _pattern(path: str) -> str:
    """A path without its base, its arguments unnamed: the venue writes ``:order_id`` or ``{order_id}``."""
    below = path.partition("/trade-api/v2")[2] or path
    return re.sub(r"\{[^}]*\}|:[A-Za-z_]\w*", "{}", below.rstrip("/"))
