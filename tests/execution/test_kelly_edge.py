"""Kelly never sizes a bet that is not expected to pay, at any price, size, probability and doubt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from src.core.fees import FeeSchedule
from src.core.units import DOLLAR_CASH, DOLLAR_PRICE, ONE_CONTRACT
from src.execution.sizing import SizeLimits, size_order


@given(
    price=st.integers(1, 99).map(lambda cents: cents * 100),
    depth=st.integers(1, 100_000),
    short=st.floats(0, 1),
    std_error=st.floats(0, 0.5),
    fraction=st.sampled_from((0.25, 0.5, 1.0)),
    multiplier=st.sampled_from((10_000, 20_000, 0)),
)
def test_kelly_never_sizes_a_non_positive_edge(
    price: int, depth: int, short: float, std_error: float, fraction: float, multiplier: int
) -> None:
    """``probability`` is at most price plus fee per contract: the edge is zero or less, the order empty."""
    fees = FeeSchedule(multiplier_e4=multiplier)
    cost = (price * ONE_CONTRACT + fees.trade_fee(price, ONE_CONTRACT, is_taker=True)) / (
        DOLLAR_PRICE * ONE_CONTRACT
    )
    probability = min(1.0, cost) * short
    limits = SizeLimits(
        wealth=1_000 * DOLLAR_CASH,
        cash=1_000 * DOLLAR_CASH,
        fraction=fraction,
        max_cost=500 * DOLLAR_CASH,
        depth_share=1.0,
        min_edge=0.0,
        held=0,
        held_opposite=0,
        max_price=9_900,
    )
    assert size_order(probability, std_error, ((price, depth),), fees, limits).count == 0
