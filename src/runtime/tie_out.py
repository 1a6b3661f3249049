"""The tie-out as a daily job of the daemon and as a command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import structlog
from rich.console import Console

from src.api.gateway import KalshiGateway
from src.core.actions import Alert, Severity
from src.core.errors import VenueError, WireError
from src.core.events import AccountReport
from src.core.ports import Clock, Notifier, OrderGateway
from src.core.units import format_cash
from src.database.errors import DatabaseUnavailable
from src.database.ledger import Ledger
from src.database.tie_out import TieOut, tie_out
from src.execution.equity_history import trading_day
from src.runtime.assemble import ledger_schema, open_database
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode, resolve_mode
from src.runtime.venue import reach

log = structlog.get_logger("tie_out")
# A trade on its way shows in one record before it does in another: what differs must differ again.
LOOKS = 3
BETWEEN_LOOKS_S = 12.0
_DAILY_LOOK_S = 5.0

Sleep = Callable[[float], Awaitable[object]]
ReadReport = Callable[[], Awaitable[AccountReport | None]]


class ReadsLedger(Protocol):
    """The account as the rows tell it."""

    async def ledger(self) -> Ledger:
        """Orders, fills, positions and cash."""


async def compare(
    store: ReadsLedger,
    read_report: ReadReport,
    clock: Clock,
    *,
    between_looks_s: float = BETWEEN_LOOKS_S,
    sleep: Sleep = asyncio.sleep,
) -> TieOut:
    """Tie out until all agrees or the same differences were seen twice; the result is not stored yet.

    Raises ``VenueError`` or ``WireError`` when the exchange's records cannot be read.
    """
    result, earlier = await _look(store, read_report, clock), None
    for _ in range(LOOKS - 1):
        if result.agrees or (earlier is not None and result.differences == earlier.differences):
            break
        await sleep(between_looks_s)
        result, earlier = await _look(store, read_report, clock), result
    return result


async def _look(store: ReadsLedger, read_report: ReadReport, clock: Clock) -> TieOut:
    report = await read_report()
    now = clock.now()
    return tie_out(await store.ledger(), report, now, trading_day(now))


class KeepsTieOuts(ReadsLedger, Protocol):
    """What the daily job needs of the store."""

    async def put_tie_out(self, tie_out: TieOut) -> None:
        """Keep a result."""

    async def last_tie_out(self) -> dict[str, Any] | None:
        """The newest result's row."""


class DailyTieOut:
    """Ties out once in every New York day, as soon as that day has begun and the account is known."""

    def __init__(
        self,
        store: KeepsTieOuts,
        gateway: OrderGateway,
        clock: Clock,
        notifier: Notifier,
        is_reconciled: Callable[[], bool],
        flushed: Callable[[], Awaitable[None]],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._notifier = notifier
        self._is_reconciled = is_reconciled
        self._flushed = flushed
        self._sleep = sleep

    async def run(self) -> None:
        """Look until cancelled."""
        last = await self._store.last_tie_out()
        done = last["day"] if last is not None else ""
        while True:
            day = trading_day(self._clock.now())
            if day != done and self._is_reconciled():
                try:
                    await self.once()
                    done = day
                except (VenueError, WireError, DatabaseUnavailable) as error:
                    log.warning("tie_out_failed", error=str(error), retry_in_s=_DAILY_LOOK_S)
            await self._sleep(_DAILY_LOOK_S)

    async def once(self) -> TieOut:
        """Tie out now, keep the result and tell a person."""
        result = await compare(self._store, self._report, self._clock, sleep=self._sleep)
        await self._store.put_tie_out(result)
        for alert in alerts_of(result):
            self._notifier.send(alert)
        return result

    async def _report(self) -> AccountReport:
        report = await self._gateway.report(self._clock.now())
        await self._flushed()
        return report


def alerts_of(result: TieOut) -> list[Alert]:
    """One alert that all agrees, or one for each difference, named after the two that differ."""
    if result.agrees:
        return [Alert(Severity.INFO, "tie_out", f"tie-out of {result.day}: {summary(result)}", result.ts)]
    return [
        Alert(
            Severity.CRITICAL,
            f"tie_out:{each.between.replace(' ', '_')}",
            f"tie-out of {result.day}: {each}",
            result.ts,
        )
        for each in result.differences
    ]


def summary(result: TieOut) -> str:
    """What was compared, in one line."""
    cash = "not opened" if result.cash is None else f"{format_cash(result.cash)} $"
    counted = f"{result.fills} fills, {result.positions} open positions, cash {cash}"
    if result.balance is None:
        return f"fills and positions agree ({counted}); there was no exchange to ask for a balance"
    return f"fills, positions and balance agree to the last centicent ({counted})"


async def tie_out_command(settings: Settings, root: Path, console: Console, *, as_json: bool) -> int:
    """Tie out now against the exchange; exit code 1 when something differs.

    Paper's account exists only in its daemon: there the fills are compared with the positions alone.
    """
    mode = resolve_mode(settings, live_flag=settings.exchange.environment.value == "production")
    venue = await reach(settings, mode)
    try:
        database = await open_database(settings, ledger_schema(settings, mode), root)
        try:
            gateway = KalshiGateway(venue.client, venue.clock)

            async def report() -> AccountReport | None:
                return None if mode is Mode.PAPER else await gateway.report(venue.clock.now())

            speed = venue.speed
            result = await compare(
                database.store, report, venue.clock, between_looks_s=BETWEEN_LOOKS_S / speed
            )
            await database.store.put_tie_out(result)
        finally:
            await database.close()
    finally:
        await venue.client.aclose()
    if as_json:
        lines = [str(each) for each in result.differences]
        print(
            json.dumps({"mode": mode.value, "day": result.day, "agrees": result.agrees, "differences": lines})
        )
    elif result.agrees:
        console.print(f"{mode.value} ledger: {summary(result)}", highlight=False, soft_wrap=True)
    else:
        console.print(f"{mode.value} ledger, {result.day}:", highlight=False)
        for each in result.differences:
            console.print(f"  {each}", highlight=False, soft_wrap=True, markup=False)
        console.print(
            "halt, compare with the exchange's own statement, and clear-halt only then", highlight=False
        )
    return 0 if result.agrees else 1
