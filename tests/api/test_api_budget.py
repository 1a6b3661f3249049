"""The rate budget: tokens, turns, and the reserve that only cancels may use."""

from __future__ import annotations

import asyncio

import pytest

from src.api import endpoints
from src.api.budget import Priority, RateBudget, TokenBucket
from src.core.errors import RetryableError


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


def bucket(time: Time, rate: float, capacity: float, reserve: float = 0.0) -> TokenBucket:
    return TokenBucket(rate, capacity, reserve=reserve, clock=time, sleep=time.sleep)


async def test_tokens_refill_continuously_up_to_the_capacity():
    time = Time()
    tokens = bucket(time, 100, 100)
    for _ in range(10):
        await tokens.acquire(10)
    assert time.at == 0
    await tokens.acquire(10)
    assert time.at == pytest.approx(0.1)
    time.at += 1_000
    assert tokens.wait_for(100) == 0
    assert tokens.wait_for(101) > 0


async def test_a_cancel_passes_queued_orders_and_uses_the_reserve():
    time = Time()
    tokens = bucket(time, 10, 100, reserve=20)
    for _ in range(8):
        await tokens.acquire(10)
    assert tokens.wait_for(10) > 0
    order = asyncio.create_task(tokens.acquire(10))
    started = time.at
    for _ in range(10):
        await tokens.acquire(2, Priority.EXIT)
    assert time.at == started
    await order
    assert time.at > started


async def test_an_order_that_would_wait_too_long_is_refused_at_once_counting_those_before_it():
    time = Time()
    tokens = bucket(time, 10, 10)
    await tokens.acquire(10)
    first = asyncio.create_task(tokens.acquire(8))
    await asyncio.sleep(0)
    with pytest.raises(RetryableError) as caught:
        await tokens.acquire(8, max_wait=0.5)
    assert caught.value.code == "not_sent"
    await first


async def test_orders_get_their_tokens_in_turn():
    time = Time()
    tokens = bucket(time, 10, 10)
    await tokens.acquire(10)
    order: list[int] = []

    async def take(number: int) -> None:
        await tokens.acquire(10)
        order.append(number)

    await asyncio.gather(*(take(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]
    assert time.at == pytest.approx(5.0)


async def test_a_reserve_never_locks_a_request_out_and_impossible_requests_are_errors():
    time = Time()
    tokens = bucket(time, 10, 10, reserve=9)
    await tokens.acquire(10)
    with pytest.raises(ValueError, match="never fits"):
        await tokens.acquire(11)
    with pytest.raises(ValueError, match="positive"):
        tokens.resize(0, 10)


def test_learned_limits_replace_the_defaults_and_keep_a_fifth_for_cancels():
    budget = RateBudget()
    budget.learn(read_rate=300, read_capacity=900, write_rate=300, write_capacity=900)
    assert (budget.read.rate, budget.read.capacity) == (300, 900)
    assert (budget.write.rate, budget.write.reserve) == (300, 180)


async def test_after_a_429_exits_wait_for_their_own_cost_and_entries_for_the_reserve_too():
    time = Time()
    tokens = bucket(time, 100, 100, reserve=20)
    tokens.drain()
    assert tokens.wait_for(10, Priority.EXIT) == pytest.approx(0.1)
    assert tokens.wait_for(10) == pytest.approx(0.3)


def test_a_batch_is_what_the_bucket_holds_and_at_least_one():
    tokens = bucket(Time(), 100, 100, reserve=20)
    assert (tokens.room(10), tokens.room(10, Priority.EXIT)) == (8, 10)
    tokens.drain()
    assert tokens.room(10) == 1


def test_learned_costs_replace_ours_whatever_the_venue_calls_the_arguments():
    budget = RateBudget()
    assert budget.cost(endpoints.CANCEL_ORDER) == 2
    costs = [
        ("DELETE", "/trade-api/v2/portfolio/events/orders/:order_id", 3),
        ("GET", "/portfolio/orders/{id}", 4),
        ("post", "/portfolio/events/orders", 12),
    ]
    budget.learn_costs(11, costs)
    assert budget.cost(endpoints.CANCEL_ORDER) == 3
    assert budget.cost(endpoints.ORDER) == 4
    assert budget.cost(endpoints.CREATE_ORDER) == 12
    assert budget.cost(endpoints.MARKETS) == 11
    assert budget.cost(endpoints.BALANCE) == 1
