"""What the scripted strategy reads and what it says: every opinion has a cause that outlives the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from src.core.events import Event, ForecastUpdate, Tick
from src.core.ports import Clock, MarketView
from src.core.sides import Outcome
from src.core.signal import Signal, make_signal_id
from src.core.units import SECOND, Nanos
from tests.simulation.plan import SERIES
from tests.simulation.sim_venue import EVENT
from tests.simulation.stage import Stage

NAME = "scripted"
_REPEATED = 12
_INSISTS: Nanos = 20 * SECOND


class NewsDesk:
    """All news of the world. A new reader hears the last items again, as it would from a real source."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._items: list[ForecastUpdate] = []
        self._readers: list[asyncio.Queue[ForecastUpdate]] = []

    def publish(self, ticker: str, probability: float, outcome: Outcome) -> None:
        """Something happened that makes ``outcome`` of ``ticker`` this probable."""
        now = self._stage.now
        lead = 1.0 if outcome is Outcome.YES else 2.0
        item = ForecastUpdate(SERIES, ticker, EVENT, "wire", lead, probability, len(self._items), now, now)
        self._items.append(item)
        for reader in self._readers:
            reader.put_nowait(item)

    async def stream(self, clock: Clock) -> AsyncIterator[Event]:
        """The last items, then each new one."""
        queue: asyncio.Queue[ForecastUpdate] = asyncio.Queue()
        for item in self._items[-_REPEATED:]:
            queue.put_nowait(item)
        self._readers.append(queue)
        try:
            while True:
                item = await queue.get()
                await asyncio.sleep(self._stage.latency("news"))
                yield replace(item, ts_recv=clock.now())
        finally:
            self._readers.remove(queue)


class ScriptedStrategy:
    """Says at once what an item means and insists for a while; sometimes says it three times over."""

    name = NAME

    def __init__(self) -> None:
        self._opinions: dict[str, ForecastUpdate] = {}
        self._fair: dict[str, float] = {}

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """Signals of a news item; on ticks those of the last item of each market."""
        if isinstance(event, ForecastUpdate):
            self._opinions[event.station] = event
            outcome = _outcome(event)
            self._fair[event.station] = event.tmax_f if outcome is Outcome.YES else 1.0 - event.tmax_f
            return [_signal(event, view.now)] * 3
        if isinstance(event, Tick):
            return [
                _signal(item, view.now)
                for item in self._opinions.values()
                if view.now - item.ts_recv < _INSISTS
            ]
        return []

    def fair_probability(self, view: MarketView, ticker: str) -> float | None:
        """The last opinion."""
        return self._fair.get(ticker)


def _outcome(item: ForecastUpdate) -> Outcome:
    return Outcome.YES if item.lead_days == 1.0 else Outcome.NO


def _signal(item: ForecastUpdate, now: Nanos) -> Signal:
    outcome = _outcome(item)
    return Signal(
        signal_id=make_signal_id(NAME, item.cause_id, item.station, outcome),
        strategy=NAME,
        ticker=item.station,
        event_ticker=EVENT,
        outcome=outcome,
        probability=item.tmax_f,
        std_error=0.01,
        min_edge=0.0,
        cause_id=item.cause_id,
        cause_ts=item.ts_event,
        ts=now,
    )
