"""The compiled path of the feed and the plain one: the same books, events and complaints from any bytes.

The plain path is the one that other tests hold against exact arithmetic. Here the compiled scanner and the
books in arrays are held against it, on messages as the venue sends them and on all that is not quite one.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.api.delta_scan import MOST_CHANGES, DeltaScanner
from src.api.doubt_time import DoubtTime
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
from src.core.units import MILLISECOND, SECOND, format_count, format_price
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


def move_all_books(state: MarketState) -> None:
    deque(state.move_books(BookArrays()), maxlen=0)


class Side:
    """One path from bytes to books; ``compiled`` or not."""

    def __init__(self, *, compiled: bool, late_after: int | None = None) -> None:
        self.compiled = compiled
        self.bad: list[tuple[str, str]] = []
        self.asked: list[Any] = []
        self.markets: dict[str, Any] = dict.fromkeys(TICKERS)
        self.series = ("KXHIGHNY",)
        self.session = FeedSession(
            self, lambda *bad: self.bad.append(bad), DoubtTime(), late_after=late_after
        )
        self.state = MarketState()
        self.events: list[Event] = []
        self.complaints: list[tuple[str, str]] = []
        self.batches = 0
        if compiled:
            self.session.read_by(DeltaScanner())
            move_all_books(self.state)
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
        {
            (side, price): book.size_at(side, price)
            for side in BookSide
            for price in (100, 4_000, 4_001, 9_999)
        },
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

ODD: dict[str, list[Any]] = {
    "market_ticker": [
        "", "NOT-FOLLOWED", "KXHIGHNY-26NOV23-B50.5 ", "KX-1é", "KX-\t1", 5, None, "KX", "KX-12",
    ],
    "price_dollars": [
        "0.4", "0.40", "0.4000", "0.40000", "0.400000", "0.41234", "0.0000", "1.0000", "-0.4000", ".4000",
        "0.", "0.4x00", "00.4000", "+0.4000", "0.4e-1", 0.4, None, "", "0.4001", "0.0001", "0.9999", "0.40 ",
    ],
    "delta_fp": [
        "0.00", "-0.00", "007.00", "5", "5.0", "5.000", "5.001", "-5.00", "+5.00", "--5.00", "-.50", ".50",
        "123456789012345.00", "1234567890123456.00", "99999999.99", "12345678.00", "123456789.01", "5.00 ",
        "92233720368547758.07", "9" * 40 + ".00", "5,00", 5, None, "", "-", "1e3.00", "-123456789012345.99",
    ],
    "side": ["YES", "yes ", "", "bid", None, True, 1, "no\u0000", "no", ["yes"]],
    "clock": [None, -1, 1.5, "7", 2**62, 2**70, True, 0, 10**17, 10**18],
    "ts_ms": [None, -1, 1.5, "7", 8_999_999_999_999, 9_000_000_000_001, 2**63 // 10**6, 2**70, 10**18],
    "client_order_id": ["6f0c", None, 'a"b', "é", "\x7f", {"deep": [1, "x}"]}, ["]"]],
    "subaccount": [0, -3, 1e300, None, [], {}],
}  # fmt: skip

# Texts of a whole frame, made from the compact one: rewritten, but perhaps with the same meaning.
REWRITES: list[tuple[str, str]] = [
    ('"side":"yes"', '"\\u0073ide":"yes"'),
    ('"side":"yes"', '"side":"no","side":"yes"'),
    ('"side":"yes"', '"side":5,"side":"yes"'),
    ('"side":"yes"', '"side": "yes"'),
    ('"side":"yes"', '"side":"\\u0079es"'),
    ('"price_dollars":', '"price_dollars":1,"price_dollars":'),
    ('"price_dollars":', '"price_dollars":"0.1000","price_dollars":'),
    ('"delta_fp":', '"delta_fp":"9.00","delta_fp":'),
    ('"delta_fp":', '"delta_fp":7,"delta_fp":'),
    ('"market_ticker":', '"market_ticker":"KX-1","market_ticker":'),
    ('"market_ticker":', '"market_ticker":3,"market_ticker":'),
    ('"market_ticker":"', '"market_ticker":"\\u004b'),
    ('"clock":', '"clock":"x","clock":'),
    ('"clock":', '"clock":0'),
    ('"clock":', '"clock":-'),
    ('"clock":', '"clock":1.0,"other":'),
    ('"ts_ms":', '"ts_ms":1,"ts_ms":'),
    ('"ts_ms":', '"ts_ms":0'),
    ('"ts_ms":', '"ts_ms":1e3,"other":'),
    ('"sid":3', '"sid":03'),
    ('"sid":3', '"sid":3.0'),
    ('"sid":3', '"sid":"3"'),
    ('"sid":3', '"sid":9,"sid":3'),
    ('"sid":3', '"sid":null'),
    ('"sid":3,', ""),
    ('"seq":', '"seq":0'),
    ('"seq":', '"seq":1,"seq":'),
    ('"seq":', '"seq":9223372036854775808,"other":'),
    ('"seq":', '"seq":99999999999999999999,"other":'),
    ('"type":"orderbook_delta",', ""),
    ('"type":', '"type":"trade","type":'),
    ('"type":', '"type":4,"type":'),
    ('"type":"orderbook_delta"', '"type":"orderbook_deltas"'),
    ('"msg":', '"msg":{},"msg":'),
    ('"msg":', '"msg":5,"msg":'),
    ('"msg":{', '"msg":{"deep":{"side":"no"},'),
    ('"msg":{', '"msg":{"other":"}}","more":"{",'),
    ("{", " {"),
    ("}}", "} }"),
    ("}}", "}}\n"),
    ("}}", "}}x"),
    ("}}", "},}"),
    ("}}", ",}}"),
    ("}}", "}"),
    ("}}", "}}}"),
    ("}}", "}}\x00"),
    (",", ",\n"),
    (",", ",,"),
    (":", "::"),
    ("0.", "0\u0000."),
]


def text_of(body: dict[str, Any], seq: int, sid: int = BOOKS) -> str:
    frame = {"type": "orderbook_delta", "sid": sid, "seq": seq, "msg": body}
    return json.dumps(frame, separators=(",", ":"), ensure_ascii=False)


def plain_body(rng: random.Random) -> dict[str, Any]:
    """A change as the venue sends it, mostly one that fits its book."""
    ticker = rng.choice(TICKERS)
    legal = GRIDS[ticker].legal_prices()
    near = [legal[0], legal[-1], legal[len(legal) // 2], 4_000, 6_000, 4_100]
    size = rng.choice([100, 250, 1, -100, -1, 350, -350, 12_345_678_901, rng.randrange(10**6)])
    body: dict[str, Any] = {
        "market_ticker": ticker,
        "market_id": "0b7e5a2c-6a1f-4c7e-9a65-3f0d8d1f2a11",
        "clock": rng.randrange(30),
        "price_dollars": format_price(rng.choice(near if rng.random() < 0.7 else legal)),
        "delta_fp": format_count(size),
        "side": rng.choice(["yes", "no"]),
        "ts_ms": rng.randrange(2_000_000_000_000),
        "ts": "2026-11-23T08:00:01.017Z",
    }
    for optional in ("market_id", "clock", "ts_ms", "ts"):
        if rng.random() < 0.1:
            del body[optional]
    return body


def odd_frame(kind: str, rng: random.Random, seq: int) -> tuple[bytes, int]:
    """A frame that is not quite plain, and the sequence number the next one follows."""
    body = plain_body(rng)
    text = text_of(body, seq + 1)
    match kind:
        case "value":
            name = rng.choice(sorted(ODD))
            body[name] = rng.choice(ODD[name])
            text = text_of(body, seq + 1)
        case "missing":
            del body[rng.choice(sorted(body))]
            text = text_of(body, seq + 1)
        case "order":
            items = list(body.items())
            rng.shuffle(items)
            outer = [("type", "orderbook_delta"), ("sid", BOOKS), ("seq", seq + 1), ("msg", dict(items))]
            rng.shuffle(outer)
            text = json.dumps(dict(outer), separators=(",", ":"))
        case "rewrite":
            text = text.replace(*rng.choice(REWRITES), 1)
        case "byte":
            raw, at = text.encode(), rng.randrange(len(text))
            changed = [
                raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :],
                raw[:at],
                raw[:at] + raw[at + 1 :],
            ]
            return rng.choice(changed), seq + 1
        case "sequence":
            seq += rng.choice([-3, -1, 1, 2, 50])
            text = text_of(body, seq + 1)
        case "sid":
            return text_of(body, seq + 1, rng.choice([0, 4, 30])).encode(), seq
        case "snapshot":
            legal = GRIDS[body["market_ticker"]].legal_prices()
            levels = [
                [format_price(rng.choice(legal)), format_count(rng.randrange(-1, 10**6))] for _ in "1234"
            ]
            msg = {
                "market_ticker": body["market_ticker"],
                "yes_dollars_fp": levels[:2],
                "no_dollars_fp": levels[2:],
            }
            if rng.random() < 0.7:
                msg["clock"] = rng.randrange(30)
            text = json.dumps({"type": "orderbook_snapshot", "sid": BOOKS, "seq": seq + 1, "msg": msg})
        case _:
            other = rng.choice(
                [
                    {"type": "ok", "sid": BOOKS, "seq": seq + 1, "id": 77},
                    {"type": "new_thing", "sid": BOOKS, "seq": seq + 1},
                    {"type": "error", "sid": BOOKS, "seq": seq + 1, "msg": {"code": 25, "msg": "buffer"}},
                    {"type": "unsubscribed", "sid": BOOKS, "seq": seq + 1},
                    {"type": "orderbook_delta"},
                ]
            )
            text = json.dumps(other)
    return text.encode(), seq + 1


KINDS = ["value", "missing", "order", "rewrite", "byte", "sequence", "sid", "snapshot", "other"]
SUBSCRIBED = b'{"type":"subscribed","id":3,"msg":{"channel":"orderbook_delta","sid":3}}'


def opening(seq: int, clock: int | None = None) -> list[bytes]:
    """A snapshot of every book."""
    found = []
    for ticker in TICKERS:
        seq += 1
        msg = {
            "market_ticker": ticker,
            "yes_dollars_fp": [["0.4000", "9.00"]],
            "no_dollars_fp": [["0.6000", "3.50"]],
        }
        if clock is not None:
            msg["clock"] = clock
        found.append(
            json.dumps({"type": "orderbook_snapshot", "sid": BOOKS, "seq": seq, "msg": msg}).encode()
        )
    return found


def drain(rng: random.Random, odd: Sequence[str], seq: int) -> tuple[list[bytes], int]:
    """Messages that arrive together: plain changes with these odd ones among them."""
    raw = []
    kinds = ["plain"] * rng.randrange(4, 14)
    for kind in odd:
        kinds.insert(rng.randrange(len(kinds) + 1), kind)
    for kind in kinds:
        if kind == "plain":
            seq += 1
            raw.append(text_of(plain_body(rng), seq).encode())
        else:
            frame, seq = odd_frame(kind, rng, seq)
            raw.append(frame)
    return raw, seq


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    drains=st.lists(
        st.tuples(
            st.lists(st.sampled_from(KINDS), max_size=2),
            st.sampled_from(["snapshots", "snapshots", "clocks", "", "resync", "grid", "down"]),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_both_paths_give_the_same_books_events_and_complaints(
    seed: int, drains: list[tuple[list[str], str]]
) -> None:
    """Valid, malformed, reordered, gapped messages; fractions; four grids; snapshots, doubts between."""
    rng = random.Random(seed)
    plain, compiled = sides = Side(compiled=False), Side(compiled=True)
    seq = len(TICKERS)
    for side in sides:
        side.receive([SUBSCRIBED, *opening(0)], 1)
    for number, (odd, then) in enumerate(drains, 2):
        raw, seq = drain(rng, odd, seq)
        if then in {"snapshots", "clocks"}:
            raw += opening(seq, 15 if then == "clocks" else None)
            seq += len(TICKERS)
        for side in sides:
            side.receive(raw, number)
            if then == "resync":
                side.resync(TICKERS[:2], number)
            elif then == "grid":
                side.take(MarketUpdate(market(TICKERS[0], DECI_CENT), number))
            elif then == "down":
                side.take(FeedDown("market", "test", number))
                side.take(FeedUp("market", number))
        assert compiled.outcome() == plain.outcome()


def test_every_odd_value_and_every_rewriting_is_read_as_the_decoder_reads_it() -> None:
    """Each of them once, between plain changes, on open books."""
    rng = random.Random(5)
    body = plain_body(random.Random(1)) | {"market_ticker": TICKERS[0], "side": "yes", "clock": 3, "ts_ms": 4}
    body |= {"price_dollars": "0.4000", "delta_fp": "5.00"}
    texts = [text_of(body | {name: value}, 9) for name in ODD for value in ODD[name]]
    texts += [text_of({key: value for key, value in body.items() if key != name}, 9) for name in body]
    texts += [text_of(body, 9).replace(old, new, 1) for old, new in REWRITES]
    batches = 0
    for text in texts:
        plain, compiled = sides = Side(compiled=False), Side(compiled=True)
        before = [text_of(plain_body(rng), seq).encode() for seq in range(5, 9)]
        after = [text_of(plain_body(rng), seq).encode() for seq in range(10, 14)]
        for side in sides:
            side.receive([SUBSCRIBED, *opening(0)], 1)
            side.receive([*before, text.encode(), *after], 2)
        assert compiled.outcome() == plain.outcome(), text
        batches += compiled.batches
    assert batches > len(texts)


def body_of(ticker: str, price: str, delta: str, **more: Any) -> dict[str, Any]:
    return {"market_ticker": ticker, "price_dollars": price, "delta_fp": delta, "side": "yes", **more}


def run_of(bodies: Sequence[dict[str, Any]], seq: int) -> list[bytes]:
    return [text_of(body, at).encode() for at, body in enumerate(bodies, seq)]


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
    frames = run_of(bodies, 5)
    frames[6] = frames[6].replace(b'"sid"', b'"sending_ts_ms":7,"sid"')
    side.receive(frames, 9)
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


HEARD = 1_700_000_000 * SECOND


def lags(*seconds: float | None) -> list[bytes]:
    """Changes of one market that happened so long before they are heard (None: without a time), from 5 on."""
    times = [None if lag is None else (HEARD - int(lag * SECOND)) // MILLISECOND for lag in seconds]
    return run_of(
        [body_of(TICKERS[0], "0.4000", "1.00", **({} if at is None else {"ts_ms": at})) for at in times], 5
    )


@pytest.mark.parametrize("place", [0, 4, 9], ids=["first", "within", "last"])
def test_one_late_change_in_a_run_casts_doubt_on_every_book_as_it_does_alone(place: int) -> None:
    """Nothing of the run is told after the doubt, and the sequence goes on behind it."""
    plain, compiled = sides = [Side(compiled=each, late_after=2 * SECOND) for each in (False, True)]
    run = lags(*[2.5 if at == place else 0.5 for at in range(10)])
    for side in sides:
        side.receive([SUBSCRIBED, *opening(0)], HEARD - SECOND)
        before = len(side.events)
        side.receive(run, HEARD)
        (doubt,) = (event for event in side.events[before:] if isinstance(event, BookInvalid))
        assert doubt.tickers == tuple(sorted(TICKERS))
        assert "2.5 s late" in doubt.reason
        assert side.events[-1] == doubt
        assert set(side.books().values()) == {None}
    assert compiled.batches == 0
    assert list(compiled.session.commands.encoded) == list(plain.session.commands.encoded)
    for side in sides:
        side.receive(opening(14), HEARD)
        assert not any(book is None for book in side.books().values())
    assert compiled.books() == plain.books()


def test_a_run_in_time_without_times_or_from_ahead_is_told_as_one() -> None:
    compiled = Side(compiled=True, late_after=2 * SECOND)
    compiled.receive([SUBSCRIBED, *opening(0)], HEARD - SECOND)
    compiled.receive(lags(2.0, None, -30, None, 0.1, 1.9, None, 0), HEARD)
    assert compiled.batches == 1
    assert not any(isinstance(event, BookInvalid) for event in compiled.events)
    book = compiled.state.book(TICKERS[0])
    assert book is not None
    assert book.size_at(BookSide.BID, 4_000) == 900 + 800


def test_a_message_that_lacks_any_one_byte_is_read_alike_by_both_paths() -> None:
    """Such a key without its opening quote was once skipped by the scanner as if it were whole."""
    whole, *others = run_of([body_of(TICKERS[0], "0.4000", "1.00", ts_ms=1_700_000_000_000)] * 7, 5)
    for place in range(len(whole)):
        plain, compiled = sides = Side(compiled=False), Side(compiled=True)
        for each in sides:
            each.receive([SUBSCRIBED, *opening(0)], 1)
            each.receive([whole[:place] + whole[place + 1 :], *others], 2)
        assert compiled.outcome() == plain.outcome(), whole[place:]


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
    move_all_books(moved.state)
    assert moved.books() == plain.books()
    further = run_of([body_of(TICKERS[1 + i % 3], "0.4000", "1.25") for i in range(WORTHWHILE + 4)], 6)
    for each in (plain, moved):
        each.receive(further, 4)
    assert moved.batches == 1
    assert moved.outcome() == plain.outcome()


def test_messages_go_on_between_the_steps_of_the_move() -> None:
    """Books move a few at a time in a feed at work: what comes in between finds each where it is."""
    plain, moved = Side(compiled=False), Side(compiled=False)
    for each in (plain, moved):
        each.receive([SUBSCRIBED, *opening(0)], 1)
    seq = 4
    for _ in moved.state.move_books(BookArrays()):
        seq += 1
        frames = run_of([body_of(TICKERS[seq % 4], "0.4000", "1.25")], seq)
        for each in (plain, moved):
            each.receive(frames, seq)
        assert moved.books() == plain.books()
    assert seq == 4 + len(TICKERS)
    assert moved.outcome() == plain.outcome()


def test_a_move_that_was_broken_off_begins_anew() -> None:
    """Rows of the arrays of the first attempt must not be taken for rows of the second."""
    plain, moved = Side(compiled=False), Side(compiled=False)
    for each in (plain, moved):
        each.receive([SUBSCRIBED, *opening(0)], 1)
    broken_off = moved.state.move_books(BookArrays())
    next(broken_off)
    broken_off.close()
    move_all_books(moved.state)
    moved.compiled = True
    moved.session.read_by(DeltaScanner())
    further = run_of([body_of(TICKERS[i % 4], "0.4000", "1.25") for i in range(WORTHWHILE + 6)], 5)
    for each in (plain, moved):
        each.receive(further, 4)
    assert moved.batches == 1
    assert moved.outcome() == plain.outcome()


def test_the_scanner_has_room_for_any_number_of_markets_and_their_names() -> None:
    """Its tables are doubled on the way; names of a few and of many words stay apart."""
    scanner = DeltaScanner()
    names = [f"KX{'LONG' * (i % 23)}-26NOV23-B{i}.5" for i in range(1_000)]
    for count in (1, 129, len(names)):
        for name in names[:count]:
            scanner.admit(name)
        frames = run_of([body_of(name, "0.4000", "1.00") for name in names[:count][-MOST_CHANGES:]], 1)
        scanner.begin(frames)
        run = scanner.read(BOOKS, 0, 7)
        assert run is not None
        assert run.tickers == tuple(names[:count][-MOST_CHANGES:])
    scanner.dismiss([names[-1]])
    scanner.begin(run_of([body_of(name, "0.4000", "1.00") for name in names[-2:]], 1))
    left = scanner.read(BOOKS, 0, 8)
    assert left is not None
    assert left.tickers == (names[-2],)
