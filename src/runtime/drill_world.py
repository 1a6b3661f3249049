"""The world of a drill: a few markets with deep two-sided books that move a little, in real time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from src.core.events import DailyMaximum, ForecastUpdate, Levels
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus
from src.core.sides import Outcome
from src.core.units import CENT_PRICE, HOUR, MILLISECOND, MINUTE, ONE_CONTRACT, Nanos
from src.simulator.world import CrowdQuote, ListEvent, WorldEvent

SERIES = "KXDRILL"
TICKERS = tuple(f"{SERIES}-D{number}-T1" for number in range(1, 9))
HELD_OUTCOME = Outcome.YES
# Far below what the drill's strategy thinks they are worth, so that no sensible minimum edge refuses them.
_BID, _ASK = 18 * CENT_PRICE, 20 * CENT_PRICE
_LEVELS = 5
_EVERY: Nanos = 200 * MILLISECOND
_LASTS: Nanos = 10 * MINUTE


def event_of(ticker: str) -> str:
    """The event of a market of this world; each market has one of its own."""
    return ticker.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class DrillWorld:
    """A ``simulator.World`` that begins at ``start`` (ns) and moves five times a second."""

    start: Nanos
    kind: str = "drill"
    days: int = 1

    @property
    def end(self) -> Nanos:
        """Long after any drill is over."""
        return self.start + _LASTS

    def history(self) -> Sequence[ForecastUpdate | DailyMaximum]:
        """Nothing is known before."""
        return ()

    def events(self) -> Iterator[WorldEvent]:
        """Listings at once, then quotes whose sizes change."""
        for ticker in TICKERS:
            market = Market(
                ticker=ticker,
                event_ticker=event_of(ticker),
                series_ticker=SERIES,
                status=MarketStatus.INITIALIZED,
                open_time=self.start,
                close_time=self.start + 24 * HOUR,
                grid=LINEAR_CENT,
                fees=FeeSchedule(),
                title="drill",
            )
            yield ListEvent(self.start, market.event_ticker, SERIES, "drill", (market,))
        for turn in range(int(_LASTS // _EVERY)):
            for ticker in TICKERS:
                yield _quote(self.start + turn * _EVERY, ticker, turn)


def _quote(ts: Nanos, ticker: str, turn: int) -> CrowdQuote:
    size = (500 + turn % 7) * ONE_CONTRACT
    bids: Levels = tuple((_BID - step * CENT_PRICE, size) for step in range(_LEVELS))
    asks: Levels = tuple((_ASK + step * CENT_PRICE, size) for step in range(_LEVELS))
    return CrowdQuote(ts, ticker, bids, asks)
