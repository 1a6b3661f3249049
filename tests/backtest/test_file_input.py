"""One file as input: names and units are recognised, mistakes are named with line, column and mend."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from backtest.file_rows import FileRows
from backtest.file_world import ASSUMED_SIZE, FileWorld
from src.core.errors import ConfigError
from src.core.units import MINUTE, SECOND
from src.simulator.world import CrowdPrint, CrowdQuote, Determine, ListEvent


def csv(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "stamp",
    [
        "1730000000",
        "1730000000000",
        "1730000000000000",
        "1730000000000000000",
        "2024-10-27T03:33:20Z",
        "2024-10-26T23:33:20-04:00",
    ],
)
def test_every_unit_of_time_gives_the_same_instant(tmp_path: Path, stamp: str) -> None:
    (chunk,) = FileRows(csv(tmp_path, "ts,market_ticker,price", f"{stamp},A,0.40")).chunks()
    assert chunk["ts"].to_list() == [1_730_000_000 * SECOND]


@pytest.mark.parametrize(("bid", "ask"), [("40", "42"), ("0.40", "0.42"), ("0.4000", "0.4200")])
def test_cents_and_dollars_are_told_apart(tmp_path: Path, bid: str, ask: str) -> None:
    found = FileRows(csv(tmp_path, "timestamp,ticker,yes_bid,yes_ask", f"1730000000,A,{bid},{ask}"))
    assert found.layout.kind == "quotes"
    (chunk,) = found.chunks()
    assert chunk.select("bid", "ask").row(0) == (4_000, 4_200)


def test_parquet_with_datetimes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    frame = pl.DataFrame({"time": ["2024-10-27T03:33:20"], "ticker": ["A"], "price": [0.4]})
    frame.with_columns(pl.col("time").str.to_datetime()).write_parquet(path)
    assert next(FileRows(path).chunks())["ts"][0] == 1_730_000_000 * SECOND


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["timestamp,price", "1,0.4"], ["lacks the column", "ticker", "market_ticker"]),
        (["timestamp,ticker", "1,A"], ["price (or bid and ask)"]),
        (
            ["timestamp,ticker,price", "1730000000,A,0.4", "1730000001,A,abc"],
            ["line 3", "'price'", "'abc'", "plain number"],
        ),
        (["timestamp,ticker,price", "1730000000,A,140"], ["line 2", "'price'", "0 to 1 dollar"]),
        (["timestamp,ticker,price", "2024-10-27 03:33:20,A,0.4"], ["line 2", "'timestamp'", "zone"]),
        (["timestamp,ticker,price", "yesterdayZ,A,0.4"], ["line 2", "yesterdayZ", "ISO"]),
        (["timestamp,ticker,price", "1730000000,,0.4"], ["line 2", "ticker"]),
        (
            ["timestamp,ticker,price,count,taker_side", "1730000000,A,0.4,5,maybe"],
            ["'taker_side'", "'maybe'"],
        ),
        (["timestamp,ticker,price,volume", "1730000000,A,0.4,-5"], ["'volume'", "zero or more"]),
        (["timestamp,ticker,bid,ask", "1730000000,A,0.5,0.4"], ["0.5", "not below ask", "A"]),
        (["timestamp,ticker,price,result", "1730000000,A,0.4,perhaps"], ["'result'", "yes or no"]),
        (["timestamp,ticker,price"], ["no rows"]),
    ],
)
def test_mistakes_are_named(tmp_path: Path, lines: list[str], said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        FileRows(csv(tmp_path, *lines))
    for text in said:
        assert text in str(caught.value)


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.xlsx"
    path.write_text("x")
    with pytest.raises(ConfigError, match=r"neither \.csv nor \.parquet"):
        FileRows(path)


def test_quotes_become_quotes_and_results_settle_after_the_last_row(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        "timestamp,ticker,bid,ask,result",
        "1730000000,A,0.40,0.42,yes",
        "1730000001,B,0,0.03,no",
        "1730000002,A,0.41,0.43,yes",
    )
    events = list(FileWorld.read(path).events())
    assert [event.ts for event in events] == sorted(event.ts for event in events)
    assert sum(isinstance(event, ListEvent) for event in events) == 2
    quotes = [event for event in events if isinstance(event, CrowdQuote)]
    assert quotes[0].asks == ((4_200, ASSUMED_SIZE),)
    assert quotes[1].bids == ()
    results = {event.ticker: event for event in events if isinstance(event, Determine)}
    assert (results["A"].result, results["B"].result) == ("yes", "no")
    assert results["A"].ts > 1_730_000_002 * SECOND


def test_prices_alone_are_quoted_two_cents_wide_and_say_so(tmp_path: Path) -> None:
    world = FileWorld.read(
        csv(tmp_path, "ts,ticker,price,volume", "1730000000,A,0.40,7", "1730000001,A,0.99,7")
    )
    first, second = (event for event in world.events() if isinstance(event, CrowdQuote))
    assert (first.bids, first.asks) == (((3_800, 700),), ((4_200, 700),))
    assert second.asks == ()
    assert "PRICES ONLY" in world.fill_model
    assert any("without a result" in note for note in world.notes)


def test_trades_with_a_side_use_the_assumed_book_of_past_trades(tmp_path: Path) -> None:
    path = csv(
        tmp_path, "ts,ticker,price,count,taker_side", "1730000000,A,0.40,7,yes", "1730000001,A,0.38,9,no"
    )
    events = [event for event in FileWorld.read(path).events() if not isinstance(event, ListEvent)]
    assert [type(event) for event in events] == [CrowdPrint, CrowdQuote] * 2
    last = events[-1]
    assert isinstance(last, CrowdQuote)
    assert (last.bids[0][0], last.asks[0][0]) == (3_800, 4_000)


def test_rows_a_minute_apart_are_bars(tmp_path: Path) -> None:
    rows = [f"{1_730_000_000 + 60 * n},A,0.40" for n in range(5)]
    world = FileWorld.read(csv(tmp_path, "ts,ticker,price", *rows))
    assert world.bar == MINUTE
    assert "one bar" in world.fill_model


def test_a_market_with_two_results_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, "ts,ticker,price,result", "1730000000,A,0.4,yes", "1730000001,A,0.4,no")
    with pytest.raises(ConfigError, match="line 3, column 'result': 'no'; the result of A was another"):
        FileRows(path)


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("files", ["one", "by event", "by event, in order"])
def test_slices_give_the_rows_of_the_whole_in_order_of_time(tmp_path: Path, files: str, coded: bool) -> None:
    """However a table is cut into files and slices: every row once, by time, ties as the files have them."""
    rng = random.Random(5)
    rows = [(1_730_000_000 + rng.randrange(500), f"M{rng.randrange(6)}", 0.4, n) for n in range(900)]
    frame = pl.DataFrame(rows, schema=["ts", "ticker", "price", "volume"], orient="row")
    if coded:
        frame = frame.with_columns(pl.col("ticker").cast(pl.Enum([f"M{n}" for n in range(6)])))
    path = tmp_path / "data.parquet"
    if files == "one":
        frame.write_parquet(path)
    else:
        path.mkdir()
        frame = frame.sort("ticker" if files == "by event" else "ts", maintain_order=True)
        for number, part in enumerate(frame.iter_slices(150)):
            part.write_parquet(path / f"{number}.parquet")
    found = FileRows(path, slice_rows=100)
    chunks = list(found.chunks())
    assert len(chunks) > 3
    read = [
        (ts // SECOND, found.spans[market][0], volume // 100)
        for chunk in chunks
        for ts, market, volume in chunk.select("ts", "market", "volume").iter_rows()
    ]
    expected = frame.sort("ts", maintain_order=True).select("ts", "ticker", "volume").rows()
    assert read == expected
    firsts = {ticker: ts for ts, ticker, _ in reversed(expected)}
    assert [(ticker, first // SECOND) for ticker, first, _, _ in found.spans] == sorted(
        firsts.items(), key=lambda pair: (pair[1], pair[0])
    )
