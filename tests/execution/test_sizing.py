"""Order sizing: the walked book, every cap kept, exact money, and no order without an edge."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from src.core.fees import FeeSchedule, FeeType
from src.core.units import DOLLAR_CASH, Cash, Count, Price
from src.execution.kelly import all_in_cost, kelly_fraction, shrink, target_contracts
from src.execution.sizing import SizedOrder, SizeLimits, size_order

FEES = FeeSchedule()
Offers = list[tuple[Price, Count]]


def limits(
    wealth: float = 1000, cash: float | None = None, max_cost: float | None = None, **others: float
) -> SizeLimits:
    """Roomy limits in dollars: quarter Kelly, whole depth, an edge of three cents."""
    roomy = SizeLimits(
        wealth=round(wealth * DOLLAR_CASH),
        cash=round((wealth if cash is None else cash) * DOLLAR_CASH),
        fraction=0.25,
        max_cost=round((wealth if max_cost is None else max_cost) * DOLLAR_CASH),
        depth_share=1.0,
        min_edge=0.03,
    )
    return replace(roomy, **others)


def exact_cost(offers: Offers, order: SizedOrder, depth_share: float) -> Cash:
    """Cost of walking the offers for the order's count, from first principles."""
    cost, left = 0, order.count
    for price, size in offers:
        taken = min(left, math.floor(size * depth_share) // 100 * 100)
        cost += price * taken + FEES.trade_fee(price, taken, is_taker=True)
        left -= taken
    assert left == 0
    return cost


@pytest.mark.parametrize(
    ("q", "price", "contracts"),
    [(0.60, 5000, 82), (0.55, 5000, 32), (0.12, 800, 111), (0.70, 6200, 68)],
)
def test_one_deep_level_gives_the_kelly_vectors(q: float, price: int, contracts: int) -> None:
    """K1, K2, K3 and K5 as orders."""
    order = size_order(q, 0.0, [(price, 100_000)], FEES, limits())
    assert order.reason == "ok"
    assert order.count == contracts * 100
    assert order.limit_price == price
    assert order.cost == price * order.count + FEES.trade_fee(price, order.count, is_taker=True)
    assert order.average_cost == pytest.approx(order.cost / DOLLAR_CASH / contracts)
    assert order.edge == pytest.approx(q - order.average_cost)
    assert order.kelly_full == pytest.approx(kelly_fraction(q, all_in_cost(price, FEES)), abs=1e-3)


def test_walking_the_book_solves_kelly_at_the_average_cost() -> None:
    """Ten contracts at 0.50 come first; the rest at 0.53 is sized on what all of it costs on average."""
    offers = [(5000, 1000), (5300, 100_000)]
    order = size_order(0.60, 0.0, offers, FEES, limits())
    n = order.count // 100
    near, far = all_in_cost(5000, FEES), all_in_cost(5300, FEES)

    def room(contracts: int) -> float:
        average = (10 * near + (contracts - 10) * far) / contracts
        return target_contracts(0.60, average, 1000, 0.25) - contracts

    assert room(n) >= 0 > room(n + 1)
    assert order.limit_price == 5300
    assert 10 < n < 82


def test_a_level_without_the_edge_is_never_paid() -> None:
    offers = [(5000, 1000), (5600, 100_000)]
    order = size_order(0.60, 0.0, offers, FEES, limits())
    assert (order.count, order.limit_price) == (1000, 5000)


def test_depth_share_takes_a_part_of_each_level() -> None:
    order = size_order(0.60, 0.0, [(5000, 4_000), (5100, 4_399)], FEES, limits(depth_share=0.25))
    assert order.count == 1_000 + 1_000
    assert order.cost == exact_cost([(5000, 4_000), (5100, 4_399)], order, 0.25)


def test_the_worst_case_stays_within_the_cap_not_just_the_walked_cost() -> None:
    """If the cheap level is gone on arrival, everything fills at the limit: the cap must cover that."""
    offers = [(1000, 5_000), (5000, 100_000)]
    order = size_order(0.60, 0.0, offers, FEES, limits(wealth=100_000, max_cost=40))
    assert FEES.worst_taker_cost(order.limit_price, order.count) <= 40_000_000


@pytest.mark.parametrize(
    ("reason", "q", "offers", "changes"),
    [
        ("no_offers", 0.6, [], {}),
        ("price_limit", 0.6, [(5000, 100_000)], {"max_price": 4900}),
        ("no_edge", 0.52, [(5100, 100_000)], {}),
        ("no_edge", 0.54, [(5000, 100_000)], {}),
        ("thin_book", 0.6, [(5000, 399)], {"depth_share": 0.25}),
        ("kelly_zero", 0.52, [(5100, 100_000)], {"min_edge": -1.0}),
        ("kelly_zero", 0.6, [(5000, 100_000)], {"fraction": 0.0}),
        ("kelly_zero", 0.6, [(5000, 100_000)], {"wealth": 0}),
        ("kelly_zero", 0.6, [(5000, 100_000)], {"wealth": -5_000_000}),
        ("within_band", 0.6, [(5000, 100_000)], {"held": 8_000}),
        ("within_band", 0.6, [(5000, 100_000)], {"held": 9_000}),
        ("below_one_contract", 0.6, [(5000, 100_000)], {"wealth": 12_000_000}),
        ("no_room", 0.6, [(5000, 100_000)], {"cash": 510_000}),
        ("no_room", 0.6, [(5000, 100_000)], {"max_cost": 510_000}),
        ("no_room", 0.6, [(5000, 100_000)], {"cash": -1}),
        ("bad_probability", math.nan, [(5000, 100_000)], {}),
        ("bad_probability", 1.01, [(5000, 100_000)], {}),
        ("bad_probability", -0.01, [(5000, 100_000)], {}),
    ],
)
def test_no_order_says_why(reason: str, q: float, offers: Offers, changes: dict[str, float]) -> None:
    order = size_order(q, 0.0, offers, FEES, replace(limits(), **changes))
    assert (order.reason, order.count, order.cost, order.limit_price) == (reason, 0, 0, 0)
    if offers and reason != "bad_probability":
        assert order.average_cost == pytest.approx(all_in_cost(offers[0][0], FEES))
        assert order.edge == pytest.approx(q - order.average_cost)


@pytest.mark.parametrize("std_error", [math.nan, math.inf, -0.01])
def test_a_standard_error_that_is_none_is_never_traded_on(std_error: float) -> None:
    assert size_order(0.6, std_error, [(5000, 100_000)], FEES, limits()).reason == "bad_probability"


def test_a_holding_is_topped_up_to_the_target_only() -> None:
    """82.6 contracts are the target: 50 held leave 32 to buy, and 50 of the other outcome make it 132."""
    offers = [(5000, 100_000)]
    assert size_order(0.60, 0.0, offers, FEES, limits(held=5_000)).count == 3_200
    assert size_order(0.60, 0.0, offers, FEES, limits(held_opposite=5_000)).count == 13_200


def test_shrinkage_applies_only_where_asked_for() -> None:
    offers = [(5000, 100_000)]
    assert size_order(0.60, 0.05, offers, FEES, limits()).count == 8_200
    shrunk = size_order(0.60, 0.05, offers, FEES, limits(shrinkage=True))
    assert shrunk.count // 100 == math.floor(82.601186 * shrink(0.60, 0.5175, 0.05))


def test_fractional_depth_is_rounded_down_to_whole_contracts() -> None:
    order = size_order(0.60, 0.0, [(5000, 1_237), (5050, 99)], FEES, limits())
    assert (order.count, order.limit_price) == (1_200, 5000)


@pytest.mark.parametrize(
    "offers",
    [
        [(5000, 100), (4900, 100)],
        [(5000, 100), (5000, 100)],
        [(0, 100)],
        [(10_000, 100)],
        [(5000, -1)],
    ],
)
def test_offers_that_are_no_book_are_refused(offers: Offers) -> None:
    with pytest.raises(ValueError, match=r"^offers: "):
        size_order(0.6, 0.0, offers, FEES, limits())


@pytest.mark.parametrize(
    "changes",
    [{"fraction": 1.5}, {"fraction": math.nan}, {"depth_share": -0.1}, {"min_edge": math.inf}, {"held": -1}],
)
def test_impossible_limits_are_refused_by_field(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        replace(limits(), **changes)


@given(st.integers(1, 9_999), st.integers(10_000, 10_000_000))
def test_a_contract_that_cannot_win_is_never_bought(price: int, multiplier: int) -> None:
    """Whatever the fee multiplier, even with a negative edge allowed, and certain of the outcome."""
    fees = FeeSchedule(FeeType.QUADRATIC, multiplier)
    order = size_order(1.0, 0.0, [(price, 100_000)], fees, limits(min_edge=-100.0))
    assert order.count == 0 or order.cost < order.count // 100 * DOLLAR_CASH


ladders = st.lists(
    st.tuples(st.integers(1, 999), st.integers(0, 60_000) | st.integers(5_000, 60_000)),
    min_size=1,
    max_size=8,
).map(lambda levels: [(10 * price, size) for price, size in sorted(dict(levels).items())])
probabilities = st.floats(0, 1) | st.floats(0.5, 1)


@st.composite
def any_limits(draw: st.DrawFn) -> SizeLimits:
    """Roomy in most respects most of the time, so that orders come out; tight in any of them at times."""
    held = draw(st.just(0) | st.integers(0, 20_000))
    opposite = draw(st.booleans())
    return SizeLimits(
        wealth=draw(st.integers(0, 10**11) | st.integers(10**9, 10**11)),
        cash=draw(st.integers(10**8, 10**10) | st.integers(-(10**6), 10**8)),
        fraction=draw(st.floats(0.1, 1) | st.floats(0, 1)),
        max_cost=draw(st.integers(10**8, 10**10) | st.integers(-(10**6), 10**8)),
        depth_share=draw(st.floats(0.2, 1) | st.floats(0, 1)),
        min_edge=draw(st.floats(0, 0.05) | st.floats(0, 0.2)),
        held=0 if opposite else held,
        held_opposite=held if opposite else 0,
        max_price=draw(st.none() | st.integers(1, 9_999)),
        shrinkage=draw(st.booleans()),
    )


@settings(max_examples=300)  # about one in eight is an order
@given(probabilities, st.floats(0, 0.3), ladders, any_limits())
@example(0.9, 0.0, [(10, 60_000), (4_000, 60_000)], limits(wealth=100_000, max_cost=50))
def test_every_order_keeps_every_promise(
    q: float, std_error: float, offers: Offers, bounds: SizeLimits
) -> None:
    order = size_order(q, std_error, offers, FEES, bounds)
    assert (order.count == 0) == (order.reason != "ok")
    if order.count == 0:
        return
    assert order.count % 100 == 0
    assert order.cost == exact_cost(offers, order, bounds.depth_share)
    assert order.cost <= FEES.worst_taker_cost(order.limit_price, order.count)
    assert FEES.worst_taker_cost(order.limit_price, order.count) <= min(bounds.cash, bounds.max_cost)
    assert bounds.max_price is None or order.limit_price <= bounds.max_price
    reachable = [(price, size) for price, size in offers if price <= order.limit_price]
    assert order.count <= sum(size * bounds.depth_share for _, size in reachable) + 1e-6
    assert q - all_in_cost(order.limit_price, FEES) >= bounds.min_edge
    assert order.edge == pytest.approx(q - order.cost / (DOLLAR_CASH * order.count / 100), abs=1e-12)
    assert order.edge >= bounds.min_edge - 1e-12
    assert order.kelly_full > 0.0
    fraction = bounds.fraction
    target = target_contracts(q, all_in_cost(offers[0][0], FEES), bounds.wealth / DOLLAR_CASH, fraction)
    assert (order.count + bounds.held - bounds.held_opposite) / 100 <= target + 1e-6


@settings(max_examples=300)
@given(probabilities, probabilities, st.floats(0, 0.3), ladders, any_limits())
def test_a_higher_probability_never_buys_less(
    a: float, b: float, std_error: float, offers: Offers, bounds: SizeLimits
) -> None:
    lower, higher = sorted((a, b))
    less = size_order(lower, std_error, offers, FEES, bounds)
    more = size_order(higher, std_error, offers, FEES, bounds)
    assert less.count <= more.count


@settings(max_examples=300)
@given(probabilities, ladders, any_limits(), st.integers(0, 10**9))
def test_more_room_never_buys_less(q: float, offers: Offers, bounds: SizeLimits, extra: int) -> None:
    order = size_order(q, 0.0, offers, FEES, bounds)
    roomier = replace(bounds, cash=bounds.cash + extra, max_cost=bounds.max_cost + extra)
    assert order.count <= size_order(q, 0.0, offers, FEES, roomier).count


@settings(max_examples=300)
@given(probabilities, ladders, any_limits())
def test_one_more_contract_would_break_a_rule(q: float, offers: Offers, bounds: SizeLimits) -> None:
    """The order is the largest allowed: the next contract is over the target, a cap, or not on offer."""
    order = size_order(q, 0.0, offers, FEES, bounds)
    if order.count == 0:
        return
    n = order.count // 100 + 1
    left, spent, limit = n, 0.0, 0
    for price, size in offers:
        taken = min(left, math.floor(size * bounds.depth_share) // 100)
        if (
            taken
            and q - (price * 100 + FEES.trade_fee(price, 100, is_taker=True)) / DOLLAR_CASH >= bounds.min_edge
        ):
            spent, limit, left = spent + taken * all_in_cost(price, FEES), price, left - taken
    offered = left == 0 and (bounds.max_price is None or limit <= bounds.max_price)
    target = target_contracts(q, min(spent / n, 0.999999), bounds.wealth / DOLLAR_CASH, bounds.fraction)
    wanted = n <= target - (bounds.held - bounds.held_opposite) / 100 + 1e-9
    paid = FEES.worst_taker_cost(limit, n * 100) <= min(bounds.cash, bounds.max_cost)
    assert not (offered and wanted and paid)
