"""The recorded world: nothing from the future, conservative books, real results."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from src.core.errors import ConfigError
from src.core.events import DailyMaximum, ForecastUpdate
from src.core.grid import LINEAR_CENT
from src.core.market import StrikeKind
from src.core.sides import BookSide
from src.core.units import MILLISECOND, MINUTE, SECOND
from src.simulator.recorded import RecordedWorld
from src.simulator.recorded_book import GONE_AFTER, STALE_AFTER, AssumedBook
from src.simulator.world import CrowdPrint, CrowdQuote, Determine, ListEvent, WeatherNews, World, WorldEvent

_DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(
    not (_DATA / "kalshi_trades.parquet").is_file(), reason=f"no recorded data in {_DATA}"
)


def _utc(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


# --- the assumed book ---------------------------------------------------------------------------


def _print(minute: int, cents: int, contracts: int, taker: BookSide) -> CrowdPrint:
    return CrowdPrint(minute * 60 * SECOND, "M", f"t{minute}", cents * 100, contracts * 100, taker)


def test_the_older_side_gives_way_by_one_tick_where_the_two_touch_or_cross() -> None:
    book = AssumedBook("M")
    book.after(_print(0, 40, 10, BookSide.BID))
    touched = book.after(_print(1, 40, 20, BookSide.ASK))
    assert (touched.bids[0][0], touched.asks[0][0]) == (4_000, 4_100)
    crossed = book.after(_print(2, 30, 20, BookSide.BID))
    assert (crossed.bids[0][0], crossed.asks[0][0]) == (2_900, 3_000)
    apart = book.after(_print(3, 50, 20, BookSide.BID))
    assert (apart.bids[0][0], apart.asks[0][0]) == (2_900, 5_000)


def test_a_side_pushed_off_the_grid_disappears() -> None:
    book = AssumedBook("M")
    book.after(_print(0, 5, 10, BookSide.ASK))
    quote = book.after(_print(1, 1, 10, BookSide.BID))
    assert quote.bids == ()
    assert quote.asks == ((100, 1_000), (200, 1_000))


def test_size_is_the_lower_median_of_the_last_five_prints_of_that_side_and_capped() -> None:
    book = AssumedBook("M")
    sizes = [book.after(_print(n, 40, c, BookSide.BID)).asks[0][1] for n, c in enumerate([10, 30, 20])]
    assert sizes == [1_000, 1_000, 2_000]
    quotes = [book.after(_print(10 + n, 40, 5_000, BookSide.BID)) for n in range(5)]
    assert quotes[-1].asks[0][1] == 20_000


def test_a_side_not_seen_yet_is_quoted_five_cents_away() -> None:
    """One print shows one side; the other is assumed wide, never better than the print."""
    quote = AssumedBook("M").after(_print(0, 60, 10, BookSide.BID))
    assert quote == CrowdQuote(0, "M", ((5_500, 1_000), (5_400, 1_000)), ((6_000, 1_000), (6_100, 1_000)))


def test_an_old_side_retreats_and_an_old_market_has_no_book() -> None:
    """Three hours after its own last print a side is five cents or more from the newest; later nothing."""
    book = AssumedBook("M")
    book.after(_print(1, 60, 10, BookSide.BID))
    book.after(_print(30, 58, 10, BookSide.ASK))
    assert book.aged(1 + STALE_AFTER - 1) is None
    wide = book.aged(MINUTE + STALE_AFTER)
    assert wide is not None
    assert (wide.bids[0][0], wide.asks[0][0]) == (5_800, 6_300)
    gone = book.aged(30 * MINUTE + GONE_AFTER)
    assert gone is not None
    assert (gone.bids, gone.asks) == ((), ())


# --- a small CSV history ------------------------------------------------------------------------

_MARKETS = """series_ticker,event_ticker,market_ticker,event_date,yes_sub_title,strike_type,floor_strike_f,\
cap_strike_f,open_time_utc,close_time_utc,result,expiration_value_f,nws_tmax_f,result_from_nws
KXHIGHNY,HIGHNY-24MAR10,HIGHNY-24MAR10-T50,2024-03-10,49 or below,less,,50,,,,,51.0,no
KXHIGHNY,HIGHNY-24MAR10,HIGHNY-24MAR10-B50.5,2024-03-10,50 to 51,between,50,51,,,,,51.0,yes
KXHIGHNY,HIGHNY-24MAR10,HIGHNY-24MAR10-T51,2024-03-10,,,,,,,,,51.0,
KXHIGHNY,KXHIGHNY-24MAR11,KXHIGHNY-24MAR11-T60,2024-03-11,61 or above,greater,60,,2024-03-10T14:30:00Z,\
2024-03-12T03:59:00Z,no,60.0,60.0,no
KXHIGHNY,KXHIGHNY-24MAR11,KXHIGHNY-24MAR11-B59.5,2024-03-11,59 to 60,between,59,60,2024-03-10T14:30:00Z,\
2024-03-12T03:59:00Z,yes,60.0,60.0,yes
KXHIGHNY,KXHIGHNY-24MAR12,KXHIGHNY-24MAR12-T60,2024-03-12,61 or above,greater,60,,,,,,,
"""
_TRADES = """series_ticker,event_date,market_ticker,ts_ms,yes_price_usd,count,taker_side
KXHIGHNY,2024-03-10,HIGHNY-24MAR10-B50.5,1709992800000,0.40,10,yes
KXHIGHNY,2024-03-10,HIGHNY-24MAR10-B50.5,1710000000000,0.38,20,no
KXHIGHNY,2024-03-10,HIGHNY-24MAR10-T50,1710000000000,0.20,5,no
KXHIGHNY,2024-03-10,HIGHNY-24MAR10-B50.5,1710000060000,0.45,30,yes
KXHIGHNY,2024-03-10,HIGHNY-24MAR10-B50.5,1710050000000,0.90,15,yes
KXHIGHNY,2024-03-11,KXHIGHNY-24MAR11-B59.5,1710120000000,0.50,12,yes
KXHIGHNY,2024-03-11,KXHIGHNY-24MAR11-B59.5,1710120000000,0.51,8,yes
"""
_FORECASTS = """series_ticker,station,target_date,model,lead_days,run_asof_utc,known_at_utc,tmax_f
KXHIGHNY,KNYC,2024-03-08,nbm,1.0,2024-03-07T12:00:00Z,2024-03-07T18:00:00Z,47.5
KXHIGHNY,KNYC,2024-03-10,nbm,1.0,2024-03-09T12:00:00Z,2024-03-09T18:00:00Z,49.5
KXHIGHNY,NEW_YORK_CITY,2024-03-10,nws_official_email,0.8,,2024-03-09T19:00:00Z,50
KXHIGHNY,KNYC,2024-03-11,hrrr,1.0,,2024-03-10T18:00:00Z,58.2
"""
_MAXIMA = """series_ticker,station,date,tmax_f,source
KXHIGHNY,KNYC,2024-03-08,48,acis
KXHIGHNY,KNYC,2024-03-08,49,nws_cli
KXHIGHNY,KNYC,2024-03-08,47,noaa_lcd
KXHIGHNY,KNYC,2024-03-09,52,noaa_lcd
KXHIGHNY,KNYC,2024-03-10,51,nws_cli
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kalshi_markets.csv").write_text(_MARKETS)
    (tmp_path / "kalshi_trades.csv").write_text(_TRADES)
    (tmp_path / "forecasts_daily_max.csv").write_text(_FORECASTS)
    (tmp_path / "nws_daily_max.csv").write_text(_MAXIMA)
    return tmp_path


def _world(folder: Path, series: str = "KXHIGHNY") -> RecordedWorld:
    return RecordedWorld(folder, [series], "2024-03-10", "2024-03-12")


def test_listing_closing_and_results_follow_the_record_where_it_has_them(folder: Path) -> None:
    events = list(_world(folder).events())
    old, new = (e for e in events if isinstance(e, ListEvent))
    assert old.event_ticker == "HIGHNY-24MAR10"
    assert old.series_ticker == "KXHIGHNY"
    # The first trade came an hour before the usual listing; the day the clocks change ends at 05:00Z.
    assert old.ts == 1709992800000 * MILLISECOND < _utc("2024-03-09T15:00:00Z")
    assert {m.close_time for m in old.markets} == {_utc("2024-03-11T05:00:00Z")}
    assert [m.ticker for m in old.markets] == ["HIGHNY-24MAR10-T50", "HIGHNY-24MAR10-B50.5"]
    assert new.ts == _utc("2024-03-10T14:30:00Z")
    assert {m.close_time for m in new.markets} == {_utc("2024-03-12T03:59:00Z")}
    assert [m.strike.kind for m in new.markets if m.strike] == [StrikeKind.GREATER, StrikeKind.BETWEEN]
    results = {e.ticker: e for e in events if isinstance(e, Determine)}
    assert len(results) == 4
    assert results["HIGHNY-24MAR10-B50.5"].result == "yes"
    assert results["HIGHNY-24MAR10-B50.5"].settlement_value == 10_000
    assert results["HIGHNY-24MAR10-T50"].expiration_value == "51.00"
    assert results["KXHIGHNY-24MAR11-T60"].result == "no"
    assert results["KXHIGHNY-24MAR11-T60"].ts == _utc("2024-03-12T14:00:00Z")


def test_what_is_left_out_is_counted_and_named(folder: Path) -> None:
    world = _world(folder)
    assert world.days == 2
    assert world.notes == (
        "1 market(s) without a strike type left out: HIGHNY-24MAR10-T51",
        "1 event(s) without a known result left out: KXHIGHNY-24MAR12",
    )


def test_each_trade_is_a_print_followed_by_the_assumed_book_which_ages(
    folder: Path,
) -> None:
    ticker = "HIGHNY-24MAR10-B50.5"
    flow = [
        e for e in _world(folder).events() if isinstance(e, CrowdPrint | CrowdQuote) and e.ticker == ticker
    ]
    tops = [
        (e.bids[0][0] if e.bids else None, e.asks[0][0] if e.asks else None)
        for e in flow
        if isinstance(e, CrowdQuote)
    ]
    assert tops == [
        (3_500, 4_000),
        (3_800, 4_000),
        (3_800, 4_500),
        (3_800, 5_000),
        (None, None),
        (3_800, 9_000),
        (3_800, 9_500),
        (None, None),
    ]
    assert [type(e) for e in flow[:2]] == [CrowdPrint, CrowdQuote]
    assert flow[0].ts == flow[1].ts == 1709992800000 * MILLISECOND


def test_weather_arrives_when_it_was_known_from_the_settling_station_and_the_preferred_source(
    folder: Path,
) -> None:
    world = _world(folder)
    past = list(world.history())
    assert [type(i) for i in past] == [ForecastUpdate, DailyMaximum]
    assert isinstance(past[1], DailyMaximum)
    assert (past[1].tmax_f, past[1].final, past[1].ts_recv) == (49, True, _utc("2024-03-09T13:00:00Z"))
    news = [e for e in world.events() if isinstance(e, WeatherNews)]
    assert all(e.ts == e.item.ts_recv for e in news)
    forecasts = [e.item for e in news if isinstance(e.item, ForecastUpdate)]
    assert [(f.source, f.tmax_f, f.ts_recv) for f in forecasts] == [
        ("nbm", 49.5, _utc("2024-03-09T18:00:00Z")),
        ("hrrr", 58.2, _utc("2024-03-10T18:00:00Z")),
    ]
    assert forecasts[0].issued_ts == _utc("2024-03-09T12:00:00Z")
    maxima = [e.item for e in news if isinstance(e.item, DailyMaximum)]
    assert [(m.date, m.tmax_f) for m in maxima] == [("2024-03-09", 52), ("2024-03-10", 51)]


@pytest.mark.parametrize("cut_ms", [1709992800000, 1710000000000, 1710000060000, 1710119999999])
def test_removing_later_trades_changes_nothing_up_to_then(folder: Path, cut_ms: int) -> None:
    cut = cut_ms * MILLISECOND
    whole = [e for e in _world(folder).events() if e.ts <= cut]
    lines = list(csv.reader(_TRADES.splitlines()))
    kept = [lines[0], *(line for line in lines[1:] if int(line[3]) <= cut_ms)]
    (folder / "kalshi_trades.csv").write_text("\n".join(",".join(line) for line in kept) + "\n")
    assert [e for e in _world(folder).events() if e.ts <= cut] == whole


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("kalshi_trades", "0.38", "0.385", r"kalshi_trades.*HIGHNY-24MAR10-B50\.5.*whole cents"),
        ("kalshi_trades", ",20,no", ",0,no", r"kalshi_trades.*count"),
        ("kalshi_trades", ",20,no", ",20,maybe", r"kalshi_trades.*taker_side"),
        ("kalshi_trades", "0.38", "cheap", r"kalshi_trades.*cannot be read"),
        ("kalshi_trades", "taker_side", "side", r"kalshi_trades.*lacks.*taker_side"),
        ("kalshi_markets", "between,50,51", "between,51,50", r"HIGHNY-24MAR10-B50\.5.*floor 51"),
        ("kalshi_markets", "between,50,51", "above,50,51", r"HIGHNY-24MAR10-B50\.5.*above"),
        ("kalshi_markets", "51.0,yes", "51.0,maybe", r"HIGHNY-24MAR10-B50\.5.*maybe"),
        ("kalshi_markets", "2024-03-10T14:30:00Z", "2024-03-10 14:30", r"open_time_utc.*time zone"),
        ("forecasts_daily_max", "2024-03-09T18:00:00Z", "soon", r"known_at_utc.*soon"),
        ("forecasts_daily_max", "18:00:00Z,49.5", "18:00:00Z,", r"forecasts_daily_max.*tmax_f"),
    ],
)
def test_a_bad_cell_is_refused_and_named(folder: Path, table: str, old: str, new: str, message: str) -> None:
    path = folder / f"{table}.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=message):
        _world(folder)


def test_a_missing_folder_or_table_is_named_with_its_mend(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.*give the folder that holds kalshi_trades"):
        _world(folder / "nowhere")
    (folder / "nws_daily_max.csv").unlink()
    with pytest.raises(ConfigError, match=r"nws_daily_max is missing.*put nws_daily_max\.parquet"):
        _world(folder)


def test_an_unknown_series_or_an_empty_range_says_what_the_data_hold(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"KXHIGHXX.*choose from KXHIGHNY"):
        _world(folder, "KXHIGHXX")
    with pytest.raises(ConfigError, match="2024-03-10 to 2024-03-12"):
        RecordedWorld(folder, ["KXHIGHNY"], "2025-01-01", "2025-01-31")
    with pytest.raises(ConfigError, match="no usable event"):
        RecordedWorld(folder, ["KXHIGHNY"], "2024-03-12", "2024-03-12")
    with pytest.raises(ConfigError, match="date_to"):
        RecordedWorld(folder, ["KXHIGHNY"], "2024-03-12", "2024-03-10")
    with pytest.raises(ConfigError, match="date_from"):
        RecordedWorld(folder, ["KXHIGHNY"], "10 March", "2024-03-10")


# --- the real history ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fortnight() -> World:
    return RecordedWorld(_DATA, ["KXHIGHNY"], "2024-10-01", "2024-10-14")


@pytest.fixture(scope="module")
def fortnight_events(fortnight: World) -> list[WorldEvent]:
    return list(fortnight.events())


@needs_data
def test_the_new_york_fortnight_is_whole_and_in_order(
    fortnight: World, fortnight_events: list[WorldEvent]
) -> None:
    kinds = Counter(type(e) for e in fortnight_events)
    assert fortnight.kind == "recorded"
    assert fortnight.days == kinds[ListEvent] == 14
    assert kinds[Determine] == 84
    assert kinds[CrowdPrint] == 2_242
    assert kinds[CrowdQuote] >= 2_242
    assert all(a.ts <= b.ts for a, b in itertools.pairwise(fortnight_events))
    assert fortnight.start <= fortnight_events[0].ts
    assert fortnight_events[-1].ts <= fortnight.end
    assert list(fortnight.events()) == fortnight_events
    results = [e for e in fortnight_events if isinstance(e, Determine)]
    assert sum(e.result == "yes" for e in results) == 14


@needs_data
def test_no_real_quote_crosses_leaves_the_grid_or_outlives_its_market(
    fortnight_events: list[WorldEvent],
) -> None:
    markets = {m.ticker: m for e in fortnight_events if isinstance(e, ListEvent) for m in e.markets}
    for event in fortnight_events:
        if not isinstance(event, CrowdQuote):
            continue
        assert markets[event.ticker].is_open(event.ts)
        for price, count in (*event.bids, *event.asks):
            assert LINEAR_CENT.is_legal(price)
            assert 100 <= count <= 20_000
        if event.bids and event.asks:
            assert event.bids[0][0] < event.asks[0][0]


@needs_data
def test_real_results_agree_with_the_measured_maximum() -> None:
    rows = (
        pl.scan_parquet(_DATA / "kalshi_markets.parquet")
        .filter(pl.col("result").is_not_null() & pl.col("result_from_nws").is_not_null())
        .select("result", "result_from_nws", "expiration_value_f", "nws_tmax_f")
        .collect()
    )
    assert rows.height > 2_000
    assert (rows["result"] == rows["result_from_nws"]).all()
    settled = rows.filter(pl.col("expiration_value_f").is_not_null() & pl.col("nws_tmax_f").is_not_null())
    assert (settled["expiration_value_f"] == settled["nws_tmax_f"]).all()


@needs_data
def test_the_settlement_value_is_the_final_maximum_published_before_it(
    fortnight_events: list[WorldEvent],
) -> None:
    finals: dict[str, int] = {}
    for event in fortnight_events:
        if isinstance(event, WeatherNews) and isinstance(event.item, DailyMaximum):
            finals[event.item.date] = event.item.tmax_f
        elif isinstance(event, Determine):
            newest = max(finals)
            assert event.expiration_value == f"{finals[newest]}.00"


@needs_data
def test_history_is_400_days_of_what_was_public(fortnight: World) -> None:
    history = list(fortnight.history())
    assert all(item.ts_recv < fortnight.start for item in history)
    finals = [item for item in history if isinstance(item, DailyMaximum)]
    assert len({item.date for item in finals}) == len(finals)
    assert len(finals) >= 395
    sources = {item.source for item in history if isinstance(item, ForecastUpdate)}
    assert {"nbm", "hrrr", "rap", "gefs_mean"} <= sources
    assert sum(isinstance(i, ForecastUpdate) and i.source == "nbm" for i in history) > 150


@needs_data
def test_no_look_ahead_in_the_real_book(tmp_path: Path, fortnight_events: list[WorldEvent]) -> None:
    cut = _utc("2024-10-07T16:00:00Z")
    for table in ("kalshi_markets", "forecasts_daily_max", "nws_daily_max"):
        (tmp_path / f"{table}.parquet").symlink_to(_DATA / f"{table}.parquet")
    early = pl.col("ts_ms") * MILLISECOND <= cut
    pl.scan_parquet(_DATA / "kalshi_trades.parquet").filter(early).collect().write_parquet(
        tmp_path / "kalshi_trades.parquet"
    )
    truncated = RecordedWorld(tmp_path, ["KXHIGHNY"], "2024-10-01", "2024-10-14")
    expected = [e for e in fortnight_events if e.ts <= cut]
    assert len(expected) > 1_000
    assert [e for e in truncated.events() if e.ts <= cut] == expected
