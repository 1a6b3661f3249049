"""The one conversion between outcomes and the YES book."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.sides import BookSide, Outcome, from_book, to_book

prices = st.integers(0, 10_000)


@given(st.sampled_from(Outcome), prices)
def test_to_the_book_and_back_is_the_identity(outcome: Outcome, price: int) -> None:
    assert from_book(*to_book(outcome, price)) == (outcome, price)


@given(st.sampled_from(BookSide), prices)
def test_from_the_book_and_back_is_the_identity(side: BookSide, price: int) -> None:
    assert to_book(*from_book(side, price)) == (side, price)


@pytest.mark.parametrize(
    ("outcome", "price", "side", "yes_price"),
    [
        (Outcome.YES, 3700, BookSide.BID, 3700),
        (Outcome.NO, 3700, BookSide.ASK, 6300),
        (Outcome.YES, 9999, BookSide.BID, 9999),
        (Outcome.NO, 1, BookSide.ASK, 9999),
    ],
)
def test_the_four_mappings(outcome: Outcome, price: int, side: BookSide, yes_price: int) -> None:
    """Buying NO at q is an ask at 1 - q: sending q itself would buy at the wrong price."""
    assert to_book(outcome, price) == (side, yes_price)
    assert from_book(side, yes_price) == (outcome, price)


def test_opposites_and_signs() -> None:
    for outcome in Outcome:
        assert outcome.other is not outcome
        assert outcome.other.other is outcome
    for side in BookSide:
        assert side.other.other is side
        assert side.sign == -side.other.sign
    assert BookSide.BID.sign == 1
