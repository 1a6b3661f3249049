"""Kalshi's trading fees, exactly, in integers.

Source: Kalshi fee schedule effective 7 July 2026 and the fee-rounding page:
``trade_fee = ceil_to_0.0001(k * m * C * P * (1 - P))`` per fill; the balance change is then floored
to the account's precision, and a per-order accumulator pays back a cent whenever the rounding fees
gathered exceed one; the net fee of a fill is never negative. There is no settlement fee.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from src.core.units import DOLLAR_PRICE, ONE_CONTRACT, Cash, Count, Price

CENTICENT: Cash = 100
CENT: Cash = 10_000
_E4 = 10_000
# k (1e-4) * m (1e-4) * count (1e-2) * price (1e-4) * (1 - price) (1e-4) is in 1e-18 dollars.
_RAW_PER_CASH = 10**12


class FeeType(Enum):
    """A series' ``fee_type``: which coefficients apply to takers and makers."""

    QUADRATIC = "quadratic"
    QUADRATIC_WITH_MAKER_FEES = "quadratic_with_maker_fees"
    QUADRATIC_WITH_COMBO_MAKER_FEES = "quadratic_with_combo_maker_fees"


_TAKER_E4 = 700
_MAKER_E4 = {
    FeeType.QUADRATIC: 0,
    FeeType.QUADRATIC_WITH_MAKER_FEES: 175,
    FeeType.QUADRATIC_WITH_COMBO_MAKER_FEES: 350,
}


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """The fee terms of a market.

    ``multiplier_e4`` is Kalshi's ``fee_multiplier`` in 1e-4; a fill's fee is rounded up to ``rounding``
    (1e-6 dollars; schedules before July 2026 rounded to the cent).
    """

    fee_type: FeeType = FeeType.QUADRATIC
    multiplier_e4: int = _E4
    rounding: Cash = CENTICENT

    def coefficient(self, is_taker: bool) -> float:
        """``k * m`` as a float, for probability arithmetic (limit fee per contract / (P(1-P)))."""
        k = _TAKER_E4 if is_taker else _MAKER_E4[self.fee_type]
        return k * self.multiplier_e4 / (_E4 * _E4)

    def trade_fee(self, price: Price, count: Count, is_taker: bool) -> Cash:
        """Fee of one fill in 1e-6 dollars, rounded up."""
        k = _TAKER_E4 if is_taker else _MAKER_E4[self.fee_type]
        raw = k * self.multiplier_e4 * count * price * (DOLLAR_PRICE - price)
        return -(-raw // (self.rounding * _RAW_PER_CASH)) * self.rounding

    def worst_taker_cost(self, limit: Price, count: Count) -> Cash:
        """Most that buying ``count`` at ``limit`` or better can cost, fees included, in 1e-6 dollars.

        Price plus fee rises with price, so a better fill never costs more; each contract may be a fill
        of its own and round its fee up once.
        """
        rounding = self.rounding * -(-count // ONE_CONTRACT)
        return limit * count + self.trade_fee(limit, count, is_taker=True) + rounding


@dataclass(slots=True)
class FeeAccumulator:
    """Rounding fees of one order, shared by its taker and maker fills.

    ``precision`` is the account's: 100 (0.0001 dollars, direct members) or 10_000 (one cent).
    """

    precision: Cash = CENTICENT
    gathered: Cash = 0

    def net_fee(self, revenue: Cash, trade_fee: Cash) -> Cash:
        """Fee booked for a fill whose cash flow before fees is ``revenue`` (negative when buying)."""
        change = revenue - trade_fee
        rounding = change - change // self.precision * self.precision
        self.gathered += rounding
        net = trade_fee + rounding
        # "Net fee (always >= $0.00)": a cent this fill cannot bear stays gathered for a later one.
        while self.gathered > CENT and net >= CENT:
            self.gathered -= CENT
            net -= CENT
        return net
