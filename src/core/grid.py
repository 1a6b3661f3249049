"""The price grid of a market, built from the venue's ``price_ranges`` and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from src.core.errors import WireError
from src.core.sides import BookSide
from src.core.units import DOLLAR_PRICE, Price


@dataclass(frozen=True, slots=True)
class PriceRange:
    """Legal prices ``start, start + step, ... end`` (1e-4 dollars). 0 and 1 dollar are never legal."""

    start: Price
    end: Price
    step: Price


@dataclass(frozen=True, slots=True)
class PriceGrid:
    """Contiguous ``PriceRange`` bands from 0 to 1 dollar, in order.

    Source: Kalshi ``Market.price_ranges``. The structure's *label* carries no logic.
    """

    ranges: tuple[PriceRange, ...]

    def __post_init__(self) -> None:
        at = 0
        for band in self.ranges:
            if band.start != at or band.end <= band.start or band.step <= 0:
                raise WireError("price_ranges", self.ranges, "contiguous ascending bands from 0 to 1")
            if (band.end - band.start) % band.step:
                raise WireError("price_ranges", band, "a band that is a whole number of steps")
            at = band.end
        if at != DOLLAR_PRICE:
            raise WireError("price_ranges", self.ranges, "bands that end at 1.0000")

    @property
    def finest_step(self) -> Price:
        """Smallest step of any band: every legal price is a multiple of it for Kalshi's grids."""
        return min(band.step for band in self.ranges)

    def legal_prices(self) -> tuple[Price, ...]:
        """Every price an order may have, ascending."""
        return tuple(
            price for band in self.ranges for price in range(band.start, band.end, band.step) if price > 0
        )

    def is_legal(self, price: Price) -> bool:
        """Whether an order may be placed at ``price``."""
        return 0 < price < DOLLAR_PRICE and self.round_down(price) == price

    def round_down(self, price: Price) -> Price:
        """Largest grid price <= ``price``; 0 when there is none above zero."""
        if price >= DOLLAR_PRICE:
            return DOLLAR_PRICE
        for band in self.ranges:
            if band.start <= price < band.end:
                return band.start + (price - band.start) // band.step * band.step
        return 0

    def round_up(self, price: Price) -> Price:
        """Smallest grid price >= ``price``; 10_000 when there is none below one dollar."""
        floor = self.round_down(price)
        return floor if floor == price else self.step_up(floor)

    def step_up(self, price: Price) -> Price:
        """The next grid price above ``price`` (10_000 at the top)."""
        for band in self.ranges:
            if band.start <= price < band.end:
                return band.start + ((price - band.start) // band.step + 1) * band.step
        return DOLLAR_PRICE

    def step_down(self, price: Price) -> Price:
        """The next grid price below ``price`` (0 at the bottom)."""
        return self.round_down(price - 1) if price > 0 else 0

    def toward_safety(self, side: BookSide, price: Price) -> Price:
        """Quantise a limit so that the order never pays more than ``price`` asked for."""
        return self.round_down(price) if side is BookSide.BID else self.round_up(price)


LINEAR_CENT = PriceGrid((PriceRange(0, DOLLAR_PRICE, 100),))
DECI_CENT = PriceGrid((PriceRange(0, DOLLAR_PRICE, 10),))
TAPERED_DECI_CENT = PriceGrid(
    (PriceRange(0, 1_000, 10), PriceRange(1_000, 9_000, 100), PriceRange(9_000, DOLLAR_PRICE, 10))
)
