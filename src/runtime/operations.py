"""What runs in the daemon for the people who operate it: heartbeat, explained silence, the daily tie-out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from src.core.ports import Clock, Notifier, OrderGateway
from src.database.store import PostgresStore
from src.execution.engine import Engine
from src.runtime.leadership import keep_beating
from src.runtime.settings import Settings
from src.runtime.silence import SilenceWatch
from src.runtime.supervisor import Service
from src.runtime.tie_out import DailyTieOut


def operating_services(
    settings: Settings,
    engine: Engine,
    store: PostgresStore,
    gateway: OrderGateway,
    clock: Clock,
    notifier: Notifier,
    flushed: Callable[[], Awaitable[None]],
) -> list[Service]:
    """The services; ``flushed`` waits until what happened so far is stored."""
    hours = settings.operations.no_entries_alert_hours
    silence = SilenceWatch(engine.strategies, store, clock, notifier, hours)
    services = [
        Service("heartbeat", lambda: keep_beating(store), core=True),
        Service("silence", silence.run),
    ]
    if settings.operations.tie_out:
        daily = DailyTieOut(
            store, gateway, clock, notifier, lambda: engine.ledger.report_ts is not None, flushed
        )
        services.append(Service("tie-out", daily.run))
    return services
