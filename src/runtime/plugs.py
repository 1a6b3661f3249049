"""What is plugged into the daemon in each mode: feed, sources, services, paper account, alerts, health."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeAlias

import structlog

from src.alerts.telegram_bot import TelegramAlerter
from src.alerts.terminal import TerminalNotifier
from src.api.feed import KalshiFeed
from src.api.polling import PollingFeed
from src.api.spot_check import SpotChecker
from src.api.status_source import StatusSource
from src.core.actions import Alert, Severity, TradingState
from src.core.errors import ConfigError
from src.core.events import (
    BookDelta,
    BookDeltas,
    BookInvalid,
    BookSnapshot,
    Event,
    Levels,
    MarketLifecycle,
    MarketUpdate,
    PublicTrade,
    VenuePosition,
)
from src.core.ports import Clock
from src.core.sides import BookSide
from src.core.stations import station_for_series
from src.core.units import DOLLAR_CASH, SECOND, Nanos
from src.database.store import PostgresStore
from src.execution.engine import Engine
from src.monitoring.health import HealthReport
from src.monitoring.metrics import Metrics
from src.monitors.noaa import NwsForecastSource
from src.monitors.simulated_weather import SimulatedWeatherSource
from src.runtime.compiled_books import compile_books
from src.runtime.daemon import Daemon
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode
from src.runtime.supervisor import Service
from src.runtime.venue import Venue, origin
from src.runtime.watchdog import Watchdog
from src.simulator.paper import PaperGateway

MARKET_EVENTS = (BookSnapshot, BookDelta, BookDeltas, BookInvalid, PublicTrade, MarketUpdate, MarketLifecycle)
Alerter: TypeAlias = TerminalNotifier | TelegramAlerter
log = structlog.get_logger("app")
_PAPER_CASH = 1_000 * DOLLAR_CASH
_HUNG_AFTER: Nanos = 30 * SECOND
# Messages held up longer than this raise doubt. With the feed's 2.5 s of silence and half a second between
# two looks no book is vouched for that is older than the five seconds of ``RiskLimits.max_feed_lag``.
_LATE_AFTER: Nanos = 2 * SECOND


async def paper_account(store: PostgresStore, clock: Clock) -> PaperGateway:
    """A paper account that goes on where the ledger of earlier runs stopped."""
    paper = PaperGateway(_PAPER_CASH, clock)
    ledger = await store.ledger()
    if ledger.cash is not None:
        held = [
            VenuePosition(row.ticker, row.count, row.cost, row.realized, row.fees)
            for row in ledger.positions
            if row.count
        ]
        paper.restore(ledger.cash, held)
    return paper


def notifier(settings: Settings, mode: Mode) -> Alerter:
    """Telegram where it is set up, the terminal otherwise."""
    terminal = TerminalNotifier(sys.stderr)
    if not settings.telegram_on:
        return terminal
    secrets = settings.secrets
    if secrets.telegram_bot_token is None or secrets.telegram_chat_id is None:
        raise ConfigError("alerts.telegram needs TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID")
    return TelegramAlerter(
        secrets.telegram_bot_token.get_secret_value(),
        secrets.telegram_chat_id,
        mode=mode.value.upper(),
        fallback=terminal,
        min_severity=settings.alerts.telegram.min_severity,
    )


def market_feed(settings: Settings, venue: Venue, metrics: Metrics) -> KalshiFeed | PollingFeed:
    """The exchange's stream with keys, polled public prices without."""
    series = settings.strategies.weather_model.series
    if venue.signer is None:
        return PollingFeed(venue.client, venue.clock, series=series, on_bad=metrics.count_bad_message)
    return KalshiFeed(
        settings.exchange.effective_ws_url,
        venue.signer,
        venue.client,
        venue.clock,
        series=series,
        on_bad=metrics.count_bad_message,
        late_after=int(_LATE_AFTER * venue.speed),
    )


async def next_poll(tickers: Sequence[str], reason: str) -> None:
    """A polled book is replaced whole by the next poll: there is nothing to ask for."""
    log.info("book_waits_for_poll", tickers=list(tickers), reason=reason)


def sources(
    settings: Settings,
    venue: Venue,
    feed: KalshiFeed | PollingFeed,
    paper: PaperGateway | None,
) -> dict[str, Callable[[], AsyncIterator[Event]]]:
    """Where events come from, by the name of the feed."""

    async def market() -> AsyncIterator[Event]:
        async for event in feed.stream():
            if paper is not None and isinstance(event, MARKET_EVENTS):
                paper.on_market_event(event)
            yield event

    # A simulated exchange runs on its own time, so only a real one has an offset worth watching.
    exchange = StatusSource(venue.client, venue.clock, watches_clock=not venue.simulated)
    sources: dict[str, Callable[[], AsyncIterator[Event]]] = {"market": market, "exchange": exchange.stream}
    if venue.simulated:
        weather_url = origin(settings.exchange.base_url).replace("http", "ws", 1) + "/sim/v1/weather"
        sources["weather"] = SimulatedWeatherSource(weather_url, venue.clock).stream
    else:
        sources["weather"] = NwsForecastSource(
            [station_for_series(series) for series in settings.strategies.weather_model.series],
            venue.clock,
            settings.strategies.weather_model.nws_contact,
        ).stream
    if paper is not None:
        sources["paper"] = paper.stream
    return sources


def services(
    venue: Venue,
    engine: Engine,
    feed: KalshiFeed | PollingFeed,
    notifier: Alerter,
    metrics: Metrics,
) -> list[Service]:
    """What runs beside the sources: alerts, signatures made ahead, books compared with REST."""

    def read_book(ticker: str) -> tuple[Levels, Levels] | None:
        book = engine.book(ticker)
        return None if book is None else (tuple(book.levels(BookSide.BID)), tuple(book.levels(BookSide.ASK)))

    def blocked(seconds: float, where: str) -> None:
        text = f"the trading loop stood still for {seconds:.1f} s at {where}; the log has the stack"
        notifier.send(Alert(Severity.CRITICAL, "loop_blocked", text, venue.clock.now()))

    services = [Service("watchdog", Watchdog(blocked).run)]
    if isinstance(notifier, TelegramAlerter):
        services.append(Service("alerts", notifier.run))
    if isinstance(feed, KalshiFeed):
        checker = SpotChecker(
            venue.client,
            lambda: [ticker for ticker in engine.markets.markets if engine.book(ticker) is not None],
            read_book,
            feed.resync,
        )
        metrics.follow_book_checks(
            lambda: {
                "equal": checker.checked - checker.divergent,
                "wrong": checker.divergent,
                "failed": checker.failed,
            }
        )
        services.append(Service("book check", checker.run))
        services.append(Service("signatures", venue.client.keep_signature_ready))
        services.append(Service("compiled books", lambda: compile_books(feed, engine.markets)))
    return services


def health(daemon: Daemon) -> HealthReport:
    """What `/healthz` says."""
    engine, idle = daemon.engine, daemon.idle_for()
    state = engine.control.state
    checks = {
        "engine": "ok" if idle < _HUNG_AFTER else f"no event handled for {idle // SECOND} s",
        "account": "ok" if engine.ledger.report_ts is not None else "not reconciled yet",
        "market_feed": "ok" if engine.markets.feed_up else "down",
        "database": engine.store_down or "ok",
    }
    healthy = all(text == "ok" for text in checks.values()) and state is not TradingState.STARTING
    return HealthReport(healthy, state.value, checks)
