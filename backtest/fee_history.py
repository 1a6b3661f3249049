"""Kalshi's fee schedules by date of trade.

Known: the coefficient has been 0.07 P (1 - P) for takers throughout, and makers pay nothing in plain
``quadratic`` series. The printed schedules before July 2026 rounded an order's fee up to the next cent;
that of 7 July 2026 rounds each fill up to 0.0001 dollars. Here the older ones round every fill, which never
charges less than they did. Not known: which series had other multipliers or maker fees when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum

from backtest.filters import Filtered
from src.core.fees import CENT, CENTICENT, FeeSchedule
from src.core.units import SECOND, Nanos
from src.simulator.world import ListEvent, WorldEvent

CENTICENTS_FROM: Nanos = 1_783_396_800 * SECOND  # 2026-07-07T04:00Z, midnight in New York


class Fees(Enum):
    """Which schedule a run charges."""

    TRADE_DATE = "trade-date"
    TODAY = "today"

    @property
    def described(self) -> str:
        """One line for the report."""
        if self is Fees.TODAY:
            return "Kalshi's schedule of 7 July 2026 for the whole span (taker 0.07 P(1-P), maker 0)"
        return (
            "the schedule of each trade's date (taker 0.07 P(1-P), maker 0): before 7 July 2026 every fill "
            "is rounded up to the cent, since then to 0.0001 dollars"
        )


def fees_on(ts: Nanos, fees: FeeSchedule) -> FeeSchedule:
    """A market's terms ``fees`` under the schedule in force at ``ts``."""
    return replace(fees, rounding=CENTICENT if ts >= CENTICENTS_FROM else CENT)


def todays(fees: FeeSchedule) -> FeeSchedule:
    """A market's terms under today's schedule."""
    return replace(fees, rounding=CENTICENT)


class TradeDateFees(Filtered):
    """A world whose markets charge what was charged when they opened."""

    def pass_on(self, events: Iterator[WorldEvent]) -> Iterator[WorldEvent]:
        """The world's events, with the fees of their time."""
        for event in events:
            if isinstance(event, ListEvent) and event.ts < CENTICENTS_FROM:
                markets = tuple(
                    replace(market, fees=fees_on(market.open_time, market.fees)) for market in event.markets
                )
                yield replace(event, markets=markets)
            else:
                yield event
