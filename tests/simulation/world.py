"""One seed, one world: faults first, then everything heals and the ledger must agree with the venue."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from src.core.events import Command, CommandKind
from src.core.sides import Outcome
from tests.simulation import compare
from tests.simulation.crash_store import Committed
from tests.simulation.faulty_feed import Wire
from tests.simulation.news import NAME, NewsDesk
from tests.simulation.plan import Plan, draw
from tests.simulation.process import Process
from tests.simulation.script import Script
from tests.simulation.sim_venue import SimVenue
from tests.simulation.stage import Stage
from tests.simulation.virtual_loop import StuckError, VirtualLoop
from tests.simulation.watch import Watch

# Two reports at the usual interval after the last fill (a time-out may exit long after the healing),
# the grace, and the wait for what is still on its way.
CONVERGES_WITHIN = 200.0
FILLS_WITHIN = 15.0
LEAVES_WITHIN = 60.0


@dataclass(frozen=True)
class Result:
    """What came of a world."""

    seed: int
    digest: str
    violations: tuple[str, ...]
    tail: tuple[str, ...]
    seen: Counter[str]

    def describe(self) -> str:
        """The seed, what went wrong and the trace up to there."""
        lines = "\n".join(self.tail[-60:])
        return f"seed {self.seed}: {self.violations[0] if self.violations else 'sound'}\n{lines}"


def run_world(seed: int, plan: Plan | None = None) -> Result:
    """Run the world of ``seed`` to its end, or to its first violation."""
    loop = VirtualLoop()
    world = World(plan or draw(seed), loop)
    had_gc = gc.isenabled()
    gc.disable()  # collections would run finalisers of cancelled tasks at moments of their own
    try:
        loop.run_until_complete(world.run())
    except StuckError as error:
        world.stage.violated(f"stuck: {error}")
    finally:
        left = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        if had_gc:
            gc.enable()
    stage = world.stage
    tail = tuple(stage.first_tail or stage.tail)
    return Result(seed, stage.digest, tuple(stage.violations), tail, stage.seen)


class World:
    """The parts of a world and its two phases."""

    def __init__(self, plan: Plan, loop: VirtualLoop) -> None:
        self.stage = Stage(plan, loop)
        self.venue = SimVenue(self.stage)
        self.wire = Wire(self.stage, self.venue)
        self.news = NewsDesk(self.stage)
        self.committed = Committed()
        self.watch = Watch(self.stage, self.venue, self.wire, self.committed)
        self.script = Script(self.stage, self.venue, self.wire, self.news, self.watch, lambda: self.process)
        self.process: Process | None = None
        self._lives = 0

    async def run(self) -> None:
        """Faults, healing, comparison, a clean stop, and one last start from what was stored."""
        plan, stage = self.stage.plan, self.stage
        script = asyncio.create_task(self.script.run(), name="script")
        keeper = asyncio.create_task(self._keep_alive(), name="keeper")
        failed = self._until_violated()
        stage.loop.call_later(plan.duration, self._heal)
        await self._wait(plan.duration, failed)
        for phase in (self._converge, self._leave, self._stop):
            if not stage.violations:
                await phase()
        keeper.cancel()
        script.cancel()
        await asyncio.gather(keeper, script, return_exceptions=True)
        for task in (keeper, script):
            if not task.cancelled() and task.exception() is not None:
                stage.violated(f"the simulation itself failed: {task.exception()!r}")

    # --- lives ---------------------------------------------------------------------------------------

    async def _keep_alive(self) -> None:
        """Start the program, and again when it ended; sometimes a second one beside it."""
        dice = self.stage.dice("restart")
        while True:
            process = self._new_process()
            task = asyncio.create_task(process.run(), name=f"process {process.number}")
            try:
                every = self.stage.plan.takeover_every
                wait = dice.expovariate(1 / every) if every and self.stage.faulty else None
                done, _ = await asyncio.wait({task}, timeout=wait)
                if not done and (self.stage.store_is_away or not self.stage.faulty):
                    done, _ = await asyncio.wait({task})  # nobody gets the lock of a database that is away
                if not done:
                    # The lock was lost: another instance starts while this one still runs.
                    self.stage.saw("second instance took over")
                    asyncio.get_running_loop().create_task(_swallow(task))
                    continue
                if process.end == "stopped":
                    return
                low, high = self.stage.plan.downtime
                await self._wait(dice.uniform(low, high), lambda: not self.stage.faulty)
            except asyncio.CancelledError:
                process.alive = False
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                raise

    def _new_process(self) -> Process:
        self._lives += 1
        process = Process(
            self.stage, self.venue, self.wire, self.news, self.committed, self.watch, self._lives
        )
        self.process = process
        self.watch.begins(process)
        self.stage.trace(f"process {self._lives} starts")
        return process

    # --- phases --------------------------------------------------------------------------------------

    def _until_violated(self) -> Callable[[], bool]:
        return lambda: bool(self.stage.violations)

    async def _wait(self, seconds: float, until: Callable[[], bool]) -> bool:
        end = self.stage.loop.time() + seconds
        while self.stage.loop.time() < end:
            if until():
                return True
            await asyncio.sleep(0.5)
        return until()

    def _heal(self) -> None:
        self.stage.faulty = False
        self.stage.trace("--- the world heals")

    async def _converge(self) -> None:
        """I2: within bounded time the ledger is the venue's, and the state is as it should be."""
        lines: list[str] = ["never compared"]
        heard = 0

        def agree() -> bool:
            nonlocal lines, heard
            process = self.process
            if process is not None and process.is_ready and process.number != heard:
                # Once to each process: one may be ending for what happened before the world healed.
                heard = process.number
                for kind in (CommandKind.CLEAR_HALT, CommandKind.RESUME, CommandKind.STRATEGY_ON):
                    self._command(kind)
            lines = compare.differences(process, self.venue) if process is not None else ["no process"]
            return not lines or bool(self.stage.violations)

        if not await self._wait(CONVERGES_WITHIN, agree):
            self.stage.violated("I2: not healed: " + "; ".join(lines))

    async def _leave(self) -> None:
        """A flatten leaves every position there is a bid for, whatever the state."""
        process = self.process
        if not self.stage.plan.flatten or process is None:
            return
        for ticker in self.venue.tickers:  # so that there is something to leave
            self.news.publish(
                ticker, 0.97, Outcome.YES if process.engine.position(ticker) >= 0 else Outcome.NO
            )
        await self._wait(FILLS_WITHIN, lambda: bool(compare.could_leave(process, self.venue)))
        if self.stage.dice("leave").random() < 0.7:
            self._command(CommandKind.HALT)
        self._command(CommandKind.FLATTEN)
        gone = await self._wait(LEAVES_WITHIN, lambda: not compare.could_leave(process, self.venue))
        if not gone:
            self.stage.violated(f"I5: cannot leave {compare.could_leave(process, self.venue)}")
        self.stage.saw("flattened")

    async def _stop(self) -> None:
        """A clean stop leaves no order of ours; what was stored is the venue's account."""
        process = self.process
        if process is None or process.task is None:
            return
        process.daemon.stop()
        await self._wait(60.0, lambda: not process.alive)
        if process.end.startswith("store: ") and self.process is not process:
            # It was ending already, for an outage from before the world healed: its successor is stopped.
            await self._converge()
            process = self.process
            process.daemon.stop()
            await self._wait(60.0, lambda: not process.alive)
        if process.end != "stopped":
            self.stage.violated(f"the stop did not end: {process.end or 'still running'}")
            return
        for line in compare.after_stop(self.venue, self.watch.sent, self.committed, process.engine):
            self.stage.violated(f"after the stop: {line}")

    def _command(self, kind: CommandKind) -> None:
        process = self.process
        if process is not None and process.alive:
            process.daemon.inject(Command(kind, "owner", "the world heals", process.clock.now(), NAME))


async def _swallow(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})
