"""Price grids: legality, rounding, stepping, and quantising toward safety."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import WireError
from src.core.grid import DECI_CENT, LINEAR_CENT, TAPERED_DECI_CENT, PriceGrid, PriceRange
from src.core.sides import BookSide

CENTI_CENT = PriceGrid((PriceRange(0, 10_000, 1),))
HALF_CENT_EDGES = PriceGrid(
    (PriceRange(0, 1_000, 50), PriceRange(1_000, 9_000, 100), PriceRange(9_000, 10_000, 50))
)
COMBO = PriceGrid((PriceRange(0, 100, 1), PriceRange(100, 9_900, 10), PriceRange(9_900, 10_000, 1)))
GRIDS = [LINEAR_CENT, DECI_CENT, TAPERED_DECI_CENT, CENTI_CENT, HALF_CENT_EDGES, COMBO]

grids = st.sampled_from(GRIDS)
prices = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("grid", "levels", "finest"),
    [
        (LINEAR_CENT, 99, 100),
        (DECI_CENT, 999, 10),
        (TAPERED_DECI_CENT, 99 + 81 + 99, 10),
        (CENTI_CENT, 9_999, 1),
        (COMBO, 99 + 981 + 99, 1),
    ],
)
def test_number_of_legal_prices(grid: PriceGrid, levels: int, finest: int) -> None:
    legal = grid.legal_prices()
    assert len(legal) == levels
    assert list(legal) == [price for price in range(-5, 10_006) if grid.is_legal(price)]
    assert grid.finest_step == finest


@pytest.mark.parametrize("price", [0, 10_000, -100, 10_100, 3_750, 1])
def test_illegal_prices_of_a_cent_grid(price: int) -> None:
    assert not LINEAR_CENT.is_legal(price)


@pytest.mark.parametrize(
    ("price", "down", "up"),
    [(5, 0, 10), (994, 990, 1_000), (1_001, 1_000, 1_100), (8_950, 8_900, 9_000), (9_001, 9_000, 9_010)],
)
def test_tapered_rounding_across_the_bands(price: int, down: int, up: int) -> None:
    assert TAPERED_DECI_CENT.round_down(price) == down
    assert TAPERED_DECI_CENT.round_up(price) == up


@given(grids, prices)
def test_rounding_brackets_the_price_tightly(grid: PriceGrid, price: int) -> None:
    down, up = grid.round_down(price), grid.round_up(price)
    assert down <= price <= up
    ladder = [0, *grid.legal_prices(), 10_000]
    assert down == max(at for at in ladder if at <= price)
    assert up == min(at for at in ladder if at >= price)
    assert grid.round_down(down) == down
    assert grid.round_up(up) == up


@given(grids, prices)
def test_steps_move_to_the_neighbouring_grid_price(grid: PriceGrid, price: int) -> None:
    ladder = [0, *grid.legal_prices(), 10_000]
    assert grid.step_up(price) == min((at for at in ladder if at > price), default=10_000)
    assert grid.step_down(price) == max((at for at in ladder if at < price), default=0)


@given(grids, prices)
def test_quantising_toward_safety_never_pays_more(grid: PriceGrid, price: int) -> None:
    """A bid never rises and an ask never falls: an ask at a lower YES price pays more for NO."""
    assert grid.toward_safety(BookSide.BID, price) <= price
    assert grid.toward_safety(BookSide.ASK, price) >= price


@pytest.mark.parametrize(
    "ranges",
    [
        (),
        (PriceRange(0, 9_000, 100),),
        (PriceRange(100, 10_000, 100),),
        (PriceRange(0, 1_000, 10), PriceRange(1_100, 10_000, 100)),
        (PriceRange(0, 1_000, 10), PriceRange(900, 10_000, 100)),
        (PriceRange(0, 10_000, 0),),
        (PriceRange(0, 10_000, -100),),
        (PriceRange(0, 10_000, 300),),
        (PriceRange(0, 0, 100), PriceRange(0, 10_000, 100)),
    ],
)
def test_bands_that_do_not_tile_the_dollar_are_refused(ranges: tuple[PriceRange, ...]) -> None:
    with pytest.raises(WireError, match="price_ranges"):
        PriceGrid(ranges)
