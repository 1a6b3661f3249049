"""Fees: the venue's own examples, exact rational arithmetic, and the per-order rounding accumulator."""

from __future__ import annotations

import json
import math
import random
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.fees import CENT, CENTICENT, FeeAccumulator, FeeSchedule, FeeType
from src.core.units import format_cash, parse_cash, parse_count, parse_price

QUADRATIC = FeeSchedule()
WITH_MAKER = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES)
COMBO_MAKER = FeeSchedule(FeeType.QUADRATIC_WITH_COMBO_MAKER_FEES)


def exact(rate: Fraction, price: int, count: int) -> Fraction:
    """The fee formula in dollars without any rounding."""
    p = Fraction(price, 10_000)
    return rate * Fraction(count, 100) * p * (1 - p)


@pytest.mark.parametrize(
    ("count", "price", "taker", "maker"),
    [
        ("1", "0.50", "0.0175", "0.0044"),
        ("1", "0.52", "0.0175", "0.0044"),
        ("1", "0.99", "0.0007", "0.0002"),
        ("10", "0.25", "0.1313", "0.0329"),
        ("100", "0.50", "1.7500", "0.4375"),
        ("100", "0.25", "1.3125", "0.3282"),
        ("100", "0.05", "0.3325", "0.0832"),
        ("100", "0.01", "0.0693", "0.0174"),
        ("100", "0.99", "0.0693", "0.0174"),
        ("7", "0.34", "0.1100", "0.0275"),
        ("2.5", "0.34", "0.0393", "0.0099"),
        ("33", "0.07", "0.1504", "0.0376"),
        ("250", "0.63", "4.0793", "1.0199"),
        ("4", "0.34", "0.0629", "0.0158"),
        ("3", "0.34", "0.0472", "0.0118"),
        ("0.03", "0.3301", "0.0005", "0.0002"),
        ("1", "0.055", "0.0037", "0.0010"),
    ],
)
def test_worked_examples_of_the_venue(count: str, price: str, taker: str, maker: str) -> None:
    p, c = parse_price(price), parse_count(count)
    assert WITH_MAKER.trade_fee(p, c, is_taker=True) == parse_cash(taker)
    assert WITH_MAKER.trade_fee(p, c, is_taker=False) == parse_cash(maker)
    assert QUADRATIC.trade_fee(p, c, is_taker=False) == 0


# F1 to F8: contracts, price, taker?, fee at centicent precision, fee at cent precision.
SINGLE_FILLS = [
    ("1", "0.50", True, "0.0175", "0.02"),
    ("100", "0.50", True, "1.75", "1.75"),
    ("100", "0.15", True, "0.8925", "0.90"),
    ("10", "0.05", True, "0.0333", "0.04"),
    ("7", "0.33", True, "0.1084", "0.11"),
    ("100", "0.50", False, "0.4375", "0.44"),
    ("25", "0.92", True, "0.1288", "0.13"),
    ("1", "0.99", True, "0.0007", "0.01"),
]


@pytest.mark.parametrize(("count", "price", "is_taker", "centicent", "cent"), SINGLE_FILLS)
def test_one_fill_at_both_account_precisions(
    count: str, price: str, is_taker: bool, centicent: str, cent: str
) -> None:
    """On a cent price, a cent-precision account pays the plain ceiling to the cent."""
    p, c = parse_price(price), parse_count(count)
    fee = WITH_MAKER.trade_fee(p, c, is_taker)
    assert fee == parse_cash(centicent)
    assert FeeAccumulator(CENTICENT).net_fee(-p * c, fee) == parse_cash(centicent)
    assert FeeAccumulator(CENT).net_fee(-p * c, fee) == parse_cash(cent)


# F9 to F11: revenue, trade fee, then per fill rounding, accumulator before the rebate, rebate, net fee.
ROUNDING_EXAMPLES = {
    "F9": ("-0.055", "0.0085", [
        ("0.0065", "0.0065", "0", "0.0150"),
        ("0.0065", "0.0130", "0.01", "0.0050"),
        ("0.0065", "0.0095", "0", "0.0150"),
    ]),
    "F10": ("-0.15", "0.0041", [
        ("0.0059", "0.0059", "0", "0.0100"),
        ("0.0059", "0.0118", "0.01", "0.0000"),
        ("0.0059", "0.0077", "0", "0.0100"),
    ]),
    "F11": ("-0.009903", "0.0005", [
        ("0.009597", "0.009597", "0", "0.010097"),
        ("0.009597", "0.019194", "0.01", "0.000097"),
        ("0.009597", "0.018791", "0.01", "0.000097"),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("name", ROUNDING_EXAMPLES)
def test_the_documented_rounding_tables(name: str) -> None:
    revenue, trade_fee, rows = ROUNDING_EXAMPLES[name]
    accumulator = FeeAccumulator(CENT)
    for rounding, gathered_before_rebate, rebate, net in rows:
        held_before = accumulator.gathered
        assert accumulator.net_fee(parse_cash(revenue), parse_cash(trade_fee)) == parse_cash(net)
        assert held_before + parse_cash(rounding) == parse_cash(gathered_before_rebate)
        assert accumulator.gathered == parse_cash(gathered_before_rebate) - parse_cash(rebate)


def test_cent_account_buying_three_single_contracts_at_a_sub_penny_price() -> None:
    """Each trade fee is 0.0037 and its rounding 0.0013: six cents leave the account every time."""
    accumulator = FeeAccumulator(CENT)
    fee = QUADRATIC.trade_fee(550, 100, is_taker=True)
    assert [format_cash(55_000 + accumulator.net_fee(-55_000, fee)) for _ in range(3)] == ["0.060000"] * 3


def test_direct_account_sub_penny_fractional_fill() -> None:
    """0.03 contracts at 0.3301: trade fee 0.0005 and a rounding fee of 0.000097."""
    fee = QUADRATIC.trade_fee(3_301, 3, is_taker=True)
    assert FeeAccumulator().net_fee(-3_301 * 3, fee) == parse_cash("0.000597")


def test_ten_thousand_random_fills_equal_rational_arithmetic() -> None:
    rng = random.Random(11)
    for _ in range(10_000):
        kind = rng.choice(list(FeeType))
        multiplier = rng.choice([0, 5_000, 10_000, rng.randrange(20_000)])
        is_taker = rng.random() < 0.5
        price, count = rng.randrange(1, 10_000), rng.randrange(1, 10 ** rng.randrange(1, 8) + 1)
        base = {True: "0.07"}.get(is_taker) or {
            FeeType.QUADRATIC: "0",
            FeeType.QUADRATIC_WITH_MAKER_FEES: "0.0175",
            FeeType.QUADRATIC_WITH_COMBO_MAKER_FEES: "0.035",
        }[kind]
        rate = Fraction(base) * Fraction(multiplier, 10_000)
        expected = math.ceil(exact(rate, price, count) * 10_000) * CENTICENT
        schedule = FeeSchedule(kind, multiplier)
        assert schedule.trade_fee(price, count, is_taker) == expected
        assert schedule.coefficient(is_taker) == pytest.approx(float(rate), abs=1e-15)


fills = st.lists(
    st.tuples(st.integers(1, 9_999), st.integers(1, 50_000), st.booleans(), st.booleans()), max_size=40
)


@given(fills, st.sampled_from([CENTICENT, CENT]))
def test_accumulator_keeps_balances_aligned_and_fees_bounded(
    order: list[tuple[int, int, bool, bool]], precision: int
) -> None:
    """No fill earns a fee; the balance stays on the precision; nothing is lost but what stays gathered."""
    accumulator, trade_fees, net_fees = FeeAccumulator(precision), 0, 0
    for price, count, buys, is_taker in order:
        revenue = price * count * (-1 if buys else 1)
        trade_fee = COMBO_MAKER.trade_fee(price, count, is_taker)
        net = accumulator.net_fee(revenue, trade_fee)
        assert net >= 0
        assert (revenue - net) % precision == 0
        trade_fees += trade_fee
        net_fees += net
        assert net_fees - trade_fees == accumulator.gathered >= 0


def test_a_rebate_waits_for_a_fill_that_can_bear_it() -> None:
    """Net fees are never negative: maker fills without a trade fee cannot pay a cent back by themselves."""
    accumulator = FeeAccumulator(CENT)
    assert accumulator.net_fee(-53_500, 0) == 6_500
    assert accumulator.net_fee(-53_500, 0) == 6_500
    assert accumulator.gathered == 13_000
    assert accumulator.net_fee(-50_000, 20_000) == 10_000
    assert accumulator.gathered == 3_000


@given(st.integers(1, 9_999), st.integers(0, 9_998), st.lists(st.integers(1, 500), min_size=1, max_size=12))
def test_worst_taker_cost_covers_every_way_of_filling(limit: int, better: int, parts: list[int]) -> None:
    """However the fills are split, one a contract at most, and however much better they are."""
    price = max(1, limit - better)
    paid = sum(price * n * 100 + n * QUADRATIC.trade_fee(price, 100, is_taker=True) for n in parts)
    assert paid <= QUADRATIC.worst_taker_cost(limit, sum(parts) * 100)


def test_a_multiplier_of_zero_is_free() -> None:
    assert FeeSchedule(multiplier_e4=0).trade_fee(5_000, 100_000, is_taker=True) == 0


def test_published_fee_vectors() -> None:
    """Every fee vector of the research file, read from the file itself."""
    path = Path(__file__).resolve().parents[3] / "shared" / "science" / "science_vectors.json"
    if not path.exists():
        pytest.skip(f"research vectors not present at {path}")
    vectors = json.loads(path.read_text())
    for name in (f"F{number}" for number in range(1, 9)):
        row = vectors[name]
        price, count = parse_price(row["P"]), row["C"] * 100
        fee = WITH_MAKER.trade_fee(price, count, is_taker=row["rate"] == "0.07")
        assert fee == parse_cash(row["ceil_centicent"]), name
        assert FeeAccumulator(CENT).net_fee(-price * count, fee) == parse_cash(row["ceil_cent"]), name
    for key in ("F9_docs_rounding_A", "F10_docs_rounding_B", "F11_docs_rounding_C"):
        revenue, trade_fee, _ = ROUNDING_EXAMPLES[key.partition("_")[0]]
        accumulator = FeeAccumulator(CENT)
        for *_, net in vectors[key]["rows"]:
            assert accumulator.net_fee(parse_cash(revenue), parse_cash(trade_fee)) == parse_cash(net), key
