"""Is a fill's fee the one the published schedule explains? If not, our edges are computed with wrong costs.

The venue rounds a fill's cash change down to the account's precision (0.0001 dollars for direct members, one
cent for others, and we are not told which) and pays gathered rounding back in whole cents (``core.fees``).
"""

from __future__ import annotations

from src.core.actions import Alert, Severity
from src.core.events import Fill
from src.core.fees import CENT, CENTICENT, FeeSchedule
from src.core.sides import from_book
from src.core.units import format_cash


def is_explained(fill: Fill, fees: FeeSchedule) -> bool:
    """Whether some account precision and some rebate lead from the schedule to this fee."""
    _, price = from_book(fill.side, fill.price)
    excess = fill.fee - fees.trade_fee(fill.price, fill.count, fill.is_taker)
    for precision in (CENTICENT, CENT):
        if (price * fill.count + fill.fee) % precision:
            continue  # the cash change would not be a whole number of this precision
        if excess < precision and excess % CENT < precision:
            return True  # rounded up by less than the precision, or that less whole cents paid back
    return False


def complaint(fill: Fill, fees: FeeSchedule) -> list[Alert]:
    """An alert for a fee that the schedule does not explain; empty when it does."""
    if is_explained(fill, fees):
        return []
    ours = format_cash(fees.trade_fee(fill.price, fill.count, fill.is_taker))
    text = (
        f"{fill.ticker}: the exchange charged {format_cash(fill.fee)} dollars for a fill, our schedule says "
        f"{ours}: the fee terms changed or are wrong here, and edges are computed with them"
    )
    return [Alert(Severity.WARNING, f"fee:{fill.ticker}", text, fill.ts_recv)]
