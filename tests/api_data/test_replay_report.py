"""``replay``: recorded streams of ours and of others, read into books, and what is said of them."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from src.api.recorder_format import Record, RecordFile, recording_files
from src.api.replay_report import ReplayReport
from src.core.book import OrderBook
from src.core.errors import ConfigError
from src.core.events import BookDelta, BookSnapshot, MarketUpdate
from src.core.units import HOUR, format_price
from src.runtime.cli import app

from .conftest import turn_until

A, B = "KXHIGHNY-26NOV23-B50.5", "KXBTC-26NOV2317-T90000"

Frame = dict[str, Any]


def snapshot(sid: int, seq: int, ticker: str, yes: Any, no: Any, **more: Any) -> Frame:
    """A whole book; a side that is None has no key, as on the wire."""
    sides = {"yes_dollars_fp": yes, "no_dollars_fp": no}
    msg = {"market_ticker": ticker, **{key: side for key, side in sides.items() if side is not None}, **more}
    return {"type": "orderbook_snapshot", "sid": sid, "seq": seq, "msg": msg}


def delta(sid: int, seq: int, ticker: str, side: str, price: str, change: str, **more: Any) -> Frame:
    msg = {"market_ticker": ticker, "price_dollars": price, "delta_fp": change, "side": side, **more}
    return {"type": "orderbook_delta", "sid": sid, "seq": seq, "msg": msg}


def trade(sid: int, seq: int, ticker: str, price: str = "0.4000") -> Frame:
    msg = {
        "trade_id": f"t{seq}",
        "market_ticker": ticker,
        "yes_price_dollars": price,
        "no_price_dollars": "0.6000",
        "count_fp": "1.37",
        "taker_side": "yes",
        "taker_book_side": "bid",
        "ts_ms": 1_795_420_800_000,
    }
    return {"type": "trade", "sid": sid, "seq": seq, "msg": msg}


def write(path: Path, frames: Iterable[Any]) -> Path:
    text = "".join(json.dumps(frame) + "\n" for frame in frames).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def read(path: Path, prices: Any = None) -> dict[str, Any]:
    report = ReplayReport(prices)
    report.read(path)
    return report.document()


def findings(document: dict[str, Any]) -> dict[str, int]:
    return {name: document[name]["count"] for name in ("unparsed", "negative_levels", "crossed_books")}


NOTHING_WRONG = {"unparsed": 0, "negative_levels": 0, "crossed_books": 0}


def tops(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        tuple(each[name] for name in ("sid", "market", "bid", "bid_size", "ask", "ask_size"))
        for each in document["books"]
    ]


def market_stream(
    ticker: str, sid: int, steps: int, seed: int
) -> tuple[list[Frame], dict[str, dict[int, int]]]:
    """A consistent stream of one market, NO-leg prices, prices of 0.0001 and fractional counts, and its book.

    ``seq`` skips now and then, as where other markets of the subscription were cut out.
    """
    chance = random.Random(seed)
    book: dict[str, dict[int, int]] = {"yes": {4_000: 1_050}, "no": {5_000: 333}}
    frames = [snapshot(sid, 5, ticker, [["0.4000", "10.50"]], [["0.5000", "3.33"]])]
    seq = 5
    for _ in range(steps):
        seq += 1 + (chance.random() < 0.1) * chance.randint(1, 9)
        if chance.random() < 0.1:
            frames.append(trade(sid, seq, ticker, f"0.{chance.randint(1, 9_999):04d}"))
            continue
        side = chance.choice(["yes", "no"])
        # YES bids up to 0.4500 and NO bids up to 0.5400 can never cross.
        price = chance.randint(1, 4_500 if side == "yes" else 5_400)
        if book[side] and chance.random() < 0.5:
            price = chance.choice(sorted(book[side]))
        before = book[side].get(price, 0)
        after = chance.choice([0, chance.randint(1, 99_999)])
        change = f"{(after - before) / 100:.2f}"
        frames.append(delta(sid, seq, ticker, side, f"{price / 10_000:.4f}", change))
        book[side][price] = after
        if not after:
            del book[side][price]
    return frames, book


def expected_top(sid: int, ticker: str, book: dict[str, dict[int, int]]) -> tuple[Any, ...]:
    bid, no = max(book["yes"], default=None), max(book["no"], default=None)
    return (
        sid,
        ticker,
        None if bid is None else f"{bid / 10_000:.4f}",
        None if bid is None else f"{book['yes'][bid] / 100:.2f}",
        None if no is None else f"{(10_000 - no) / 10_000:.4f}",
        None if no is None else f"{book['no'][no] / 100:.2f}",
    )


@pytest.mark.parametrize("name", ["stream.ndjson", "stream.ndjson.gz"])
def test_a_consistent_cut_out_stream_is_clean_and_ends_in_its_book(tmp_path, name):
    """Fractional counts, prices of 0.0001, trades, gaps of a cut-out market: no complaint but the gaps."""
    frames, book = market_stream(A, 2, 3_000, seed=1)
    document = read(write(tmp_path / name, frames))
    assert findings(document) == NOTHING_WRONG
    assert document["sequence_gaps"] > 100
    assert document["messages"]["orderbook_snapshot"] == 1
    assert document["messages"]["trade"] == sum(frame["type"] == "trade" for frame in frames)
    assert tops(document) == [expected_top(2, A, book)]
    (levels,) = [each["levels"] for each in document["books"]]
    assert levels == [len(book["yes"]), len(book["no"])]


def test_two_interleaved_connections_keep_a_book_each(tmp_path):
    """The same market over two connections: each has its own sequence and its own book."""
    first, book = market_stream(A, 2, 800, seed=2)
    second, other = market_stream(A, 7, 800, seed=3)
    chance = random.Random(4)
    merged: list[Frame] = []
    queues = [list(reversed(first)), list(reversed(second))]
    while any(queues):
        merged.append(chance.choice([queue for queue in queues if queue]).pop())
    lines = [{"recv_ms": 1_795_420_800_000 + number, "event": frame} for number, frame in enumerate(merged)]
    document = read(write(tmp_path / "two.ndjson", lines))
    assert findings(document) == NOTHING_WRONG
    assert tops(document) == [expected_top(2, A, book), expected_top(7, A, other)]
    assert [each["sid"] for each in document["sequences"]] == [2, 7]
    assert all(each["recv_ns"] >= 1_795_420_800_000 * 1_000_000 for each in document["books"])


def test_gaps_are_counted_by_subscription_and_the_book_goes_on(tmp_path):
    frames = [
        snapshot(1, 10, A, [["0.40", "1.00"]], None),
        delta(1, 14, A, "yes", "0.41", "2.00"),
        delta(1, 15, A, "yes", "0.42", "3.00"),
        trade(2, 1, A),
        trade(2, 3, A),
        trade(2, 1, A),
    ]
    document = read(write(tmp_path / "gaps", frames))
    assert document["sequences"] == [
        {"connection": 0, "sid": 1, "messages": 3, "gaps": 1, "missing": 3, "restarts": 0},
        {"connection": 0, "sid": 2, "messages": 3, "gaps": 1, "missing": 1, "restarts": 1},
    ]
    assert tops(document) == [(1, A, "0.4200", "3.00", None, None)]


def test_changes_that_a_snapshot_holds_already_are_not_applied_twice(tmp_path):
    """A snapshot holds every change up to its clock, on whichever connection it comes."""
    frames = [
        delta(1, 1, A, "yes", "0.40", "5.00", clock=98),
        snapshot(1, 2, A, [["0.40", "5.00"]], [], clock=100),
        delta(1, 3, A, "yes", "0.40", "-5.00", clock=99),
        delta(1, 4, A, "yes", "0.40", "2.50", clock=101),
    ]
    document = read(write(tmp_path / "clocks", frames))
    assert findings(document) == NOTHING_WRONG
    assert tops(document) == [(1, A, "0.4000", "7.50", None, None)]
    assert document["deltas_before_a_snapshot"] == 1


def test_a_negative_level_is_reported_with_its_place_and_the_book_goes_on(tmp_path):
    frames = [
        snapshot(1, 1, A, [["0.40", "5.00"], ["0.39", "1.00"]], []),
        delta(1, 2, A, "yes", "0.40", "-5.01"),
        delta(1, 3, A, "yes", "0.38", "4.00"),
    ]
    document = read(write(tmp_path / "negative.ndjson", frames))
    assert findings(document) == NOTHING_WRONG | {"negative_levels": 1}
    assert document["negative_levels"]["first"] == [
        f"negative.ndjson message 2: {A} bid at 0.4000: 5.00 there, changed by -5.01"
    ]
    assert tops(document) == [(1, A, "0.3900", "1.00", None, None)]


def test_a_crossed_book_is_reported_once_while_it_lasts(tmp_path):
    frames = [
        snapshot(1, 1, A, [["0.40", "5.00"]], [["0.55", "1.00"]]),
        delta(1, 2, A, "yes", "0.46", "1.00"),
        delta(1, 3, A, "yes", "0.30", "1.00"),
        delta(1, 4, A, "yes", "0.46", "-1.00"),
        delta(1, 5, A, "no", "0.60", "1.00"),
    ]
    document = read(write(tmp_path / "crossed.ndjson", frames))
    assert findings(document) == NOTHING_WRONG | {"crossed_books": 2}
    assert document["crossed_books"]["first"] == [
        f"crossed.ndjson message 2: {A}: bid 0.4600 at or above ask 0.4500",
        f"crossed.ndjson message 5: {A}: bid 0.4000 at or above ask 0.4000",
    ]
    assert document["books"][0]["is_crossed"] is True


def test_deltas_of_one_exchange_action_are_judged_together(tmp_path):
    """Deltas that share a clock are one action: what is crossed only in between was never a state."""
    frames = [
        snapshot(1, 1, A, [["0.40", "5.00"]], [["0.55", "1.00"]], clock=5),
        delta(1, 2, A, "yes", "0.46", "1.00", clock=6),
        delta(1, 3, A, "no", "0.55", "-1.00", clock=6),
        delta(1, 4, A, "yes", "0.30", "1.00", clock=7),
    ]
    assert findings(read(write(tmp_path / "action", frames))) == NOTHING_WRONG
    left_crossed = [*frames[:2], delta(1, 3, A, "yes", "0.30", "1.00", clock=7)]
    assert findings(read(write(tmp_path / "left", left_crossed)))["crossed_books"] == 1


def test_prices_of_the_no_side_are_read_in_the_leg_that_is_named(tmp_path):
    frames = [
        snapshot(1, 1, A, [["0.40", "5.00"]], [["0.5500", "1.00"]]),
        delta(1, 2, A, "no", "0.5600", "2.00"),
    ]
    path = write(tmp_path / "legs", frames)
    assert tops(read(path)) == [(1, A, "0.4000", "5.00", "0.4400", "2.00")]
    assert tops(read(path, "no-leg")) == [(1, A, "0.4000", "5.00", "0.4400", "2.00")]
    assert tops(read(path, "yes-leg")) == [(1, A, "0.4000", "5.00", "0.5500", "1.00")]


def test_messages_that_cannot_be_read_are_counted_and_their_fields_named(tmp_path):
    frames: list[Any] = [
        delta(1, 1, A, "maybe", "0.40", "1.00"),
        snapshot(1, 2, A, [["1.40", "1.00"]], []),
        trade(2, 1, A) | {"msg": {"market_ticker": A}},
        {"type": "brand_new", "sid": 3, "seq": 1, "msg": {}},
        [1, 2],
    ]
    document = read(write(tmp_path / "odd", frames))
    assert document["unparsed"]["count"] == 4
    told = "\n".join(document["unparsed"]["first"])
    for name in ("side", "yes_dollars_fp", "trade_id"):
        assert name in told
    assert document["unknown_types"] == {"brand_new": 1}


def test_our_own_recording_is_read_with_yes_prices_and_a_book_per_connection(tmp_path):
    path = tmp_path / "000001-x.rec.gz"
    file = RecordFile(path)
    frames = [
        snapshot(3, 1, A, [["0.40", "5.00"]], [["0.4500", "1.00"]]),
        snapshot(3, 1, A, [["0.30", "5.00"]], [["0.3500", "1.00"]]),
    ]
    file.write(Record("start", b'{"format": 1, "feed": "websocket"}', 1))
    for number, frame in enumerate(frames, 2):
        file.write(Record("open", b'{"series": ["KXHIGHNY"]}', number))
        file.write(Record("ws", json.dumps(frame).encode(), number))
    file.write(Record("dropped", b"4", 9))
    file.close()
    document = read(path)
    assert findings(document) == NOTHING_WRONG
    assert tops(document) == [(3, A, "0.3000", "5.00", "0.3500", "1.00")]
    assert document["dropped_while_recording"] == 4
    assert document["sequence_gaps"] == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"\n\n", "only empty lines"),
        (b'{"type": "ok"}\nnot json\n', "line 2 is not JSON"),
        (b'{"type": "ok"}\n{"type": "tra', "line 2 is not JSON"),
        (b"[" * 5_000, "line 1 is not JSON"),
        (gzip.compress(b'{"type": "ok"}\n' * 1_000, mtime=0)[:-20], "cannot be read"),
        (b"\x1f\x8bnot gzip at all", "cannot be read"),
    ],
)
def test_a_file_that_is_no_stream_is_one_clear_error(tmp_path, content, told):
    path = tmp_path / "stream.ndjson"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        read(path)


def test_the_command_shows_a_table_and_writes_everything_as_json(tmp_path):
    stream = write(tmp_path / "a.ndjson", [snapshot(1, 1, A, [["0.40", "5.00"]], [["0.5555", "1.25"]])])
    other = write(tmp_path / "b.ndjson.gz", [trade(2, 1, B), trade(2, 5, B)])
    out = tmp_path / "report" / "all.json"
    result = CliRunner().invoke(app, ["replay", str(stream), str(other), "--json", str(out)])
    assert result.exit_code == 0, result.output
    for told in (
        "unparsed messages: 0",
        "negative levels: 0",
        "crossed books: 0",
        "sequence gaps: 1",
        "0.4445",
    ):
        assert told in result.output
    document = json.loads(out.read_text())
    assert document["messages"] == {"orderbook_snapshot": 1, "trade": 2}
    assert tops(document) == [(1, A, "0.4000", "5.00", "0.4445", "1.25")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.ndjson"], "missing.ndjson"),
        (["stream", "--prices", "both"], "--prices"),
        ([".", "--prices", "yes-leg"], "holds no recording"),
    ],
)
def test_bad_arguments_are_errors_of_the_user(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "stream", [trade(1, 1, A)])
    result = CliRunner().invoke(app, ["replay", *arguments])
    assert isinstance(result.exception, ConfigError)
    assert told in str(result.exception)


async def test_a_recording_of_a_simulated_day_is_clean_and_ends_in_the_exchanges_books(
    service, live, make_recorder, tmp_path
):
    """What ``record`` wrote of a real connection: no gap, and the tops the events of the feed end in."""
    recorder = make_recorder()
    collected = await live(recorder)
    feed, driver = collected.feed, service.driver
    until = service.exchange.now + 12 * HOUR
    while service.exchange.now < until:
        driver.step_until(min(service.exchange.now + HOUR, until))
        await turn_until(
            lambda: feed.is_settled and feed.frames_handled == service.server.frames_sent, "a quiet feed"
        )
    await recorder.aclose()
    report = ReplayReport()
    for path in recording_files(tmp_path / "recording"):
        report.read(path)
    document = report.document()
    assert findings(document) == NOTHING_WRONG
    assert document["sequence_gaps"] == 0
    assert document["messages"]["orderbook_delta"] > 100
    books: dict[str, OrderBook] = {}
    for event in collected.events:
        match event:
            case MarketUpdate(market=market):
                books.setdefault(market.ticker, OrderBook(market.ticker, market.grid))
            case BookSnapshot():
                books[event.ticker].apply_snapshot(event.bids, event.asks, event.seq, 0, None)
            case BookDelta(side=side, price=price, delta=change):
                books[event.ticker].apply_delta(side, price, change, event.seq, 0, None)
    assert {each["market"]: (each["bid"], each["ask"]) for each in document["books"]} == {
        ticker: tuple(
            None if price is None else format_price(price) for price in (book.best_bid, book.best_ask)
        )
        for ticker, book in books.items()
        if book.is_valid
    }
