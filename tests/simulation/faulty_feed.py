"""The market and account stream over connections that drop, lose, double and reorder frames.

The client's side keeps the rules of the real feed: one sequence over all books; any surprise in it makes
every book invalid until a fresh snapshot; account frames carry no sequence, so their loss is silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from src.core.events import (
    BookDelta,
    BookInvalid,
    BookSnapshot,
    Event,
    ExchangeStatus,
    FeedDown,
    FeedUp,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    OrderUpdate,
)
from src.core.ports import Clock
from src.core.sides import BookSide
from src.core.units import Nanos, Price
from src.simulator.outputs import BookChange, FillMade, LifecycleChange, OrderChange, Output
from src.simulator.paper_records import fill_event, order_update
from tests.simulation.sim_venue import SimVenue
from tests.simulation.stage import Stage

_SPAN = 10_000_000
_ASK_AGAIN = 3.0
Touch = tuple[Price | None, Price | None]
Frame = Callable[[int, Nanos], BookSnapshot | BookDelta]


class Wire:
    """The venue's end: every connection gets every output from its subscription on."""

    def __init__(self, stage: Stage, venue: SimVenue) -> None:
        self.stage = stage
        self.venue = venue
        self.connections = 0
        self.open: list[FaultyFeed] = []
        # What the book was at a frame, to hold the engine's prices against.
        self.truth: dict[int, tuple[str, Touch]] = {}
        venue.exchange.subscribe(self._on_outputs)

    def _on_outputs(self, outputs: Sequence[Output]) -> None:
        for feed in tuple(self.open):
            feed.on_outputs(outputs)

    def status_changed(self) -> None:
        """The exchange was paused or resumed."""
        for feed in tuple(self.open):
            feed.send_status()

    def touch(self, ticker: str) -> Touch:
        """The true best bid and ask."""
        book = self.venue.exchange.book(ticker)
        return book.best(BookSide.BID), book.best(BookSide.ASK)


class FaultyFeed:
    """One process's feed; ``stream`` reconnects by itself."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire = wire
        self._stage = wire.stage
        self._venue = wire.venue
        self._clock = clock
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._connected = False
        self._server_seq = 0
        self._client_seq = 0
        self._base = 0
        self._live: set[str] = set()
        self._last_arrival = 0.0
        self._generation = 0
        self._asking = False

    async def stream(self) -> AsyncIterator[Event]:
        """Events until cancelled; a lost connection is an event, then a new connection."""
        dice = self._stage.dice("connection")
        try:
            while True:
                await asyncio.sleep(self._stage.latency("connect"))
                for event in self._connect():
                    yield event
                every = self._stage.plan.disconnect_every
                lost = self._stage.loop.call_later(dice.expovariate(1 / every), self._cut) if every else None
                while (event := await self._queue.get()) is not None:
                    yield event
                if lost is not None:
                    lost.cancel()
                self._stage.saw("connection lost")
                yield FeedDown("market", "connection lost", self._clock.now())
                await asyncio.sleep(dice.uniform(0.1, 3.0))
        finally:
            self._disconnect()

    async def resync(self, tickers: Sequence[str], reason: str) -> None:
        """The engine could not use a book: ask for snapshots."""
        self._stage.saw("engine asked for a snapshot")
        self._doubt(reason)

    # --- connection ----------------------------------------------------------------------------------

    def _connect(self) -> list[Event]:
        self._wire.connections += 1
        self._generation += 1
        self._base = self._wire.connections * _SPAN
        self._server_seq = self._client_seq = self._base
        self._last_arrival = self._stage.loop.time()
        self._queue = asyncio.Queue()
        self._asking = False
        self._live.clear()
        self._connected = True
        self._wire.open.append(self)
        self._venue.advance()
        now = self._clock.now
        events: list[Event] = []
        for ticker in self._venue.tickers:
            events.append(MarketUpdate(self._venue.exchange.markets[ticker].market, now()))
        exchange = self._venue.exchange
        events.append(ExchangeStatus(exchange.is_exchange_active, exchange.is_trading_active, now()))
        self._snapshots()
        return [*events, FeedUp("market", now())]

    def _disconnect(self) -> None:
        self._connected = False
        self._generation += 1
        if self in self._wire.open:
            self._wire.open.remove(self)

    def _cut(self) -> None:
        if self._stage.faulty and self._connected:
            self._disconnect()
            self._queue.put_nowait(None)

    # --- the venue's side ----------------------------------------------------------------------------

    def on_outputs(self, outputs: Sequence[Output]) -> None:
        """Turn what happened into frames."""
        last: dict[str, int] = {}
        for output in outputs:
            match output:
                case BookChange():
                    last[output.ticker] = self._book_frame(_delta_frame(output))
                case FillMade(fill=fill):
                    self._private(lambda fill=fill: fill_event(fill, self._clock.now()))
                case OrderChange(order=order):
                    state = order_update(order, 0)
                    self._private(lambda state=state: _stamped(state, self._clock.now()))
                case LifecycleChange():
                    self._lifecycle(output)
                case _:
                    pass
        for ticker, seq in last.items():
            self._wire.truth[seq] = (ticker, self._wire.touch(ticker))

    def send_status(self) -> None:
        """Tell whether the exchange trades."""
        exchange = self._venue.exchange
        active, trading = exchange.is_exchange_active, exchange.is_trading_active
        self._transmit(
            self._stage.latency("feed"), lambda: self._put(ExchangeStatus(active, trading, self._clock.now()))
        )

    def _snapshots(self) -> None:
        for ticker in self._venue.tickers:
            book = self._venue.exchange.book(ticker)
            bids, asks = book.levels(BookSide.BID), book.levels(BookSide.ASK)
            ts = self._stage.now

            def frame(seq: int, recv: Nanos, t: str = ticker, b=bids, a=asks, ts: Nanos = ts) -> BookSnapshot:  # type: ignore[no-untyped-def]
                return BookSnapshot(t, b, a, seq, ts, recv)

            self._wire.truth[self._book_frame(frame)] = (ticker, self._wire.touch(ticker))

    def _book_frame(self, frame: Frame) -> int:
        """Number a frame of the books' subscription and put it on the wire."""
        self._server_seq += 1
        seq, plan, stage = self._server_seq, self._stage.plan, self._stage
        if stage.hits("frame_lost", plan.frame_lost):
            stage.saw("book frame lost")
            return seq
        copies = 2 if stage.hits("frame_twice", plan.frame_twice) else 1
        for _ in range(copies):
            late = stage.hits("frame_late", plan.frame_late)
            delay = stage.latency("feed") + (stage.dice("frame_late").uniform(0.1, 4.0) if late else 0.0)
            self._transmit(delay, lambda: self._on_book(seq, frame), keeps_order=not late)
        return seq

    def _private(self, event: Callable[[], Event]) -> None:
        stage, plan = self._stage, self._stage.plan
        if stage.hits("private_lost", plan.private_lost):
            stage.saw("account frame lost")
            return
        for _ in range(3 if stage.hits("private_twice", plan.private_twice) else 1):
            late = stage.hits("private_late", plan.private_late)
            delay = stage.latency("feed") + (stage.dice("private_late").uniform(0.1, 5.0) if late else 0.0)
            self._transmit(delay, lambda: self._put(event()), keeps_order=False)

    def _lifecycle(self, change: LifecycleChange) -> None:
        kinds = {kind.value: kind for kind in LifecycleKind}
        kind = kinds.get(change.step.value)
        if kind is None:
            return
        market = self._venue.exchange.markets[change.ticker].market
        close, result, value = market.close_time, market.result, market.settlement_value
        self._transmit(
            self._stage.latency("feed"),
            lambda: self._put(MarketLifecycle(change.ticker, kind, self._clock.now(), close, result, value)),
        )

    def _transmit(self, delay: float, arrive: Callable[[], None], *, keeps_order: bool = True) -> None:
        at, generation = self._stage.loop.time() + delay, self._generation
        if keeps_order:
            at = self._last_arrival = max(at, self._last_arrival)

        def deliver() -> None:
            if self._generation == generation:
                arrive()

        self._stage.loop.call_at(at, deliver)

    # --- the client's side ---------------------------------------------------------------------------

    def _put(self, event: Event) -> None:
        self._queue.put_nowait(event)

    def _on_book(self, seq: int, frame: Frame) -> None:
        expected, self._client_seq = self._client_seq + 1, seq
        if seq != expected:
            self._stage.saw("gap in the sequence")
            self._doubt(f"expected {expected}, got {seq}")
        event = frame(seq, self._clock.now())
        if isinstance(event, BookSnapshot):
            self._live.add(event.ticker)
        elif event.ticker not in self._live:
            return
        self._put(event)

    def _doubt(self, reason: str) -> None:
        self._live.clear()
        self._put(BookInvalid(tuple(self._venue.tickers), reason, self._clock.now()))
        self._ask()

    def _ask(self) -> None:
        """Ask for snapshots, unless an answer is on its way, and again while one is missing."""
        if self._asking:
            return
        self._asking = True
        generation = self._generation

        def answer() -> None:
            self._asking = False
            self._snapshots()

        def again() -> None:
            if generation == self._generation and len(self._live) < len(self._venue.tickers):
                self._ask()

        self._transmit(self._stage.latency("feed"), answer, keeps_order=False)
        self._stage.loop.call_later(_ASK_AGAIN, again)


def _delta_frame(change: BookChange) -> Frame:
    def frame(seq: int, recv: Nanos) -> BookDelta:
        return BookDelta(change.ticker, change.side, change.price, change.delta, seq, change.ts, recv)

    return frame


def _stamped(update: OrderUpdate, recv: Nanos) -> OrderUpdate:

    return replace(update, ts_recv=recv)
