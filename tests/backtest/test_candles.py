"""Candles as input: known at their end, traded at the next one, never where nothing traded."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from backtest.candle_table import holds_candles
from backtest.candles import CandleWorld
from backtest.clockwork import Latency
from backtest.plan import Plan
from backtest.reference_strategies import BuyUnder
from backtest.runner import run
from backtest.spec import Spec, make_plan, open_world
from backtest.strategies import HOLD
from src.core.errors import ConfigError
from src.core.sides import BookSide
from src.core.units import MINUTE
from src.execution.limits import RiskLimits
from src.runtime.settings import Settings
from src.simulator.world import CrowdQuote, CrowdSweep

LOOSE = RiskLimits(consecutive_losses=1_000, cooldown_after_loss=0)
HEAD = (
    "end_ts_ms,market_ticker,yes_bid_close_usd,yes_ask_close_usd,yes_bid_high_usd,yes_ask_low_usd,"
    "volume_contracts"
)


def candles(tmp_path: Path, *rows: str, head: str = HEAD) -> Path:
    path = tmp_path / "kalshi_candles.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def at(minute: int) -> int:
    return 1_730_000_000_000 + minute * 60_000


def test_a_taker_decided_on_one_candle_trades_at_the_next_ones_ask(tmp_path: Path) -> None:
    path = candles(
        tmp_path,
        f"{at(0)},A,0.14,0.16,,,400",
        f"{at(1)},A,0.17,0.19,,,400",
        f"{at(2)},A,0.30,0.32,,,400",
        f"{at(3)},A,0.30,0.32,,,400",
    )
    world = CandleWorld(path)
    assert world.bar == MINUTE
    plan = Plan(world, BuyUnder(2_000), LOOSE, HOLD, Latency(0, 0, 0, world.bar))
    result = run(plan)
    assert result.orders.unfilled == 1  # limited to the 16 cents seen, offered at 19 a candle later
    cheaper = candles(
        tmp_path, f"{at(0)},A,0.14,0.16,,,400", f"{at(1)},A,0.12,0.15,,,400", f"{at(2)},A,0.3,0.4,,,4"
    )
    (trade,) = run(Plan(CandleWorld(cheaper), BuyUnder(2_000), LOOSE, HOLD, Latency(0, 0, 0, MINUTE))).trades
    assert trade.price == pytest.approx(0.15)
    assert trade.contracts <= 25  # a quarter of the hundred contracts that are taken to stand there


def test_a_candle_carried_forward_or_without_trades_offers_nothing(tmp_path: Path) -> None:
    path = candles(
        tmp_path,
        f"{at(0)},A,0.14,0.16,,,400,false",
        f"{at(1)},A,0.14,0.16,,,400,true",
        f"{at(2)},A,0.14,0.16,,,0,false",
        head=f"{HEAD},price_close_is_carried_forward",
    )
    quotes = [event for event in CandleWorld(path).events() if isinstance(event, CrowdQuote)]
    assert [bool(quote.asks) for quote in quotes] == [True, False, False]


def test_extremes_sweep_resting_orders_and_leave_the_quote_alone(tmp_path: Path) -> None:
    path = candles(tmp_path, f"{at(0)},A,0.30,0.32,0.36,0.27,50", f"{at(1)},A,0.30,0.32,,,50")
    sweeps = [event for event in CandleWorld(path).events() if isinstance(event, CrowdSweep)]
    assert [(s.side, s.price, s.count) for s in sweeps] == [
        (BookSide.BID, 2_700, 5_000),
        (BookSide.ASK, 3_600, 5_000),
    ]


def test_results_and_events_come_from_the_tables_beside(tmp_path: Path, settings: Settings) -> None:
    """The shape `download` writes: candles, markets and settlements; no trades, so candles are used."""
    candles(tmp_path, *(f"{at(n)},E-{m},0.14,0.16,,,90" for n in range(3) for m in "AB"))
    markets = pl.DataFrame(
        {"market_ticker": ["E-A", "E-B"], "event_ticker": ["E", "E"], "result": ["yes", "no"]}
    )
    markets.write_parquet(tmp_path / "kalshi_markets.parquet")
    spec = Spec(str(tmp_path), "buy_under", settings)
    world = open_world(spec)
    assert world.kind == "candles"
    result = run(make_plan(spec, world))
    assert result.events == 1
    assert {trade.won for trade in result.trades} == {True, False}
    assert result.differences == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (f"{at(0)},A,0.40,0.30,,,5", ["line 2", "not below the ask"]),
        (f"{at(0)},A,x,0.30,,,5", ["line 2", "yes_bid_close_usd", "'x'"]),
        (f"{at(0)},A,140,160,,,5", ["line 2", "0 to 1 dollar"]),
        (f"{at(0)},,0.1,0.2,,,5", ["line 2", "market_ticker"]),
    ],
)
def test_mistakes_are_named(tmp_path: Path, row: str, said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        CandleWorld(candles(tmp_path, row))
    for text in said:
        assert text in str(caught.value)


def test_quotes_are_no_candles(sample: Path) -> None:
    assert not holds_candles(sample)
