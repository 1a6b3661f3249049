"""The compiled path of the feed and the plain one: the same books, events and complaints from the same bytes.

The plain path is the one the other tests hold against exact arithmetic; here the compiled scanner and the books
in arrays are held against it, on messages as the venue sends them and on everything that is not quite one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.api.delta_scan import DeltaScanner
from src.api.session import WORTHWHILE, FeedSession
from src.core.book_arrays import BookArrays
from src.core.events import (
    BookDelta,
    BookDeltas,
    BookInvalid,
    Event,
    FeedDown,
    FeedUp,
    MarketUpdate,
)
from src.core.fees import FeeSchedule
from src.core.grid import DECI_CENT, LINEAR_CENT, TAPERED_DECI_CENT, PriceGrid, PriceRange
from src.core.market import Market, MarketStatus
from src.core.sides import BookSide
from src.core.units import format_count, format_price
from src.execution.market_state import MarketState

FINEST = PriceGrid((PriceRange(0, 10_000, 1),))
GRIDS = {
    "KXHIGHNY-26NOV23-B50.5": LINEAR_CENT,
    "KXHIGHNY-26NOV23-T57": DECI_CENT,
    "KXLONGNAMEDSERIES-26NOV23-SOMETHINGLONG": TAPERED_DECI_CENT,
    "KX-1": FINEST,
}
TICKERS = list(GRIDS)
BOOKS = 3


class Side:
    """One path from bytes to books; ``compiled`` or not."""

    def __init__(self, *, compiled: bool) -> None:
        self.compiled = compiled
        self.bad: list[tuple[str, str]] = []
        self.asked: list[Any] = []
        self.markets: dict[str, Any] = dict.fromkeys(TICKERS)
        self.series = ("KXHIGHNY",)
        self.session = FeedSession(self, lambda *bad: self.bad.append(bad))
        self.state = MarketState()
        self.events: list[Event] = []
        self.complaints: list[tuple[str, str]] = []
        self.batches = 0
        if compiled:
            self.session.read_by(DeltaScanner())
            self.state.use_arrays(BookArrays())
        self.session.open()
        self.session.watch(TICKERS)
        for event in (*(MarketUpdate(market(each), 0) for each in TICKERS), FeedUp("market", 0)):
            self.take(event)

    def ask(self, refresh: Any) -> None:
        self.asked.append(refresh)

    def forget(self, ticker: str) -> None:
        self.markets.pop(ticker)

    def receive(self, frames: Sequence[bytes], ts: int) -> None:
        """Frames that arrived together; a broken connection is given up, as the feed does."""
        groups = [frames] if self.compiled else [[frame] for frame in frames]
        for group in groups:
            for events, _ in self.session.on_frames(group, ts):
                for event in events:
                    self.take(event)

    def take(self, event: Event) -> None:
        """As the engine does."""
        if isinstance(event, BookDeltas):
            self.batches += 1
            self.events += event
            self.complaints += self.state.apply_batch(event)
            return
        self.events.append(event)
        complaint = self.state.apply(event)
        if complaint is not None:
            self.complaints.append((getattr(event, "ticker", ""), complaint))

    def resync(self, tickers: Sequence[str], ts: int) -> None:
        for event in self.session.resync(tickers, "asked", ts):
            self.take(event)

    def books(self) -> dict[str, Any]:
        return {ticker: reading(self.state.book(ticker)) for ticker in TICKERS}

    def outcome(self) -> tuple[Any, ...]:
        session = self.session
        return (
            self.events,
            self.complaints,
            self.books(),
            self.bad,
            self.asked,
            list(session.commands.encoded),
            (session.malformed_frames, session.unknown_frames, session.broken, session.account_down),
            session.subscriptions.confirmed,
        )


def reading(book: Any) -> Any:
    """All that anybody can read of a book."""
    if book is None:
        return None
    assert book.is_valid
    return (
        {side: book.levels(side) for side in BookSide},
        {side: book.levels(side, 2) for side in BookSide},
        (book.best_bid, book.best_ask, book.best_bid_size, book.best_ask_size),
        (book.spread, book.mid, book.is_crossed, book.is_two_sided, book.grid),
        (book.seq, book.ts, book.ts_event),
        {(side, price): book.size_at(side, price) for side in BookSide for price in (100, 4_000, 4_001, 9_999)},
    )


def market(ticker: str, grid: PriceGrid | None = None) -> Market:
    return Market(
        ticker=ticker,
        event_ticker=ticker.rpartition("-")[0],
        series_ticker=ticker.partition("-")[0],
        status=MarketStatus.ACTIVE,
        open_time=0,
        close_time=2**62,
        grid=grid or GRIDS[ticker],
        fees=FeeSchedule(),
    )


# --- messages ------------------------------------------------------------------------------------


@st.composite
def deltas(draw: st.DrawFn) -> dict[str, Any]:
    """The body of a change as the venue sends it, not always one that fits its book."""
    ticker = draw(st.sampled_from(TICKERS))
    legal = GRIDS[ticker].legal_prices()
    price = draw(st.sampled_from([legal[0], legal[len(legal) // 2], legal[-1]]) | st.sampled_from(legal))
    size = draw(st.sampled_from([100, 250, 1]) | st.integers(-900, 10**9))
    body = {
        "market_ticker": ticker,
        "market_id": "0b7e5a2c-6a1f-4c7e-9a65-3f0d8d1f2a11",
        "clock": draw(st.integers(0, 30)),
        "price_dollars": format_price(price),
        "delta_fp": format_count(size),
        "side": draw(st.sampled_from(["yes", "no"])),
        "ts_ms": draw(st.integers(0, 2_000_000_000_000)),
        "ts": "2026-11-23T08:00:01.017Z",
    }
    for optional in draw(st.sets(st.sampled_from(["market_id", "clock", "ts_ms", "ts"]), max_size=2)):
        del body[optional]
    return body


ODD: dict[str, list[Any]] = {
    "market_ticker": ["", "NOT-FOLLOWED", "KXHIGHNY-26NOV23-B50.5 ", "KX-1é", "KX-\t1", 5, None, "KX", "KX-12"],
    "price_dollars": [
        "0.4", "0.40", "0.4000", "0.40000", "0.400000", "0.41234", "0.0000", "1.0000", "-0.4000", ".4000",
        "0.", "0.4x00", "00.4000", "+0.4000", "0.4e-1", 0.4, None, "", "0.4001", "0.0001", "0.9999", "0.40 ",
    ],
    "delta_fp": [
        "0.00", "-0.00", "007.00", "5", "5.0", "5.000", "5.001", "-5.00", "+5.00", "--5.00", "-.50", ".50",
        "123456789012345.00", "1234567890123456.00", "99999999.99", "12345678.00", "123456789.01",
        "92233720368547758.07", "9" * 40 + ".00", "5,00", 5, None, "", "-", "1e3.00", "-123456789012345.99",
    ],
    "side": ["YES", "yes ", "", "bid", None, True, 1, "no\u0000"],
    "clock": [None, -1, 1.5, "7", 2**62, 2**70, True, 0],
    "ts_ms": [None, -1, 1.5, "7", 8_999_999_999_999, 9_000_000_000_001, 2**63 // 10**6, 2**70, 10**18],
    "client_order_id": ["6f0c", None, 'a"b', "é", {"deep": [1, "x}"]}, ["]"]],
    "subaccount": [0, -3, 1e300, None, [], {}],
}  # fmt: skip


@st.composite
def frames(draw: st.DrawFn) -> Any:
    """(kind, what is needed to write the frame): plain changes, most of the time."""
    body = draw(deltas())
    kind = draw(st.sampled_from(["plain"] * 9 + ["odd", "written", "bytes", "snapshot", "other"]))
    if kind == "odd":
        name = draw(st.sampled_from(sorted(ODD)))
        body[name] = draw(st.sampled_from(ODD[name]))
        if draw(st.booleans()):
            body.pop(draw(st.sampled_from(sorted(body))))
    elif kind == "snapshot":
        legal = GRIDS[body["market_ticker"]].legal_prices()
        levels = draw(st.lists(st.tuples(st.sampled_from(legal), st.integers(-1, 10**6)), max_size=4))
        texts = [[format_price(price), format_count(size)] for price, size in levels]
        body = {"market_ticker": body["market_ticker"], "yes_dollars_fp": texts[:2], "no_dollars_fp": texts[2:]}
        if draw(st.booleans()):
            body["clock"] = draw(st.integers(0, 30))
    how = {
        "step": draw(st.sampled_from([1] * 30 + [0, 2, -3])),
        "sid": draw(st.sampled_from([BOOKS] * 30 + [4, 0])),
        "order": draw(st.randoms(use_true_random=False)),
        "note": draw(st.sampled_from(range(9))),
        "place": draw(st.integers(0, 400)),
        "byte": draw(st.integers(0, 255)),
    }
    return kind, body, how


def written(kind: str, body: dict[str, Any], how: dict[str, Any], seq: int) -> bytes:
    """The frame's bytes."""
    name = "orderbook_snapshot" if kind == "snapshot" else "orderbook_delta"
    frame: dict[str, Any] = {"type": name, "sid": how["sid"], "seq": seq, "msg": body}
    compact = json.dumps(frame, separators=(",", ":"))
    if kind == "written":
        shuffled = list(frame.items())
        how["order"].shuffle(shuffled)
        inner = list(body.items())
        how["order"].shuffle(inner)
        frame = {**dict(shuffled), "msg": dict(inner)}
        compact = json.dumps(frame, separators=(",", ":"))
        notes = [
            compact,
            json.dumps(frame),
            json.dumps(frame, indent=1),
            compact.replace('"side"', '"\\u0073ide"'),
            compact.replace("KX", "\\u004bX"),
            compact[:-2] + ',"side":"yes"}}',
            compact[:-1] + ',"seq":0}',
            compact[:-2] + ',"price_dollars":1}}',
            compact + "\n" + compact,
        ]
        return notes[how["note"]].encode()
    raw = compact.encode()
    if kind == "bytes":
        at = how["place"] % len(raw)
        mended = [raw[:at], raw[:at] + bytes([how["byte"]]) + raw[at + 1 :], raw[:at] + raw[at + 1 :], raw + raw[:at]]
        return mended[how["note"] % 4]
    if kind == "other":
        trade = {"type": "trade", "sid": 4, "seq": 1, "msg": {"market_ticker": body["market_ticker"]}}
        others = [
            {"type": "ok", "sid": BOOKS, "seq": seq, "id": 77},
            {"type": "new_thing", "sid": BOOKS, "seq": seq},
            trade,
            {"type": "error", "sid": BOOKS, "seq": seq, "msg": {"code": 25, "msg": "buffer"}},
            [],
        ]
        return json.dumps(others[how["note"] % 5]).encode()
    return raw


SUBSCRIBED = b'{"type":"subscribed","id":3,"msg":{"channel":"orderbook_delta","sid":3}}'


def opening(seq: int) -> list[bytes]:
    """A snapshot of every book."""
    found = []
    for ticker in TICKERS:
        seq += 1
        msg = {"market_ticker": ticker, "yes_dollars_fp": [["0.4000", "9.00"]], "no_dollars_fp": [["0.6000", "3.50"]]}
        found.append(json.dumps({"type": "orderbook_snapshot", "sid": BOOKS, "seq": seq, "msg": msg}).encode())
    return found


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(frames(), min_size=1, max_size=24),
            st.sampled_from(["", "", "", "snapshots", "resync", "grid", "down"]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_both_paths_give_the_same_books_events_and_complaints(drains: list[tuple[list[Any], str]]) -> None:
    """Valid, malformed, reordered and gapped messages; fractions; four grids; snapshots and doubts between."""
    plain, compiled = sides = Side(compiled=False), Side(compiled=True)
    seq = 0
    for side in sides:
        side.receive([SUBSCRIBED, *opening(seq)], 1)
    seq += len(TICKERS)
    for number, (sent, then) in enumerate(drains, 2):
        raw = []
        for kind, body, how in sent:
            seq = max(0, seq + how["step"])
            raw.append(written(kind, body, how, seq))
        for side in sides:
            side.receive(raw, number)
        if then == "snapshots":
            for side in sides:
                side.receive(opening(seq), number)
            seq += len(TICKERS)
        for side in sides:
            if then == "resync":
                side.resync(TICKERS[:2], number)
            elif then == "grid":
                side.take(MarketUpdate(market(TICKERS[0], DECI_CENT), number))
            elif then == "down":
                side.take(FeedDown("market", "test", number))
                side.take(FeedUp("market", number))
        assert compiled.outcome() == plain.outcome()


def body_of(ticker: str, price: str, delta: str, **more: Any) -> dict[str, Any]:
    return {"market_ticker": ticker, "price_dollars": price, "delta_fp": delta, "side": "yes", **more}


def run_of(bodies: Sequence[dict[str, Any]], seq: int, **outer: Any) -> list[bytes]:
    return [
        json.dumps(
            {"type": "orderbook_delta", "sid": BOOKS, **outer, "seq": at, "msg": body}, separators=(",", ":")
        ).encode()
        for at, body in enumerate(bodies, seq)
    ]


@pytest.fixture
def side() -> Side:
    """A compiled path whose books are open; the next message is number 5."""
    opened = Side(compiled=True)
    opened.receive([SUBSCRIBED, *opening(0)], 1)
    return opened


def test_a_run_of_plain_changes_is_one_event_with_each_market_once(side: Side) -> None:
    """In any order of keys, with fields that say nothing about the book, with and without times."""
    bodies = [
        body_of(TICKERS[i % 3], "0.4000", f"{i}.25", **({"ts_ms": 1_700_000_000_000 + i} if i % 2 else {}))
        for i in range(10)
    ]
    bodies[4] = dict(reversed(bodies[4].items()))
    bodies[5] |= {"client_order_id": "mine", "subaccount": 3, "clock": 12}
    before = len(side.events)
    side.receive(run_of(bodies, 5, sending_ts_ms=7), 9)
    assert side.batches == 1
    assert [event.seq for event in side.events[before:] if isinstance(event, BookDelta)] == list(range(5, 15))
    book = side.state.book(TICKERS[0])
    assert book is not None
    assert book.size_at(BookSide.BID, 4_000) == 900 + 25 + 325 + 625 + 925
    assert (book.seq, book.ts, book.ts_event) == (14, 9, 1_700_000_000_009 * 10**6)


def test_what_interrupts_a_run_is_handled_in_its_place(side: Side) -> None:
    """A change that would make a size negative, a message that is not plain, and what follows them."""
    bodies = [body_of(TICKERS[0], "0.4000", "1.00") for _ in range(12)]
    bodies[3] = body_of(TICKERS[1], "0.4000", "-10.00")
    bodies[7] = body_of(TICKERS[2], "0.40", "oops")
    side.receive(run_of(bodies, 5), 9)
    assert side.batches == 2
    assert [ticker for ticker, _ in side.complaints] == [TICKERS[1]]
    assert "leaves zero or more of the 9.00 there" in side.complaints[0][1]
    assert side.state.book(TICKERS[1]) is None
    assert isinstance(side.events[-5], BookInvalid)
    assert side.state.book(TICKERS[2]) is None
    assert side.state.book(TICKERS[0]).size_at(BookSide.BID, 4_000) == 900 + 1_000  # type: ignore[union-attr]


def test_two_messages_in_one_frame_are_not_two_messages(side: Side) -> None:
    """A line feed inside a frame must not make it two: the decoder refuses such a frame."""
    first, second, *others = run_of([body_of(TICKERS[0], "0.4000", "1.00")] * 12, 5)
    side.receive([first + b"\n" + second, *others], 9)
    assert side.session.malformed_frames == 1
    assert side.state.book(TICKERS[0]) is None


def test_books_keep_their_contents_when_they_move_into_the_arrays() -> None:
    """The switch happens between two messages of a live feed; nothing else may change."""
    plain, moved = Side(compiled=False), Side(compiled=False)
    for each in (plain, moved):
        each.receive([SUBSCRIBED, *opening(0)], 1)
        each.receive(run_of([body_of(TICKERS[3], "0.4001", "2.50", ts_ms=5)], 5), 2)
        each.resync(TICKERS[:1], 3)
    moved.compiled = True
    moved.session.read_by(DeltaScanner())
    moved.state.use_arrays(BookArrays())
    assert moved.books() == plain.books()
    further = run_of([body_of(TICKERS[1 + i % 3], "0.4000", "1.25") for i in range(WORTHWHILE + 4)], 6)
    for each in (plain, moved):
        each.receive(further, 4)
    assert moved.batches == 1
    assert moved.outcome() == plain.outcome()
