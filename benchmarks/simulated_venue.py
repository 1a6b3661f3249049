"""The simulated exchange as a sender: its whole wire, in a process of its own, a crowd at a steady pace."""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from benchmarks.venue import LEGS, SERIES, Levels, asked, at_pace, event_of, place_of, tickers
from src.core.events import DailyMaximum
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus
from src.core.sides import BookSide
from src.core.units import CENT_PRICE, DAY, Count, Nanos
from src.simulator.service import SimulatorService
from src.simulator.world import CrowdChange, ListEvent, WorldEvent

_SIDES = {leg: side for side, leg in LEGS.items()}


@dataclass(frozen=True, slots=True)
class Board:
    """A world of open markets; what happens in them is the sender's."""

    names: tuple[str, ...]
    start: Nanos
    kind: str = "generated"
    days: int = 1

    @property
    def end(self) -> Nanos:
        """A day from the start."""
        return self.start + DAY

    def history(self) -> Iterable[DailyMaximum]:
        """No weather."""
        return ()

    def events(self) -> Iterator[WorldEvent]:
        """Every event with its markets, at the start."""
        events: dict[str, list[str]] = {}
        for name in self.names:
            events.setdefault(event_of(name), []).append(name)
        for event, names in events.items():
            yield ListEvent(self.start, event, SERIES, "an event", tuple(map(self._market, names)))

    def _market(self, name: str) -> Market:
        return Market(
            ticker=name,
            event_ticker=event_of(name),
            series_ticker=SERIES,
            status=MarketStatus.INITIALIZED,
            open_time=self.start,
            close_time=self.end,
            grid=LINEAR_CENT,
            fees=FeeSchedule(),
        )


class Crowd:
    """Changes one level of one book after the other."""

    def __init__(self, service: SimulatorService, names: tuple[str, ...]) -> None:
        self._service = service
        self._names = names
        self._turn = 0
        for name in names:
            self._change(name, BookSide.BID, 35 * CENT_PRICE, 100_000)
            self._change(name, BookSide.ASK, 60 * CENT_PRICE, 100_000)

    def step(self) -> None:
        """The next change."""
        place = place_of(self._turn, self._names)
        side = _SIDES[place.leg]
        resting = self._service.exchange.book(place.ticker).crowd_size(side, place.price)
        self._change(place.ticker, side, place.price, place.delta(resting))
        self._turn += 1

    def levels(self) -> Levels:
        """Every level of every book."""
        book = self._service.exchange.book
        return {
            (name, leg, price): size
            for name in self._names
            for side, leg in LEGS.items()
            for price, size in book(name).levels(side)
        }

    def _change(self, name: str, side: BookSide, price: int, delta: Count) -> None:
        self._service.exchange.apply(CrowdChange(self._service.driver.clock.now(), name, side, price, delta))


@dataclass(frozen=True, slots=True)
class Address:
    """Where the exchange is, what opens it, and how far its clock is ahead of ``perf_counter``, in us."""

    rest_url: str
    ws_url: str
    key_id: str
    private_key: str
    ahead_us: int


async def _serve(markets: int, pipe: Connection) -> None:
    names = tuple(tickers(markets))
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key.pem"
        service = SimulatorService(Board(names, time.time_ns()), key, speed=1.0)
        await service.start()
        crowd = Crowd(service, names)
        ahead = (service.driver.clock.now() - time.perf_counter_ns()) // 1_000
        address = Address(service.rest_url, service.ws_url, service.key_id, key.read_text(), ahead)
        pipe.send(address)
        while (order := await asked(pipe)) is not None:
            count, rate = order
            pipe.send(await at_pace(count, rate, crowd.step))
            # In a thread: the reader may wait for the last changes, which this loop still has to write.
            await asyncio.to_thread(pipe.send, crowd.levels())
        await service.stop()


def _main(markets: int, pipe: Connection) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(markets, pipe))


@contextmanager
def exchange_process(markets: int) -> Iterator[tuple[Connection, Address]]:
    """The exchange with ``markets`` markets; takes (changes, rate) by the pipe, None ends it."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_main, args=(markets, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours, ours.recv()
    finally:
        process.terminate()
        process.join()
