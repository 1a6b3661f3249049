"""Decimal strings to exact integers and back; anything malformed is refused by the name of its field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import WireError
from src.core.units import (
    DOLLAR_PRICE,
    dollars,
    format_cash,
    format_count,
    format_fixed,
    format_price,
    parse_cash,
    parse_count,
    parse_fixed,
    parse_price,
)

MALFORMED = [
    "", " ", "-", "+", ".", "1.", ".5", "-.5", "1..2", "1.2.3", "--1", "+-1", "1e3", "0x10", "1_000.00",
    " 1.00", "1.00 ", "1.00\n", "1,000.00", "nan", "inf", "-Infinity", "٣.٠٠", "²", "12.5O", "$1.00",
    None, 1, 1.0, True, b"1.00", ["1.00"], {"price": "1.00"},
]  # fmt: skip


@given(st.integers(0, DOLLAR_PRICE))
def test_price_survives_the_round_trip(price: int) -> None:
    assert parse_price(format_price(price)) == price


@given(st.integers(-(10**15), 10**15))
def test_count_and_cash_survive_the_round_trip(amount: int) -> None:
    assert parse_count(format_count(amount)) == amount
    assert parse_cash(format_cash(amount)) == amount


@given(st.integers(-(10**20), 10**20), st.integers(1, 9))
def test_any_scale_survives_the_round_trip(value: int, decimals: int) -> None:
    assert parse_fixed(format_fixed(value, decimals), decimals, "x") == value


@given(st.text(alphabet="0123456789.-+ _eE٣", max_size=9))
def test_remembered_and_general_parsing_agree_on_every_text(text: str) -> None:
    """The fast way in must accept and refuse exactly what the plain definition does, first time and again."""
    for parse, decimals in ((parse_count, 2), (parse_price, 4)):
        try:
            expected: int | None = parse_fixed(text, decimals, "x")
        except WireError:
            expected = None
        if parse is parse_price and expected is not None and not 0 <= expected <= DOLLAR_PRICE:
            expected = None
        for _ in range(2):
            if expected is None:
                with pytest.raises(WireError):
                    parse(text, "x")
            else:
                assert parse(text, "x") == expected


@pytest.mark.parametrize("parse", [parse_price, parse_count, parse_cash])
@pytest.mark.parametrize("text", MALFORMED, ids=repr)
def test_malformed_amounts_are_refused_by_field_name(parse: object, text: object) -> None:
    assert callable(parse)
    with pytest.raises(WireError, match=r"yes_dollars_fp\[3\]") as refusal:
        parse(text, "yes_dollars_fp[3]")
    assert refusal.value.field == "yes_dollars_fp[3]"
    assert refusal.value.value is text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.37", 3700), ("0.3700", 3700), ("0.370000", 3700), ("1", 10_000), ("0", 0), ("-0.0000", 0)],
)
def test_prices_with_fewer_or_more_zero_decimals_mean_the_same(text: str, expected: int) -> None:
    assert parse_price(text) == expected


@pytest.mark.parametrize("text", ["1.0001", "-0.0001", "2", "37.0000"])
def test_prices_outside_zero_to_one_dollar_are_refused(text: str) -> None:
    with pytest.raises(WireError, match=r"^bid: expected a price from 0\.0000 to 1\.0000 dollars"):
        parse_price(text, "bid")


@pytest.mark.parametrize(
    ("parse", "text"), [(parse_price, "0.37001"), (parse_count, "0.001"), (parse_cash, "0.0000001")]
)
def test_precision_is_never_dropped(parse: object, text: str) -> None:
    assert callable(parse)
    with pytest.raises(WireError, match=r"at most \d decimals"):
        parse(text, "amount")


def test_absurdly_long_amounts_are_refused_as_wire_errors() -> None:
    """Python itself refuses to convert thousands of digits, with an error no caller expects."""
    for parse in (parse_price, parse_count, parse_cash):
        with pytest.raises(WireError, match="at most 30 digits"):
            parse("9" * 5_000, "delta_fp")
        with pytest.raises(WireError):
            parse("0." + "0" * 5_000, "delta_fp")


def test_remembered_texts_stay_bounded() -> None:
    """A feed that never repeats a size must not grow memory; results stay right across the bound."""
    for whole in range(40_000):
        assert parse_count(f"{whole}.00") == whole * 100
    from src.core import units

    assert len(units._COUNT_OF) <= units._MOST_REMEMBERED


def test_price_times_count_is_cash() -> None:
    """12.34 contracts at 0.3701 dollars cost 4.567034 dollars, with no rounding anywhere."""
    cash = parse_price("0.3701") * parse_count("12.34")
    assert format_cash(cash) == "4.567034"
    assert dollars(cash) == 4.567034
