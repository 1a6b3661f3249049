"""What can happen to the process: a blocked loop, dying tasks, cancellation at any await, stepping clocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

import tests.execution.builders as b
from src.core.actions import TradingState
from src.core.errors import FatalError, RetryableError
from src.core.events import Event, FeedUp, MarketUpdate, OrderUnknown, Tick
from src.core.ports import ApprovedOrder
from src.core.units import HOUR, MILLISECOND, SECOND, Nanos
from src.execution.engine import Engine
from src.execution.executor import Executor
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.runtime.clocks import SystemClock
from src.runtime.supervisor import Service, Supervisor
from src.runtime.watchdog import Watchdog
from tests.runtime.fakes import Answer
from tests.runtime.test_daemon import _resting, _running

# --- a blocked loop ----------------------------------------------------------------------------------


async def test_a_call_that_blocks_the_loop_is_named_while_it_still_blocks() -> None:
    """The thread sees the stack during the block; the alert follows on the loop, once, with the place."""
    seen, told = threading.Event(), asyncio.Event()
    stacks: list[str] = []
    alerts: list[tuple[float, str]] = []

    def on_stack(stack: str) -> None:
        stacks.append(stack)
        seen.set()

    def a_monitor_that_blocks() -> bool:
        return seen.wait(60)

    def on_blocked(seconds: float, where: str) -> None:
        alerts.append((seconds, where))
        told.set()

    watchdog = Watchdog(on_blocked, 0.2, on_stack)
    task = asyncio.create_task(watchdog.run())
    await asyncio.sleep(0)
    assert a_monitor_that_blocks(), "the block was not noticed before it ended"
    await asyncio.wait_for(told.wait(), 30)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "a_monitor_that_blocks" in stacks[0]
    assert alerts[0][0] >= 0.2
    assert not [thread for thread in threading.enumerate() if thread.name == "watchdog"]


async def test_the_watchdogs_limit_leaves_the_alarm_within_five_seconds() -> None:
    """FAULTS 48 asks for the alarm in 5 s: limit, pause between looks and beat together stay below."""
    from src.runtime import watchdog as module

    assert module.LIMIT_S + 2 * module.BEAT_S < 5


# --- dying tasks -------------------------------------------------------------------------------------


async def _nothing(seconds: float) -> None:
    await asyncio.sleep(0)


def _dying(times: int, error: Callable[[], Exception]) -> tuple[Callable[[], object], list[int]]:
    lives: list[int] = []
    last = asyncio.Event()

    async def body() -> None:
        lives.append(1)
        if len(lives) <= times:
            raise error()
        await last.wait()

    return body, lives


async def _watched(
    times: int, error: Callable[[], Exception]
) -> tuple[Supervisor, list[int], list[str], list[str]]:
    broken: list[str] = []
    downs: list[str] = []
    body, lives = _dying(times, error)
    supervisor = Supervisor(_nothing, on_broken=lambda name, why: broken.append(f"{name} {why}"))
    service = Service("monitor", body, on_down=downs.append)  # type: ignore[arg-type]
    task = asyncio.create_task(supervisor.run(service))
    for _ in range(10 * times + 10):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return supervisor, lives, broken, downs


@pytest.mark.parametrize(("deaths", "told"), [(1, 0), (2, 0), (3, 1), (5, 1), (6, 2)])
async def test_a_dying_task_is_restarted_and_counted_and_the_third_time_told(deaths: int, told: int) -> None:
    """Restarted each time, and every third defect within the hour asks for a halt."""
    supervisor, lives, broken, downs = await _watched(deaths, lambda: KeyError("a defect"))
    assert len(lives) == deaths + 1
    assert supervisor.restarts == {"monitor": deaths}
    assert len(downs) == deaths
    assert len(broken) == told
    assert all("failed 3 times within an hour: KeyError" in line for line in broken)


async def test_outages_restart_a_task_for_ever_without_a_halt() -> None:
    """A network that is away for hours is no defect of ours."""
    supervisor, _, broken, _ = await _watched(50, lambda: RetryableError("no route to host"))
    assert supervisor.restarts == {"monitor": 50}
    assert broken == []


async def test_core_tasks_and_fatal_errors_end_the_process() -> None:
    """The engine, the writer and the ticker are not restarted in a state nobody knows."""
    supervisor = Supervisor(_nothing)
    body, _ = _dying(1, lambda: KeyError("a defect"))
    with pytest.raises(KeyError):
        await supervisor.run(Service("engine", body, core=True))  # type: ignore[arg-type]
    body, _ = _dying(1, lambda: FatalError("key revoked"))
    with pytest.raises(FatalError):
        await supervisor.run(Service("market", body))  # type: ignore[arg-type]


async def test_a_feed_that_keeps_dying_halts_the_daemon() -> None:
    """Three deaths of the market task: HALTED by the supervisor; the daemon lives on to exit and cancel."""
    async with _running(_resting) as (rig, task):
        deaths = 0

        async def dies() -> AsyncIterator[Event]:
            nonlocal deaths
            deaths += 1
            raise KeyError("a defect")
            yield  # pragma: no cover

        rig.daemon.supervisor._sleep = _nothing
        rig.daemon._sources = {"other": dies}
        service = rig.daemon._source_service("other")
        running = asyncio.create_task(rig.daemon.supervisor.run(service))
        await rig.until(lambda: rig.engine.control.state is TradingState.HALTED)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert deaths >= 3
        assert rig.engine.control.who == "supervisor"
        assert not task.done()


# --- cancellation ------------------------------------------------------------------------------------


class SlowVenue:
    """Takes several turns of the loop for everything; remembers which orders it got."""

    def __init__(self) -> None:
        self.got: list[str] = []

    async def submit(self, approved: ApprovedOrder) -> Answer:
        await _turns(3)
        self.got.append(approved.intent.client_order_id)
        await _turns(3)
        return OrderUnknown(approved.intent.client_order_id, "no matter", b.NOW)


class SlowRows:
    """A store whose commit happens in the middle of its call."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    async def put_intent(self, approved: ApprovedOrder) -> None:
        await _turns(3)
        self.rows.append(approved.intent.client_order_id)
        await _turns(3)


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def _one_approved() -> ApprovedOrder:
    engine, strategy = b.ready()
    strategy.next = [b.signal()]
    (order,) = b.approvals(engine.handle(Tick(b.NOW)))
    return order


@pytest.mark.parametrize("turn", range(20))
async def test_an_outer_cancellation_at_any_await_leaves_no_order_in_the_dark(turn: int) -> None:
    """Whoever asked is cancelled at each turn of the loop: the send goes on in a task of its own, its row
    comes first, its outcome is delivered, and it is sent once."""
    venue, rows = SlowVenue(), SlowRows()
    delivered: list[Event] = []
    executor = Executor(
        venue,  # type: ignore[arg-type]
        rows,  # type: ignore[arg-type]
        SystemClock(),
        delivered.append,
        lambda approved: None,
        lambda error: pytest.fail(f"{error!r}"),
        lambda tickers, reason: _turns(1),
        lambda approved: "",
        lambda: 0.0,
    )
    order = _one_approved()

    async def caller() -> None:
        executor.submit(order)
        await executor.drain()

    task = asyncio.create_task(caller())
    await _turns(turn)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await executor.drain()
    if turn == 0:
        assert (rows.rows, venue.got, delivered) == ([], [], []), "cancelled before it began"
        return
    assert rows.rows == venue.got == [order.intent.client_order_id]
    assert [type(event) for event in delivered] == [OrderUnknown]


@pytest.mark.parametrize("turn", range(0, 24, 2))
async def test_a_send_that_is_cut_off_itself_is_never_repeated_and_never_without_a_row(turn: int) -> None:
    """The process is torn down in the middle of a send (second Ctrl-C): what left has its row, and one that
    has a row is at the venue at most once, for the next start to ask about."""
    venue, rows = SlowVenue(), SlowRows()
    executor = Executor(
        venue,  # type: ignore[arg-type]
        rows,  # type: ignore[arg-type]
        SystemClock(),
        lambda event: None,
        lambda approved: None,
        lambda error: None,
        lambda tickers, reason: _turns(1),
        lambda approved: "",
        lambda: 0.0,
    )
    executor.submit(_one_approved())
    await _turns(turn)
    for task in tuple(executor._tasks):
        task.cancel()
    await executor.drain()
    assert len(venue.got) <= len(rows.rows) <= 1


# --- clocks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-HOUR, -30 * SECOND, 30 * SECOND, HOUR])
def test_a_step_of_the_wall_clock_moves_nothing(step: Nanos) -> None:
    """Our time goes on by the monotonic clock: no age is negative, no interval is stretched."""
    wall, uptime = b.NOW, 5 * SECOND
    clock = SystemClock(lambda: wall, lambda: uptime)
    before = clock.now()
    wall += step
    uptime += 250 * MILLISECOND
    assert clock.now() - before == 250 * MILLISECOND
    assert clock.now_ms() == clock.now() // MILLISECOND


def test_the_engine_never_goes_back_when_an_event_does() -> None:
    """An event stamped an hour earlier is handled at the time of the last one: ages stay at or above zero."""
    engine = Engine([], RiskLimits(), ReconcilePolicy(), {})
    engine.handle(FeedUp("market", b.NOW))
    engine.handle(MarketUpdate(b.market(), b.NOW - HOUR))
    engine.handle(b.snapshot(5_000, 5_200, ts=b.NOW - HOUR))
    assert engine.now == b.NOW
    book = engine.book(b.TICKER)
    assert book is None or engine.now - book.ts >= 0
