"""Outcomes, book sides, and the one conversion between them.

Kalshi keeps one YES book per market. A *bid* at ``p`` buys YES at ``p``; an *ask* at ``p`` sells
YES at ``p``, which is the same thing as buying NO at ``1 - p`` (API V2 ``side``). Everything in
this system that is not the wire speaks of buying an outcome at that outcome's price; selling YES is
buying NO, because positions net inside a market.
"""

from __future__ import annotations

from enum import Enum

from src.core.units import DOLLAR_PRICE, Price


class Outcome(Enum):
    """What a contract pays on."""

    # Members are one of a kind. Enum's own hash is a Python function, and most of what a lookup costs.
    __hash__ = object.__hash__

    YES = "yes"
    NO = "no"

    @property
    def other(self) -> Outcome:
        """The opposite outcome."""
        return _NO if self is _YES else _YES


class BookSide(Enum):
    """A side of the market's single YES book."""

    __hash__ = object.__hash__

    BID = "bid"
    ASK = "ask"

    @property
    def other(self) -> BookSide:
        """The opposite side."""
        return _ASK if self is _BID else _BID

    @property
    def sign(self) -> int:
        """+1 for a bid (position grows towards YES), -1 for an ask."""
        return 1 if self is _BID else -1


# Reading a member off its class costs more than the whole conversion, and this runs once per book message.
_YES, _NO = Outcome.YES, Outcome.NO
_BID, _ASK = BookSide.BID, BookSide.ASK


def to_book(outcome: Outcome, price: Price) -> tuple[BookSide, Price]:
    """Buying ``outcome`` at its own ``price`` -> (book side, YES price). Inverse of ``from_book``."""
    if outcome is _YES:
        return _BID, price
    return _ASK, DOLLAR_PRICE - price


def from_book(side: BookSide, yes_price: Price) -> tuple[Outcome, Price]:
    """(book side, YES price) -> the outcome bought and the price paid for it."""
    if side is _BID:
        return _YES, yes_price
    return _NO, DOLLAR_PRICE - yes_price
