"""What can still be lost: every cap by name, orders on their way included, brackets that offset."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.execution.builders as b
from src.core.actions import GateResult, Refused
from src.core.events import (
    Command,
    CommandKind,
    ExchangeSchedule,
    ExchangeStatus,
    FeedDown,
    MarketUpdate,
    Tick,
)
from src.core.market import Strike, StrikeKind
from src.core.units import DOLLAR_CASH, DOLLAR_PRICE, HOUR, MINUTE, Cash
from src.execution import risk
from src.execution.engine import Engine
from src.execution.exposure import Exposure, Line, Place
from src.execution.limits import CorrelatedGroup, RiskLimits
from src.execution.risk_context import Gate

FREE = RiskLimits(
    min_edge=0.02,
    kelly_fraction=1.0,
    max_portfolio_heat=1.0,
    max_event=1.0,
    max_city=1.0,
    max_region=1.0,
    max_category=1.0,
    max_strategy=1.0,
    max_loss_24h=1.0,
    max_drawdown=1.0,
)
TEN_PERCENT: Cash = 100 * DOLLAR_CASH
SAME_EVENT = "KXHIGHNY-26NOV24-B52.5"
SAME_CITY = "KXHIGHNY-26NOV25-B52.5"
NEIGHBOUR = "KXHIGHPHIL-26NOV24-B52.5"
FAR_CITY = "KXHIGHLAX-26NOV24-B80.5"
OTHER = "KXRAIN-26NOV24-Y"


def at_once(limits: RiskLimits, *tickers: str) -> tuple[Engine, list[Cash], list[str]]:
    """Reserves of the orders that signals for these markets lead to in one moment, and the refusals."""
    engine, strategy = b.ready(limits)
    for ticker in tickers:
        market = replace(b.market(ticker), series_ticker=ticker.partition("-")[0])
        engine.handle(MarketUpdate(market, b.NOW))
        engine.handle(b.snapshot(5_000, 5_200, ticker=ticker))
    strategy.next = [b.signal(0.9, ticker=ticker) for ticker in tickers]
    out = engine.handle(Tick(b.NOW))
    refused = [action.result.gate for action in out if isinstance(action, Refused)]
    return engine, [order.reserved for order in b.approvals(out)], refused


@pytest.mark.parametrize(
    ("limits", "together", "apart", "gate"),
    [
        (replace(FREE, max_event=0.1), SAME_EVENT, SAME_CITY, "max_event"),
        (replace(FREE, max_city=0.1), SAME_CITY, NEIGHBOUR, "max_city"),
        (replace(FREE, max_region=0.1), NEIGHBOUR, SAME_CITY, "max_region"),
        (replace(FREE, max_region=0.1, neighbour_km=5_000), FAR_CITY, SAME_CITY, "max_region"),
        (replace(FREE, max_category=0.1), FAR_CITY, OTHER, "max_category"),
        (replace(FREE, max_strategy=0.1), OTHER, "", "max_strategy"),
        (
            replace(FREE, groups=(CorrelatedGroup("coasts", frozenset({"KXHIGHNY", "KXHIGHLAX"}), 0.1),)),
            FAR_CITY,
            NEIGHBOUR,
            "correlated_group",
        ),
        (replace(FREE, max_portfolio_heat=0.1), OTHER, "", "portfolio_heat"),
    ],
)
def test_orders_in_one_place_add_up_before_any_fill(
    limits: RiskLimits, together: str, apart: str, gate: str
) -> None:
    """Two orders of one moment share the cap of their place; two in different places have one each."""
    _, reserves, refused = at_once(limits, b.TICKER, together)
    assert sum(reserves) <= TEN_PERCENT
    assert refused in ([gate], [])
    assert refused == [gate] or len(reserves) == 2
    if apart:
        _, reserves, _ = at_once(limits, b.TICKER, apart)
        assert len(reserves) == 2
        assert sum(reserves) > TEN_PERCENT


def test_a_cap_counts_what_is_held_and_what_is_ordered() -> None:
    """Filled in part and resting for the rest, an order counts in full."""
    engine, strategy = b.ready(replace(FREE, max_event=0.1))
    strategy.next = [b.signal(0.9)]
    (order,) = b.approvals(engine.handle(Tick(b.NOW)))
    engine.handle(b.fill_of(order, order.intent.count // 2 // 100 * 100))
    engine.handle(MarketUpdate(b.market(SAME_EVENT), b.NOW))
    engine.handle(b.snapshot(5_000, 5_200, ticker=SAME_EVENT))
    strategy.next = [b.signal(0.9, ticker=SAME_EVENT)]
    out = engine.handle(Tick(b.NOW))
    assert order.reserved > 0.9 * TEN_PERCENT
    # The builders' fill is free of the fee that was reserved for it.
    assert sum(each.reserved for each in b.approvals(out)) <= 2 * DOLLAR_CASH


# --- brackets that offset each other ------------------------------------------------------------------

TICKERS = ("a", "b", "c")
PLACE = Place("E", "S", "", None, None)


@st.composite
def lines(draw: st.DrawFn) -> list[Line]:
    """Positions and orders in the brackets of one event; whole contracts at whole cents."""
    found = []
    for ticker in TICKERS:
        for is_order in draw(st.lists(st.booleans(), max_size=2)):
            count, price = 100 * draw(st.integers(1, 20)), 100 * draw(st.integers(2, 98))
            is_yes = draw(st.booleans())
            held, ordered = (0, count) if is_order else (count, 0)
            found.append(Line(ticker, PLACE, "s", is_yes, held, count * price, ordered))
    return found


@given(lines())
def test_the_worst_case_is_the_worst_outcome_with_the_worst_fills(found: list[Line]) -> None:
    """Every winner, and every order filled or not: no combination loses more, one loses exactly this."""
    worst = 0
    orders = [line for line in found if line.ordered]
    for winner, filled in product(TICKERS, product([False, True], repeat=len(orders))):
        taken = [line for line in found if not line.ordered]
        taken += [line for line, fills in zip(orders, filled, strict=True) if fills]
        loss = sum(
            line.cost
            - ((line.count or line.ordered) * DOLLAR_PRICE if (line.ticker == winner) is line.is_yes else 0)
            for line in taken
        )
        worst = max(worst, loss)
    assert Exposure(tuple(found), {"E": TICKERS}).worst_case() == worst
    assert Exposure(tuple(found), {}).worst_case() == sum(line.cost for line in found) >= worst


@pytest.mark.parametrize(
    ("exclusive", "complete", "offset"),
    [(True, True, True), (False, True, False), (True, False, False)],
    ids=["exclusive and complete", "not exclusive", "a bracket is missing"],
)
def test_offsets_are_taken_only_where_exactly_one_known_bracket_pays(
    exclusive: bool, complete: bool, offset: bool
) -> None:
    """NO of two brackets: at most one of them loses, where the venue says so and no bracket is missing."""
    engine, strategy = b.ready(replace(FREE, kelly_fraction=0.25))
    strikes = [Strike(StrikeKind.LESS, None, 50), Strike(StrikeKind.BETWEEN, 50, 51)]
    strikes += [Strike(StrikeKind.GREATER, 51, None)] if complete else []
    tickers = [f"{b.EVENT}-{strike.kind.value}" for strike in strikes]
    # The builders' market is a fourth bracket, which would break the ladder.
    engine.markets._events[b.EVENT].remove(b.TICKER)
    for ticker, strike in zip(tickers, strikes, strict=True):
        market = replace(b.market(ticker), strike=strike, mutually_exclusive=exclusive)
        engine.handle(MarketUpdate(market, b.NOW))
        engine.handle(b.snapshot(3_200, 3_400, ticker=ticker))
    for n, ticker in enumerate(tickers[:2]):
        strategy.next = [b.signal(0.85, b.Outcome.NO, ticker=ticker)]
        (order,) = b.approvals(engine.handle(Tick(b.NOW)))
        engine.handle(b.fill_of(order, order.intent.count, trade=f"t{n}"))
    context = engine.entry_desk._context(b.signal(0.9))
    assert (context.exposure.worst_case() < context.exposure.cost()) is offset


# --- unknown is no ----------------------------------------------------------------------------------


def gate_of(engine: Engine, strategy: b.Scripted) -> str:
    strategy.next = [b.signal(0.9)]
    refusals = [action for action in engine.handle(Tick(b.NOW)) if isinstance(action, Refused)]
    return refusals[0].result.gate if refusals else "approved"


def test_a_clock_never_measured_refuses_where_it_can_be_measured() -> None:
    """None is not zero."""
    assert gate_of(*b.ready(replace(FREE, needs_clock_offset=True))) == "clock_unknown"
    assert gate_of(*b.ready(FREE)) == "approved"


def test_an_exchange_whose_state_cannot_be_read_takes_no_entries() -> None:
    """Never read, or lost since: both refuse, until it is read again."""
    assert gate_of(*b.ready(replace(FREE, needs_exchange_status=True))) == "exchange_status_unknown"
    engine, strategy = b.ready(FREE)
    engine.handle(FeedDown("exchange", "502", b.NOW))
    assert gate_of(engine, strategy) == "exchange_status_unknown"
    engine.handle(ExchangeStatus(True, True, b.NOW))
    assert gate_of(engine, strategy) == "approved"


def test_no_entry_is_sent_into_a_pause_that_is_known_ahead() -> None:
    """Just before it and during it nothing leaves; well before it, and after it, orders do."""
    for begin, gate in ((HOUR, "approved"), (MINUTE // 2, "pause_ahead"), (-MINUTE, "pause_ahead")):
        engine, strategy = b.ready(FREE)
        engine.handle(ExchangeSchedule(((b.NOW + begin, b.NOW + begin + 2 * HOUR),), b.NOW))
        assert gate_of(engine, strategy) == gate
    engine, strategy = b.ready(FREE)
    engine.handle(ExchangeSchedule(((b.NOW - 2 * HOUR, b.NOW),), b.NOW))
    assert gate_of(engine, strategy) == "approved"


def test_cash_on_another_shard_backs_no_order_here() -> None:
    """The order stays within what the market's own shard holds, moved by our own fills since."""
    engine, strategy = b.engine(replace(FREE, max_position=10**12))
    engine.start(b.StoredState(), b.NOW)
    engine.handle(b.FeedUp("market", b.NOW))
    report = b.report()
    engine.handle(replace(report, shards=((0, 30 * DOLLAR_CASH), (2, 970 * DOLLAR_CASH))))
    engine.handle(MarketUpdate(b.market(), b.NOW))
    engine.handle(b.snapshot(5_000, 5_200))
    strategy.next = [b.signal(0.9)]
    (order,) = b.approvals(engine.handle(Tick(b.NOW)))
    assert 25 * DOLLAR_CASH < order.reserved <= 30 * DOLLAR_CASH
    engine.handle(b.fill_of(order, order.intent.count))
    engine.handle(MarketUpdate(b.market(SAME_EVENT), b.NOW))
    engine.handle(b.snapshot(5_000, 5_200, ticker=SAME_EVENT))
    strategy.next = [b.signal(0.9, ticker=SAME_EVENT, cause="again")]
    out = engine.handle(Tick(b.NOW))
    assert sum(each.reserved for each in b.approvals(out)) < 5 * DOLLAR_CASH


def test_a_check_that_raises_halts_and_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a guard cannot answer has not passed; a person clears it."""

    def broken(c: object, limits: object) -> GateResult:
        raise RuntimeError("no idea")

    engine, strategy = b.ready(FREE)
    monkeypatch.setattr(risk, "CONTROLS", (Gate("broken", broken), *risk.CONTROLS))
    strategy.next = [b.signal(0.9)]
    assert not b.approvals(engine.handle(Tick(b.NOW)))
    assert (engine.control.state, engine.control.who) == (b.TradingState.HALTED, "guard")
    assert "broken" in engine.control.why


def test_a_strategy_that_is_switched_off_enters_nothing() -> None:
    """By a command, and by the configuration."""
    engine, strategy = b.ready(FREE)
    engine.handle(Command(CommandKind.STRATEGY_OFF, "owner", "odd", b.NOW, "scripted"))
    assert gate_of(engine, strategy) == "strategy_off"
    assert gate_of(*b.ready(replace(FREE, strategies_off=frozenset({"scripted"})))) == "strategy_off"


def test_an_order_of_a_strategy_switched_off_since_its_approval_does_not_leave() -> None:
    """The last look before sending asks again."""
    engine, strategy = b.ready(FREE)
    strategy.next = [b.signal(0.9)]
    (order,) = b.approvals(engine.handle(Tick(b.NOW)))
    assert engine.withdrawn(order) == ""
    engine.handle(Command(CommandKind.STRATEGY_OFF, "owner", "odd", b.NOW, "scripted"))
    assert "strategy off" in engine.withdrawn(order)


@pytest.mark.parametrize(
    ("described", "closed", "gate"),
    [(True, False, "equity_unknown"), (True, True, "approved"), (False, False, "approved")],
    ids=["open and never valued", "closed, waits for its settlement", "of a series nobody watches"],
)
def test_what_trades_and_was_never_valued_makes_the_equity_unknown(
    described: bool, closed: bool, gate: str
) -> None:
    """A book that is still to come refuses; one that will never come must not stop trading for good."""
    engine, strategy = b.engine(FREE)
    engine.start(b.StoredState(), b.NOW)
    engine.handle(b.FeedUp("market", b.NOW))
    held = b.VenuePosition(FAR_CITY, 500, 2 * DOLLAR_CASH, 0, 0)
    engine.handle(b.report(positions=[held]))
    if described:
        close_time = b.NOW - MINUTE if closed else b.NOW + HOUR
        engine.handle(MarketUpdate(b.market(FAR_CITY, close_time), b.NOW))
    engine.handle(MarketUpdate(b.market(), b.NOW))
    engine.handle(b.snapshot(5_000, 5_200))
    assert gate_of(engine, strategy) == gate
