"""Runs side by side with a progress bar; Ctrl-C ends them early and leaves what is done.

A second Ctrl-C ends everything at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from itertools import takewhile
from multiprocessing import get_context
from types import FrameType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from backtest.column_world import Chunk
from backtest.filters import Filtered
from backtest.plan import Result
from backtest.runner import run
from backtest.spec import Spec, make_plan, run_spec
from backtest.workers import Workers, on_cluster
from src.core.units import Nanos
from src.simulator.world import World, WorldEvent

_EVERY = 32
_LOOK_S = 0.2


class Shares(Protocol):
    """How far each run is, 0 to 1: a list here, shared memory between processes."""

    def __getitem__(self, number: int) -> float:
        """The share of one run."""

    def __setitem__(self, number: int, share: float) -> None:
        """Set it."""


class Stop:
    """A wish to end early; any number of runs look at it."""

    def __init__(self) -> None:
        self.is_set = False


class Watched(Filtered):
    """A world that tells how far it has been read (0 to 1), and ends when somebody wants it to."""

    def __init__(self, world: World, on_progress: Callable[[float], None], stop: Stop) -> None:
        super().__init__(world)
        self._on_progress = on_progress
        self._stop = stop

    def events(self) -> Iterator[WorldEvent]:
        """The world's own, until the wish to stop."""
        first, span = self.start, max(1, self.end - self.start)
        for number, event in enumerate(self._world.events()):
            if not number % _EVERY:
                if self._stop.is_set:
                    # The run's ticks end with the world: what is open stays at what it would fetch.
                    self.end: Nanos = event.ts
                    return
                self._on_progress(min(1.0, (event.ts - first) / span))
            yield event
        self._on_progress(1.0)

    def chunks(self) -> Iterator[Chunk]:
        """See ``ColumnWorld``; the wish to stop is looked at between chunks."""
        first, span = self.start, max(1, self.end - self.start)
        for chunk in self._columns().chunks():
            reached = int(chunk["ts"][0])
            if self._stop.is_set:
                self.end = reached
                return
            self._on_progress(min(1.0, (reached - first) / span))
            yield chunk
        self._on_progress(1.0)

    def milestones(self) -> Iterator[WorldEvent]:
        """See ``ColumnWorld``."""
        return (event for event in self._columns().milestones() if event.ts <= self.end)


class Watch:
    """Runs specs under one progress bar. ``interrupted``: somebody wanted it to end early."""

    def __init__(self, console: Console, workers: Workers) -> None:
        self._console = console
        self._workers = workers
        self._stop = Stop()

    @property
    def interrupted(self) -> bool:
        """Whether what came back is only what was done."""
        return self._stop.is_set

    def interrupt(self) -> None:
        """Take no more work on."""
        self._stop.is_set = True

    def status(self, title: str) -> AbstractContextManager[object]:
        """A sign of life while something of unknown length runs."""
        return self._console.status(title)

    def run(self, specs: Sequence[Spec], title: str, world: World | None = None) -> list[Result]:
        """Results in the order of the specs; ``world``: an open one, for runs in this process.

        After an interruption, those that were done, up to the first spec whose was not.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(title, total=len(specs))

            def show(done: float) -> None:
                bar.update(task, completed=done)

            if isinstance(self._workers, str):
                return self._away(specs, self._workers, show)
            with _stopping_on_interrupt(self._stop):
                if self._workers == 1 or len(specs) == 1:
                    return self._here(specs, world, show)
                return self._apart(specs, self._workers, show)

    def _here(
        self, specs: Sequence[Spec], world: World | None, show: Callable[[float], None]
    ) -> list[Result]:
        results: list[Result] = []
        for spec in specs:
            if self._stop.is_set and results:
                break
            plan = make_plan(spec, world)
            before = float(len(results))
            watched = Watched(plan.world, partial(_show_from, show, before), self._stop)
            results.append(run(replace(plan, world=watched)))
        return results

    def _apart(self, specs: Sequence[Spec], workers: int, show: Callable[[float], None]) -> list[Result]:
        context = get_context("spawn")
        shares = context.RawArray("d", len(specs))
        with ProcessPoolExecutor(
            min(workers, len(specs)), mp_context=context, initializer=_begin, initargs=(shares,)
        ) as pool:
            futures: list[Future[Result]] = [pool.submit(_run_one, n, spec) for n, spec in enumerate(specs)]
            left: set[Future[Result]] = set(futures)
            while left:
                _, left = wait(left, timeout=_LOOK_S)
                show(sum(shares))
                if self._stop.is_set:
                    for future in left:
                        future.cancel()
            return [future.result() for future in futures if not future.cancelled()]

    def _away(self, specs: Sequence[Spec], address: str, show: Callable[[float], None]) -> list[Result]:
        """On a cluster. Runs under way when somebody interrupts are given up."""
        done: dict[int, Result] = {}
        try:
            for number, result in on_cluster(run_spec, specs, address):
                done[number] = result
                show(len(done))
        except KeyboardInterrupt:
            if 0 not in done:
                raise
            self.interrupt()
        return [done[number] for number in takewhile(done.__contains__, range(len(specs)))]


def _show_from(show: Callable[[float], None], before: float, share: float) -> None:
    show(before + share)


_shares: Shares = []
_stop = Stop()


def _begin(shares: Shares) -> None:
    """A worker's start: the terminal's Ctrl-C reaches every process, so each ends its own run."""
    global _shares  # noqa: PLW0603 - set once, before the worker's first run
    _shares = shares
    signal.signal(signal.SIGINT, lambda number, frame: setattr(_stop, "is_set", True))


def _run_one(number: int, spec: Spec) -> Result:
    plan = make_plan(spec)

    def on_progress(share: float) -> None:
        _shares[number] = share

    return run(replace(plan, world=Watched(plan.world, on_progress, _stop)))


@contextmanager
def _stopping_on_interrupt(stop: Stop) -> Iterator[None]:
    """The first SIGINT sets ``stop``; from the second on it interrupts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def handler(number: int, frame: FrameType | None) -> None:
        if stop.is_set:
            raise KeyboardInterrupt
        stop.is_set = True

    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
