"""The wording of a market's rules without what changes from day to day, so that a change of wording shows.

Dates, weekdays and the market's own strikes become placeholders; every other number stays, because "within
7 days" turned into "within 14 days" is a change of the contract.
"""

from __future__ import annotations

import hashlib
import re

from src.core.market import Market, Strike, StrikeKind

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAY_OF_MONTH = r"[0-3]?[0-9](?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s+20[0-9]{2})?"
_WEEKDAY = r"\b(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?\b\.?,?"
_DATE = re.compile(
    rf"\b{_MONTH}\s+{_DAY_OF_MONTH}\b{_YEAR}"
    rf"|\b{_DAY_OF_MONTH}\s+{_MONTH}(?![a-z]){_YEAR}"
    r"|\b20[0-9]{2}-[01][0-9]-[0-3][0-9]\b"
    r"|\b[01]?[0-9]/[0-3]?[0-9]/(?:20)?[0-9]{2}\b"
    r"|\b[0-9]{2}(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)[0-9]{2}\b"
)
_DAYS = re.compile(rf"(?:{_WEEKDAY}\s+)?<date>|{_WEEKDAY}")
_NUMBER = re.compile(r"(?<![\w.])-?[0-9]+(?:\.[0-9]+)?(?![0-9])")
# A strike stands beside one of these; a bare 7 may be an hour.
_BEFORE = re.compile(
    r"(?:than|above|below|over|under|exceeds?|least|most|between|\bto|\band|[0-9]\s*[-\u2013\u2014])\s*$"
)
_AFTER = re.compile(
    r"\s*(?:\N{DEGREE SIGN}|\N{MASCULINE ORDINAL INDICATOR}|degrees"
    r"|[-\u2013\u2014]\s*[0-9]|(?:to|and)\s+-?[0-9]|or\s+(?:above|below|higher|lower|more|less|greater|fewer))"
)
_NEXT_TO_STRIKE = (-1.0, 0.0, 1.0)  # "57 or above" and "greater than 56" are one strike


def wording(market: Market) -> str:
    """The rules of ``market`` with ``<date>`` and ``<strike>`` in place of what is this market's own."""
    if not market.rules_primary:
        return ""
    text = _DAYS.sub("<date>", _DATE.sub("<date>", " ".join(market.rules_primary.split())))
    strike = market.strike

    def shown(found: re.Match[str]) -> str:
        return _number(found, text, strike)

    return _NUMBER.sub(shown, text)


def shape(market: Market) -> str:
    """Which markets of a series share one wording: those of one kind of strike, else of one ticker's tail."""
    strike = market.strike
    if strike is not None and strike.kind is not StrikeKind.OTHER:
        return str(strike.kind.value)
    return re.sub(r"[0-9]+(?:\.[0-9]+)?", "#", market.ticker.rpartition("-")[2])


def digest(text: str) -> str:
    """A short fingerprint of a wording."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def difference(old: str, new: str, context: int = 80) -> tuple[str, str]:
    """``old`` and ``new`` cut down to where they differ, with some text around it."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return _cut(old, start, end, context), _cut(new, start, end, context)


def _cut(text: str, start: int, end: int, context: int) -> str:
    first, last = max(0, start - context), min(len(text), len(text) - end + context)
    return ("..." if first else "") + text[first:last] + ("..." if last < len(text) else "")


def _number(found: re.Match[str], text: str, strike: Strike | None) -> str:
    beside = _BEFORE.search(text, max(0, found.start() - 24), found.start()) or _AFTER.match(
        text, found.end()
    )
    if not beside:
        return found[0]
    bounds = [] if strike is None else [each for each in (strike.floor, strike.cap) if each is not None]
    is_own = not bounds or any(float(found[0]) == each + step for each in bounds for step in _NEXT_TO_STRIKE)
    return "<strike>" if is_own else found[0]
