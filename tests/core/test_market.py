"""When a market takes orders."""

from __future__ import annotations

import pytest

from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus

OPENS, CLOSES = 1_000, 2_000


@pytest.mark.parametrize(
    ("status", "now", "is_open"),
    [
        (MarketStatus.INITIALIZED, OPENS - 1, False),
        (MarketStatus.INITIALIZED, OPENS, True),
        (MarketStatus.ACTIVE, CLOSES - 1, True),
        (MarketStatus.ACTIVE, CLOSES, False),
        (MarketStatus.INACTIVE, OPENS, False),
        (MarketStatus.DETERMINED, OPENS, False),
    ],
)
def test_a_market_opens_and_closes_by_the_clock_though_no_message_says_so(
    status: MarketStatus, now: int, *, is_open: bool
) -> None:
    """A status last heard of is neither waited for at the opening nor believed after the close."""
    market = Market("T", "E", "S", status, OPENS, CLOSES, LINEAR_CENT, FeeSchedule())
    assert market.is_open(now) is is_open
