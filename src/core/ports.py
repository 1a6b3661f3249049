"""The ports: what the engine's shell needs from the outside, as Protocols.

Live, paper, demo, backtest and fault simulation differ only in what is plugged in here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from src.core.actions import Alert, AmendOrder, AuditRecord, CancelOrder, StateChanged, StoredState
from src.core.book import OrderBook
from src.core.events import (
    AccountReport,
    AmendAnswered,
    CancelAnswered,
    DailyMaximum,
    Event,
    ForecastUpdate,
    OrderAccepted,
    OrderRejected,
    OrderUnknown,
)
from src.core.market import Market
from src.core.signal import OrderIntent, Signal
from src.core.units import Cash, Count, Nanos, Price


class Clock(Protocol):
    """The only source of time outside the core."""

    def now(self) -> Nanos:
        """Nanoseconds since the epoch, UTC, in the world's time."""


class ApprovedOrder(Protocol):
    """An intent that passed every risk gate. Only ``execution.risk`` builds one."""

    @property
    def intent(self) -> OrderIntent:
        """The order to send."""

    @property
    def reserved(self) -> Cash:
        """Its worst-case loss, already reserved."""


class MarketFeed(Protocol):
    """Market and private data as events, reconnecting by itself; feed loss is an event too."""

    def stream(self) -> AsyncIterator[Event]:
        """Yield events until cancelled."""


class OrderGateway(Protocol):
    """Order entry and the venue's records."""

    async def submit(self, approved: ApprovedOrder) -> OrderAccepted | OrderRejected | OrderUnknown:
        """Send once. Never raises for a venue's answer or its absence: the outcome says it."""

    async def cancel(self, order: CancelOrder) -> CancelAnswered:
        """Cancel one order."""

    async def amend(self, order: AmendOrder) -> AmendAnswered:
        """Make one resting order smaller or give it another expiry."""

    async def report(self, since: Nanos) -> AccountReport:
        """Read the venue's records, whole or not at all. Raises ``VenueError``."""


class WeatherSource(Protocol):
    """Forecasts, observations and daily reports as events."""

    def stream(self) -> AsyncIterator[Event]:
        """Yield events until cancelled."""


class Store(Protocol):
    """The durable store."""

    async def put_intent(self, approved: ApprovedOrder) -> None:
        """Commit the order's row (PENDING_NEW) before it is sent. Raises if it exists.

        After ``StoreUnavailableError`` the order must not leave. An exit is then committed locally
        instead, where the store can; only if that fails too does it raise.
        """

    async def append(self, records: Sequence[AuditRecord]) -> None:
        """Persist audit records, in order, in one transaction.

        After ``StoreUnavailableError`` the next call must bring the same records: they are kept once.
        """

    def hold_state(self, record: StateChanged) -> None:
        """Keep a trading state locally while the store does not answer. Raises ``OSError``."""

    def set_aside(self, records: Sequence[AuditRecord]) -> None:
        """Keep records locally, as ``append`` would have: the next start puts them in. Raises ``OSError``."""

    async def put_forecasts(self, forecasts: Sequence[ForecastUpdate]) -> None:
        """Keep forecasts as first seen (repetitions are ignored)."""

    async def put_maxima(self, maxima: Sequence[DailyMaximum]) -> None:
        """Keep observed daily maxima as first seen (repetitions are ignored)."""

    async def load(self) -> StoredState:
        """Everything needed to come back from a crash."""


class Notifier(Protocol):
    """Tells a person. Never raises, never blocks."""

    def send(self, alert: Alert) -> None:
        """Queue an alert for delivery."""


class MarketView(Protocol):
    """What a strategy may see of the engine's state. Read-only."""

    @property
    def now(self) -> Nanos:
        """``ts_recv`` of the event being handled."""

    def market(self, ticker: str) -> Market | None:
        """A known market."""

    def markets_of(self, event_ticker: str) -> Sequence[Market]:
        """The known markets of an event, by ticker."""

    def event_tickers(self, series_ticker: str) -> Sequence[str]:
        """Events of a series with at least one market open now."""

    def book(self, ticker: str) -> OrderBook | None:
        """The market's book, or None when there is none the feed vouches for."""

    def position(self, ticker: str) -> Count:
        """Signed position (+ YES, - NO), fills only."""


class Strategy(Protocol):
    """One small class in one file. Pure: its state changes only in ``on_event``."""

    @property
    def name(self) -> str:
        """The strategy's name in configuration, journal and metrics."""

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """React to an event the engine has already applied.

        Changes of books come one by one (``BookDelta``) and, from a busy feed, together (``BookDeltas``).
        """

    def fair_probability(self, view: MarketView, ticker: str) -> float | None:
        """Current probability of YES, for thesis exits; None when it has no opinion."""


@dataclass(frozen=True, slots=True)
class Wakes:
    """Which quotes can make a strategy speak; a backtest need not show it the others one by one.

    A public trade changes nothing in the strategy. Neither does a change of a book, except that

    * it may speak where YES is offered below ``ask_below`` (1e-4 dollars), in markets it is not done with;
    * with ``notes_changes`` it may note that the market's book changed, once however often it did.

    What it does at any other event may depend on every book as it then stands.
    """

    ask_below: Price = 0
    notes_changes: bool = False


@runtime_checkable
class Selective(Protocol):
    """A strategy that says what wakes it. The backtest's tests hold it to that."""

    @property
    def wakes(self) -> Wakes:
        """What wakes it; the same for the whole of its life."""

    def is_done(self, ticker: str) -> bool:
        """Whether no quote of a market can make it speak any more."""
