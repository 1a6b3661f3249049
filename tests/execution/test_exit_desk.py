"""Exits: the ladder and its floor, the profit target, what is cut down, what cannot be left."""

from __future__ import annotations

from dataclasses import replace

import pytest

import tests.execution.builders as b
from src.core.actions import (
    Alert,
    AmendOrder,
    CancelOrder,
    ControlValue,
    ExitJudged,
    Noted,
    OrderStatus,
    Refused,
    Severity,
    StateChanged,
    StoredOrder,
    StoredState,
    TradingState,
)
from src.core.events import (
    AmendAnswered,
    BookInvalid,
    BookSnapshot,
    CancelAnswered,
    Command,
    CommandKind,
    FeedUp,
    Fill,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    ObservationUpdate,
    OrderAccepted,
    OrderUpdate,
    PublicTrade,
    Tick,
    VenueOrderStatus,
)
from src.core.market import MarketStatus
from src.core.sides import BookSide, Outcome
from src.core.signal import TimeInForce
from src.core.units import DOLLAR_CASH, HOUR, MINUTE, SECOND, Count, Nanos, Price
from src.execution.counterfactual import left_early
from src.execution.engine import Action, Engine
from src.execution.limits import ExecutionStyle, ExitPolicy, RiskLimits
from src.execution.risk import Approved

LOOSE = RiskLimits(min_edge=0.02, consecutive_losses=50, cooldown_after_loss=0)
STOP = ExitPolicy()
TARGET = ExitPolicy(price_stop=True, profit_target=0.20)
RESTING_TARGET = replace(TARGET, style=ExecutionStyle.MAKER)


def _holding(
    policy: ExitPolicy, count: Count = 1_000, limits: RiskLimits = LOOSE
) -> tuple[Engine, b.Scripted]:
    """Ten contracts of YES bought at 0.52 without a fee."""
    engine, strategy = b.ready(limits, {"scripted": policy})
    strategy.next = [b.signal(probability=0.65)]
    (order,) = b.approvals(engine.handle(Tick(b.NOW)))
    engine.handle(replace(b.fill_of(order, count), ts_recv=b.NOW))
    intent = order.intent
    engine.handle(
        OrderUpdate(
            f"venue-{intent.client_order_id[:8]}", intent.client_order_id, intent.ticker, intent.side,
            intent.price, intent.count, count, 0, VenueOrderStatus.CANCELED, b.NOW, b.NOW,
        )
    )  # fmt: skip
    assert engine.position(b.TICKER) == count
    return engine, strategy


def _book(bids: list[tuple[Price, Count]], asks: list[tuple[Price, Count]], ts: Nanos) -> BookSnapshot:
    return BookSnapshot(b.TICKER, tuple(bids), tuple(asks), 2, ts, ts)


def _accept(engine: Engine, order: Approved, remaining: Count | None = None) -> None:
    cid, count = order.intent.client_order_id, order.intent.count
    left = count if remaining is None else remaining
    engine.handle(OrderAccepted(cid, f"venue-{cid[:8]}", count - left, left, b.NOW, b.NOW))


def _misses(engine: Engine, order: Approved) -> None:
    """The order finds nobody."""
    _accept(engine, order, 0)
    update = b.order_update(order, 0, 0, VenueOrderStatus.CANCELED, order.intent.created_ts)
    engine.handle(update)


def _slide(engine: Engine, at: Nanos, bid: Price = 3_000, ask: Price = 3_200) -> Approved:
    """The book falls and stays there: the first order of the stop."""
    engine.handle(b.snapshot(bid, ask, ts=at))
    assert not b.approvals(engine.handle(Tick(at)))
    (leave,) = b.approvals(engine.handle(Tick(at + 6 * SECOND)))
    return leave


def _only(actions: list[Action], kind: type[object]) -> list[object]:
    return [action for action in actions if isinstance(action, kind)]


# --- the ladder ----------------------------------------------------------------------------------


def test_the_ladder_goes_down_a_cent_then_two_and_then_rests_at_the_middle() -> None:
    """Two immediate orders that find nobody, then an offer with an expiry, priced anew after two minutes."""
    engine, _ = _holding(STOP)
    at = b.NOW + 20 * SECOND
    first = _slide(engine, at)
    assert (first.intent.price, first.intent.reduce_only) == (2_900, True)
    _misses(engine, first)
    (second,) = b.approvals(engine.handle(Tick(at + 12 * SECOND)))
    assert second.intent.price == 2_800
    _misses(engine, second)
    (third,) = b.approvals(engine.handle(Tick(at + 18 * SECOND)))
    assert (third.intent.price, third.intent.post_only, third.intent.reduce_only) == (3_100, True, False)
    assert third.intent.time_in_force is TimeInForce.GOOD_TILL_CANCELED
    assert third.intent.expiration_ts is not None
    assert third.intent.expiration_ts <= at + 18 * SECOND + 2 * MINUTE
    _accept(engine, third)
    assert not b.approvals(engine.handle(Tick(at + 60 * SECOND)))
    out = engine.handle(Tick(at + 18 * SECOND + 2 * MINUTE))
    (cancel,) = [action for action in out if isinstance(action, CancelOrder)]
    count = third.intent.count
    engine.handle(CancelAnswered(cancel.client_order_id, "canceled", "", at + 3 * MINUTE, count))
    out = engine.handle(Tick(at + 4 * MINUTE))
    (again,) = b.approvals(out)
    assert (again.intent.price, again.intent.attempt) == (2_900, 3)
    assert [alert.key for alert in out if isinstance(alert, Alert)] == [f"exit_stuck:{b.TICKER}"]


def test_no_stop_sells_below_the_floor_of_what_we_think_it_is_worth() -> None:
    """Half of 0.60: with bids at two cents the position rests at the middle, it is not thrown away."""
    engine, strategy = _holding(STOP)
    strategy.fair = 0.60
    leave = _slide(engine, b.NOW + 20 * SECOND, bid=200, ask=1_000)
    assert leave.intent.post_only
    assert leave.intent.price >= 3_000


def test_an_exit_is_sized_to_what_is_bid_and_comes_back_for_the_rest() -> None:
    """Three of ten contracts find a bid now; the rest is left when somebody comes."""
    engine, _ = _holding(STOP)
    at = b.NOW + 20 * SECOND
    engine.handle(_book([(3_000, 300)], [(3_200, 9_000)], at))
    engine.handle(Tick(at))
    (first,) = b.approvals(engine.handle(Tick(at + 6 * SECOND)))
    assert first.intent.count == 300
    engine.handle(b.fill_of(first, 300, trade="t2"))
    _accept(engine, first, 0)
    assert engine.position(b.TICKER) == 700
    engine.handle(_book([(2_900, 9_000)], [(3_200, 9_000)], at + 7 * SECOND))
    (second,) = b.approvals(engine.handle(Tick(at + 12 * SECOND)))
    assert (second.intent.count, second.intent.price) == (700, 2_800)


def test_our_own_bid_is_no_price_to_be_stopped_by_nor_a_way_out() -> None:
    """The owner's resting bid of the same account holds the mark up for nobody."""
    engine, _ = _holding(STOP)
    at = b.NOW + 20 * SECOND
    own = OrderUpdate(
        "hand", "", b.TICKER, BookSide.BID, 5_000, 5_000, 0, 5_000, VenueOrderStatus.RESTING, at, at
    )
    engine.handle(own)
    engine.handle(_book([(5_000, 5_000), (3_000, 9_000)], [(5_200, 9_000)], at))
    assert not b.approvals(engine.handle(Tick(at)))
    (leave,) = b.approvals(engine.handle(Tick(at + 6 * SECOND)))
    assert leave.intent.price == 2_900


def test_a_thesis_exit_sells_for_no_less_than_we_think_it_is_worth() -> None:
    """The first bid pays more than our value, the second less: only the first is taken."""
    engine, strategy = _holding(ExitPolicy(price_stop=False, thesis_margin=0.02))
    strategy.fair = 0.50
    at = b.NOW + SECOND
    engine.handle(_book([(5_600, 400), (5_000, 9_000)], [(5_700, 9_000)], at))
    (leave,) = b.approvals(engine.handle(Tick(at)))
    assert (leave.intent.count, leave.intent.price) == (400, 5_500)


def test_an_observation_keeps_the_price_stop_quiet_for_a_minute() -> None:
    """Prices in motion after news are the thesis's business."""
    engine, _ = _holding(STOP)
    at = b.NOW + 20 * SECOND
    engine.handle(b.snapshot(3_000, 3_200, ts=at))
    engine.handle(ObservationUpdate("KXHIGHNY", "KNYC", 50.0, at, at))
    for seconds in (0, 6, 30, 59):
        assert not b.approvals(engine.handle(Tick(at + seconds * SECOND)))
    assert len(b.approvals(engine.handle(Tick(at + 61 * SECOND)))) == 1


def test_a_stop_fires_after_a_restart_from_the_stored_cost() -> None:
    """Its reference is the position's cost, which the fills bring back: it is never unseeded."""
    engine, _ = _holding(STOP)
    (entry,) = [order for order in engine.ledger.orders if not order.external]
    fill = replace(b.fill_of(_approved(entry.intent), 1_000), ts_recv=b.NOW)
    again, _ = b.engine(LOOSE, {"scripted": STOP})
    row = StoredOrder(fill.order_id, entry.intent, OrderStatus.CANCELED, 1_000, 0, False)
    stored = StoredState(orders=(row,), fills=(fill,), opening_cash=1_000 * DOLLAR_CASH, opening_ts=b.NOW)
    late = b.NOW + MINUTE
    again.start(stored, late)
    again.handle(FeedUp("market", late))
    cash = again.ledger.portfolio.cash
    again.handle(b.report(balance=cash, fills=[fill], ts=late))
    again.handle(MarketUpdate(b.market(), late))
    _slide(again, late + SECOND)


def _approved(intent: object) -> Approved:
    from src.execution.risk import approve

    return approve(intent, 0)  # type: ignore[arg-type]


# --- the profit target ---------------------------------------------------------------------------


def test_a_taker_sells_once_the_target_is_bid_and_never_below_it() -> None:
    """Cost 0.52, target 20 %: net proceeds of 0.624 or more."""
    engine, _ = _holding(TARGET)
    at = b.NOW + SECOND
    engine.handle(_book([(6_200, 9_000)], [(6_400, 9_000)], at))
    assert not b.approvals(engine.handle(Tick(at)))
    engine.handle(_book([(6_500, 600), (6_000, 9_000)], [(6_700, 9_000)], at + SECOND))
    (leave,) = b.approvals(engine.handle(Tick(at + SECOND)))
    assert (leave.intent.count, leave.intent.price) == (600, 6_500)
    assert leave.intent.strategy == "scripted:profit_target"


def _offer(engine: Engine, at: Nanos) -> Approved:
    (offer,) = b.approvals(engine.handle(Tick(at)))
    assert offer.intent.strategy == "scripted:profit_target"
    assert (offer.intent.post_only, offer.intent.reduce_only) == (True, False)
    _accept(engine, offer)
    return offer


def test_a_maker_rests_at_the_target_and_is_cancelled_before_another_exit_acts() -> None:
    """Both at once could sell the position twice: the stop waits until the offer is gone."""
    engine, _ = _holding(RESTING_TARGET)
    offer = _offer(engine, b.NOW + SECOND)
    assert (offer.intent.count, offer.intent.price) == (1_000, 6_300)  # makers pay no fee here
    at = b.NOW + 20 * SECOND
    engine.handle(b.snapshot(3_000, 3_200, ts=at))
    engine.handle(Tick(at))
    out = engine.handle(Tick(at + 6 * SECOND))
    assert not b.approvals(out)
    (cancel,) = [action for action in out if isinstance(action, CancelOrder)]
    assert cancel.client_order_id == offer.intent.client_order_id
    assert not b.approvals(engine.handle(Tick(at + 7 * SECOND)))
    engine.handle(b.fill_of(offer, 100, trade="t2"))  # it traded before the cancel arrived
    engine.handle(CancelAnswered(cancel.client_order_id, "canceled", "", at + 8 * SECOND, 900))
    (leave,) = b.approvals(engine.handle(Tick(at + 9 * SECOND)))
    assert (leave.intent.strategy, leave.intent.count) == ("scripted:stop_loss", 900)


def test_a_resting_exit_is_cut_down_at_once_when_the_owner_sells_by_hand() -> None:
    """The new size is given as the total, so that a fill on the way cannot make it flip the position."""
    engine, _ = _holding(RESTING_TARGET)
    offer = _offer(engine, b.NOW + SECOND)
    engine.handle(b.fill_of(offer, 200, trade="t2"))
    by_hand = Fill("t3", "hand", "", b.TICKER, BookSide.ASK, 5_000, 300, 0, True, b.NOW + 2, b.NOW + 2)
    out = engine.handle(by_hand)
    (amend,) = [action for action in out if isinstance(action, AmendOrder)]
    assert engine.position(b.TICKER) == 500
    assert amend.count == 700  # 200 filled, 500 left to sell
    answer = AmendAnswered(
        amend.client_order_id, "amended", 700, amend.expiration_ts, "", b.NOW + 3, b.NOW + 3
    )
    engine.handle(answer)
    engine.handle(b.fill_of(offer, 500, trade="t4"))
    assert engine.position(b.TICKER) == 0
    assert b.status_of(engine, offer) is OrderStatus.EXECUTED


def test_a_failed_cut_becomes_a_cancel() -> None:
    """No answer proves nothing; what must not trade any more is taken out."""
    engine, _ = _holding(RESTING_TARGET)
    offer = _offer(engine, b.NOW + SECOND)
    by_hand = Fill("t3", "hand", "", b.TICKER, BookSide.ASK, 5_000, 300, 0, True, b.NOW + 2, b.NOW + 2)
    (amend,) = [action for action in engine.handle(by_hand) if isinstance(action, AmendOrder)]
    failed = AmendAnswered(amend.client_order_id, "failed", amend.count, 0, "timeout", 0, b.NOW + 3)
    (cancel,) = [action for action in engine.handle(failed) if isinstance(action, CancelOrder)]
    assert cancel.client_order_id == offer.intent.client_order_id


def test_an_offer_that_no_longer_covers_the_position_makes_room_for_another() -> None:
    """More was bought: the cost and the size are others now."""
    engine, strategy = _holding(RESTING_TARGET)
    offer = _offer(engine, b.NOW + SECOND)
    engine.handle(Fill("t9", "more", "", b.TICKER, BookSide.BID, 5_200, 500, 0, True, b.NOW + 2, b.NOW + 2))
    assert engine.position(b.TICKER) == 1_500
    out = engine.handle(Tick(b.NOW + 3 * SECOND))
    assert [a.client_order_id for a in out if isinstance(a, CancelOrder)] == [offer.intent.client_order_id]
    assert strategy.name == "scripted"


def test_a_resting_exit_is_withdrawn_when_less_is_held_before_it_leaves() -> None:
    """The commit may take long; an immediate one needs no such look, the venue caps it."""
    engine, _ = _holding(RESTING_TARGET)
    (offer,) = b.approvals(engine.handle(Tick(b.NOW + SECOND)))
    assert engine.withdrawn(offer) == ""
    update = OrderUpdate(
        "hand", "", b.TICKER, BookSide.ASK, 5_000, 300, 300, 0, VenueOrderStatus.EXECUTED, b.NOW, b.NOW
    )
    fill = Fill("t3", "hand", "", b.TICKER, BookSide.ASK, 5_000, 300, 0, True, b.NOW + 2, b.NOW + 2)
    engine.handle(update)
    engine.handle(b.report(orders=[update], fills=[fill], ts=b.NOW + 2))
    assert engine.position(b.TICKER) == 700
    assert engine.withdrawn(offer) == "more than is held by now"


# --- ways out ------------------------------------------------------------------------------------


def _gate(engine: Engine, strategy: b.Scripted, cause: str, ts: Nanos, ticker: str = b.TICKER) -> list[str]:
    strategy.next = [b.signal(probability=0.90, cause=cause, ticker=ticker, ts=ts)]
    return [a.result.gate for a in engine.handle(Tick(ts)) if isinstance(a, Refused)]


def test_a_position_without_bids_is_flagged_within_a_cycle_and_blocks_its_event() -> None:
    """Another market of the event gets no new size; a person is told once; the way back takes a minute."""
    engine, strategy = _holding(STOP)
    other = f"{b.EVENT}-B52.5"
    engine.handle(MarketUpdate(b.market(other), b.NOW))
    engine.handle(b.snapshot(5_000, 5_200, ticker=other))
    at = b.NOW + SECOND
    engine.handle(_book([], [(5_200, 9_000)], at))
    out = engine.handle(Tick(at))
    (note,) = [a for a in out if isinstance(a, Noted) and a.kind == "exit_path_lost"]
    assert (note.data["ticker"], note.data["reason"], note.data["depth"]) == (b.TICKER, "nobody bids", 0)
    assert _gate(engine, strategy, "f:2", at + SECOND, other) == ["exit_liveness"]
    alerts = []
    for seconds in range(2, 120):
        alerts += [
            alert.key
            for alert in engine.handle(Tick(at + seconds * SECOND))
            if isinstance(alert, Alert) and alert.key.startswith("exit_path")
        ]
    assert alerts == [f"exit_path:{b.TICKER}"]
    back = at + 120 * SECOND
    engine.handle(b.snapshot(5_000, 5_200, ts=back))
    engine.handle(b.snapshot(5_000, 5_200, ticker=other, ts=back))
    assert _gate(engine, strategy, "f:3", back, other) == ["exit_liveness"]
    engine.handle(Tick(back + 30 * SECOND))
    engine.handle(Tick(back + 61 * SECOND))
    strategy.next = [b.signal(probability=0.90, cause="f:4", ticker=other, ts=back + 62 * SECOND)]
    engine.handle(b.report(balance=engine.ledger.portfolio.cash, ts=back))
    assert b.approvals(engine.handle(Tick(back + 62 * SECOND)))


@pytest.mark.parametrize(
    ("doubt", "reason"),
    [
        (BookInvalid((b.TICKER,), "gap", b.NOW + SECOND), "nobody vouches for the book"),
        (MarketLifecycle(b.TICKER, LifecycleKind.DEACTIVATED, b.NOW + SECOND), "the market is inactive"),
        (
            MarketLifecycle(b.TICKER, LifecycleKind.CLOSE_DATE_UPDATED, b.NOW + SECOND, b.NOW + SECOND),
            "closed and not settled yet",
        ),
    ],
)
def test_each_way_of_having_no_way_out_names_itself(doubt: object, reason: str) -> None:
    """Book, pause and close are looked at on every tick."""
    engine, _ = _holding(STOP)
    engine.handle(doubt)  # type: ignore[arg-type]
    out = engine.handle(Tick(b.NOW + SECOND))
    assert [a.data["reason"] for a in out if isinstance(a, Noted) and a.kind == "exit_path_lost"] == [reason]


def test_a_thin_book_is_a_way_out_only_at_the_pace_of_the_trades() -> None:
    """One contract of ten is bid for: what trades in an hour says how long the rest would take."""
    engine, _ = _holding(STOP)
    at = b.NOW + SECOND
    engine.handle(_book([(5_000, 100)], [(5_200, 9_000)], at))
    assert not engine.exit_desk.liveness.blocked_by(b.EVENT)
    engine.handle(Tick(at))
    assert not engine.exit_desk.liveness.blocked_by(b.EVENT)  # nobody knows the pace
    engine.handle(PublicTrade(b.TICKER, "p1", 5_000, 100, BookSide.ASK, at, at))
    engine.handle(Tick(at + SECOND))
    assert engine.exit_desk.liveness.blocked_by(b.EVENT) == b.TICKER  # nine hours at one an hour
    engine.handle(PublicTrade(b.TICKER, "p2", 5_000, 1_000, BookSide.ASK, at, at))
    engine.handle(Tick(at + 2 * SECOND))
    engine.handle(Tick(at + 63 * SECOND))
    assert not engine.exit_desk.liveness.blocked_by(b.EVENT)


def test_a_time_out_that_finds_no_bid_rests_at_the_offer_and_is_flagged() -> None:
    """Never a market order through an empty book; never silence either."""
    engine, _ = _holding(STOP, limits=replace(LOOSE, position_timeout=HOUR))
    at = b.NOW + HOUR
    engine.handle(_book([], [(4_000, 9_000)], at))
    out = engine.handle(Tick(at))
    (leave,) = b.approvals(out)
    assert (leave.intent.price, leave.intent.post_only, leave.intent.reduce_only) == (4_000, True, False)
    assert [a for a in out if isinstance(a, Noted) and a.kind == "exit_path_lost"]


def test_an_exit_that_finds_no_price_while_halted_is_told_once() -> None:
    """Halted, nothing may rest; a bid of two cents for something worth sixty is not taken, and said."""
    engine, strategy = _holding(STOP)
    strategy.fair = 0.60
    engine.handle(Command(CommandKind.HALT, "owner", "!", b.NOW + SECOND))
    at = b.NOW + 20 * SECOND
    engine.handle(b.snapshot(200, 1_000, ts=at))
    alerts = []
    for seconds in range(30):
        out = engine.handle(Tick(at + seconds * SECOND))
        assert not b.approvals(out)
        alerts += [
            alert.text for alert in out if isinstance(alert, Alert) and alert.key.startswith("exit_stuck")
        ]
    assert len(alerts) == 1
    assert "nobody bids an acceptable price" in alerts[0]


# --- failures, flatten, counterfactual -----------------------------------------------------------


def test_an_exit_loop_that_raises_alerts_at_once_and_stops_buying() -> None:
    """The first failure is told; the third in a row reduces; the other positions are still looked at."""
    engine, strategy = _holding(ExitPolicy(thesis_margin=0.05))

    def broken(strategy_name: str, ticker: str) -> float | None:
        raise ZeroDivisionError("a bug")

    engine.fair_yes = broken  # type: ignore[method-assign]
    first = engine.handle(Tick(b.NOW + SECOND))
    (alert,) = [a for a in first if isinstance(a, Alert) and a.key == "exit_failed"]
    assert alert.severity is Severity.CRITICAL
    assert "ZeroDivisionError" in alert.text
    for seconds in (2, 3, 4):
        out = engine.handle(Tick(b.NOW + seconds * SECOND))
        assert not [a for a in out if isinstance(a, Alert) and a.key == "exit_failed"]
    assert (engine.control.state, engine.control.who) == (TradingState.REDUCING, "exit_desk")
    assert strategy.name == "scripted"


def test_a_flatten_takes_what_there_is_and_survives_a_restart() -> None:
    """It is a stored fact until a person resumes; nothing rests, nothing is bought, any bid is taken."""
    engine, _ = _holding(RESTING_TARGET)
    offer = _offer(engine, b.NOW + SECOND)
    out = engine.handle(Command(CommandKind.FLATTEN, "owner", "!", b.NOW + 2 * SECOND))
    values = {a.key: a.value for a in out if isinstance(a, ControlValue)}
    assert values["flatten"] == "on"
    assert [a.client_order_id for a in out if isinstance(a, CancelOrder)] == [offer.intent.client_order_id]
    again, _ = b.engine(LOOSE)
    again.start(StoredState(values=values), b.NOW)
    assert again.exit_desk.flattening
    cid, count = offer.intent.client_order_id, offer.intent.count
    engine.handle(CancelAnswered(cid, "canceled", "", b.NOW + 3 * SECOND, count))
    (leave,) = b.approvals(engine.handle(Tick(b.NOW + 3 * SECOND)))
    assert (leave.intent.price, leave.intent.reduce_only) == (4_700, True)


def _stopped(engine: Engine) -> Approved:
    leave = _slide(engine, b.NOW + 20 * SECOND)
    engine.handle(b.fill_of(leave, 1_000, price=3_000, trade="t2", fee=150_000))
    assert engine.position(b.TICKER) == 0
    return leave


@pytest.mark.parametrize(("value", "held"), [(10_000, 10_000_000), (0, 0), (3_700, 3_700_000)])
def test_a_stopped_trade_is_held_against_what_holding_would_have_paid(value: Price, held: int) -> None:
    """Ten contracts sold at 0.30 less 15 cents: 2.85 dollars, beside the settlement of ten contracts."""
    engine, _ = _holding(STOP)
    leave = _stopped(engine)
    engine.handle(MarketLifecycle(b.TICKER, LifecycleKind.DETERMINED, b.NOW + HOUR, None, "yes", value))
    out = engine.handle(MarketLifecycle(b.TICKER, LifecycleKind.SETTLED, b.NOW + HOUR))
    (judged,) = [a for a in out if isinstance(a, ExitJudged)]
    assert (judged.strategy, judged.reason, judged.outcome) == ("scripted", "stop_loss", Outcome.YES)
    assert (judged.count, judged.proceeds, judged.hold_value) == (1_000, 2_850_000, held)
    assert judged.gain == 2_850_000 - held
    assert judged.signal_id == leave.intent.signal_id
    assert not _only(
        engine.handle(MarketLifecycle(b.TICKER, LifecycleKind.SETTLED, b.NOW + HOUR)), ExitJudged
    )


def test_a_restart_between_the_stop_and_the_settlement_loses_no_judgement() -> None:
    """The sums come from the stored fills; a market judged once is not judged again."""
    engine, _ = _holding(STOP)
    leave = _stopped(engine)
    fill = b.fill_of(leave, 1_000, price=3_000, trade="t2", fee=150_000)
    row = StoredOrder(fill.order_id, leave.intent, OrderStatus.EXECUTED, 1_000, 0, False)
    listed = replace(fill, client_order_id="")
    final = replace(b.market(), status=MarketStatus.FINALIZED, settlement_value=10_000)
    for values, expected in (({}, 1), ({f"exits_judged:{b.TICKER}": "10000"}, 0)):
        again, _ = b.engine(LOOSE, {"scripted": STOP})
        again.start(
            StoredState(
                orders=(row,), fills=(listed,), opening_cash=DOLLAR_CASH, opening_ts=b.NOW, values=values
            ),
            b.NOW,
        )
        out = again.handle(MarketUpdate(final, b.NOW + HOUR))
        assert len(_only(out, ExitJudged)) == expected


def test_the_state_change_of_a_failing_loop_is_a_record() -> None:
    """REDUCING by the exit desk is stored like any other state."""
    engine, _ = _holding(ExitPolicy(thesis_margin=0.05))
    engine.fair_yes = lambda strategy_name, ticker: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    out = [a for seconds in (1, 2, 3) for a in engine.handle(Tick(b.NOW + seconds * SECOND))]
    assert [a.state for a in out if isinstance(a, StateChanged)] == [TradingState.REDUCING]


def test_markets_left_early_are_followed_until_they_have_paid() -> None:
    """A start watches them beside what is held; the exit of a judged market needs no watching."""
    engine, _ = _holding(STOP)
    leave = _stopped(engine)
    fill = b.fill_of(leave, 1_000, price=3_000, trade="t2", fee=150_000)
    row = StoredOrder(fill.order_id, leave.intent, OrderStatus.EXECUTED, 1_000, 0, False)
    stored = StoredState(orders=(row,), fills=(fill,))
    assert left_early(stored) == (b.TICKER,)
    assert left_early(replace(stored, values={f"exits_judged:{b.TICKER}": "0"})) == ()
