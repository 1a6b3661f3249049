"""Whatever the order and number of the venue's messages about an order that rests, the end is the same."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.execution.builders as b
from src.core.actions import AmendOrder, CancelOrder, OrderStatus
from src.core.events import (
    AmendAnswered,
    CancelAnswered,
    Event,
    Fill,
    OrderAccepted,
    OrderUpdate,
    Tick,
    VenueOrderStatus,
)
from src.core.sides import BookSide
from src.core.units import MINUTE, SECOND, Count, Nanos
from src.execution.engine import Engine
from src.execution.limits import EntryPolicy, ExecutionStyle, ExitPolicy, RiskLimits
from src.execution.order_state import LIVE
from src.execution.risk import Approved

LOOSE = RiskLimits(min_edge=0.02, consecutive_losses=50, cooldown_after_loss=0)
MAKER = {"scripted": EntryPolicy(ExecutionStyle.MAKER, 10 * MINUTE)}


@dataclass
class Venue:
    """One order as the venue lives it, and every message it sends about it."""

    intent: object
    count: Count
    now: Nanos
    filled: Count = 0
    messages: list[Event] = field(default_factory=list)
    is_over: bool = False

    def say(self, status: VenueOrderStatus, reason: str = "") -> None:
        """The order as it stands, to the private feed."""
        intent = self.intent
        left = 0 if status is not VenueOrderStatus.RESTING else self.count - self.filled
        self.messages.append(
            OrderUpdate(
                "venue-1", intent.client_order_id, intent.ticker, intent.side, intent.price,  # type: ignore[attr-defined]
                self.count, self.filled, left, status, self.now, b.NOW, reason,
            )
        )  # fmt: skip

    def step(self, what: str, size: Count) -> None:
        """Something happens to the order."""
        if self.is_over:
            return
        self.now += SECOND
        intent, left = self.intent, self.count - self.filled
        cid = intent.client_order_id  # type: ignore[attr-defined]
        if what == "fill":
            part = min(size, left)
            self.filled += part
            trade = f"t{self.now}"
            self.messages.append(
                Fill(
                    trade, "venue-1", cid, intent.ticker, intent.side, intent.price, part, 0, False,  # type: ignore[attr-defined]
                    self.now, b.NOW,
                )
            )  # fmt: skip
            self.is_over = self.filled == self.count
            self.say(VenueOrderStatus.EXECUTED if self.is_over else VenueOrderStatus.RESTING, "Trade")
        elif what == "amend" and left > 100:
            self.count -= min(size, left - 100)
            answer = AmendAnswered(cid, "amended", self.count, b.NOW + MINUTE, "", self.now, b.NOW)
            self.messages.append(answer)
            self.say(VenueOrderStatus.RESTING, "Amend")
        elif what == "by hand":
            self.count += size
            self.say(VenueOrderStatus.RESTING, "Amend")
        elif what == "cancel":
            self.is_over = True
            self.messages.append(CancelAnswered(cid, "canceled", "", b.NOW, left))
            self.say(VenueOrderStatus.CANCELED)


STEPS = st.lists(
    st.tuples(st.sampled_from(["fill", "fill", "amend", "by hand", "cancel"]), st.integers(1, 8)), max_size=8
)


def _sent() -> tuple[Engine, Approved]:
    engine, strategy = b.ready(LOOSE, {"scripted": ExitPolicy()}, entries=MAKER)
    strategy.fair = 0.65
    strategy.next = [b.signal(probability=0.65)]
    (order,) = b.approvals(engine.handle(Tick(b.NOW)))
    return engine, order


def _hear(engine: Engine, order: Approved, messages: list[Event]) -> tuple[object, ...]:
    """Let the engine hear them; a cancel's answer is one to a cancel."""
    for message in messages:
        if isinstance(message, CancelAnswered):
            engine.cancel(order.intent.client_order_id, "test")
        engine.handle(message)
    found = engine.ledger.orders.get(order.intent.client_order_id)
    assert found is not None
    status = found.status if found.status not in LIVE else "live"
    return status, found.filled, found.remaining, found.reserved, engine.position(b.TICKER)


def _lived(order: Approved, steps: list[tuple[str, int]]) -> Venue:
    venue = Venue(order.intent, order.intent.count, b.NOW)
    cid = order.intent.client_order_id
    venue.messages.append(OrderAccepted(cid, "venue-1", 0, venue.count, b.NOW, b.NOW))
    venue.say(VenueOrderStatus.RESTING)
    for what, contracts in steps:
        venue.step(what, contracts * 100)
    return venue


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 2**16), copies=st.integers(1, 3))
def test_any_order_and_number_of_messages_ends_in_the_same_state(
    steps: list[tuple[str, int]], seed: int, copies: int
) -> None:
    """Fills, amendments of ours and of the owner, cancels: doubled and shuffled, one state comes out.

    The last word is the records', as after any loss of order: a report tells what the venue holds.
    """
    engine, order = _sent()
    venue = _lived(order, steps)
    shuffled = venue.messages * copies
    random.Random(seed).shuffle(shuffled)
    states = []
    for messages in (venue.messages, shuffled):
        engine, order = _sent()
        _hear(engine, order, messages)
        states.append(_report(engine, order, venue))
    assert states[0] == states[1]
    status, filled, remaining, _, position = states[0]
    assert (filled, position) == (venue.filled, venue.filled)
    assert (status == "live") is (not venue.is_over)
    assert remaining == (0 if venue.is_over else venue.count - venue.filled)


def _report(engine: Engine, order: Approved, venue: Venue) -> tuple[object, ...]:
    fills = [replace(m, client_order_id="") for m in venue.messages if isinstance(m, Fill)]
    (*_, last) = [m for m in venue.messages if isinstance(m, OrderUpdate)]
    cash = engine.ledger.portfolio.cash
    report = b.report(orders=[replace(last, reason="")], fills=fills, balance=cash, ts=b.NOW + 20 * SECOND)
    return _hear(engine, order, [report])


@pytest.mark.parametrize("copies", [1, 3])
def test_without_any_report_the_end_of_an_order_is_still_right(copies: int) -> None:
    """Part filled, made smaller, filled up: the frames alone say so, in any of many orders."""
    reference: set[tuple[object, ...]] = set()
    for seed in range(60):
        engine, order = _sent()
        venue = _lived(order, [("fill", 3), ("amend", 4), ("fill", 2), ("cancel", 1)])
        messages = venue.messages * copies
        random.Random(seed).shuffle(messages)
        reference.add(_hear(engine, order, messages))
    assert reference == {(OrderStatus.CANCELED, 500, 0, 0, 500)}


def test_the_sides_of_an_amendment_repeat_the_orders_own() -> None:
    """The venue refuses an amendment of another side or market; ours repeats what the order says."""
    engine, order = _sent()
    cid = order.intent.client_order_id
    engine.handle(OrderAccepted(cid, "venue-1", 0, order.intent.count, b.NOW, b.NOW))
    found = engine.ledger.orders.get(cid)
    assert found is not None
    (amend,) = engine.resting_desk.amend(found, 500)
    assert isinstance(amend, AmendOrder)
    assert not isinstance(amend, CancelOrder)
    assert (amend.side, amend.price, amend.ticker) == (BookSide.BID, order.intent.price, b.TICKER)
