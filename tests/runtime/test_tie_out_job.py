"""The daily tie-out: once in a New York day, patient with trades on their way, loud about a difference."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

import tests.execution.builders as b
from src.core.actions import Severity
from src.core.units import DAY, DOLLAR_CASH
from src.database.ledger import Ledger
from src.database.tie_out import TieOut
from src.runtime.clocks import ManualClock
from src.runtime.tie_out import DailyTieOut, alerts_of, compare
from tests.runtime.fakes import KeepingNotifier, ScriptedGateway

_LEDGER = Ledger((), (), (), (), {}, 1_000 * DOLLAR_CASH)


class _Store:
    """Ledgers as they are read one after the other, and the tie-outs that were kept."""

    def __init__(self, *cash: int) -> None:
        self._cash = list(cash)
        self.kept: list[TieOut] = []

    async def ledger(self) -> Ledger:
        """The next ledger; the last one stays."""
        cash = self._cash.pop(0) if len(self._cash) > 1 else self._cash[0]
        return replace(_LEDGER, cash=cash)

    async def put_tie_out(self, tie_out: TieOut) -> None:
        """Keep it."""
        self.kept.append(tie_out)

    async def last_tie_out(self) -> dict[str, object] | None:
        """The newest."""
        return {"day": self.kept[-1].day} if self.kept else None


async def _no_wait(_: float) -> None:
    await asyncio.sleep(0)


async def test_a_trade_on_its_way_is_looked_at_again() -> None:
    """One look that differs proves nothing; the next one agrees."""
    store = _Store(999 * DOLLAR_CASH, 1_000 * DOLLAR_CASH)
    gateway = ScriptedGateway(lambda approved: pytest.fail("no orders here"), b.NOW)
    result = await compare(store, lambda: gateway.report(0), ManualClock(b.NOW), sleep=_no_wait)
    assert result.agrees
    assert gateway.reports == 2


async def test_a_planted_centicent_is_a_critical_alert_that_names_the_two() -> None:
    """Seen in two looks, kept, and told under a name of its own."""
    store, notifier = _Store(1_000 * DOLLAR_CASH + 100), KeepingNotifier()
    gateway = ScriptedGateway(lambda approved: pytest.fail("no orders here"), b.NOW)
    job = DailyTieOut(
        store, gateway, ManualClock(b.NOW), notifier, lambda: True, lambda: asyncio.sleep(0), _no_wait
    )
    result = await job.once()
    assert gateway.reports == 2
    assert store.kept == [result]
    (alert,) = notifier.alerts
    assert (alert.severity, alert.key) == (Severity.CRITICAL, "tie_out:fills_and_balance")
    assert alert.text.endswith("by -0.000100 $")


async def test_it_runs_once_in_a_day_and_again_after_midnight_in_new_york() -> None:
    """Days are New York's; a restart does not repeat the day's; agreement is told quietly."""
    store, notifier, clock = _Store(1_000 * DOLLAR_CASH), KeepingNotifier(), ManualClock(b.NOW)
    gateway = ScriptedGateway(lambda approved: pytest.fail("no orders here"), b.NOW)
    looks = 0

    async def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            clock.set(b.NOW + DAY)
        if looks == 6:
            raise asyncio.CancelledError
        await asyncio.sleep(0)

    for _ in range(2):
        job = DailyTieOut(store, gateway, clock, notifier, lambda: True, lambda: asyncio.sleep(0), sleep)
        with pytest.raises(asyncio.CancelledError):
            await job.run()
        looks = 4
    assert len(store.kept) == 2
    assert [alert.severity for alert in notifier.alerts] == [Severity.INFO] * 2
    assert alerts_of(store.kept[0])[0].key == "tie_out"
