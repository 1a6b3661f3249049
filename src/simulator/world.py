"""What a world is to the simulated exchange: a lazy, time-ordered stream of things that happen.

A world knows markets, the crowd's flow, forecasts and outcomes; it never sees our orders. The
exchange applies each event at its time. Opening, closing and paying out are the exchange's own doing
(from the markets' times and settlement timers), so worlds do not emit them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from src.core.events import (
    DailyMaximum,
    FeedDown,
    FeedUp,
    ForecastUpdate,
    Levels,
    NewsItem,
    ObservationUpdate,
)
from src.core.market import Market
from src.core.sides import BookSide
from src.core.units import Count, Nanos, Price


@dataclass(frozen=True, slots=True)
class ListEvent:
    """An event and its markets are listed."""

    ts: Nanos
    event_ticker: str
    series_ticker: str
    title: str
    markets: tuple[Market, ...]


@dataclass(frozen=True, slots=True)
class CrowdQuote:
    """The crowd's resting orders in a market become exactly these YES bids and YES asks.

    A quote that crosses one of our resting orders trades with it.
    """

    ts: Nanos
    ticker: str
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class CrowdChange:
    """The crowd's size at one price grows or shrinks by ``delta``, as far as there is something to shrink.

    What an account took of a level stays taken: only growth is new.
    """

    ts: Nanos
    ticker: str
    side: BookSide
    price: Price
    delta: Count


@dataclass(frozen=True, slots=True)
class CrowdTake:
    """A crowd participant sends an immediate-or-cancel order on the YES book."""

    ts: Nanos
    ticker: str
    side: BookSide
    price: Price
    count: Count


@dataclass(frozen=True, slots=True)
class CrowdPrint:
    """A recorded public trade happens between two crowd members.

    Our resting orders take part only where the print is strictly through their price (they would have
    been reached for certain); the rest of the print leaves the book as it is.
    """

    ts: Nanos
    ticker: str
    trade_id: str
    price: Price
    count: Count
    taker_side: BookSide


@dataclass(frozen=True, slots=True)
class CrowdSweep:
    """The other side was seen as far as ``price``: accounts' orders on ``side`` strictly beyond it trade.

    At most ``count`` of them, without a mark on the crowd's book or on the tape.
    """

    ts: Nanos
    ticker: str
    side: BookSide
    price: Price
    count: Count


@dataclass(frozen=True, slots=True)
class WeatherNews:
    """A forecast, observation or daily report becomes public (its ``ts_recv`` equals ``ts``)."""

    ts: Nanos
    item: ForecastUpdate | DailyMaximum | ObservationUpdate


@dataclass(frozen=True, slots=True)
class Heard:
    """What passes the exchange by: a headline is first seen, a source is lost or found again.

    The item's ``ts_recv`` equals ``ts``.
    """

    ts: Nanos
    item: NewsItem | FeedDown | FeedUp


@dataclass(frozen=True, slots=True)
class MarketChange:
    """A market's closing moves, or it is paused (``active`` False) or resumed. None: unchanged."""

    ts: Nanos
    ticker: str
    close_time: Nanos | None = None
    active: bool | None = None


@dataclass(frozen=True, slots=True)
class Determine:
    """A market's result is determined; the exchange pays after the market's settlement timer."""

    ts: Nanos
    ticker: str
    result: str
    settlement_value: Price
    expiration_value: str


WorldEvent: TypeAlias = (
    ListEvent
    | CrowdQuote
    | CrowdChange
    | CrowdTake
    | CrowdPrint
    | CrowdSweep
    | WeatherNews
    | Heard
    | MarketChange
    | Determine
)


class World(Protocol):
    """A source of world events. Two iterations over the same world yield the same events."""

    @property
    def kind(self) -> str:
        """``"generated"`` or ``"recorded"``; shown wherever results are."""

    @property
    def start(self) -> Nanos:
        """When the world's clock begins."""

    @property
    def end(self) -> Nanos:
        """When everything has been settled."""

    @property
    def days(self) -> int:
        """Number of event days."""

    def history(self) -> Iterable[ForecastUpdate | DailyMaximum]:
        """What was public before ``start``, in order (a strategy learns its bias from it)."""

    def events(self) -> Iterator[WorldEvent]:
        """Everything from ``start`` to ``end``, ordered by ``ts``."""
