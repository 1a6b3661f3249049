"""The wire at its worst, at length: ``python -m tests.simulation.wire_run --minutes 60 --markets 500``.

A daemon follows a simulated exchange over real sockets in virtual time, while frames of every channel are
lost, doubled and overtaken, and while all that is on the way comes late by seconds: without a break, or
in spells with a calm after each (``--calm``), so that books become good and are traded on in between. A
strategy speaks at random of any market, and at the worst moments. Checked are, for every change: the book
the engine vouches for is one that the exchange's book was; for every order: its book is vouched for, and
the exchange's book was that no longer ago than the limit on the feed's lag; every second: the same of every
book that is vouched for, whether an order was sent or a gate refused it; once a minute, with the faults
halted: all books equal the exchange's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from src.api.client import KalshiClient
from src.api.delta_scan import DeltaScanner
from src.api.feed import KalshiFeed
from src.api.gateway import KalshiGateway
from src.api.signing import Signer, load_private_key
from src.core.actions import Refused
from src.core.book import OrderBook
from src.core.book_arrays import BookArrays
from src.core.events import BookDelta, BookDeltas, BookInvalid, BookSnapshot, Event, Tick
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus
from src.core.ports import MarketView
from src.core.sides import BookSide, Outcome
from src.core.signal import Signal, make_signal_id
from src.core.units import DOLLAR_CASH, HOUR, MILLISECOND, SECOND, Count, Nanos, Price
from src.execution.engine import Action, Engine
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.execution.risk import Approved
from src.runtime.daemon import Daemon
from src.simulator.faults import FaultPlan, FaultRule, When
from src.simulator.outputs import BookChange, Output
from src.simulator.service import SimulatorService
from src.simulator.world import ListEvent, WorldEvent
from tests.runtime.fakes import KeepingNotifier, MemoryStore
from tests.simulation.socket_loop import SocketLoop

SERIES = "KXHIGHNY"
T0 = 1_795_420_800 * SECOND
CASH = 1_000_000_000 * DOLLAR_CASH
LIMITS = RiskLimits(
    max_position=CASH,
    max_portfolio_heat=1.0,
    min_edge=0.01,
    max_daily_loss=CASH,
    max_open_positions=10**6,
    max_trades_per_hour=10**6,
    max_trades_per_day=10**6,
    cooldown_after_loss=0,
    consecutive_losses=10**6,
    kelly_fraction=0.0001,
)
SETTLES_WITHIN_S = 120.0


@dataclass
class Listing:
    """A world of markets on which nothing happens by itself."""

    markets: int
    kind: str = "generated"
    start: int = T0
    end: int = T0 + 48 * HOUR
    days: int = 1

    def history(self) -> list[Any]:
        """No weather."""
        return []

    def events(self) -> Iterator[WorldEvent]:
        """Events of one open market each: a position that cannot be left keeps no other from being bought."""
        for number in range(self.markets):
            event = f"{SERIES}-26NOV23X{number:03d}"
            market = Market(
                ticker=f"{event}-B50.5",
                event_ticker=event,
                series_ticker=SERIES,
                status=MarketStatus.INITIALIZED,
                open_time=T0,
                close_time=T0 + 24 * HOUR,
                grid=LINEAR_CENT,
                fees=FeeSchedule(),
            )
            yield ListEvent(T0, event, SERIES, "an event", (market,))


def _level(side: BookSide, price: Price, size: Count) -> int:
    return hash((side is BookSide.BID, price, size))


def fingerprint(book: OrderBook) -> int:
    """One number for all levels of a book."""
    mixed = 0
    for side in BookSide:
        for price, size in book.levels(side):
            mixed ^= _level(side, price, size)
    return mixed


class Truth:
    """Every state that each of the exchange's books was in, and when it ended (None: it is so now)."""

    def __init__(self, service: SimulatorService) -> None:
        self._exchange = service.exchange
        self._sizes: dict[tuple[str, BookSide, Price], Count] = {}
        self._now: dict[str, int] = dict.fromkeys(service.exchange.markets, 0)
        self._ended: dict[str, dict[int, Nanos | None]] = {ticker: {0: None} for ticker in self._now}
        self._exchange.subscribe(self._on_outputs)

    def _on_outputs(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, BookChange):
                key = output.ticker, output.side, output.price
                before = self._sizes.get(key, 0)
                after = self._sizes[key] = before + output.delta
                states, mixed = self._ended[output.ticker], self._now[output.ticker]
                states[mixed] = output.ts
                for size in (before, after):
                    mixed ^= _level(output.side, output.price, size) if size else 0
                self._now[output.ticker] = mixed
                states[mixed] = None

    def age(self, ticker: str, mixed: int, now: Nanos) -> Nanos | None:
        """How long ago a book was last in this state; None when it never was."""
        states = self._ended[ticker]
        if mixed not in states:
            return None
        ended = states[mixed]
        return 0 if ended is None else now - ended

    def is_now(self, ticker: str, mixed: int) -> bool:
        """Whether this is the state of the exchange's book."""
        return self._now[ticker] == mixed


@dataclass
class Findings:
    """What was counted, and what was wrong (which must stay empty)."""

    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    oldest_order_book: Nanos = 0
    oldest_vouched_book: Nanos = 0
    slowest_settling_s: float = 0.0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **self.counts,
            "refusals_by_gate": dict(self.refusals.most_common()),
            "oldest_book_of_an_order_ms": self.oldest_order_book / MILLISECOND,
            "oldest_vouched_book_ms": self.oldest_vouched_book / MILLISECOND,
            "slowest_settling_s": round(self.slowest_settling_s, 2),
            "wrong": len(self.wrong),
            "first_wrong": self.wrong[:5],
        }


class Opinions:
    """Wants to buy at any time: markets at random, with a book and without, and what has just changed."""

    name = "opinions"

    def __init__(self, tickers: Sequence[str], chance: random.Random, per_tick: int) -> None:
        self.tickers = tickers
        self._chance = chance
        self._per_tick = per_tick
        self._number = 0
        self._outcomes: dict[str, Outcome] = {}

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """Signals, each with a cause of its own."""
        if isinstance(event, Tick):
            with_book = [ticker for ticker in self.tickers if view.book(ticker) is not None]
            wanted = self._chance.choices(self.tickers, k=self._per_tick)
            wanted += self._chance.choices(with_book, k=self._per_tick) if with_book else []
            return [self._signal(ticker, event.ts_recv) for ticker in wanted]
        if isinstance(event, BookSnapshot | BookDelta | BookDeltas) and self._chance.random() < 0.005:
            ticker = event.tickers[-1] if isinstance(event, BookDeltas) else event.ticker
            return [self._signal(ticker, event.ts_recv)]
        return []

    def fair_probability(self, view: MarketView, ticker: str) -> float | None:
        """No opinion on what is held."""
        return None

    def _signal(self, ticker: str, now: Nanos) -> Signal:
        self._number += 1
        cause = f"cause:{self._number}"
        # Always the same one of a market: the opposite of what is held would be refused.
        outcome = Outcome.YES if len(self._outcomes) % 2 else Outcome.NO
        outcome = self._outcomes.setdefault(ticker, outcome)
        return Signal(
            signal_id=make_signal_id(self.name, cause, ticker, outcome),
            strategy=self.name,
            ticker=ticker,
            event_ticker=ticker.rpartition("-")[0],
            outcome=outcome,
            probability=0.97,
            std_error=0.001,
            min_edge=0.0,
            cause_id=cause,
            cause_ts=now,
            ts=now,
        )


class CheckedEngine(Engine):
    """An engine whose every book and order is held against the exchange's books."""

    def __init__(
        self, opinions: Opinions, truth: Truth, findings: Findings, now: Callable[[], Nanos]
    ) -> None:
        super().__init__([opinions], LIMITS, ReconcilePolicy(), {})
        self._tickers = opinions.tickers
        self._truth = truth
        self._findings = findings
        self._exchange_now = now

    def handle(self, event: Event) -> list[Action]:
        """Handle, then check."""
        out = super().handle(event)
        counts = self._findings.counts
        if isinstance(event, BookSnapshot | BookDelta):
            counts["snapshots" if isinstance(event, BookSnapshot) else "deltas"] += 1
            self._look_at(event.ticker, event)
        elif isinstance(event, BookDeltas):
            counts["batches"] += 1
            counts["deltas_of_batches"] += len(event)
            for ticker in event.tickers:
                self._look_at(ticker, event)
        elif isinstance(event, BookInvalid):
            counts["books_quarantined"] += len(event.tickers)
        elif isinstance(event, Tick):
            self._look_at_all_books()
        for action in out:
            if isinstance(action, Approved):
                self._order(action)
            elif isinstance(action, Refused):
                self._findings.refusals[action.result.gate] += 1
        return out

    def _look_at(self, ticker: str, event: Event) -> None:
        book = self.book(ticker)
        if book is not None and self._age(ticker, book) is None:
            self._findings.wrong.append(f"the book of {ticker} never was like this: {event}")

    def _look_at_all_books(self) -> None:
        for ticker in self._tickers:
            book = self.book(ticker)
            if book is not None:
                self._findings.counts["vouched_books"] += 1
                age = self._age(ticker, book)
                if age is None or age > LIMITS.max_feed_lag:
                    ago = "never was" if age is None else f"was {age / SECOND:.1f} s ago"
                    self._findings.wrong.append(f"the book of {ticker}, vouched for, {ago}")
                self._findings.oldest_vouched_book = max(self._findings.oldest_vouched_book, age or 0)

    def _order(self, approved: Approved) -> None:
        self._findings.counts["orders"] += 1
        ticker = approved.intent.ticker
        book = self.book(ticker)
        age = self._age(ticker, book) if book is not None else None
        if book is None or age is None:
            self._findings.wrong.append(f"an order in {ticker} is priced from a quarantined book")
        elif age > LIMITS.max_feed_lag:
            self._findings.wrong.append(
                f"an order in {ticker} is priced from a book of {age / SECOND:.1f} s ago"
            )
        self._findings.oldest_order_book = max(self._findings.oldest_order_book, age or 0)

    def _age(self, ticker: str, book: OrderBook) -> Nanos | None:
        return self._truth.age(ticker, fingerprint(book), self._exchange_now())


def fault_rules(probability: float, stalls: float) -> list[FaultRule]:
    """Each kind of loss strikes ``probability`` of the frames, each length of delay ``stalls`` of them."""
    return [
        FaultRule("ws.drop", When(probability=probability)),
        FaultRule("ws.dup", When(probability=probability)),
        FaultRule("ws.reorder", When(probability=probability), {"by": 3}),
        *(
            FaultRule("ws.delay", When(channel="orderbook_delta", probability=stalls), {"seconds": seconds})
            for seconds in (4, 6, 8, 12, 16, 20)
        ),
    ]


class WireRun:
    """One run. ``changes``: of books, a second; ``signals``: a second; ``stalls``: share of frames delayed.

    ``calm``: mean seconds of the spells of faults and of the calms between them; 0: faults all the time.
    ``burst``: changes that happen together. ``compiled``: runs of changes are read and applied by the
    compiled path, as in a daemon that follows many markets. ``feed_options`` go to the feed: with its
    guards off the run must find what they keep away.
    """

    def __init__(
        self,
        markets: int,
        seed: int,
        *,
        changes: float = 20.0,
        signals: int = 5,
        stalls: float = 0.0001,
        calm: float = 0.0,
        burst: int = 1,
        compiled: bool = False,
        feed_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.chance = random.Random(seed)
        self.findings = Findings()
        self._seed = seed
        self._changes = changes
        self._signals = signals
        self._stalls = stalls
        self._calm = calm
        self._burst = burst
        self._compiled = compiled
        self._feed_options = {"late_after": 2 * SECOND, **(feed_options or {})}
        self._folder = tempfile.TemporaryDirectory()
        self._key_path = Path(self._folder.name) / "key.pem"
        self._plan = FaultPlan(seed=seed)
        self._is_trading = asyncio.Event()
        self.service = SimulatorService(
            Listing(markets),
            self._key_path,
            balance=CASH,
            key_type="ed25519",
            speed=1.0,
            wall_clock=lambda: T0 + int(self.loop.time() * SECOND),
            monotonic=self.loop.time,
            faults=self._plan,
        )

    async def run(self, minutes: int, on_minute: Callable[[], None]) -> Findings:
        """Run for ``minutes`` of virtual time, each under faults and then settled."""
        async with AsyncExitStack() as stack:
            stack.callback(self._folder.cleanup)
            await self.service.start()
            stack.push_async_callback(self.service.stop)
            self._truth = Truth(self.service)
            self._tickers = list(self.service.exchange.markets)
            daemon = self._daemon(stack)
            self._tasks = [asyncio.create_task(daemon.run()), asyncio.create_task(self._crowd())]
            for task in self._tasks:
                stack.push_async_callback(_stopped, task)
            self._is_trading.set()
            await self._settle("at the start")
            for minute in range(minutes):
                await self._faults(60.0)
                await self._settle(f"in minute {minute + 1}")
                on_minute()
            self.findings.counts["frames"] = self.service.server.frames_sent
            self.findings.counts["reconnects"] = self._feed.reconnects
            self.findings.counts["virtual_seconds"] = round(self.loop.time())
        return self.findings

    async def _faults(self, seconds: float) -> None:
        """Faults for this long, without a break or in spells."""
        end = self.loop.time() + seconds
        while (left := end - self.loop.time()) > 0:
            for rule in fault_rules(0.05, self._stalls):
                self._plan.add(rule)
            await asyncio.sleep(min(left, self._spell()) if self._calm else left)
            for each in self._plan.rules:
                self.findings.counts[each.rule.fault] += each.fired
            self._plan.clear()
            if self._calm:
                await asyncio.sleep(max(0.0, min(end - self.loop.time(), self._spell())))

    def _spell(self) -> float:
        return self.chance.expovariate(1 / self._calm)

    def _daemon(self, stack: AsyncExitStack) -> Daemon:
        clock = self.service.driver.clock
        key = load_private_key(str(self._key_path))
        signer = Signer(
            self.service.key_id, key, lambda: (T0 + int(self.loop.time() * SECOND)) // MILLISECOND
        )
        client = KalshiClient(self.service.rest_url, signer, rng=random.Random(self._seed).random)
        stack.push_async_callback(client.aclose)
        feed = self._feed = KalshiFeed(
            self.service.ws_url,
            signer,
            client,
            clock,
            series=[SERIES],
            on_bad=self._on_bad,
            rng=random.Random(self._seed).random,
            **self._feed_options,
        )
        if self._compiled:
            feed.read_compiled(DeltaScanner)
        opinions = Opinions(self._tickers, random.Random(self._seed), self._signals)
        self.engine = CheckedEngine(opinions, self._truth, self.findings, clock.now)
        if self._compiled:
            for _ in self.engine.markets.move_books(BookArrays()):
                pass  # there are no books yet
        return Daemon(
            engine=self.engine,
            clock=clock,
            store=MemoryStore(),
            gateway=KalshiGateway(client, clock),
            sources={"market": feed.stream},
            notifier=KeepingNotifier(),
            readers=(),
            resync=feed.resync,
            on_latency=lambda latency: None,
        )

    def _on_bad(self, source: str, what: str) -> None:
        self.findings.counts["bad_messages"] += 1

    async def _crowd(self) -> None:
        """Bids up to 39 cents and asks from 61 on, so that no book is ever crossed."""
        chance, exchange = self.chance, self.service.exchange
        while True:
            await self._is_trading.wait()
            await asyncio.sleep(chance.expovariate(self._changes / self._burst))
            for _ in range(self._burst):
                side = chance.choice([BookSide.BID, BookSide.ASK])
                price = chance.randrange(3_000, 4_000, 100) + (3_100 if side is BookSide.ASK else 0)
                size = chance.choice([0, chance.randrange(1, 1_000_000)])
                exchange.set_crowd_level(chance.choice(self._tickers), side, price, size)

    async def _settle(self, when: str) -> None:
        """With the faults over and the crowd still, all books become the exchange's."""
        self._is_trading.clear()
        findings, began = self.findings, self.loop.time()
        while differing := self._differing():
            for task in self._tasks:
                if task.done():
                    task.result()  # what ended it
                    raise RuntimeError(f"{task.get_coro()} ended by itself")
            if self.loop.time() - began >= SETTLES_WITHIN_S:
                findings.wrong.append(f"{when} {len(differing)} books stay unequal, as {differing[0]}")
                break
            await asyncio.sleep(0.25)
        else:
            findings.counts["boards_compared_equal"] += 1
            findings.slowest_settling_s = max(findings.slowest_settling_s, self.loop.time() - began)
        self._is_trading.set()

    def _differing(self) -> list[str]:
        return [
            ticker
            for ticker in self._tickers
            if (book := self.engine.book(ticker)) is None or not self._truth.is_now(ticker, fingerprint(book))
        ]


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def run(
    markets: int, minutes: int, seed: int = 1, on_minute: Callable[[], None] = lambda: None, **options: Any
) -> Findings:
    """A whole run on a loop of its own; ``options`` are those of ``WireRun``."""

    async def whole() -> Findings:
        return await WireRun(markets, seed, **options).run(minutes, on_minute)

    with asyncio.Runner(loop_factory=SocketLoop) as runner:
        return runner.run(whole())


def main() -> int:
    """Run as asked; prints the findings as JSON and exits with 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60, help="virtual minutes under faults (60)")
    parser.add_argument("--markets", type=int, default=500, help="markets followed (500)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same faults and changes (1)")
    parser.add_argument("--changes", type=float, default=20.0, help="changes of books a second (20)")
    parser.add_argument("--signals", type=int, default=5, help="signals a second (5)")
    parser.add_argument("--calm", type=float, default=0.0, help="mean seconds of spells and calms (0: none)")
    parser.add_argument("--burst", type=int, default=1, help="changes that happen together (1)")
    parser.add_argument("--compiled", action="store_true", help="read and apply changes by the compiled path")
    options = parser.parse_args()
    columns = ("virtual minutes", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("minutes", total=options.minutes)

        def on_minute() -> None:
            progress.advance(bar)
            if not progress.console.is_terminal:  # a bar is drawn on terminals only
                done = int(progress.tasks[bar].completed)
                print(f"{done} of {options.minutes} virtual minutes", file=sys.stderr, flush=True)

        findings = run(
            options.markets,
            options.minutes,
            options.seed,
            on_minute,
            changes=options.changes,
            signals=options.signals,
            calm=options.calm,
            burst=options.burst,
            compiled=options.compiled,
        )
    print(json.dumps(findings.document(), indent=1))
    return 1 if findings.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
