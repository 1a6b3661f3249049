"""A paper session on tape, replayed: the same engine takes the same decisions, byte for byte."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

import tests.execution.builders as b
from backtest.backtester import main
from backtest.clockwork import Latency
from backtest.plan import Plan
from backtest.recording import RecordingWorld
from backtest.reference_strategies import BuyUnder
from backtest.runner import run
from backtest.session import replay_session
from backtest.strategies import HOLD
from src.core.actions import StoredState
from src.core.errors import ConfigError
from src.core.events import (
    BookDelta,
    Event,
    FeedUp,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    NewsItem,
    PublicTrade,
    Tick,
)
from src.core.sides import BookSide
from src.core.units import DOLLAR_CASH, HOUR, SECOND
from src.execution.engine import Engine
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.runtime.clocks import ManualClock
from src.runtime.daemon import Daemon
from src.runtime.session_tape import Conditions, Decision, SessionTape, read_session
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode
from src.simulator.paper import PaperGateway
from tests.runtime.fakes import KeepingNotifier, MemoryStore

LIMITS = RiskLimits(consecutive_losses=1_000, cooldown_after_loss=0, max_open_positions=100)
TICKERS = [f"{b.EVENT}-B{n}.5" for n in (48, 50, 52)]


def engine(below: int = 3_000) -> Engine:
    return Engine([BuyUnder(below)], LIMITS, ReconcilePolicy(), {"buy_under": HOLD})


def market_day(seed: int) -> list[Event]:
    """A made-up day: three markets' books and trades, then results and payment."""
    rng, now = Random(seed), b.NOW
    events: list[Event] = [FeedUp("market", now)]
    for ticker in TICKERS:
        events.append(MarketUpdate(b.market(ticker, close_time=b.NOW + 2 * HOUR), now))
    middle = dict.fromkeys(TICKERS, 40)
    for ticker in TICKERS:
        events.append(b.snapshot(3_800, 4_200, 5_000, ticker, now))
    for _ in range(120):
        now += rng.randrange(1, 40) * SECOND
        ticker = rng.choice(TICKERS)
        old, new = middle[ticker], min(90, max(10, middle[ticker] + rng.choice((-3, -1, 1, 2))))
        middle[ticker] = new
        for side, away in ((BookSide.BID, -2), (BookSide.ASK, 2)):
            size = 5_000
            events.append(BookDelta(ticker, side, (new + away) * 100, size, 2, now, now))
            events.append(BookDelta(ticker, side, (old + away) * 100, -size, 2, now, now))
        events.append(PublicTrade(ticker, f"t{now}", new * 100, 700, BookSide.BID, now, now))
    now += HOUR
    for number, ticker in enumerate(TICKERS):
        value = 10_000 if number == seed % 3 else 0
        result = "yes" if value else "no"
        events.append(
            MarketLifecycle(ticker, LifecycleKind.DETERMINED, now, result=result, settlement_value=value)
        )
        events.append(MarketLifecycle(ticker, LifecycleKind.SETTLED, now + SECOND))
    return events


class Session:
    """The daemon in paper mode over a made-up day, with a tape."""

    def __init__(self, folder: Path, seed: int, settings: Settings) -> None:
        self.clock = ManualClock(b.NOW)
        self.paper = PaperGateway(1_000 * DOLLAR_CASH, self.clock)
        self.tape = SessionTape(folder, self.clock, settings, Mode.PAPER, 1.0)
        self.engine = engine()
        self._events = market_day(seed)
        self.daemon = Daemon(
            engine=self.engine,
            clock=self.clock,
            store=MemoryStore(),
            gateway=self.paper,
            sources={"market": self._market, "paper": self.paper.stream},
            notifier=KeepingNotifier(),
            readers=(),
            resync=lambda tickers, reason: asyncio.sleep(0),
            on_latency=lambda latency: None,
            tick_interval=None,
            tape=self.tape,
        )
        self.over = asyncio.Event()

    async def _market(self) -> AsyncIterator[Event]:
        for event in self._events:
            if event.ts_recv > self.clock.now():
                await self.quiet()
                self.clock.set(event.ts_recv)
                self.daemon.inject(Tick(event.ts_recv))
            if not isinstance(event, FeedUp):
                self.paper.on_market_event(event)  # type: ignore[arg-type]
            yield event
        await self.quiet()
        self.over.set()
        await asyncio.Event().wait()

    async def quiet(self) -> None:
        """Until nothing is under way; the fills have been passed on by then."""
        for _ in range(50):
            await asyncio.sleep(0)
        while not self.daemon.is_quiet:  # noqa: ASYNC110 - it is a state of several parts
            await asyncio.sleep(0)

    async def play(self) -> None:
        self.tape.start()
        task = asyncio.create_task(self.daemon.run())
        async with asyncio.timeout(20):
            await self.over.wait()
            self.daemon.inject(Tick(self.clock.now()))
            await self.quiet()
            self.daemon.stop()
            await task
        await self.tape.aclose()


@pytest.fixture
async def recorded(tmp_path: Path, settings: Settings) -> Path:
    session = Session(tmp_path / "tape", 4, settings)
    await session.play()
    return tmp_path / "tape"


def kinds(lines: list[str]) -> set[str]:
    return {json.loads(line)["kind"] for line in lines}


async def test_a_recorded_paper_session_replays_to_the_same_bytes(recorded: Path) -> None:
    """Record, replay: signals, orders, fills, settlements and states come out byte for byte."""
    steps = list(read_session(recorded))
    then = "\n".join(step.line for step in steps if isinstance(step, Decision))
    replayed = replay_session(steps, lambda conditions: engine())
    again = "\n".join(line for _, line in replayed.result.log)
    assert kinds(then.splitlines()) >= {"signal", "order", "order_changed", "fill", "settled", "state"}
    assert again.encode() == then.encode()
    assert replayed.difference == ""
    assert replayed.result.differences == []
    assert sum(trade.pnl for trade in replayed.result.trades) == replayed.result.pnl


async def test_a_changed_strategy_is_named_at_its_first_other_decision(recorded: Path) -> None:
    replayed = replay_session(read_session(recorded), lambda conditions: engine(2_600))
    assert replayed.difference.startswith("decision ")
    assert replayed.result.differences


async def test_the_same_session_traded_anew_on_its_recorded_books_decides_alike(recorded: Path) -> None:
    """Without the account's answers of the tape: the backtester's own exchange fills the same orders."""
    world = RecordingWorld(recorded)
    plan = Plan(
        world,
        BuyUnder(3_000),
        LIMITS,
        HOLD,
        Latency.of_total(0),
        balance=1_000 * DOLLAR_CASH,
        tick=SECOND,
        queue_share=0.3,
    )
    simulated = run(plan)
    replayed = replay_session(read_session(recorded), lambda conditions: engine()).result

    def orders(log: list[tuple[int, str]]) -> list[tuple[object, ...]]:
        bodies = [json.loads(line) for _, line in log]
        return [(o["id"], o["price"], o["count"], o["edge"]) for o in bodies if o["kind"] == "order"]

    assert orders(simulated.log) == orders(replayed.log) != []
    assert simulated.differences == []
    assert simulated.pnl == replayed.pnl


async def test_the_tape_holds_no_secret_and_gives_the_settings_back(
    recorded: Path, settings: Settings
) -> None:
    conditions = next(step for step in read_session(recorded) if isinstance(step, Conditions))
    assert conditions.applied_to(settings) == settings
    assert set(conditions.sections) == {"trading", "risk", "strategies"}


async def test_the_command_replays_a_session_and_says_what_differs(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tape says its settings: with the configured strategies instead of the test's one, it differs."""
    assert main(["--data", str(recorded)]) == 1
    assert re.search(r"decision\s\d+\s(is|was)", capsys.readouterr().out)


@pytest.mark.parametrize(
    "event",
    [
        b.snapshot(3_000, 3_200),
        BookDelta("A", BookSide.ASK, 1, -5, 7, None, 9),
        MarketUpdate(b.market(), b.NOW),
        NewsItem("s", "1", "tête-à-tête", None, 5),
        b.report(),
        MarketLifecycle("A", LifecycleKind.SETTLED, 3),
    ],
    ids=lambda event: type(event).__name__,
)
async def test_every_kind_of_event_comes_back_equal(tmp_path: Path, settings: Settings, event: Event) -> None:
    tape = SessionTape(tmp_path, ManualClock(b.NOW), settings, Mode.PAPER, 1.0)
    tape.start()
    tape.begin(StoredState(signal_ids=frozenset({"x"})), b.NOW)
    tape.event(event)
    await tape.aclose()
    _, begin, back = read_session(tmp_path)
    assert begin.stored.signal_ids == {"x"}  # type: ignore[union-attr]
    assert back == event


def test_a_folder_without_a_session_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no recording"):
        list(read_session(tmp_path))
