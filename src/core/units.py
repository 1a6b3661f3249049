"""Exact integer units for prices, counts, cash and time, and their decimal-string wire forms.

Scales (Kalshi quotes prices to 1e-4 $ and counts to 0.01 contract, so every product is exact):

* ``Price``: 1e-4 dollars per contract, 0..10_000.
* ``Count``: 0.01 contract.
* ``Cash``: 1e-6 dollars, and ``price * count == cash`` without any rounding.
* ``Nanos``: nanoseconds since the Unix epoch, UTC (or a duration in nanoseconds).
"""

from __future__ import annotations

import re
from typing import TypeAlias

from src.core.errors import WireError

Price: TypeAlias = int
Count: TypeAlias = int
Cash: TypeAlias = int
Nanos: TypeAlias = int

DOLLAR_PRICE: Price = 10_000
ONE_CONTRACT: Count = 100
DOLLAR_CASH: Cash = 1_000_000
CENT_PRICE: Price = 100

MILLISECOND: Nanos = 1_000_000
SECOND: Nanos = 1_000_000_000
MINUTE: Nanos = 60 * SECOND
HOUR: Nanos = 3_600 * SECOND
DAY: Nanos = 24 * HOUR

# No amount on any wire has more digits than this; Python refuses to convert thousands of them.
_MAX_DIGITS = 30
# Feeds repeat few texts a million times: those already found good are remembered, within a bound.
_MOST_REMEMBERED = 16_384
_PRICE_OF: dict[object, Price] = {}
_COUNT_OF: dict[object, Count] = {}
_is_canonical_count = re.compile(r"-?[0-9]{1,15}\.[0-9]{2}").fullmatch


def parse_fixed(text: object, decimals: int, field: str) -> int:
    """Parse a plain decimal string exactly into an integer of ``10**-decimals``.

    Raises ``WireError`` naming ``field`` for anything but a decimal string, and for digits
    beyond the scale that are not zero: precision is never dropped silently.
    """
    if not isinstance(text, str):
        raise WireError(field, text, "a decimal string")
    body = text[1:] if text[:1] in {"-", "+"} else text
    whole, dot, fraction = body.partition(".")
    digits = whole + fraction
    if not digits.isascii() or not digits.isdigit() or (dot and not fraction) or not whole:
        raise WireError(field, text, "a decimal string")
    if len(digits) > _MAX_DIGITS:
        raise WireError(field, text, f"at most {_MAX_DIGITS} digits")
    kept, beyond = fraction[:decimals], fraction[decimals:]
    if beyond.strip("0"):
        raise WireError(field, text, f"at most {decimals} decimals")
    value: int = int(whole) * 10**decimals + int(kept.ljust(decimals, "0") or "0")
    return -value if text[0] == "-" else value


def format_fixed(value: int, decimals: int) -> str:
    """Format an integer of ``10**-decimals`` as a decimal string with exactly that many decimals."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{fraction:0{decimals}d}"


def _remember(known: dict[object, int], text: object, value: int) -> None:
    if len(known) >= _MOST_REMEMBERED:
        known.clear()
    known[text] = value


def parse_price(text: object, field: str = "price") -> Price:
    """Parse a price in dollars, 0 to 1 inclusive, e.g. ``"0.3700"`` -> 3700."""
    try:
        return _PRICE_OF[text]
    except (KeyError, TypeError):
        price = parse_fixed(text, 4, field)
    if not 0 <= price <= DOLLAR_PRICE:
        raise WireError(field, text, "a price from 0.0000 to 1.0000 dollars")
    _remember(_PRICE_OF, text, price)
    return price


def parse_count(text: object, field: str = "count") -> Count:
    """Parse a contract count, e.g. ``"12.00"`` -> 1200. May be negative (deltas, positions)."""
    try:
        known = _COUNT_OF.get(text)
    except TypeError:
        known = None
    if known is not None:
        return known
    if not isinstance(text, str) or not _is_canonical_count(text):
        return parse_fixed(text, 2, field)
    count = int(text.replace(".", ""))
    if count % ONE_CONTRACT == 0:
        _remember(_COUNT_OF, text, count)
    return count


def parse_cash(text: object, field: str = "cash") -> Cash:
    """Parse an amount in dollars with up to six decimals, e.g. ``"0.017500"`` -> 17500."""
    return parse_fixed(text, 6, field)


def format_price(price: Price) -> str:
    """3700 -> ``"0.3700"``."""
    return format_fixed(price, 4)


def format_count(count: Count) -> str:
    """1200 -> ``"12.00"``."""
    return format_fixed(count, 2)


def format_cash(cash: Cash) -> str:
    """17500 -> ``"0.017500"``."""
    return format_fixed(cash, 6)


def dollars(cash: Cash) -> float:
    """Cash as float dollars, for display, metrics and probability arithmetic only."""
    return cash / DOLLAR_CASH
