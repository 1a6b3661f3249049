"""The venue's rate limits, spent in tokens before a request leaves.

Source: Kalshi "Rate limits": continuous token buckets for reads and writes, sizes per account from
``GET /account/limits``, and a bucket of one request a second for the balance. An empty bucket answers
429 and names no time to wait, so the waiting is done here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum

from src.api.errors import NOT_SENT
from src.core.errors import RetryableError

Sleep = Callable[[float], Awaitable[object]]


class Priority(Enum):
    """Cancels may use the reserve and pass whatever is queued."""

    NORMAL = "normal"
    CANCEL = "cancel"


def loop_time() -> float:
    """Monotonic seconds of the running loop."""
    return asyncio.get_running_loop().time()


class TokenBucket:
    """``rate`` tokens a second up to ``capacity``; ``reserve`` of them only for ``Priority.CANCEL``."""

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
        return max(0.0, cost + self._floor(cost, priority) - self._tokens) / self.rate

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
        if priority is Priority.CANCEL:
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
        if priority is Priority.CANCEL:
            return 0.0
        # A reserve larger than a small bucket can spare must not lock normal requests out for ever.
        return max(0.0, min(self.reserve, self.capacity - cost))

    def _refill(self) -> None:
        now = self._clock()
        if self._at is not None:
            self._tokens = min(self.capacity, self._tokens + (now - self._at) * self.rate)
        self._at = now


class RateBudget:
    """The account's buckets. Starts with the smallest tier's numbers until ``learn`` is called."""

    def __init__(self, *, clock: Callable[[], float] = loop_time, sleep: Sleep = asyncio.sleep) -> None:
        self.read = TokenBucket(200, 200, clock=clock, sleep=sleep)
        self.write = TokenBucket(100, 100, reserve=_reserve(100), clock=clock, sleep=sleep)
        self.balance = TokenBucket(1, 1, clock=clock, sleep=sleep)

    def learn(
        self, *, read_rate: float, read_capacity: float, write_rate: float, write_capacity: float
    ) -> None:
        """Use the limits read from the account."""
        self.read.resize(read_rate, read_capacity)
        self.write.resize(write_rate, write_capacity, _reserve(write_capacity))


def _reserve(capacity: float) -> float:
    # A fifth of the bucket: ten cancels on the smallest tier, at two tokens each.
    return capacity / 5
