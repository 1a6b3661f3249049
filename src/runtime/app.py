"""The daemon as a person runs it: paper, simulated, Kalshi's demo or live, from one configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import structlog

from src.alerts.telegram_bot import TelegramAlerter
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.core.actions import Alert, Severity
from src.core.errors import TradingSystemError
from src.core.events import (
    Command,
    CommandKind,
)
from src.core.ports import OrderGateway
from src.core.units import DAY, Nanos
from src.database.durable import DurableStore
from src.database.store import PostgresStore
from src.execution.counterfactual import left_early
from src.monitoring.audit_log import AuditLog
from src.monitoring.health import StatusServer
from src.monitoring.metrics import Metrics
from src.runtime import plugs
from src.runtime.assemble import (
    PROJECT,
    Database,
    at_world_speed,
    build_engine,
    kill_switch_of,
    ledger_schema,
    open_database,
    policy_at_world_speed,
    risk_limits,
)
from src.runtime.command_source import CommandSource
from src.runtime.control_drills import keep_drilling, require_controls
from src.runtime.daemon import Daemon
from src.runtime.leadership import lead, unless_stopped
from src.runtime.open_store import open_durable, when_up
from src.runtime.operations import operating_services
from src.runtime.operator import operator
from src.runtime.pauses import shorten_pauses
from src.runtime.rules import Acknowledgements
from src.runtime.session_tape import SessionTape
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode
from src.runtime.stop_signals import on_stop_signal
from src.runtime.supervisor import Service
from src.runtime.venue import Venue, reach

VERSION = "0.1.0"
log = structlog.get_logger("app")
_WEATHER_MEMORY: Nanos = 500 * DAY


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
        takeover_s = settings.operations.takeover_seconds
        leading = lead(database.store, operator(), standby=standby, takeover_s=takeover_s)
        fence = await unless_stopped(leading, stop)
        if fence is None:
            log.info("stopped", state="standing by")
            return
        store = await open_durable(settings, database, schema, root, stack)
        log.info("database", where=database.described, fence=fence)
        tape = SessionTape(record, venue.clock, settings, mode, venue.speed) if record else None
        if tape is not None:
            tape.start()
            stack.push_async_callback(tape.aclose)
        alerter = plugs.notifier(settings, mode)
        metrics = Metrics()
        daemon = await _build(settings, mode, venue, database, store, alerter, metrics, tape)
        metrics.build(VERSION, mode.value)
        metrics.follow_inbox(daemon.inbox.depth)
        status = StatusServer(metrics, lambda: plugs.health(daemon))
        port = await status.start(settings.monitoring.host, settings.monitoring.port)
        stack.push_async_callback(status.stop)
        log.info("running", mode=mode.value, exchange=settings.exchange.base_url, metrics_port=port)
        alerter.send(Alert(Severity.INFO, "start", f"started in {mode.value} mode", venue.clock.now()))
        shorten_pauses()
        try:
            await _until_stopped(daemon, stop)
        except Exception as error:
            # Only our own errors are known to hold no secret.
            reason = str(error) if isinstance(error, TradingSystemError) else type(error).__name__
            text = f"stopped by a fault ({reason}); orders may still rest at the exchange"
            alerter.send(Alert(Severity.CRITICAL, "fault", text, venue.clock.now()))
            raise
        finally:
            await _flush(alerter)
        log.info("stopped", state=daemon.engine.control.state.value)


async def _build(
    settings: Settings,
    mode: Mode,
    venue: Venue,
    database: Database,
    store: DurableStore,
    alerter: plugs.Alerter,
    metrics: Metrics,
    tape: SessionTape | None,
) -> Daemon:
    """The daemon with everything this mode plugs into it."""
    limits = replace(
        at_world_speed(risk_limits(settings), venue.speed),
        # A simulated exchange runs on its own time: only a real one's clock can be held against ours.
        needs_clock_offset=not venue.simulated,
        needs_exchange_status=True,
    )
    engine = build_engine(settings, mode, policy_at_world_speed(venue.speed), limits)
    paper = await plugs.paper_account(database.store, venue.clock) if mode is Mode.PAPER else None
    gateway: OrderGateway = paper if paper is not None else KalshiGateway(venue.client, venue.clock)
    feed = plugs.market_feed(settings, venue, metrics)
    await feed.watch(await _followed(database.store))
    sources = plugs.sources(settings, venue, feed, paper)
    sources |= {
        "commands": CommandSource(database.store.commands, venue.clock).stream,
        "rules": Acknowledgements(database.store, venue.clock).stream,
    }

    async def flushed() -> None:
        await daemon.writer.flushed()

    operating = operating_services(settings, engine, database.store, gateway, venue.clock, alerter, flushed)
    daemon = Daemon(
        engine=engine,
        clock=venue.clock,
        store=store,
        gateway=gateway,
        sources=sources,
        notifier=alerter,
        readers=(metrics, AuditLog()),
        resync=feed.resync if isinstance(feed, KalshiFeed) else plugs.next_poll,
        on_latency=lambda latency: metrics.observe_latency("cause_to_order", latency),
        history=await database.store.weather(venue.clock.now() - _WEATHER_MEMORY),
        services=[*plugs.services(venue, engine, feed, alerter, metrics), *operating],
        kill_switch=kill_switch_of(settings, PROJECT).look,
        outage_limit_s=settings.database.outage_limit_seconds,
        tape=tape,
    )
    daemon.add_service(Service("control drills", lambda: keep_drilling(limits, _halt_by_drill(daemon))))
    return daemon


async def _followed(store: PostgresStore) -> list[str]:
    """Markets we hold or have left early: followed whatever became of them until they have paid."""
    return [*(await store.ledger()).counts, *left_early(await store.load())]


def _halt_by_drill(daemon: Daemon) -> Callable[[str], None]:
    return lambda why: daemon.inject(Command(CommandKind.HALT, "drill", why, daemon.clock.now()))


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


async def _flush(notifier: plugs.Alerter) -> None:
    if isinstance(notifier, TelegramAlerter):
        await notifier.flush(5.0)
    else:
        notifier.flush()
