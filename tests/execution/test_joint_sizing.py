"""Brackets of one event sized together: the research vectors, optimality, and the engine doing it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

import tests.execution.builders as b
from src.core.events import MarketUpdate, Tick
from src.core.fees import FeeSchedule
from src.core.market import Strike, StrikeKind
from src.core.sides import Outcome
from src.core.signal import Signal
from src.execution.engine import Engine
from src.execution.joint_sizing import Holding, Leg, joint_targets
from src.execution.kelly import all_in_cost, joint_kelly_yes, target_contracts
from src.execution.limits import EntryPolicy, ExecutionStyle, RiskLimits

FEES = FeeSchedule()
VECTORS = Path(__file__).parents[3] / "shared" / "science_vectors.json"
TICKERS = ("a", "b", "c", "d", "e", "f")
M1 = ((0.04, 0.17, 0.40, 0.30, 0.08, 0.01), (0.06, 0.20, 0.34, 0.28, 0.14, 0.05))
M2_BIDS = (0.04, 0.18, 0.32, 0.26, 0.12, 0.03)
M3 = ((0.10, 0.55, 0.35), (0.15, 0.48, 0.33))


def cost(price: float) -> float:
    return all_in_cost(round(price * 10_000), FEES)


def yes_legs(asks: Sequence[float]) -> list[Leg]:
    return [Leg(ticker, True, cost(ask)) for ticker, ask in zip(TICKERS, asks, strict=False)]


def chances(p: Sequence[float]) -> dict[str, float]:
    return dict(zip(TICKERS, p, strict=False))


def growth(p: dict[str, float], legs: Sequence[Leg], amounts: Sequence[float], wealth: float) -> float:
    """Expected log of wealth, from first principles; minus infinity for a ruin."""
    total = 0.0
    for ticker, chance in p.items():
        worth = wealth
        for leg, amount in zip(legs, amounts, strict=True):
            worth += amount * (((ticker == leg.ticker) is leg.is_yes) - leg.cost)
        if worth <= 0.0:
            return -math.inf
        total += chance * math.log(worth)
    return total


@pytest.mark.parametrize(
    ("p", "asks", "fractions", "best"),
    [
        (*M1, (0.0, 0.0, 0.095264, 0.048034, 0.0, 0.0), 0.006489),
        (*M3, (0.0, 0.233242, 0.130022), None),
    ],
    ids=["M1", "M3"],
)
def test_yes_legs_give_the_vectors(
    p: Sequence[float], asks: Sequence[float], fractions: Sequence[float], best: float | None
) -> None:
    """Vectors M1 and M3, and the greedy algorithm's own answer."""
    legs = yes_legs(asks)
    amounts = joint_targets(chances(p), legs, [], 1.0)
    staked = [amount * leg.cost for amount, leg in zip(amounts, legs, strict=True)]
    assert staked == pytest.approx(fractions, abs=2e-6)
    assert staked == pytest.approx(joint_kelly_yes(p, [leg.cost for leg in legs]).fractions, abs=2e-6)
    if best is not None:
        assert growth(chances(p), legs, amounts, 1.0) == pytest.approx(best, abs=1e-6)


def test_yes_and_no_legs_together_give_the_vector() -> None:
    """Vector M2 (full Kelly, contracts per dollar): YES of the 3rd and 4th, NO of the 5th and 6th."""
    legs = yes_legs(M1[1]) + [
        Leg(ticker, False, cost(1.0 - bid)) for ticker, bid in zip(TICKERS, M2_BIDS, strict=True)
    ]
    amounts = joint_targets(chances(M1[0]), legs, [], 1.0)
    expected = [0, 0, 0.122652, 0.018154, 0, 0, 0, 0, 0, 0, 0.291436, 0.644250]
    assert amounts == pytest.approx(expected, abs=2e-5)
    assert growth(chances(M1[0]), legs, amounts, 1.0) == pytest.approx(0.015646, abs=1e-6)


def test_the_research_file_says_the_same() -> None:
    """M1 and M3 as the research computed them, from its own file."""
    if not VECTORS.exists():
        pytest.skip(f"no research vectors at {VECTORS}")
    known = json.loads(VECTORS.read_text(encoding="utf-8"))
    m1, m3 = known["M1"], known["M3"]
    contracts = joint_targets(chances(m1["p"]), yes_legs(m1["asks"]), [], 1_000.0)
    assert contracts == pytest.approx(m1["contracts_per_1000"], abs=1e-3)
    legs = yes_legs(m3["asks"])
    staked = [
        n * leg.cost for n, leg in zip(joint_targets(chances(m3["p"]), legs, [], 1.0), legs, strict=True)
    ]
    assert staked == pytest.approx(m3["f"], abs=2e-6)


def test_one_leg_alone_is_the_binary_stake() -> None:
    """The rest of the event is one other outcome: vector K1, and the same with part of it held."""
    wealth = 0.25 * 1_000.0
    c = cost(0.50)
    for held in (0.0, 30.0):
        (target,) = joint_targets({"a": 0.6, "b": 0.4}, [Leg("a", True, c, held)], [], wealth)
        assert target == pytest.approx(target_contracts(0.6, c, 1_000.0, 0.25), rel=1e-6)
        assert target == pytest.approx(82.601186, abs=1e-5)
    (target,) = joint_targets({"a": 0.6, "b": 0.4}, [Leg("a", True, c, 100.0)], [], wealth)
    assert target == 100.0


def test_a_holding_that_wins_together_with_the_leg_leaves_less_to_buy() -> None:
    """NO of one bracket pays whenever YES of another does; YES of a third is a hedge and leaves more."""
    p, legs = {"a": 0.5, "b": 0.3, "c": 0.2}, [Leg("a", True, 0.42)]
    (alone,) = joint_targets(p, legs, [], 250.0)
    (with_no,) = joint_targets(p, legs, [Holding("c", False, 60.0, 0.8)], 250.0)
    (with_yes,) = joint_targets(p, legs, [Holding("c", True, 60.0, 0.2)], 250.0)
    assert with_no < alone < with_yes


def test_nothing_is_bought_on_top_of_a_holding_that_may_lose_everything() -> None:
    """The part of the account that Kelly plays with is gone already in one outcome."""
    holding = Holding("b", True, 1_000.0, 0.9)
    assert joint_targets({"a": 0.5, "b": 0.5}, [Leg("a", True, 0.3)], [holding], 250.0) == (0.0,)


@st.composite
def events(draw: st.DrawFn) -> tuple[dict[str, float], list[Leg]]:
    """Up to six brackets with their chances, and a YES or a NO leg on some of them."""
    n = draw(st.integers(2, 6))
    weights = draw(st.lists(st.floats(0.01, 1.0), min_size=n, max_size=n))
    p = {ticker: weight / sum(weights) for ticker, weight in zip(TICKERS, weights, strict=False)}
    legs = []
    for ticker in draw(st.lists(st.sampled_from(list(p)), min_size=1, max_size=n, unique=True)):
        is_yes = draw(st.booleans())
        fair = p[ticker] if is_yes else 1.0 - p[ticker]
        legs.append(Leg(ticker, is_yes, min(0.97, max(0.02, fair + draw(st.floats(-0.15, 0.15))))))
    # What cannot lose is bought without end: the caps bound it, there is no optimum to compare with.
    at_once = [sum(((ticker == leg.ticker) is leg.is_yes) - leg.cost for leg in legs) for ticker in p]
    assume(min(at_once) < -0.02)
    return p, legs


@settings(max_examples=100, phases=(Phase.explicit, Phase.generate))
@given(events(), st.lists(st.floats(-5.0, 5.0), min_size=6, max_size=6))
def test_no_other_stakes_grow_faster(event: tuple[dict[str, float], list[Leg]], steps: list[float]) -> None:
    """The objective is concave: nothing near the answer is better, so nothing is."""
    p, legs = event
    wealth = 250.0
    amounts = joint_targets(p, legs, [], wealth)
    best = growth(p, legs, amounts, wealth)
    assert best >= math.log(wealth) - 1e-12
    most = [wealth / leg.cost for leg in legs]
    for scale in (1.0, 0.1):
        other = [
            min(top, max(0.0, n + scale * step)) for n, step, top in zip(amounts, steps, most, strict=False)
        ]
        assert growth(p, legs, other, wealth) <= best + 1e-6


def test_a_leg_is_not_dropped_while_another_counts_on_its_gain() -> None:
    """NO of e may stake all there is, as NO of c pays when it loses: without the latter that would be ruin.

    All digits matter: what is left without it comes to a rounding error above nothing.
    """
    rare = 0.005717654220661253
    p = {"a": rare, "b": 0.5717654220661252, "c": 0.411081615271891, "d": rare, "e": rare}
    legs = [Leg("e", False, 0.8442823457793387), Leg("c", False, 0.5863663123932912)]
    assert growth(p, legs, joint_targets(p, legs, [], 250.0), 250.0) > math.log(250.0)


@settings(max_examples=60, phases=(Phase.explicit, Phase.generate))
@given(events(), st.floats(0.001, 0.3))
def test_a_more_likely_outcome_is_never_bought_less(
    event: tuple[dict[str, float], list[Leg]], more: float
) -> None:
    """Chance taken evenly from the other brackets never makes the YES leg smaller."""
    p, legs = event
    leg = legs[0]
    assume(leg.is_yes)
    raised = {
        ticker: chance + more * (1.0 - chance) if ticker == leg.ticker else chance * (1.0 - more)
        for ticker, chance in p.items()
    }
    assert joint_targets(raised, legs, [], 250.0)[0] >= joint_targets(p, legs, [], 250.0)[0] - 1e-3


@given(st.floats(0.02, 0.95), st.floats(0.0, 0.3))
def test_without_an_edge_nothing_is_staked(chance: float, worse: float) -> None:
    """A single leg whose chance does not exceed its cost gets nothing."""
    leg = Leg("a", True, min(0.99, chance + worse))
    assert joint_targets({"a": chance, "b": 1.0 - chance}, [leg], [], 250.0) == (0.0,)


@pytest.mark.parametrize(
    ("p", "legs", "what"),
    [
        ({}, [], "chances"),
        ({"a": 0.0}, [], "chances"),
        ({"a": math.nan}, [], "chances"),
        ({"a": 0.5, "b": 0.5}, [Leg("a", True, 1.0)], "legs"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(p: dict[str, float], legs: list[Leg], what: str) -> None:
    with pytest.raises(ValueError, match=rf"^{what}: "):
        joint_targets(p, legs, [], 250.0)


# --- in the engine ----------------------------------------------------------------------------------

LADDER = {
    f"{b.EVENT}-T50": Strike(StrikeKind.LESS, None, 50),
    f"{b.EVENT}-B50.5": Strike(StrikeKind.BETWEEN, 50, 51),
    f"{b.EVENT}-B52.5": Strike(StrikeKind.BETWEEN, 52, 53),
    f"{b.EVENT}-T53": Strike(StrikeKind.GREATER, 53, None),
}
LIMITS = RiskLimits(
    min_edge=0.02,
    depth_share=1.0,
    max_event=1.0,
    max_city=1.0,
    max_region=1.0,
    max_category=1.0,
    max_strategy=1.0,
    max_portfolio_heat=1.0,
)
P = dict(zip(LADDER, (0.10, 0.42, 0.38, 0.10), strict=True))


MAKER = {"scripted": EntryPolicy(ExecutionStyle.MAKER)}


def in_event(
    limits: RiskLimits = LIMITS,
    *,
    exclusive: bool = True,
    fair_known: bool = True,
    entries: dict[str, EntryPolicy] | None = None,
) -> tuple[Engine, b.Scripted]:
    """An engine that follows the brackets of one event, each at 0.32 / 0.34."""
    engine, strategy = b.ready(limits, entries=entries)
    for ticker, strike in LADDER.items():
        engine.handle(
            MarketUpdate(replace(b.market(ticker), strike=strike, mutually_exclusive=exclusive), b.NOW)
        )
        engine.handle(b.snapshot(3_200, 3_400, ticker=ticker))
    strategy.fair_probability = (  # type: ignore[method-assign]
        lambda view, ticker: P[ticker] if fair_known else None
    )
    return engine, strategy


def yes(ticker: str) -> Signal:
    """YES of a bracket is as likely as the strategy thinks, for sure."""
    return replace(b.signal(P[ticker], ticker=ticker, cause=ticker), std_error=0.0)


def no(ticker: str, probability: float) -> Signal:
    """NO of a bracket is this likely, for sure."""
    return replace(b.signal(probability, Outcome.NO, ticker=ticker, cause=ticker), std_error=0.0)


def ordered(engine: Engine, strategy: b.Scripted, signals: Sequence[Signal]) -> dict[str, int]:
    """Contracts approved by ticker when these signals come at once."""
    strategy.next = list(signals)
    sent = b.approvals(engine.handle(Tick(b.NOW)))
    return {order.intent.ticker: order.intent.count // 100 for order in sent}


def sizes(tickers: Sequence[str], *, exclusive: bool, fair_known: bool = True) -> dict[str, int]:
    """Contracts approved by ticker when signals for these brackets come at once."""
    engine, strategy = in_event(exclusive=exclusive, fair_known=fair_known)
    return ordered(engine, strategy, [yes(ticker) for ticker in tickers])


FIRST, SECOND_ONE = f"{b.EVENT}-B50.5", f"{b.EVENT}-B52.5"


def test_two_brackets_of_an_exclusive_event_are_sized_together() -> None:
    """They hedge each other, so that each gets more than it would alone; both are the joint optimum."""
    alone = sizes([FIRST], exclusive=True)
    together = sizes([FIRST, SECOND_ONE], exclusive=True)
    wanted = joint_targets(
        P, [Leg(FIRST, True, cost(0.34)), Leg(SECOND_ONE, True, cost(0.34))], [], 0.25 * 1_000.0
    )
    assert [together[FIRST], together[SECOND_ONE]] == pytest.approx(wanted, abs=1.0)
    assert together[FIRST] > alone[FIRST]


@pytest.mark.parametrize("reason", ["not exclusive", "a bracket's chance is unknown"])
def test_without_knowing_the_whole_event_each_bracket_is_sized_alone(reason: str) -> None:
    """No offset is assumed where the venue does not promise it, or where nobody knows all the chances."""
    exclusive = reason != "not exclusive"
    together = sizes([FIRST, SECOND_ONE], exclusive=exclusive, fair_known=not exclusive)
    assert together[FIRST] == sizes([FIRST], exclusive=exclusive)[FIRST]


@pytest.mark.parametrize("exclusive", [True, False])
def test_signals_of_one_moment_are_decided_as_if_one_came_after_another(exclusive: bool) -> None:
    """What was looked at for the first is looked at again once it has become an order: the cap holds."""
    tickers = [FIRST, SECOND_ONE, f"{b.EVENT}-T53"]
    capped = replace(LIMITS, max_event=0.04)
    engine, strategy = in_event(capped, exclusive=exclusive, fair_known=False)
    signals = [replace(yes(ticker), probability=0.42) for ticker in tickers]
    at_once = ordered(engine, strategy, signals)
    engine, strategy = in_event(capped, exclusive=exclusive, fair_known=False)
    one_by_one: dict[str, int] = {}
    for signal in signals:
        one_by_one |= ordered(engine, strategy, [signal])
    assert at_once == one_by_one
    assert 1 < len(at_once) < len(signals)


def test_what_is_held_in_the_event_counts() -> None:
    """After the first bracket was bought, the second one is bought to what both together should be."""
    engine, strategy = in_event()
    strategy.next = [b.signal(P[FIRST], ticker=FIRST)]
    (first,) = b.approvals(engine.handle(Tick(b.NOW)))
    engine.handle(b.fill_of(first, first.intent.count))
    strategy.next = [b.signal(P[SECOND_ONE], ticker=SECOND_ONE)]
    (second,) = b.approvals(engine.handle(Tick(b.NOW)))
    assert second.intent.count // 100 > sizes([SECOND_ONE], exclusive=False)[SECOND_ONE]


def test_an_uncertain_opinion_is_staked_less_unless_it_is_pooled_with_the_market() -> None:
    """The standard error shrinks a raw opinion; on a pooled one it would count twice."""
    counts = []
    for error, pooled in ((0.0, False), (0.05, True), (0.05, False), (0.20, False)):
        engine, strategy = b.ready(LIMITS)
        strategy.next = [replace(b.signal(0.6), std_error=error, is_pooled=pooled)]
        (order,) = b.approvals(engine.handle(Tick(b.NOW)))
        counts.append(order.intent.count)
    assert counts[0] == counts[1] > counts[2] > counts[3]


@pytest.mark.parametrize("entries", [{}, MAKER], ids=["taking", "resting"])
def test_a_no_leg_that_wins_together_with_a_yes_leg_leaves_it_less(entries: dict[str, EntryPolicy]) -> None:
    """NO of an unlikely bracket pays whenever YES of a likely one does: they are not two independent bets."""
    unlikely = f"{b.EVENT}-T50"
    alone = ordered(*in_event(entries=entries), [yes(FIRST)])
    engine, strategy = in_event(entries=entries)
    together = ordered(engine, strategy, [no(unlikely, 0.90), yes(FIRST)])
    assert together[unlikely] > 0
    assert together.get(FIRST, 0) < alone[FIRST]


def test_what_rests_in_the_event_counts_for_the_next_resting_order() -> None:
    """An order that may fill at any moment counts as filled: the second one is no independent bet either."""
    unlikely = f"{b.EVENT}-T50"
    alone = ordered(*in_event(entries=MAKER), [yes(FIRST)])
    engine, strategy = in_event(entries=MAKER)
    assert ordered(engine, strategy, [no(unlikely, 0.90)])[unlikely] > 0
    assert ordered(engine, strategy, [yes(FIRST)]).get(FIRST, 0) < alone[FIRST]


def test_resting_orders_do_not_count_on_each_other_to_be_filled() -> None:
    """Brackets that offset each other get more when both are bought for sure, but no more when they rest."""
    alone = {
        ticker: ordered(*in_event(entries=MAKER), [yes(ticker)])[ticker] for ticker in (FIRST, SECOND_ONE)
    }
    assert ordered(*in_event(entries=MAKER), [yes(FIRST), yes(SECOND_ONE)]) == alone


def test_a_resting_order_of_an_uncertain_opinion_is_smaller() -> None:
    """The standard error counts for an order that rests as it does for one that takes."""
    engine, strategy = in_event(entries=MAKER)
    sure = ordered(engine, strategy, [yes(FIRST)])
    engine, strategy = in_event(entries=MAKER)
    assert 0 < ordered(engine, strategy, [replace(yes(FIRST), std_error=0.1)])[FIRST] < sure[FIRST]
