"""Entries that rest: their price and size, what keeps them alive, and what ends them."""

from __future__ import annotations

from dataclasses import replace

import pytest

import tests.execution.builders as b
from src.core.actions import (
    Alert,
    AmendOrder,
    CancelOrder,
    OrderChanged,
    OrderStatus,
    Refused,
    StoredOrder,
    StoredState,
)
from src.core.events import (
    AmendAnswered,
    BookInvalid,
    BookSnapshot,
    CancelAnswered,
    Command,
    CommandKind,
    Event,
    ExchangeStatus,
    FeedUp,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    OrderAccepted,
    OrderRejected,
    Tick,
    VenueOrderStatus,
)
from src.core.fees import FeeSchedule, FeeType
from src.core.grid import TAPERED_DECI_CENT, PriceGrid, PriceRange
from src.core.sides import BookSide, Outcome
from src.core.signal import TimeInForce
from src.core.units import DOLLAR_CASH, HOUR, MINUTE, SECOND, Nanos
from src.execution import risk
from src.execution.engine import Action, Engine
from src.execution.limits import EntryPolicy, ExecutionStyle, ExitPolicy, RiskLimits
from src.execution.maker import maker_price
from src.execution.risk import Approved

LOOSE = RiskLimits(min_edge=0.02, consecutive_losses=50, cooldown_after_loss=0)
MAKER = {"scripted": EntryPolicy(ExecutionStyle.MAKER, 10 * MINUTE)}


def _ready(ttl: Nanos = 10 * MINUTE) -> tuple[Engine, b.Scripted]:
    entries = {"scripted": EntryPolicy(ExecutionStyle.MAKER, ttl)}
    engine, strategy = b.ready(LOOSE, {"scripted": ExitPolicy()}, entries=entries)
    strategy.fair = 0.65
    return engine, strategy


def _resting(engine: Engine, strategy: b.Scripted, **what: object) -> Approved:
    """A maker entry that the venue has taken."""
    strategy.next = [b.signal(probability=0.65, **what)]  # type: ignore[arg-type]
    (order,) = b.approvals(engine.handle(Tick(b.NOW)))
    engine.handle(_accepted(order))
    assert b.status_of(engine, order) is OrderStatus.RESTING
    return order


def _accepted(order: Approved) -> OrderAccepted:
    cid = order.intent.client_order_id
    return OrderAccepted(cid, f"venue-{cid[:8]}", 0, order.intent.count, b.NOW, b.NOW)


def _cancels(actions: list[Action]) -> list[CancelOrder]:
    return [action for action in actions if isinstance(action, CancelOrder)]


def _reason(engine: Engine, order: Approved) -> str:
    found = engine.ledger.orders.get(order.intent.client_order_id)
    assert found is not None
    return found.reason


def test_a_maker_entry_rests_a_tick_above_the_best_bid_and_expires_by_itself() -> None:
    """Post-only, good till cancelled, with an expiry at the venue and its money reserved while it rests."""
    engine, strategy = _ready()
    intent = _resting(engine, strategy).intent
    assert (intent.side, intent.price, intent.post_only) == (BookSide.BID, 5_100, True)
    assert intent.time_in_force is TimeInForce.GOOD_TILL_CANCELED
    assert not intent.reduce_only
    assert intent.expiration_ts == b.NOW + 10 * MINUTE
    assert engine.ledger.orders.reserved() >= intent.price * intent.count


def test_buying_no_rests_on_the_ask_side() -> None:
    """Buying NO a tick above its best bid is an ask a tick below the best offer of YES."""
    engine, strategy = _ready()
    strategy.fair = 0.35
    order = _resting(engine, strategy, outcome=Outcome.NO)
    assert (order.intent.side, order.intent.price) == (BookSide.ASK, 5_100)


@pytest.mark.parametrize(
    ("probability", "bid", "ask", "expected"),
    [
        (0.60, 5_000, 5_200, 5_100),  # room for a tick
        (0.60, 5_000, 5_100, 5_000),  # no room: join
        (0.525, 5_000, 5_300, 5_000),  # a tick more would cost the edge
        (0.515, 5_000, 5_300, None),  # even the bid leaves too little
    ],
)
def test_the_price_leaves_the_edge_asked_for(
    probability: float, bid: int, ask: int, expected: int | None
) -> None:
    """A maker pays no fee in plain quadratic series; behind the best bid nothing is offered."""
    engine, _ = _ready()
    engine.handle(b.snapshot(bid, ask))
    book = engine.book(b.TICKER)
    assert book is not None
    assert maker_price(probability, Outcome.YES, book, FeeSchedule(), 0.02) == expected


def test_the_maker_fee_of_a_series_counts() -> None:
    """Where makers pay, the same price may leave too little."""
    engine, _ = _ready()
    engine.handle(b.snapshot(5_000, 5_100))
    book = engine.book(b.TICKER)
    assert book is not None
    paid = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES)
    assert maker_price(0.521, Outcome.YES, book, FeeSchedule(), 0.02) == 5_000
    assert maker_price(0.521, Outcome.YES, book, paid, 0.02) is None


def test_prices_lie_on_a_tapered_grid_for_both_outcomes() -> None:
    """Below ten cents the step is a tenth of a cent, also for the outcome that is worth ninety."""
    engine, _ = _ready()
    engine.handle(MarketUpdate(replace(b.market(), grid=TAPERED_DECI_CENT), b.NOW))
    engine.handle(b.snapshot(500, 600))
    book = engine.book(b.TICKER)
    assert book is not None
    assert maker_price(0.30, Outcome.YES, book, FeeSchedule(), 0.02) == 510
    assert maker_price(0.99, Outcome.NO, book, FeeSchedule(), 0.02) == 9_410


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (Command(CommandKind.PAUSE, "owner", "!", b.NOW + SECOND), "trading is reducing"),
        (Command(CommandKind.HALT, "owner", "no more", b.NOW + SECOND), "no more"),
        (Command(CommandKind.FLATTEN, "owner", "!", b.NOW + SECOND), "flatten"),
        (ExchangeStatus(True, False, b.NOW + SECOND), "the exchange is paused"),
        (MarketLifecycle(b.TICKER, LifecycleKind.DEACTIVATED, b.NOW + SECOND), "the market is paused"),
        (
            MarketLifecycle(b.TICKER, LifecycleKind.CLOSE_DATE_UPDATED, b.NOW + SECOND, b.NOW + MINUTE),
            "the market closes soon",
        ),
        (
            MarketUpdate(replace(b.market(), grid=PriceGrid((PriceRange(0, 10_000, 500),))), b.NOW + SECOND),
            "the market's ticks have changed",
        ),
        (Tick(b.NOW + 10 * MINUTE), "time to live is over"),
    ],
)
def test_a_resting_entry_is_cancelled_once_nothing_stands_behind_it(event: Event, reason: str) -> None:
    """At once, with the event that takes the ground away; the reason is kept with the order."""
    engine, strategy = _ready()
    order = _resting(engine, strategy)
    (call,) = _cancels(engine.handle(event))
    assert call.client_order_id == order.intent.client_order_id
    assert reason in _reason(engine, order)
    assert b.status_of(engine, order) is OrderStatus.PENDING_CANCEL


@pytest.mark.parametrize(("fair", "reason"), [(0.52, "the edge is gone"), (None, "no opinion")])
def test_a_resting_entry_goes_with_its_thesis(fair: float | None, reason: str) -> None:
    """When the strategy thinks less of the contract than it asks for, or nothing any more."""
    engine, strategy = _ready()
    order = _resting(engine, strategy)
    assert not _cancels(engine.handle(Tick(b.NOW + SECOND)))
    strategy.fair = fair
    assert len(_cancels(engine.handle(Tick(b.NOW + 2 * SECOND)))) == 1
    assert reason in _reason(engine, order)


def test_a_short_doubt_keeps_the_place_in_the_queue_and_a_long_one_does_not() -> None:
    """A gap that is mended within seconds costs nothing; nobody rests on a book nobody vouches for."""
    engine, strategy = _ready()
    _resting(engine, strategy)
    engine.handle(BookInvalid((b.TICKER,), "gap", b.NOW + SECOND))
    assert not _cancels(engine.handle(Tick(b.NOW + 4 * SECOND)))
    engine.handle(b.snapshot(5_000, 5_200, ts=b.NOW + 5 * SECOND))
    engine.handle(Tick(b.NOW + 6 * SECOND))
    engine.handle(BookInvalid((b.TICKER,), "gap", b.NOW + 7 * SECOND))
    assert len(_cancels(engine.handle(Tick(b.NOW + 13 * SECOND)))) == 1


def test_a_late_feed_is_a_doubt_too() -> None:
    """A book whose last change was eight seconds old at receipt is not rested upon."""
    engine, strategy = _ready()
    _resting(engine, strategy)
    late = b.NOW + 9 * SECOND
    engine.handle(BookSnapshot(b.TICKER, ((5_000, 9_000),), ((5_200, 9_000),), 2, late - 8 * SECOND, late))
    assert not _cancels(engine.handle(Tick(late)))
    assert len(_cancels(engine.handle(Tick(late + 6 * SECOND)))) == 1


def test_everything_is_cancelled_five_minutes_before_the_weekly_pause() -> None:
    """Thursday 03:00 in New York: at 02:55 nothing of ours rests, and nothing new is put there."""
    engine, strategy = b.engine(LOOSE, {"scripted": ExitPolicy()}, MAKER)
    strategy.fair = 0.65
    pause = 1_796_284_800 * SECOND  # Thursday 2026-12-03 08:00 UTC
    start = pause - 6 * MINUTE
    engine.start(StoredState(), start)
    engine.handle(FeedUp("market", start))
    engine.handle(b.report(ts=start))
    engine.handle(MarketUpdate(replace(b.market(), close_time=pause + HOUR), start))
    engine.handle(b.snapshot(5_000, 5_200, ts=start))
    strategy.next = [b.signal(probability=0.65, ts=start)]
    (order,) = b.approvals(engine.handle(Tick(start)))
    engine.handle(_accepted(order))
    assert not _cancels(engine.handle(Tick(pause - 5 * MINUTE - SECOND)))
    assert len(_cancels(engine.handle(Tick(pause - 5 * MINUTE)))) == 1
    engine.handle(
        CancelAnswered(order.intent.client_order_id, "canceled", "", pause - 299 * SECOND, order.intent.count)
    )
    engine.handle(b.report(ts=pause - 4 * MINUTE))
    engine.handle(b.snapshot(5_000, 5_200, ts=pause - 4 * MINUTE))
    strategy.next = [b.signal(probability=0.65, cause="forecast:2", ts=pause - 4 * MINUTE)]
    out = engine.handle(Tick(pause - 4 * MINUTE))
    assert [a.result.gate for a in out if isinstance(a, Refused)] == ["announced_pause"]


def test_a_paused_exchange_gets_no_calls_and_trading_resumes_only_on_a_fresh_book() -> None:
    """While nothing passes nothing is sent; afterwards every book is asked for anew."""
    engine, strategy = _ready()
    order = _resting(engine, strategy)
    assert not _cancels(engine.handle(ExchangeStatus(False, False, b.NOW + SECOND)))
    for seconds in range(2, 9):
        assert not _cancels(engine.handle(Tick(b.NOW + seconds * SECOND)))
    engine.handle(ExchangeStatus(True, True, b.NOW + 10 * SECOND))
    assert engine.book(b.TICKER) is None
    strategy.next = [b.signal(probability=0.65, cause="forecast:2", ts=b.NOW + 11 * SECOND)]
    assert not b.approvals(engine.handle(Tick(b.NOW + 11 * SECOND)))
    engine.handle(b.snapshot(5_000, 5_200, ts=b.NOW + 12 * SECOND))
    assert engine.book(b.TICKER) is not None
    assert b.status_of(engine, order) is OrderStatus.RESTING


def test_the_expiry_moves_on_while_the_order_lives_and_its_place_is_kept() -> None:
    """The net below us is ten minutes long; an order with an hour to live is amended, never resent."""
    engine, strategy = _ready(HOUR)
    order = _resting(engine, strategy)
    early = engine.handle(Tick(b.NOW + 4 * MINUTE))
    assert not [action for action in early if isinstance(action, AmendOrder)]
    out = engine.handle(Tick(b.NOW + 5 * MINUTE))
    (amend,) = [action for action in out if isinstance(action, AmendOrder)]
    assert (amend.count, amend.expiration_ts) == (order.intent.count, b.NOW + 15 * MINUTE)
    assert not [a for a in engine.handle(Tick(b.NOW + 5 * MINUTE + SECOND)) if isinstance(a, AmendOrder)]
    answer = AmendAnswered(
        amend.client_order_id, "amended", amend.count, amend.expiration_ts, "", b.NOW + 5 * MINUTE, b.NOW
    )
    engine.handle(answer)
    found = engine.ledger.orders.get(amend.client_order_id)
    assert found is not None
    assert found.intent.expiration_ts == b.NOW + 15 * MINUTE
    assert b.status_of(engine, order) is OrderStatus.RESTING


def test_the_remainder_of_a_partial_fill_has_the_same_time_to_live() -> None:
    """Half a fill leaves half an order, which is cancelled like a whole one; the size is right."""
    engine, strategy = _ready()
    order = _resting(engine, strategy)
    half = order.intent.count // 200 * 100
    engine.handle(b.fill_of(order, half))
    assert b.status_of(engine, order) is OrderStatus.PARTIALLY_FILLED
    (call,) = _cancels(engine.handle(Tick(b.NOW + 10 * MINUTE)))
    engine.handle(
        CancelAnswered(call.client_order_id, "canceled", "", b.NOW + 10 * MINUTE, order.intent.count - half)
    )
    assert engine.position(b.TICKER) == half
    assert engine.ledger.orders.reserved() == 0


def test_a_cancel_that_took_out_less_than_we_thought_keeps_money_for_the_fills_to_come() -> None:
    """What the cancel did not take out has filled, although nobody told us yet."""
    engine, strategy = _ready()
    order = _resting(engine, strategy)
    (call,) = _cancels(engine.handle(Tick(b.NOW + 10 * MINUTE)))
    count = order.intent.count
    engine.handle(CancelAnswered(call.client_order_id, "canceled", "", b.NOW + 10 * MINUTE, count - 300))
    assert engine.ledger.orders.reserved() >= 300 * order.intent.price
    engine.handle(b.fill_of(order, 300))
    assert (engine.position(b.TICKER), engine.ledger.orders.reserved()) == (300, 0)


def test_late_refusals_mean_patience_one_alert_and_no_tight_loop() -> None:
    """Fifty opinions in a row meet a venue that takes the order and then does not want it."""
    engine, strategy = _ready()
    sent, alerts, gates, now = 0, 0, set(), b.NOW
    for number in range(50):
        now += 2 * SECOND
        engine.handle(b.snapshot(5_000, 5_200, ts=now))
        strategy.next = [b.signal(probability=0.65, cause=f"forecast:{number}", ts=now)]
        out = engine.handle(Tick(now))
        gates |= {action.result.gate for action in out if isinstance(action, Refused)}
        for order in b.approvals(out):
            sent += 1
            engine.handle(_accepted(order))
            ended = b.order_update(order, 0, 0, VenueOrderStatus.CANCELED, now)
            for _ in range(3):  # frames are doubled
                said = engine.handle(replace(ended, reason="PostOnlyCrossCancel"))
                alerts += sum(isinstance(a, Alert) and a.key.startswith("refused:") for a in said)
            assert b.status_of(engine, order) is OrderStatus.CANCELED
            assert _reason(engine, order) == "PostOnlyCrossCancel"
    assert (sent, alerts, gates) == (3, 1, {"refused_lately"})


def test_a_refusal_at_once_counts_as_well_and_the_strategy_hears_of_it() -> None:
    """The wire says 400 ``post only cross``: terminal with its reason."""
    engine, strategy = _ready()
    heard: list[Event] = []
    listen = strategy.on_event
    strategy.on_event = lambda view, event: heard.append(event) or listen(view, event)  # type: ignore[method-assign, func-returns-value]
    strategy.next = [b.signal(probability=0.65)]
    (order,) = b.approvals(engine.handle(Tick(b.NOW)))
    rejected = OrderRejected(order.intent.client_order_id, "invalid_order", "post only cross", b.NOW)
    engine.handle(rejected)
    assert b.status_of(engine, order) is OrderStatus.REJECTED
    assert rejected in heard
    strategy.next = [b.signal(probability=0.65, cause="forecast:2", ts=b.NOW + SECOND)]
    out = engine.handle(Tick(b.NOW + SECOND))
    assert [a.result.gate for a in out if isinstance(a, Refused)] == ["refused_lately"]


def test_after_a_restart_a_resting_entry_still_has_its_owner() -> None:
    """The records bring it back as resting; its time to live counts from when it was made."""
    engine, strategy = _ready()
    order = _resting(engine, strategy)
    again, strategy = b.engine(LOOSE, {"scripted": ExitPolicy()}, MAKER)
    strategy.fair = 0.65
    row = StoredOrder(
        f"venue-{order.intent.client_order_id[:8]}", order.intent, OrderStatus.RESTING, 0, 0, False
    )
    again.start(
        StoredState(orders=(row,), opening_cash=1_000 * DOLLAR_CASH, opening_ts=b.NOW), b.NOW + MINUTE
    )
    assert b.status_of(again, order) is OrderStatus.UNKNOWN
    again.handle(FeedUp("market", b.NOW + MINUTE))
    again.handle(MarketUpdate(b.market(), b.NOW + MINUTE))
    again.handle(b.snapshot(5_000, 5_200, ts=b.NOW + MINUTE))
    listed = b.order_update(order, 0, order.intent.count, VenueOrderStatus.RESTING)
    again.handle(b.report(orders=[listed], ts=b.NOW + MINUTE))
    assert b.status_of(again, order) is OrderStatus.RESTING
    assert not _cancels(again.handle(Tick(b.NOW + 2 * MINUTE)))
    assert len(_cancels(again.handle(Tick(b.NOW + 10 * MINUTE)))) == 1


def test_an_order_made_larger_by_hand_is_followed_and_never_ends_the_program() -> None:
    """The owner may amend our order: fills beyond its old size come before or after the news of it."""
    engine, strategy = _ready()
    order = _resting(engine, strategy)
    count = order.intent.count
    engine.handle(b.fill_of(order, count))
    engine.handle(b.fill_of(order, 200, trade="t2"))
    larger = b.order_update(order, count + 200, 300, VenueOrderStatus.RESTING, b.NOW + 2 * SECOND)
    engine.handle(larger)
    assert engine.position(b.TICKER) == count + 200
    assert b.status_of(engine, order) is OrderStatus.PARTIALLY_FILLED
    assert engine.ledger.orders.reserved() >= 300 * order.intent.price
    engine.handle(b.fill_of(order, 300, trade="t3"))
    assert b.status_of(engine, order) is OrderStatus.EXECUTED
    assert engine.ledger.orders.reserved() == 0


def test_an_order_made_larger_and_filled_between_two_frames_stays_storable() -> None:
    """What the store holds must not say that more filled than the order was for."""
    engine, strategy = _ready()
    order = _resting(engine, strategy)
    count = order.intent.count
    out = engine.handle(b.order_update(order, count + 300, 0, VenueOrderStatus.EXECUTED, b.NOW + 2 * SECOND))
    (row,) = [action for action in out if isinstance(action, OrderChanged)]
    assert (row.status, row.filled, row.intent.count) == (OrderStatus.EXECUTED, count + 300, count + 300)


def test_nothing_rests_without_an_expiry() -> None:
    """An intent that would outlive us is a programming error that stops at once."""
    engine, strategy = _ready()
    intent = _resting(engine, strategy).intent
    with pytest.raises(AssertionError, match="must end at the venue"):
        risk.approve(replace(intent, expiration_ts=None), 0)


def test_an_entry_that_expired_while_its_row_was_committed_does_not_leave() -> None:
    """The commit may take longer than the order would have lived."""
    engine, strategy = _ready(30 * SECOND)
    strategy.next = [b.signal(probability=0.65)]
    (order,) = b.approvals(engine.handle(Tick(b.NOW)))
    assert engine.withdrawn(order) == ""
    engine.handle(Tick(b.NOW + 31 * SECOND))
    assert "expired" in engine.withdrawn(order)
