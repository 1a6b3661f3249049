"""Leaving out, in bulk, the rows that cannot change anything: columns in, columns out.

For a strategy that looks at one market's quote at a time and speaks once in each market, a row matters only

* if it is the first in its market that makes the strategy speak,
* or it changes the book between that moment and the arrival of the order,
* or, once the strategy has spoken there, if it is the market's last before somebody values the account: on a
  tick, or when the strategy speaks anywhere (a position's value counts in the size of the next order).

Every other row is superseded before anybody looks. What is left runs through the same exchange and engine;
``tests/backtest/test_bulk.py`` holds the decision log and the equity curve against the row-by-row run.
"""

from __future__ import annotations

import polars as pl

from backtest.clockwork import Latency
from backtest.file_world import FileWorld
from src.core.units import Nanos


def thin(world: FileWorld, wakes: pl.Expr, latency: Latency, tick: Nanos) -> FileWorld:
    """The same world with only the rows that matter to a strategy that speaks where ``wakes`` holds.

    ``wakes``: a condition on the columns ``bid`` and ``ask`` (1e-4 dollars, null for nobody).
    """
    rows = world.quotes().with_row_index("row")
    spoken = (
        rows.lazy()
        .filter(wakes)
        .group_by("ticker")
        .agg(pl.col("row").min().alias("wake"), pl.col("ts").first().alias("wake_ts"))
        .collect()
    )
    if spoken.is_empty():
        return world.with_rows(rows.clear())
    after = (
        rows.lazy()
        .join(spoken.lazy(), on="ticker", how="inner")
        .filter(pl.col("row") >= pl.col("wake"))
        .collect()
    )
    ticks = pl.int_range(world.start + tick, world.end + tick, tick, dtype=pl.Int64, eager=True)
    looks = pl.concat([ticks, spoken["wake_ts"] + latency.feed]).unique().sort()
    next_look = looks.search_sorted(after["ts"] + latency.feed, side="left")
    arrival = pl.col("wake_ts") + latency.feed + latency.order + latency.bar
    is_last = pl.col("row") == pl.col("row").max().over("ticker", "look")
    kept = (
        after.with_columns(next_look.alias("look"))
        .filter((pl.col("ts") <= arrival) | is_last)
        .sort("row")
        .select(rows.columns[1:])
    )
    return world.with_rows(kept)
