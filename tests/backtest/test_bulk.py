"""Leaving out what nobody looks at must not change one decision, one fill, one mark or one figure.

Every strategy of the command that says what wakes it is held to that here, on files, on recorded days and on
made-up worlds that are nasty on purpose: rows in the same instant, one-sided and empty quotes, offers that
vanish while an order is under way, trading pauses, chunks that end anywhere.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import polars as pl
import pytest

from backtest.bulk import ColumnRows
from backtest.clockwork import Latency
from backtest.event_rows import EachRow
from backtest.fee_history import TradeDateFees
from backtest.file_rows import FileRows
from backtest.file_world import FileWorld
from backtest.filters import Dearer, OtherFuture, Truncated
from backtest.news_file import WithNews
from backtest.plan import Plan, Result
from backtest.progress import Stop, Watched
from backtest.reference_strategies import BuyUnder, Nothing, claim
from backtest.runner import open_rows, run
from backtest.sample import write_sample
from backtest.strategies import DESCRIPTIONS, HOLD, make_strategy
from src.core.events import BookSnapshot, Event, NewsItem
from src.core.ports import MarketView, Selective, Strategy, Wakes
from src.core.sides import BookSide, Outcome
from src.core.signal import Signal
from src.core.units import HOUR, MILLISECOND, MINUTE, SECOND
from src.execution.limits import ExitPolicy, RiskLimits
from src.runtime.settings import Settings
from src.simulator.exchange import Exchange
from src.simulator.generated import GeneratedWorld
from src.simulator.outputs import TradePrinted
from src.simulator.recorded import RecordedWorld
from src.simulator.recorded_book import AssumedBook
from src.simulator.world import CrowdPrint, World

SHARED = Path(__file__).resolve().parents[3] / "shared"

LIMITS = RiskLimits(
    max_open_positions=30, consecutive_losses=100, max_portfolio_heat=0.9, cooldown_after_loss=0
)
# A Wednesday evening in New York: the weekly pause of Thursday 03:00 falls into a night of rows.
EVENING = 1_730_937_600 * SECOND


def same(world: World, strategies: Sequence[Strategy], **plan: object) -> Result:
    """Run ``world`` row by row and in bulk with two equal strategies; everything but the time must agree."""
    settings = {"limits": LIMITS, "exits": HOLD, **plan}
    each, bulk = (
        run(Plan(world, strategy, bulk=in_bulk, **settings))  # type: ignore[arg-type]
        for strategy, in_bulk in zip(strategies, (False, True), strict=True)
    )
    for field in fields(Result):
        if field.name != "wall_seconds":
            assert getattr(bulk, field.name) == getattr(each, field.name), field.name
    return bulk


def two(name: str, settings: Settings) -> list[Strategy]:
    """Two fresh strategies of a name."""
    return [make_strategy(name, settings)[0] for _ in range(2)]


def write_wild(path: Path, seed: int, *, markets: int = 8, rows: int = 500) -> None:
    """Quotes of a night in whole seconds: many rows share an instant, sides come and go, prices jump."""
    rng = random.Random(seed)
    lines = []
    for _ in range(rows):
        market = rng.randrange(markets)
        middle = min(9_600, max(400, 3_000 + 700 * market + rng.randrange(-2_500, 2_500)))
        bid = 0 if rng.random() < 0.15 else middle - 100 * rng.randrange(1, 4)
        ask = 10_000 if rng.random() < 0.15 else middle + 100 * rng.randrange(0, 4)
        ts = EVENING // SECOND + rng.randrange(0, 16 * 3_600 if rng.random() < 0.8 else 600)
        sizes = rng.choice([0, 4, 40, 400]), rng.choice([0, 4, 40, 400])
        result = "yes" if market % 3 == 0 else "no" if market % 3 == 1 else ""
        lines.append((ts, f"W-{market}", bid / 1e4, ask / 1e4, *sizes, result))
    names = ["ts", "ticker", "bid", "ask", "bid_size", "ask_size", "result"]
    pl.DataFrame(lines, schema=names, orient="row").write_parquet(path)


@pytest.fixture(scope="module")
def recorded() -> RecordedWorld:
    """Two real days."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the recorded tables are not here")
    return RecordedWorld(SHARED / "data", ["KXHIGHNY"], "2024-11-05", "2024-11-06")


CLAIMING = [*DESCRIPTIONS, "buy_under:0.35", "random:5"]


@pytest.mark.parametrize("name", CLAIMING)
def test_every_strategy_of_the_command_says_what_wakes_it(name: str, settings: Settings) -> None:
    assert isinstance(make_strategy(name, settings)[0], Selective)


@pytest.mark.parametrize("name", CLAIMING)
@pytest.mark.parametrize("seed", range(3))
def test_wild_quotes_in_bulk_and_row_by_row(tmp_path: Path, name: str, seed: int, settings: Settings) -> None:
    """With chunks of a few hundred rows, so that one ends while orders and rows are under way."""
    write_wild(tmp_path / "w.parquet", seed)
    world = FileWorld(FileRows(tmp_path / "w.parquet", slice_rows=70 + 50 * seed))
    total = (0.0, 250.0, 90_000.0)[seed]
    tick = (5 * MINUTE, 7 * MINUTE, HOUR)[seed]
    result = same(world, two(name, settings), latency=Latency.of_total(total), tick=tick, seed=seed)
    assert result.differences == []


@pytest.mark.parametrize("bar_minutes", [0, 3])
@pytest.mark.parametrize("exits", [HOLD, ExitPolicy(price_stop=True)])
def test_bars_and_stops_in_bulk_and_row_by_row(tmp_path: Path, bar_minutes: int, exits: ExitPolicy) -> None:
    write_sample(tmp_path / "s.csv", 1)
    total = Latency.of_total(250)
    latency = Latency(total.feed, total.order, total.answer, bar_minutes * MINUTE)
    world = FileWorld.read(tmp_path / "s.csv")
    result = same(world, [BuyUnder(4_000), BuyUnder(4_000)], latency=latency, exits=exits)
    assert result.trades, "the case must trade to show anything"
    assert any(t.exit_reason == "stop_loss" for t in result.trades) == exits.price_stop


def test_default_limits_and_breakers_hold_in_bulk_as_well(sample_world: FileWorld) -> None:
    result = same(sample_world, [BuyUnder(4_500), BuyUnder(4_500)], limits=RiskLimits())
    assert result.refusals != {}


def write_trades(path: Path) -> None:
    """Trades with a taker side, through a night with the weekly pause."""
    rng = random.Random(4)
    stamps = sorted(EVENING // MILLISECOND + rng.randrange(40_000_000) for _ in range(800))
    rows = [
        (
            ts,
            f"T-{rng.randrange(5)}",
            rng.randrange(10, 60) / 100,
            rng.randrange(0, 90),
            rng.choice(["yes", "no"]),
        )
        for ts in stamps
    ]
    names = ["ts_ms", "ticker", "price", "count", "taker_side"]
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(path)


@pytest.mark.parametrize("name", ["buy_under:0.3", "buy_favourite"])
def test_trades_with_a_side_in_bulk_and_row_by_row(tmp_path: Path, name: str, settings: Settings) -> None:
    write_trades(tmp_path / "t.parquet")
    result = same(FileWorld.read(tmp_path / "t.parquet"), two(name, settings))
    assert result.prints > 700
    assert result.trades


def test_trades_that_nobody_looks_at_still_tell_the_pace(tmp_path: Path) -> None:
    """How fast a position could be left rests on them: each is told once, those of a pause never."""
    write_trades(tmp_path / "t.parquet")
    world = FileWorld.read(tmp_path / "t.parquet")
    exchange, printed = Exchange(start=world.start), list[str]()
    exchange.subscribe(
        lambda outputs: printed.extend(o.trade.trade_id for o in outputs if isinstance(o, TradePrinted))
    )
    for event in world.events():
        exchange.apply(event)
    quiet = Exchange(start=world.start)
    rows = open_rows(Plan(world, Nothing(), LIMITS, HOLD), quiet)
    while (ts := rows.advance(quiet.next_timer() or world.end)) is not None or quiet.next_timer() is not None:
        if ts is None:
            quiet.advance(quiet.next_timer() or world.end)
        else:
            quiet.apply(rows.take())
    rows.show(world.end + HOUR, rows.position)
    assert [trade.trade_id for trade in rows.trades()] == printed
    assert rows.trades() == []
    assert 0 < len(printed) < rows.prints


@pytest.mark.parametrize("name", CLAIMING)
def test_recorded_days_in_bulk_and_row_by_row(name: str, settings: Settings, recorded: RecordedWorld) -> None:
    assert same(recorded, two(name, settings), tick=15 * MINUTE).prints > 500


def test_filtered_worlds_in_bulk_and_row_by_row(sample_world: FileWorld) -> None:
    """Every filter of the command on top of the other passes its quotes on in columns, to the same effect."""
    start = sample_world.start
    news = [NewsItem("press", f"{n}", "", start + n * HOUR, start + n * HOUR) for n in range(1, 60)]
    seen: list[float] = []
    cut = Truncated(Dearer(WithNews(sample_world, news), 2.0, 100, 0.7), start + 40 * HOUR)
    world = Watched(TradeDateFees(OtherFuture(cut, start + 20 * HOUR, turned=True)), seen.append, Stop())
    plan = Plan(world, BuyUnder(), LIMITS, HOLD)
    assert isinstance(open_rows(plan, Exchange(start=world.start)), ColumnRows)
    assert same(world, [BuyUnder(4_500), BuyUnder(4_500)]).trades
    assert seen[-1] == 1.0


def test_resting_orders_see_every_row_of_their_market(tmp_path: Path) -> None:
    """A limit far from the market is never reached, one that rests is filled by the same later row."""
    write_wild(tmp_path / "w.parquet", 3)
    world = FileWorld.read(tmp_path / "w.parquet")
    exchange = Exchange(start=world.start)
    rows = open_rows(Plan(world, BuyUnder(), LIMITS, HOLD), exchange)
    rows.heat("W-0")
    taken = []
    while (ts := rows.advance(world.end)) is not None:
        event = rows.take()
        exchange.apply(event)
        taken.append((ts, getattr(event, "ticker", "")))
    expected = sum(1 for event in world.events() if getattr(event, "ticker", "") == "W-0")
    assert sum(1 for _, ticker in taken if ticker == "W-0") == expected
    assert rows.position == 500


class Liar(Nothing):
    """Says that it only notes changes, and speaks on one."""

    def __init__(self) -> None:
        self.name = "liar"
        self.wakes = Wakes(notes_changes=True)

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        market = view.market(event.ticker) if isinstance(event, BookSnapshot) else None
        signal = claim(view, self.name, market, Outcome.YES, 0.1) if market else None
        return (signal,) if signal else ()


def test_a_strategy_that_acts_against_its_word_is_stopped(sample_world: FileWorld) -> None:
    with pytest.raises(AssertionError, match="liar acted on a change"):
        run(Plan(sample_world, Liar(), LIMITS, HOLD))


class Silent:
    """A strategy that says nothing about what wakes it, and counts what it is shown."""

    name = "silent"

    def __init__(self) -> None:
        self.seen = 0

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        self.seen += 1
        return ()

    def fair_probability(self, view: MarketView, ticker: str) -> float | None:
        return None


def test_without_a_word_every_row_is_shown(sample_world: FileWorld) -> None:
    silent = Silent()
    run(Plan(sample_world, silent, LIMITS, HOLD))
    assert silent.seen > 40 * 240


def test_a_generated_crowd_is_never_thinned() -> None:
    world = GeneratedWorld(1, 1)
    assert isinstance(open_rows(Plan(world, Nothing(), LIMITS, HOLD), Exchange(start=world.start)), EachRow)


def test_the_exchange_is_told_silently_and_exactly(sample_world: FileWorld) -> None:
    """``restore_quote`` leaves the same book as a quote would, and no message."""
    events = list(sample_world.events())
    quoted, restored = Exchange(start=sample_world.start), Exchange(start=sample_world.start)
    heard: list[object] = []
    for event in events[:400]:
        quoted.apply(event)
        if hasattr(event, "bids"):
            restored.advance(event.ts)
            restored.subscribe(heard.append)
            restored.restore_quote(event.ticker, event.bids, event.asks)
            restored.listeners.clear()
        else:
            restored.apply(event)
    assert heard == []
    for ticker, state in quoted.markets.items():
        for side in BookSide:
            assert restored.book(ticker).levels(side) == state.book.levels(side)


def test_an_assumed_book_is_best_first() -> None:
    """Bulk compares quotes with the exchange's levels as they stand: both must list the best first."""
    book = AssumedBook("A")
    quote = book.after(CrowdPrint(EVENING, "A", "1", 4_000, 500, BookSide.BID))
    assert [price for price, _ in quote.asks] == [4_000, 4_100]
