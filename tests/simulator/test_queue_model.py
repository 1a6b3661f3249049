"""An account's order in a recorded queue: filled no earlier than its place allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.sides import BookSide
from src.core.units import DOLLAR_CASH, MILLISECOND, SECOND
from src.simulator.exchange import Exchange
from src.simulator.records import NewOrder, VenueOrder
from src.simulator.venue import VenueRules
from src.simulator.world import CrowdChange, CrowdPrint, CrowdQuote, CrowdSweep, ListEvent

from .conftest import EVENT, T0, TICKER, make_market

PRICE = 4_000
KEY = "a"


class Queue:
    """One market, a crowd of 100 contracts at 40 cents, then our bid of 10 behind them."""

    def __init__(self, share: float | None = 0.3, ahead: int = 10_000) -> None:
        rules = VenueRules(quotes_fill_at_touch=False, weekly_pause=False, queue_share=share)
        self.exchange = Exchange(start=T0, rules=rules)
        self.exchange.add_account(KEY, 1_000 * DOLLAR_CASH)
        self.now = T0
        self.exchange.apply(ListEvent(T0, EVENT, "KXHIGHNY", "", (make_market(),)))
        self.exchange.apply(CrowdQuote(T0, TICKER, ((PRICE, ahead),), ((5_000, 10_000),)))
        self.order: VenueOrder = self.exchange.create(KEY, resting_bid())

    def print(self, count: int, price: int = PRICE, after: int = 0) -> None:
        self.now += after
        self.exchange.apply(CrowdPrint(self.now, TICKER, f"t{self.now}", price, count, BookSide.ASK))

    def change(self, delta: int, after: int = 0) -> None:
        self.now += after
        self.exchange.apply(CrowdChange(self.now, TICKER, BookSide.BID, PRICE, delta))

    @property
    def shown(self) -> int:
        """The crowd's size at the price."""
        return self.exchange.book(TICKER).crowd_size(BookSide.BID, PRICE)


def resting_bid() -> NewOrder:
    return NewOrder(TICKER, BookSide.BID, PRICE, 1_000)


def test_a_trade_at_our_price_uses_up_the_queue_first() -> None:
    queue = Queue()
    queue.print(9_000)
    queue.change(-9_000)
    assert queue.order.filled == 0
    queue.print(1_400, after=SECOND)
    assert queue.order.filled == 400
    queue.change(-1_000)
    assert queue.shown == 0


def test_the_order_of_print_and_decrease_does_not_matter() -> None:
    queue = Queue()
    queue.change(-9_000)
    queue.print(9_000, after=50 * MILLISECOND)
    assert queue.order.filled == 0
    assert queue.exchange.queue_position(queue.order) == 1_000
    assert queue.shown == 1_000


def test_of_cancellations_the_share_stood_before_us() -> None:
    for share, left in ((0.0, 5_000), (0.3, 5_000), (0.5, 5_000)):
        queue = Queue(share)
        queue.change(6_000)  # joins behind us
        queue.change(-4_000, after=10 * SECOND)
        assert queue.shown == 12_000
        ahead = queue.exchange.queue_position(queue.order)
        assert ahead == 10_000 - int(4_000 * share)
        queue.print(left, after=10 * SECOND)
        assert queue.order.filled == 0


def test_a_trade_through_our_price_fills_at_once_and_none_does_without_the_model() -> None:
    queue = Queue()
    queue.print(300, price=3_900)
    assert queue.order.filled == 300
    strict = Queue(share=None)
    strict.print(50_000)
    assert strict.order.filled == 0


def test_a_sweep_fills_only_strictly_beyond_and_prints_nothing() -> None:
    queue = Queue(share=None)
    queue.exchange.apply(CrowdSweep(T0, TICKER, BookSide.BID, PRICE, 5_000))
    assert queue.order.filled == 0
    queue.exchange.apply(CrowdSweep(T0, TICKER, BookSide.BID, PRICE - 100, 600))
    assert queue.order.filled == 600


@given(
    st.lists(
        st.tuples(st.sampled_from(["print", "change"]), st.integers(1, 4_000), st.integers(0, 2 * SECOND)),
        max_size=12,
    ),
    st.sampled_from([0.0, 0.3, 0.5]),
)
def test_what_is_filled_was_traded_beyond_the_queue_that_can_have_gone(
    steps: list[tuple[str, int, int]], share: float
) -> None:
    """Never more than what traded at the price, less the part of the queue no cancellation can explain."""
    queue = Queue(share)
    traded = canceled = 0
    for kind, count, after in steps:
        if kind == "print":
            queue.print(count, after=after)
            traded += count
        else:
            queue.change(-count, after=after)
            canceled += count
    most = max(0, traded + canceled - 10_000)
    assert queue.order.filled <= min(1_000, most, traded)
    assert queue.shown >= 0


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_without_an_order_of_ours_the_book_is_the_recorded_one(share: float) -> None:
    queue = Queue(share)
    queue.exchange.cancel(KEY, queue.order.order_id)
    queue.print(2_000)
    queue.change(-2_000)
    queue.change(500)
    assert queue.shown == 8_500
