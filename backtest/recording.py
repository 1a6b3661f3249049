"""A world out of a recording of books and trades: what ``main.py record`` or ``run --record`` wrote.

Every order book change of the recording is a change of the crowd's size; what we take of a level stays taken
until the level grows. Times are those of arrival here, so no further feed latency is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from src.api.recorder_format import recording_files
from src.api.replay import replay
from src.core.errors import ConfigError
from src.core.events import (
    BookDelta,
    BookInvalid,
    BookSnapshot,
    DailyMaximum,
    Event,
    FeedDown,
    FeedUp,
    ForecastUpdate,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    NewsItem,
    ObservationUpdate,
    PublicTrade,
)
from src.core.market import Market, MarketStatus
from src.core.units import DAY, DOLLAR_PRICE, MINUTE, SECOND, Nanos, Price
from src.runtime.session_tape import Begin, Conditions, Decision, is_session, read_session
from src.simulator.world import (
    CrowdChange,
    CrowdPrint,
    CrowdQuote,
    Determine,
    Heard,
    ListEvent,
    MarketChange,
    WeatherNews,
    WorldEvent,
)

_PRELUDE: Nanos = SECOND


def is_recording(folder: Path) -> bool:
    """Whether a folder holds a recording."""
    return bool(recording_files(folder))


class RecordingWorld:
    """Implements ``World`` over a recording's folder. Raises ``ConfigError``, ``WireError``."""

    kind = "recording"
    bar: Nanos = 0
    fill_model = (
        "recorded order books (L2) and trades: takers trade with the displayed levels when the order "
        "arrives, at most 25 % of the size, and what was taken stays taken until the level grows; resting "
        "orders join the back of the queue and are filled by trades at their price once the queue before "
        "them is used up (a cancellation before them counts 30 %), or by a trade strictly through it"
    )

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        first = last = None
        settled: Nanos = 0
        counts = {"book changes": 0, "trades": 0, "markets": 0}
        for event in self._recorded():
            if not isinstance(event, ForecastUpdate | DailyMaximum):
                first = event.ts_recv if first is None else first
                last = event.ts_recv
            counts["book changes"] += isinstance(event, BookDelta | BookSnapshot)
            counts["trades"] += isinstance(event, PublicTrade)
            if isinstance(event, MarketUpdate):
                counts["markets"] += 1
                settled = max(settled, event.market.settlement_timer_seconds * SECOND)
        if first is None or last is None:
            raise ConfigError(f"data: the recording in {folder} holds no message about a market")
        self.start: Nanos = first - _PRELUDE
        self.end: Nanos = last + settled + MINUTE
        self.days = (self.end - self.start) // DAY + 1
        told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        self.notes: tuple[str, ...] = (f"recording: {told}",)

    @staticmethod
    def serves(data: str) -> bool:
        """Whether ``--data`` names a recording."""
        return Path(data).is_dir() and is_recording(Path(data))

    def history(self) -> Iterator[ForecastUpdate | DailyMaximum]:
        """Forecasts and maxima that were known when the recording began."""
        for event in self._recorded():
            if isinstance(event, ForecastUpdate | DailyMaximum) and event.ts_recv < self.start:
                yield event

    def events(self) -> Iterator[WorldEvent]:
        """The recording as world events."""
        mapper = _Mapper()
        now = self.start
        for event in self._recorded():
            if isinstance(event, ForecastUpdate | DailyMaximum) and event.ts_recv < self.start:
                continue
            now = max(now, event.ts_recv)
            yield from mapper.turn(event, now)

    def _recorded(self) -> Iterator[Event]:
        if not is_session(self._folder):
            yield from replay(self._folder)
            return
        for step in read_session(self._folder):
            if not isinstance(step, Conditions | Begin | Decision):
                yield step


class _Mapper:
    """Keeps which markets are listed, paid and how they were last described."""

    def __init__(self) -> None:
        self._markets: dict[str, Market] = {}
        self._decided: dict[str, tuple[str, Price]] = {}

    def turn(self, event: Event, now: Nanos) -> Iterator[WorldEvent]:
        """What an event means to the simulated exchange. Account news and ticks mean nothing."""
        if isinstance(event, MarketUpdate):
            yield from self._market(event.market, now)
        elif isinstance(event, BookInvalid):
            for ticker in event.tickers:
                if ticker in self._markets:
                    yield CrowdQuote(now, ticker, (), ())
        elif isinstance(event, ForecastUpdate | DailyMaximum | ObservationUpdate):
            yield WeatherNews(now, event)
        elif isinstance(event, NewsItem):
            yield Heard(now, event)
        elif isinstance(event, FeedDown | FeedUp):
            if event.feed != "account":
                yield Heard(now, event)
        elif (
            isinstance(event, BookSnapshot | BookDelta | PublicTrade | MarketLifecycle)
            and event.ticker in self._markets
            and event.ticker not in self._decided
        ):
            yield from self._flow(event, now)

    def _flow(
        self, event: BookSnapshot | BookDelta | PublicTrade | MarketLifecycle, now: Nanos
    ) -> Iterator[WorldEvent]:
        if isinstance(event, BookDelta):
            yield CrowdChange(now, event.ticker, event.side, event.price, event.delta)
        elif isinstance(event, BookSnapshot):
            if event.bids and event.asks and max(event.bids)[0] >= min(event.asks)[0]:
                yield CrowdQuote(now, event.ticker, (), ())  # a crossed book is nobody's offer
            else:
                yield CrowdQuote(now, event.ticker, event.bids, event.asks)
        elif isinstance(event, PublicTrade):
            yield CrowdPrint(now, event.ticker, event.trade_id, event.price, event.count, event.taker_side)
        elif event.kind is LifecycleKind.CLOSE_DATE_UPDATED:
            yield MarketChange(now, event.ticker, close_time=event.close_time)
        elif event.kind in {LifecycleKind.ACTIVATED, LifecycleKind.DEACTIVATED}:
            yield MarketChange(now, event.ticker, active=event.kind is LifecycleKind.ACTIVATED)
        elif event.result:
            yield from self._determine(event.ticker, event.result, event.settlement_value, now)

    def _market(self, market: Market, now: Nanos) -> Iterator[WorldEvent]:
        known = self._markets.get(market.ticker)
        self._markets[market.ticker] = market
        if known is None:
            yield ListEvent(now, market.event_ticker, market.series_ticker, market.title, (market,))
        elif known.close_time != market.close_time:
            yield MarketChange(now, market.ticker, close_time=market.close_time)
        if market.status is MarketStatus.INACTIVE and (known is None or known.status is not market.status):
            yield MarketChange(now, market.ticker, active=False)
        if market.result and market.ticker not in self._decided:
            yield from self._determine(market.ticker, market.result, market.settlement_value, now)

    def _determine(self, ticker: str, result: str, value: Price | None, now: Nanos) -> Iterator[WorldEvent]:
        worth = value if value is not None else {"yes": DOLLAR_PRICE, "no": 0}.get(result)
        if worth is not None:
            self._decided[ticker] = (result, worth)
            yield Determine(now, ticker, result, worth, "")
