"""The shell: write ahead before sending, staged stop, failures that end the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

import tests.execution.builders as b
from src.core.errors import WireError
from src.core.events import FeedUp, MarketUpdate, OrderAccepted, OrderRejected, OrderUnknown, Tick
from src.core.ports import ApprovedOrder
from src.execution.engine import Engine
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.runtime.clocks import ManualClock
from src.runtime.daemon import Daemon
from tests.runtime.fakes import Answer, KeepingNotifier, MemoryStore, QueueSource, ScriptedGateway


def _resting(approved: ApprovedOrder) -> Answer:
    intent = approved.intent
    return OrderAccepted(
        intent.client_order_id, f"venue-{intent.client_order_id}", 0, intent.count, b.NOW, b.NOW
    )


def _rejected(approved: ApprovedOrder) -> Answer:
    return OrderRejected(approved.intent.client_order_id, "no", "", b.NOW)


class Rig:
    """A daemon with fakes in every port."""

    def __init__(self, answer: Callable[[ApprovedOrder], Answer], outage_limit_s: float) -> None:
        self.strategy = b.Scripted()
        self.engine = Engine([self.strategy], RiskLimits(min_edge=0.02), ReconcilePolicy(), {})
        self.store = MemoryStore()
        self.gateway = ScriptedGateway(answer, b.NOW)
        self.notifier = KeepingNotifier()
        opening = [FeedUp("market", b.NOW), MarketUpdate(b.market(), b.NOW), b.snapshot(5_000, 5_200)]
        self.source = QueueSource(opening)
        self.latencies: list[int] = []
        self.daemon = Daemon(
            engine=self.engine,
            clock=ManualClock(b.NOW),
            store=self.store,
            gateway=self.gateway,
            sources={"market": self.source.stream},
            notifier=self.notifier,
            readers=(),
            resync=lambda tickers: None,
            on_latency=self.latencies.append,
            tick_interval=None,
            outage_limit_s=outage_limit_s,
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Turn the loop until the condition holds."""
        async with asyncio.timeout(5):
            while True:
                if condition():
                    return
                await asyncio.sleep(0)

    async def trade(self) -> None:
        """Make the strategy speak once."""
        self.strategy.next = [b.signal()]
        self.daemon.inject(Tick(b.NOW))
        await self.until(lambda: "submit" in self.gateway.asked or bool(self.engine.ledger.closed))


@asynccontextmanager
async def _running(
    answer: Callable[[ApprovedOrder], Answer], outage_limit_s: float = 60.0
) -> AsyncIterator[tuple[Rig, asyncio.Task[None]]]:
    rig = Rig(answer, outage_limit_s)
    task = asyncio.create_task(rig.daemon.run())
    try:
        await rig.until(lambda: rig.engine.book(b.TICKER) is not None and rig.daemon.is_quiet)
        yield rig, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_intent_is_stored_before_the_order_is_sent() -> None:
    """When the gateway is asked, the row exists; the outcome reaches the engine; latency is measured."""
    async with _running(_rejected) as (rig, _):
        rig.gateway.hold = asyncio.Event()
        await rig.trade()
        assert len(rig.store.intents) == 1
        assert not rig.gateway.submitted
        rig.gateway.hold.set()
        await rig.until(lambda: rig.daemon.is_quiet)
        assert [order.status.value for order in rig.engine.ledger.orders] == ["rejected"]
        assert len(rig.latencies) == 1


async def test_without_a_stored_intent_nothing_is_sent_and_the_process_ends() -> None:
    """No row, no order: a database failure at order time is fatal, and the gateway never hears of it."""
    async with _running(_rejected) as (rig, task):
        rig.store.broken = True
        rig.strategy.next = [b.signal()]
        rig.daemon.inject(Tick(b.NOW))
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(task, 5)
        assert "submit" not in rig.gateway.asked


async def test_stop_cancels_what_rests_then_flushes_then_ends() -> None:
    """A staged stop leaves no order of ours behind and no record unwritten."""
    async with _running(_resting) as (rig, task):
        await rig.trade()
        await rig.until(lambda: rig.daemon.is_quiet)
        rig.daemon.stop()
        await asyncio.wait_for(task, 10)
        assert len(rig.gateway.cancelled) == 1
        assert [order.status.value for order in rig.engine.ledger.orders] == ["canceled"]
        assert rig.daemon.writer.waiting == 0


async def test_a_stop_in_the_middle_of_a_send_waits_for_its_outcome() -> None:
    """The send goes on; what it created is then cancelled."""
    async with _running(_resting) as (rig, task):
        rig.gateway.hold = asyncio.Event()
        await rig.trade()
        rig.daemon.stop()
        await asyncio.sleep(0)
        rig.gateway.hold.set()
        await asyncio.wait_for(task, 10)
        assert len(rig.gateway.cancelled) == 1
        assert not [order for order in rig.engine.ledger.orders if order.is_live]


async def test_an_unknown_outcome_asks_the_records_and_warns() -> None:
    """No answer: a person hears of it, and the exchange's records are read again."""

    def unknown(approved: ApprovedOrder) -> Answer:
        return OrderUnknown(approved.intent.client_order_id, "timeout", b.NOW)

    async with _running(unknown) as (rig, _):
        before = rig.gateway.reports
        await rig.trade()
        await rig.until(lambda: rig.daemon.is_quiet and rig.gateway.reports > before)
        assert [order.status.value for order in rig.engine.ledger.orders] == ["unknown"]
        assert any(alert.key == "order_unknown" for alert in rig.notifier.alerts)


async def test_malformed_records_are_unknown_exposure_not_the_end_of_the_process() -> None:
    """A field the exchange broke fails the report, is told, and the daemon lives on to cancel and exit."""
    async with _running(_rejected) as (rig, task):
        rig.gateway.broken = WireError("balance_dollars", None, "a decimal string")
        rig.daemon.inject(FeedUp("market", b.NOW))
        await rig.until(lambda: any(alert.key == "report_failed" for alert in rig.notifier.alerts))
        assert not task.done()
        told = next(alert.text for alert in rig.notifier.alerts if alert.key == "report_failed")
        assert "balance_dollars" in told
