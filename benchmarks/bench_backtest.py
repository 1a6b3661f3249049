"""Backtest speed: trade ticks over binary markets, one account, buy under 0.20, hold to settlement.

Usage: ``python -m benchmarks.bench_backtest [--ticks 5000000] [--markets 2000]``. Beside it, in the same run,
a plain Python loop over the same columns that does no more than find each market's entry and add up a fee:
no engine, no book, no limits, no latency. Markets live a day each, about twenty at a time; the engine decides
and values the account every hour. Rows that cannot change anything are left out in bulk (``backtest/bulk``).
"""

from __future__ import annotations

import argparse
import time

import polars as pl

from backtest.bulk import thin
from backtest.clockwork import Latency
from backtest.file_columns import Columns
from backtest.file_world import HALF_SPREAD, FileWorld
from backtest.reference_strategies import BuyUnder
from backtest.runner import Plan, run
from backtest.strategies import HOLD
from src.core.fees import FeeSchedule
from src.core.units import DAY, DOLLAR_CASH, HOUR, SECOND
from src.execution.limits import RiskLimits
from src.runtime.report import machine_name, peak_rss_mb

_START = 1_700_000_000 * SECOND
_AT_ONCE = 20
_BELOW = 2_000
_LIMITS = RiskLimits(
    max_open_positions=1_000,
    max_portfolio_heat=1.0,
    consecutive_losses=1_000_000,
    cooldown_after_loss=0,
    max_trades_per_hour=10_000,
    max_trades_per_day=100_000,
    max_daily_loss=10**15,
)


def make_columns(ticks: int, markets: int) -> Columns:
    """Made-up trade ticks: each market drifts from its own level towards its result."""
    each = ticks // markets
    row = pl.int_range(0, each * markets, dtype=pl.Int64, eager=True)
    market, number = row // each, row % each
    noise = row.hash(7) % 700
    level = (market.hash(11) % 5_000).cast(pl.Int64) + 2_000
    won = (market.hash(13) % 10_000).cast(pl.Int64) < level
    target = pl.select(pl.when(won).then(9_000).otherwise(900)).to_series()
    price = level + (target - level) * number // each + noise.cast(pl.Int64) - 350
    frame = pl.DataFrame(
        {
            "ts": _START + market * (DAY // _AT_ONCE) + number * (DAY // each),
            "ticker": pl.select(pl.format("B-{}", market)).to_series(),
            "price": (price.clip(100, 9_900) // 100) * 100,
            "volume": ((row.hash(17) % 300) + 4).cast(pl.Int64) * 100,
            "result": pl.select(pl.when(won).then(pl.lit("yes")).otherwise(pl.lit("no"))).to_series(),
        }
    )
    return Columns(frame.sort("ts", maintain_order=True), "prices", "made up")


def plain_loop(columns: Columns) -> tuple[float, int]:
    """Seconds and entries of the bare loop."""
    frame = columns.frame
    tickers, prices = frame["ticker"].to_list(), frame["price"].to_list()
    results = dict(frame.select("ticker", "result").unique().iter_rows())
    fees, entries, cash = FeeSchedule(), {}, 0
    started = time.perf_counter()
    for ticker, price in zip(tickers, prices, strict=True):
        ask = price + HALF_SPREAD
        if ask < _BELOW and ticker not in entries:
            entries[ticker] = ask
            cash -= ask * 100 + fees.trade_fee(ask, 100, is_taker=True)
            cash += DOLLAR_CASH if results[ticker] == "yes" else 0
    return time.perf_counter() - started, len(entries)


def main() -> int:
    """Print both figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--ticks", type=int, default=5_000_000)
    options.add_argument("--markets", type=int, default=2_000)
    given = options.parse_args()
    columns = make_columns(given.ticks, given.markets)
    ticks = columns.frame.height
    latency, tick = Latency.of_total(250), HOUR
    started = time.perf_counter()
    world = FileWorld(columns)
    strategy = BuyUnder(_BELOW)
    thinned = thin(world, strategy.wakes(), latency, tick)
    bulk_seconds = time.perf_counter() - started
    result = run(Plan(thinned, strategy, _LIMITS, HOLD, latency, 1_000_000 * DOLLAR_CASH, tick))
    seconds = time.perf_counter() - started
    peak = peak_rss_mb()
    loop_seconds, entries = plain_loop(columns)
    print(machine_name())
    print(f"{ticks:,} ticks, {given.markets:,} markets, {len(result.trades):,} positions (loop: {entries:,})")
    print(f"engine   {seconds:8.2f} s  {ticks / seconds / 1e6:8.2f} million/s  (bulk: {bulk_seconds:.2f} s,")
    print(f"         {thinned.quotes().height:,} rows reached the exchange and the engine)")
    print(f"loop     {loop_seconds:8.2f} s  {ticks / loop_seconds / 1e6:8.2f} million ticks/s  (no engine)")
    print(f"ratio    {loop_seconds / seconds:8.3f}   peak memory {peak:,.0f} MB")
    print(
        "ledger equals exchange: " + ("yes" if not result.differences else "; ".join(result.differences[:3]))
    )
    return 0 if not result.differences else 1


if __name__ == "__main__":
    raise SystemExit(main())
