"""Downloads: both tiers as one, resumable, into tables that the recorded world reads."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiohttp import web

from src.api.client import KalshiClient
from src.api.download import MANIFEST, Download, Wanted
from src.api.download_tables import SCHEMAS
from src.api.history import History
from src.core.errors import ConfigError, WireError
from src.core.stations import event_date
from src.simulator.recorded import RecordedWorld
from src.simulator.recorded_tables import TABLES, RecordedTables
from src.simulator.world import CrowdPrint, Determine

from .conftest import SteppingClock
from .two_tiers import TwoTiers, market, trade

OLD, BOTH, NEW = "KXHIGHNY-26MAY10-B50.5", "KXHIGHNY-26MAY31-B50.5", "KXHIGHNY-26JUN20-B50.5"
SHARED = Path(__file__).parents[2] / "../shared/data"


@pytest.fixture
async def exchange() -> AsyncIterator[TwoTiers]:
    """One market before the archive's cutoff, one across it, one after."""
    stub = TwoTiers()
    stub.old_markets = [market(OLD, "2026-05-09T14:00:00Z", "2026-05-11T04:59:00Z")]
    stub.live_markets = [
        market(BOTH, "2026-05-30T14:00:00Z", "2026-06-01T04:59:00Z"),
        market(NEW, "2026-06-19T14:00:00Z", "2026-06-21T04:59:00Z", result="no", expiration_value="57.00"),
    ]
    stub.old_trades = [
        trade(1, OLD, "2026-05-10T10:00:00.123456Z"),
        trade(2, OLD, "2026-05-10T09:00:00Z", taker_book_side="ask", count_fp="7.00"),
        trade(3, OLD, "2026-05-10T11:00:00Z"),
        trade(4, BOTH, "2026-05-31T20:00:00Z"),
        trade(5, BOTH, "2026-05-31T23:59:59Z"),
    ]
    stub.live_trades = [
        trade(5, BOTH, "2026-05-31T23:59:59Z"),
        trade(6, BOTH, "2026-06-01T01:00:00Z"),
        trade(7, NEW, "2026-06-20T10:00:00Z", count_fp="2.50"),
        trade(8, NEW, "2026-06-20T10:00:00Z", count_fp="0.40"),
        trade(9, NEW, "2026-06-20T11:00:00Z", yes_price_dollars="0.4250"),
        trade(10, NEW, "2026-06-20T12:00:00Z", is_block_trade=True),
    ]
    app = web.Application()
    app.router.add_route("GET", "/{tail:.*}", stub.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stub.port = runner.addresses[0][1]
    yield stub
    await runner.cleanup()


@pytest.fixture
async def clients() -> AsyncIterator[list[KalshiClient]]:
    made: list[KalshiClient] = []
    yield made
    for client in made:
        await client.aclose()


@pytest.fixture
def download(clients, tmp_path):
    """A download of a range of days, from an exchange on this machine."""

    def make(base_url: str, series: str, first: str, last: str, **options: Any) -> Download:
        folder = options.pop("folder", tmp_path / "data")
        about = {key: options.pop(key) for key in ("candle_minutes", "table_format") if key in options}
        client = KalshiClient(base_url, None, rng=lambda: 0.0, on_body=options.pop("on_body", None))
        client.budget.read.resize(1e6, 1e6)
        clients.append(client)
        wanted = Wanted(tuple(series.split(",")), first, last, **about)
        return Download(History(client), folder, wanted, SteppingClock(), source=base_url, **options)

    return make


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return pl.read_parquet(folder / f"{name}.parquet").to_dicts()


async def test_both_tiers_are_merged_each_trade_once(exchange, download, tmp_path):
    """Across the cutoff nothing is missing, nothing is double, and time runs forward."""
    manifest = await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-05-31").run()
    trades = rows(tmp_path / "data", "kalshi_trades")
    assert [(row["market_ticker"], row["count"], row["taker_side"]) for row in trades] == [
        (OLD, 7, "no"),
        (OLD, 3, "yes"),
        (OLD, 3, "yes"),
        (BOTH, 3, "yes"),
        (BOTH, 3, "yes"),
        (BOTH, 3, "yes"),
    ]
    assert trades[1]["ts_ms"] == 1_778_407_200_123
    assert {row["yes_price_usd"] for row in trades} == {0.42}
    markets = rows(tmp_path / "data", "kalshi_markets")
    assert [row["market_ticker"] for row in markets] == [OLD, BOTH]
    assert manifest["tables"]["kalshi_trades"]["rows"] == 6


async def test_only_the_tier_that_can_hold_a_market_is_asked(exchange, download):
    """Old markets cost no live call and new ones no call to the archive."""
    await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-06-30").run()
    assert not exchange.asked("/markets/trades", OLD)
    assert not exchange.asked("/historical/trades", NEW)
    assert exchange.asked("/markets/trades", BOTH)
    assert exchange.asked("/historical/trades", BOTH)


async def test_what_a_table_cannot_hold_is_counted(exchange, download):
    """Block trades, fractions of cents and of contracts are left out or rounded down, and said."""
    manifest = await download(exchange.base_url, "KXHIGHNY", "2026-06-01", "2026-06-30").run()
    assert manifest["tables"]["kalshi_trades"]["rows"] == 1
    assert manifest["left_out"] == {
        "block trades": 1,
        "trades at a fraction of a cent": 1,
        "trades below one contract": 1,
        "trades rounded down to whole contracts": 1,
    }


async def test_columns_and_types_are_those_of_the_shared_tables(exchange, download, tmp_path):
    """The schema equals the one the recorded tables have, and holds every column the reader wants."""
    await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-06-30").run()
    for name, columns in TABLES.items():
        frame = pl.read_parquet(tmp_path / "data" / f"{name}.parquet")
        assert set(columns) <= set(frame.columns)
        assert dict(frame.schema) == {column: kind() for column, kind in SCHEMAS[name].items()}
        if not SHARED.is_dir():
            pytest.skip("../shared/data is not there to compare with")
        assert frame.schema == pl.read_parquet_schema(SHARED / f"{name}.parquet")


async def test_manifest_says_what_from_where_when_and_the_sums(exchange, download, tmp_path):
    """The manifest's hashes and row counts are those of the files."""
    manifest = await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-06-30").run()
    assert json.loads((tmp_path / "data" / MANIFEST).read_text()) == manifest
    for name, entry in manifest["tables"].items():
        path = tmp_path / "data" / entry["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        assert entry["rows"] == pl.read_parquet(path).height, name
    [request] = manifest["requests"]
    assert request["source"] == exchange.base_url
    assert (request["from"], request["to"], request["markets"]["fetched"]) == ("2026-05-01", "2026-06-30", 3)
    assert request["archive_cutoff"].startswith("2026-06-01T00:00:00")


async def test_a_second_run_fetches_only_what_is_missing(exchange, download, tmp_path):
    """Settled markets are never asked for again; the tables then hold both runs."""
    await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-05-15").run()
    exchange.requests.clear()
    manifest = await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-06-30").run()
    assert not exchange.asked("trades", OLD)
    assert exchange.asked("trades", NEW)
    assert manifest["requests"][1]["markets"] == {"wanted": 3, "present": 1, "fetched": 2}
    assert len(rows(tmp_path / "data", "kalshi_markets")) == 3


async def test_a_market_that_is_not_settled_is_fetched_again(exchange, download):
    """What can still change is not taken for complete, and is named in the manifest."""
    exchange.live_markets[1] |= {"status": "active", "result": "", "expiration_value": ""}
    first = await download(exchange.base_url, "KXHIGHNY", "2026-06-01", "2026-06-30").run()
    assert first["not_final"] == [NEW]
    exchange.live_markets[1] |= {"status": "finalized", "result": "no"}
    exchange.requests.clear()
    second = await download(exchange.base_url, "KXHIGHNY", "2026-06-01", "2026-06-30").run()
    assert exchange.asked("/markets/trades", NEW)
    assert second["not_final"] == []


async def test_a_damaged_part_is_fetched_again(exchange, download, tmp_path):
    """A file that cannot be read does not count as there."""
    await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-05-15").run()
    part = tmp_path / "data/parts/KXHIGHNY" / f"{OLD}.jsonl.gz"
    assert OLD.encode() in gzip.decompress(part.read_bytes())
    part.write_bytes(b"\x1f\x8bbroken")
    manifest = await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-05-15").run()
    assert manifest["requests"][-1]["markets"]["fetched"] == 1
    assert manifest["tables"]["kalshi_trades"]["rows"] == 3


async def test_candles_of_both_tiers_have_one_form(exchange, download, tmp_path):
    """The archive's names without suffixes and the live tier's with them give the same columns."""
    quotes = {"open": "0.4000", "low": "0.3900", "high": "0.4300", "close": "0.4200"}
    prices = quotes | {"mean": "0.410000", "previous": None}

    def suffixed(body: dict[str, Any]) -> dict[str, Any]:
        return {f"{name}_dollars": value for name, value in body.items()}

    old = {"end_period_ts": 1_778_403_600, "yes_bid": quotes, "yes_ask": quotes, "price": prices}
    new = {
        "end_period_ts": 1_781_953_200,
        "yes_bid": suffixed(quotes),
        "yes_ask": suffixed(quotes),
        "price": suffixed(dict.fromkeys(prices)),
    }
    exchange.candles = {
        f"/historical/markets/{OLD}/candlesticks": [old | {"volume": "3.00", "open_interest": "9.00"}],
        f"/series/KXHIGHNY/markets/{BOTH}/candlesticks": [],
        f"/series/KXHIGHNY/markets/{NEW}/candlesticks": [
            new | {"volume_fp": "0.00", "open_interest_fp": "9.50"}
        ],
    }
    await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-06-30").run()
    assert not (tmp_path / "data/kalshi_candles.parquet").exists()
    await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-06-30", candle_minutes=60).run()
    first, second = rows(tmp_path / "data", "kalshi_candles")
    assert (first["market_ticker"], first["price_high_usd"], first["price_mean_usd"]) == (OLD, 0.43, 0.41)
    assert (second["yes_bid_low_usd"], second["price_close_usd"]) == (0.39, None)
    assert second["open_interest_contracts"] == 9.5


async def test_csv_is_read_by_the_recorded_world_too(exchange, download, tmp_path):
    """The other format holds the same; switching leaves no table behind in the first."""
    await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-06-30").run()
    await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-06-30", table_format="csv").run()
    assert not list((tmp_path / "data").glob("*.parquet"))
    world = RecordedWorld(tmp_path / "data", ["KXHIGHNY"], "2026-05-01", "2026-06-30")
    assert sum(isinstance(event, CrowdPrint) for event in world.events()) == 7


async def test_weather_tables_of_others_are_left_alone(exchange, download, tmp_path):
    """Forecasts somebody put there survive; the empty table of a first run is ours to replace."""
    await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-05-15").run()
    assert rows(tmp_path / "data", "forecasts_daily_max") == []
    [maximum] = rows(tmp_path / "data", "nws_daily_max")
    assert (maximum["station"], maximum["date"], maximum["tmax_f"]) == ("KNYC", "2026-05-10", 51.0)
    mine = tmp_path / "data/forecasts_daily_max.parquet"
    pl.DataFrame({"series_ticker": ["KXHIGHNY"]}).write_parquet(mine)
    theirs = mine.read_bytes()
    manifest = await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-06-30").run()
    assert mine.read_bytes() == theirs
    assert "forecasts_daily_max" not in manifest["tables"]
    assert len(rows(tmp_path / "data", "nws_daily_max")) == 3


async def test_an_exchange_without_an_archive_has_one_tier(exchange, download):
    """No cutoff means that the live tier is all there is; the manifest says so."""
    exchange.has_archive = False
    manifest = await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-06-30").run()
    assert manifest["requests"][0]["archive_cutoff"] is None
    assert not exchange.asked("/historical/trades")
    assert manifest["requests"][0]["markets"]["fetched"] == 2


@pytest.mark.parametrize(
    ("series", "first", "last", "says"),
    [
        ("KXNOSUCH", "2026-05-01", "2026-05-02", "lists no series KXNOSUCH"),
        ("KXHIGHNY", "2020-01-01", "2020-01-02", "its markets are from 2026-05-10 to 2026-06-20"),
        ("KXHIGHNY", "2026-05-02", "2026-05-01", "swap them"),
        ("KXHIGHNY", "20260501", "2026-05-02", "--from"),
        ("KXHIGHNY", "2026-05-01", "tomorrow", "--to"),
    ],
)
async def test_bad_requests_are_named(exchange, download, series, first, last, says):
    """Unknown series, empty ranges and bad dates say what to do."""
    with pytest.raises(ConfigError, match=says):
        await download(exchange.base_url, series, first, last).run()


async def test_a_malformed_trade_is_an_error_not_a_gap(exchange, download, tmp_path):
    """An answer that breaks its contract stops the run, naming the field; nothing half is kept."""
    del exchange.old_trades[0]["yes_price_dollars"]
    with pytest.raises(WireError, match="yes_price_dollars"):
        await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-05-15").run()
    assert not list((tmp_path / "data").glob("parts/*/*"))


async def test_a_recordings_folder_is_refused(exchange, download, tmp_path):
    """A manifest of something else is not overwritten."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / MANIFEST).write_text('{"format": 1, "files": []}')
    with pytest.raises(ConfigError, match="not a download's manifest"):
        await download(exchange.base_url, "KXHIGHNY", "2026-05-01", "2026-05-15").run()


# --- over the wire, from the simulated exchange ------------------------------------------------------


@pytest.fixture
def lived(service):
    """The simulated exchange after its whole world; its series and days."""
    service.driver.step_until(service.driver._world.end)
    days = [event_date(event) for event in service.exchange.events]
    return service, sorted(service.exchange.series), min(days), max(days)


async def test_a_simulated_world_comes_back_as_a_recorded_one(lived, download, tmp_path):
    """Every trade and every result of the exchange is in the world that replays the download."""
    service, series, first, last = lived
    await download(service.rest_url, ",".join(series), first, last).run()
    RecordedTables(tmp_path / "data")
    world = RecordedWorld(tmp_path / "data", series, first, last)
    assert world.notes == ()
    events = list(world.events())
    prints = Counter(e.ticker for e in events if isinstance(e, CrowdPrint))
    states = service.exchange.markets
    assert prints == Counter(t.ticker for state in states.values() for t in state.trades)
    results = {e.ticker: e.result for e in events if isinstance(e, Determine)}
    assert results == {ticker: state.market.result for ticker, state in states.items()}


async def test_a_killed_run_goes_on_where_it_was(lived, download, tmp_path):
    """After a cancellation in the middle the next run asks only for the markets not yet there."""
    service, series, first, last = lived
    asked: Counter[str] = Counter()

    def count(kind: str, body: bytes) -> None:
        if "/trades?" in kind:
            asked[kind.partition("ticker=")[2].partition("&")[0]] += "cursor" not in kind

    some = asyncio.Event()

    def enough(progress: Any) -> None:
        if progress.fetched >= 5:
            some.set()

    names = ",".join(series)
    killed = asyncio.create_task(
        download(service.rest_url, names, first, last, on_body=count, on_progress=enough).run()
    )
    async with asyncio.timeout(30):
        await some.wait()
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    kept = {path.name.removesuffix(".jsonl.gz") for path in (tmp_path / "data/parts").glob("*/*.gz")}
    assert 5 <= len(kept) < len(service.exchange.markets)
    assert not (tmp_path / "data" / MANIFEST).exists()

    asked.clear()
    manifest = await download(service.rest_url, names, first, last, on_body=count).run()
    assert set(asked) == set(service.exchange.markets) - kept
    assert manifest["requests"][0]["markets"]["present"] == len(kept)

    whole = await download(service.rest_url, names, first, last, folder=tmp_path / "whole").run()
    assert {n: t["sha256"] for n, t in whole["tables"].items()} == {
        n: t["sha256"] for n, t in manifest["tables"].items()
    }
