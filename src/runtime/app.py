"""The daemon as a person runs it: paper, simulated, Kalshi's demo or live, from one configuration."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import structlog

from src.alerts.telegram_bot import TelegramAlerter
from src.alerts.terminal import TerminalNotifier
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.api.polling import PollingFeed
from src.api.spot_check import SpotChecker
from src.api.status_source import StatusSource
from src.core.actions import Alert, Severity, TradingState
from src.core.errors import ConfigError, TradingSystemError
from src.core.events import (
    BookDelta,
    BookDeltas,
    BookInvalid,
    BookSnapshot,
    Command,
    CommandKind,
    Event,
    Levels,
    MarketLifecycle,
    MarketUpdate,
    PublicTrade,
    VenuePosition,
)
from src.core.ports import Clock, OrderGateway
from src.core.sides import BookSide
from src.core.stations import station_for_series
from src.core.units import DAY, DOLLAR_CASH, SECOND, Nanos
from src.database.store import PostgresStore
from src.execution.counterfactual import left_early
from src.execution.engine import Engine
from src.monitoring.audit_log import AuditLog
from src.monitoring.health import HealthReport, StatusServer
from src.monitoring.metrics import Metrics
from src.monitors.noaa import NwsForecastSource
from src.monitors.simulated_weather import SimulatedWeatherSource
from src.runtime.assemble import (
    PROJECT,
    at_world_speed,
    build_engine,
    kill_switch_of,
    ledger_schema,
    open_database,
    policy_at_world_speed,
    risk_limits,
)
from src.runtime.command_source import CommandSource
from src.runtime.compiled_books import compile_books
from src.runtime.control_drills import keep_drilling, require_controls
from src.runtime.daemon import Daemon
from src.runtime.leadership import lead, unless_stopped
from src.runtime.open_store import open_durable, when_up
from src.runtime.operations import operating_services
from src.runtime.operator import operator
from src.runtime.rules import Acknowledgements
from src.runtime.session_tape import SessionTape
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode
from src.runtime.stop_signals import on_stop_signal
from src.runtime.supervisor import Service
from src.runtime.venue import Venue, origin, reach
from src.runtime.watchdog import Watchdog
from src.simulator.paper import PaperGateway

MARKET_EVENTS = (BookSnapshot, BookDelta, BookDeltas, BookInvalid, PublicTrade, MarketUpdate, MarketLifecycle)
VERSION = "0.1.0"
log = structlog.get_logger("app")
_PAPER_CASH = 1_000 * DOLLAR_CASH
_WEATHER_MEMORY: Nanos = 500 * DAY
_HUNG_AFTER: Nanos = 30 * SECOND
# Messages held up longer than this raise doubt. With the feed's 2.5 s of silence and half a second between
# two looks no book is vouched for that is older than the five seconds of ``RiskLimits.max_feed_lag``.
_LATE_AFTER: Nanos = 2 * SECOND


async def run_daemon(
    settings: Settings, mode: Mode, root: Path, *, standby: bool = False, record: Path | None = None
) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. Raises ``ConfigError`` for what the user can mend.

    ``standby``: wait for an instance that runs already to end or fall silent, then take over.

    The first signal, however early it comes, starts the staged stop. A second one ends everything at
    once, with exit code 1: the next start then reads at the exchange what became of the orders.
    ``record``: a folder for a tape of the session, which the backtester can replay.
    """
    stop = asyncio.Event()
    work = asyncio.create_task(_serve(settings, mode, root, stop, standby=standby, record=record), name="run")

    def on_signal() -> None:
        if stop.is_set():
            work.cancel()
        stop.set()

    with on_stop_signal(on_signal):
        await asyncio.wait({work})
    if work.cancelled():
        log.error("stopped_at_once", hint="the next start reads at the exchange what became of the orders")
        return 1
    await work
    return 0


async def _serve(
    settings: Settings, mode: Mode, root: Path, stop: asyncio.Event, *, standby: bool, record: Path | None
) -> None:
    async with AsyncExitStack() as stack:
        require_controls(risk_limits(settings))
        venue = await reach(settings, mode)
        stack.push_async_callback(venue.client.aclose)
        schema, waits_s = ledger_schema(settings, mode), settings.database.start_wait_seconds
        database = await when_up(lambda: open_database(settings, schema, root), waits_s)
        stack.push_async_callback(database.close)
        leading = lead(
            database.store, operator(), standby=standby, takeover_s=settings.operations.takeover_seconds
        )
        fence = await unless_stopped(leading, stop)
        if fence is None:
            log.info("stopped", state="standing by")
            return
        store = await open_durable(settings, database, schema, root, stack)
        log.info("database", where=database.described, fence=fence)
        metrics = Metrics()
        limits = replace(
            at_world_speed(risk_limits(settings), venue.speed),
            # A simulated exchange runs on its own time: only a real one's clock can be held against ours.
            needs_clock_offset=not venue.simulated,
            needs_exchange_status=True,
        )
        engine = build_engine(settings, mode, policy_at_world_speed(venue.speed), limits)
        notifier = _notifier(settings, mode)
        paper = await _paper_account(database.store, venue.clock) if mode is Mode.PAPER else None
        gateway: OrderGateway = paper if paper is not None else KalshiGateway(venue.client, venue.clock)
        feed = _market_feed(settings, venue, metrics)
        await feed.watch(await _followed(database.store))
        sources = _sources(settings, venue, feed, paper)
        sources |= {
            "commands": CommandSource(database.store.commands, venue.clock).stream,
            "rules": Acknowledgements(database.store, venue.clock).stream,
        }

        async def flushed() -> None:
            await daemon.writer.flushed()

        operating = operating_services(
            settings,
            engine,
            database.store,
            gateway,
            venue.clock,
            notifier,
            flushed,
        )
        tape = SessionTape(record, venue.clock, settings, mode, venue.speed) if record else None
        if tape is not None:
            tape.start()
            stack.push_async_callback(tape.aclose)
        daemon = Daemon(
            engine=engine,
            clock=venue.clock,
            store=store,
            gateway=gateway,
            sources=sources,
            notifier=notifier,
            readers=(metrics, AuditLog()),
            resync=feed.resync if isinstance(feed, KalshiFeed) else _next_poll,
            on_latency=lambda latency: metrics.observe_latency("cause_to_order", latency),
            history=await database.store.weather(venue.clock.now() - _WEATHER_MEMORY),
            services=[*_services(venue, engine, feed, notifier, metrics), *operating],
            kill_switch=kill_switch_of(settings, PROJECT).look,
            outage_limit_s=settings.database.outage_limit_seconds,
            tape=tape,
        )
        daemon.add_service(Service("control drills", lambda: keep_drilling(limits, _halt_by_drill(daemon))))
        metrics.build(VERSION, mode.value)
        metrics.follow_inbox(daemon.inbox.depth)
        status = StatusServer(metrics, lambda: _health(daemon, engine))
        port = await status.start(settings.monitoring.host, settings.monitoring.port)
        stack.push_async_callback(status.stop)
        log.info("running", mode=mode.value, exchange=settings.exchange.base_url, metrics_port=port)
        notifier.send(Alert(Severity.INFO, "start", f"started in {mode.value} mode", venue.clock.now()))
        try:
            await _until_stopped(daemon, stop)
        except Exception as error:
            # Only our own errors are known to hold no secret.
            reason = str(error) if isinstance(error, TradingSystemError) else type(error).__name__
            text = f"stopped by a fault ({reason}); orders may still rest at the exchange"
            notifier.send(Alert(Severity.CRITICAL, "fault", text, venue.clock.now()))
            raise
        finally:
            await _flush(notifier)
        log.info("stopped", state=engine.control.state.value)


async def _followed(store: PostgresStore) -> list[str]:
    """Markets we hold or have left early: followed whatever became of them until they have paid."""
    return [*(await store.ledger()).counts, *left_early(await store.load())]


def _halt_by_drill(daemon: Daemon) -> Callable[[str], None]:
    return lambda why: daemon.inject(Command(CommandKind.HALT, "drill", why, daemon.clock.now()))


async def _paper_account(store: PostgresStore, clock: Clock) -> PaperGateway:
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


def _notifier(settings: Settings, mode: Mode) -> TerminalNotifier | TelegramAlerter:
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


def _market_feed(settings: Settings, venue: Venue, metrics: Metrics) -> KalshiFeed | PollingFeed:
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


async def _next_poll(tickers: Sequence[str], reason: str) -> None:
    """A polled book is replaced whole by the next poll: there is nothing to ask for."""
    log.info("book_waits_for_poll", tickers=list(tickers), reason=reason)


def _sources(
    settings: Settings,
    venue: Venue,
    feed: KalshiFeed | PollingFeed,
    paper: PaperGateway | None,
) -> dict[str, Callable[[], AsyncIterator[Event]]]:
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


def _services(
    venue: Venue,
    engine: Engine,
    feed: KalshiFeed | PollingFeed,
    notifier: TerminalNotifier | TelegramAlerter,
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


def _health(daemon: Daemon, engine: Engine) -> HealthReport:
    idle = daemon.idle_for()
    state = engine.control.state
    checks = {
        "engine": "ok" if idle < _HUNG_AFTER else f"no event handled for {idle // SECOND} s",
        "account": "ok" if engine.ledger.report_ts is not None else "not reconciled yet",
        "market_feed": "ok" if engine.markets.feed_up else "down",
        "database": engine.store_down or "ok",
    }
    healthy = all(text == "ok" for text in checks.values()) and state is not TradingState.STARTING
    return HealthReport(healthy, state.value, checks)


async def _until_stopped(daemon: Daemon, stop: asyncio.Event) -> None:
    """Run the daemon; ``stop`` starts its staged stop."""

    async def pass_on() -> None:
        await stop.wait()
        daemon.stop()

    watcher = asyncio.create_task(pass_on(), name="stop signal")
    try:
        await daemon.run()
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


async def _flush(notifier: TerminalNotifier | TelegramAlerter) -> None:
    if isinstance(notifier, TelegramAlerter):
        await notifier.flush(5.0)
    else:
        notifier.flush()
