"""Backtest speed: trade ticks over binary markets, one account, buy under 0.20, hold to settlement.

Usage: ``python -m benchmarks.bench_backtest [--ticks 5000000] [--markets 2000] [--peers]``. The ticks are
written to a Parquet file first; the time is that from the file to the result, checks, engine and ledger
included. Beside it, in the same run, a plain Python loop over the same columns that does no more than find
each market's entry and add up a fee: no engine, no book, no limits, no latency. Markets live a day each,
about twenty at a time; the engine decides and values the account every hour. Each runner is a process of its
own, so that its peak of memory is its own; compiled kernels are loaded before the clock starts.

``--peers``: the same buy-and-hold in nautilus_trader and hftbacktest where they can be imported (they are
no dependency of this project), on at most ``--peer-ticks``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from benchmarks import backtest_peers
from src.core.fees import FeeSchedule
from src.core.units import DAY, DOLLAR_CASH, HOUR, MILLISECOND, SECOND
from src.runtime.report import machine_name, peak_rss_mb

START = 1_700_000_000 * SECOND
AT_ONCE = 20
BELOW = 2_000
HALF_SPREAD = 200
_CHUNK_MARKETS = 100


def write_ticks(path: Path, ticks: int, markets: int) -> int:
    """Made-up trade ticks, in order of time: each market drifts from its own level to its result."""
    each = ticks // markets
    names = pl.Enum([f"B-{number}" for number in range(markets)])
    step, waiting, parts = DAY // AT_ONCE, None, []
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for first in range(0, markets, _CHUNK_MARKETS):
            frame = _ticks_of(first, min(first + _CHUNK_MARKETS, markets), each, names)
            frame = frame if waiting is None else pl.concat([waiting, frame])
            # Later markets have ticks from their own beginning on only.
            ready = pl.col("timestamp") < (START + (first + _CHUNK_MARKETS) * step) // MILLISECOND
            is_last = first + _CHUNK_MARKETS >= markets
            done, waiting = (frame, None) if is_last else (frame.filter(ready), frame.filter(~ready))
            parts.append(Path(folder) / f"{first:06d}.parquet")
            done.sort("timestamp", maintain_order=True).write_parquet(parts[-1], compression="lz4")
        pl.scan_parquet(parts).sink_parquet(path, compression="lz4", row_group_size=500_000)
    return each * markets


def _ticks_of(first: int, last: int, each: int, names: pl.Enum) -> pl.DataFrame:
    row = pl.int_range(first * each, last * each, dtype=pl.Int64, eager=True)
    market, number = row // each, row % each
    noise = (row.hash(7) % 700).cast(pl.Int64)
    level = (market.hash(11) % 5_000).cast(pl.Int64) + 2_000
    won = (market.hash(13) % 10_000).cast(pl.Int64) < level
    target = pl.select(pl.when(won).then(9_000).otherwise(900)).to_series()
    price = level + (target - level) * number // each + noise - 350
    return pl.DataFrame(
        {
            "timestamp": (START + market * (DAY // AT_ONCE) + number * (DAY // each)) // MILLISECOND,
            "ticker": pl.select(pl.format("B-{}", market)).to_series().cast(names),
            "price": (price.clip(100, 9_900) // 100).cast(pl.Int16),
            "volume": ((row.hash(17) % 300) + 4).cast(pl.Int32),
            "result": pl.select(pl.when(won).then(pl.lit("yes")).otherwise(pl.lit("no")))
            .to_series()
            .cast(pl.Enum(["no", "yes"])),
        }
    )


def engine(path: Path) -> dict[str, float]:
    """From the file to the result with the engine that trades live."""
    from backtest.clockwork import Latency
    from backtest.file_world import FileWorld
    from backtest.plan import Plan
    from backtest.reference_strategies import BuyUnder
    from backtest.runner import run
    from backtest.strategies import HOLD
    from src.execution.limits import RiskLimits

    limits = RiskLimits(
        max_open_positions=1_000,
        max_portfolio_heat=1.0,
        consecutive_losses=1_000_000,
        cooldown_after_loss=0,
        max_trades_per_hour=10_000,
        max_trades_per_day=100_000,
        max_daily_loss=10**15,
    )

    def play(source: Path) -> tuple[float, float, float, int, list[str]]:
        started, worked = time.perf_counter(), time.process_time()
        world = FileWorld.read(source)
        read = time.perf_counter() - started
        plan = Plan(world, BuyUnder(BELOW), limits, HOLD, Latency.of_total(250), 10**6 * DOLLAR_CASH, HOUR)
        result = run(plan)
        seconds, cpu = time.perf_counter() - started, time.process_time() - worked
        return seconds, cpu, read, len(result.trades), result.differences

    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "warm.parquet"
        write_ticks(small, 2_000, 2)
        play(small)
    seconds, cpu, read, entries, differences = play(path)
    for difference in differences[:3]:
        print(f"ledger differs: {difference}", file=sys.stderr)
    figures = {"seconds": seconds, "cpu": cpu, "read": read, "entries": entries}
    return {**figures, "differences": len(differences)}


def loop(path: Path) -> dict[str, float]:
    """The bare loop over columns already in memory."""
    frame = pl.read_parquet(path, columns=["ticker", "price", "result"])
    results = dict(frame.select("ticker", "result").unique().iter_rows())
    tickers, prices = frame["ticker"].to_list(), frame["price"].to_list()
    fees, entries, cash = FeeSchedule(), {}, 0
    started, worked = time.perf_counter(), time.process_time()
    for ticker, price in zip(tickers, prices, strict=True):
        ask = price * 100 + HALF_SPREAD
        if ask < BELOW and ticker not in entries:
            entries[ticker] = ask
            cash -= ask * 100 + fees.trade_fee(ask, 100, is_taker=True)
            cash += DOLLAR_CASH if results[ticker] == "yes" else 0
    seconds, cpu = time.perf_counter() - started, time.process_time() - worked
    return {"seconds": seconds, "cpu": cpu, "entries": len(entries)}


RUNNERS = {"engine": engine, "loop": loop, **backtest_peers.RUNNERS}


def measure(name: str, path: Path) -> dict[str, float]:
    """One runner in a process of its own; its figures and the peak of its memory in MB."""
    command = [sys.executable, "-m", "benchmarks.bench_backtest", "--only", name, "--file", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> int:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--ticks", type=int, default=5_000_000)
    options.add_argument("--markets", type=int, default=2_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--peers", action="store_true")
    options.add_argument("--peer-ticks", type=int, default=200_000)
    options.add_argument("--only", choices=RUNNERS, help=argparse.SUPPRESS)
    options.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.only is not None:
        figures = RUNNERS[given.only](given.file)
        print(json.dumps({**figures, "peak_mb": peak_rss_mb()}))
        return 0
    print(machine_name())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ticks.parquet"
        ticks = write_ticks(path, given.ticks, given.markets)
        rounds = [(measure("engine", path), measure("loop", path)) for _ in range(given.rounds)]
        mine, plain = sorted(rounds, key=lambda pair: pair[0]["seconds"])[len(rounds) // 2]
        print(f"{ticks:,} ticks, {given.markets:,} markets; median of {given.rounds} rounds")
        _line(
            "engine", ticks, mine, f"{mine['entries']:.0f} positions; checking the file {mine['read']:.2f} s"
        )
        _line("plain loop", ticks, plain, f"{plain['entries']:.0f} entries; no engine, columns in memory")
        ratio, cpu = plain["seconds"] / mine["seconds"], plain["cpu"] / mine["cpu"]
        print(f"ratio           {ratio:8.3f}   of processor time {cpu:.3f} ({mine['cpu']:.2f} s)")
        if given.peers:
            peer_ticks = write_ticks(path, min(given.peer_ticks, ticks), given.markets)
            for name in backtest_peers.importable():
                _line(name, peer_ticks, measure(name, path), f"on {peer_ticks:,} ticks")
    print("ledger equals exchange: " + ("yes" if not mine["differences"] else "NO"))
    return 0 if not mine["differences"] else 1


def _line(name: str, ticks: int, figures: dict[str, float], note: str) -> None:
    seconds = figures["seconds"]
    rate = ticks / seconds / 1e6
    print(f"{name:<16}{seconds:8.2f} s {rate:9.3f} million/s {figures['peak_mb']:8,.0f} MB  ({note})")


if __name__ == "__main__":
    raise SystemExit(main())
