"""What every section of the configuration shares: strictness, and exact amounts of dollars."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _exact_dollars(value: object) -> Decimal:
    """A YAML number becomes the decimal the user wrote; text, booleans and NaN are not amounts."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be an amount in dollars, such as 500 or 99.50")
    amount = Decimal(str(value))
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -2:
        raise ValueError("must be an amount in dollars with at most two decimals")
    return amount


Usd = Annotated[Decimal, BeforeValidator(_exact_dollars)]


class Section(BaseModel):
    """Base of every section: unknown keys refused, types taken as written, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
