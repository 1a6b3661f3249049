"""Whatever arrives on the socket: nothing raises, and no book is vouched for that a plain reading denies."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from src.api.doubt_time import DoubtTime
from src.api.following import Refresh
from src.api.frames import MalformedFrame, UnknownFrame, decode_frame
from src.api.session import FeedSession
from src.core.book import BookError, OrderBook
from src.core.events import BookDelta, BookInvalid, BookSnapshot, Event
from src.core.grid import LINEAR_CENT
from src.core.sides import BookSide

A, B = "KXHIGHNY-26NOV23-B50.5", "KXHIGHNY-26NOV23-T57"
SIDS = {"user_orders": 1, "fill": 2, "orderbook_delta": 3, "trade": 4, "market_lifecycle_v2": 5}
BOOKS = SIDS["orderbook_delta"]
BOOK_TYPES = {"orderbook_snapshot", "orderbook_delta"}

hostile = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "0.40", "-1.00", "1e5", "0.4000000", "0.00", "1.00", "9" * 40, "٠.٤٠", "NaN", A, B]),
)
documents = st.recursive(
    hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
prices = st.integers(1, 99).map(lambda cents: f"0.{cents:02d}00")
sizes = st.integers(1, 50).map(lambda count: f"{count}.00")
tickers = st.sampled_from([A, B])


class Board:
    """Follows both markets and reads nothing."""

    def __init__(self) -> None:
        self.series = ("KXHIGHNY",)
        self.markets: dict[str, Any] = {A: None, B: None}
        self.asked: list[Refresh] = []

    def ask(self, refresh: Refresh) -> None:
        self.asked.append(refresh)

    def forget(self, ticker: str) -> None:
        self.markets.pop(ticker, None)


@st.composite
def book_message(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A snapshot or a delta, as documented."""
    ticker = draw(tickers)
    if draw(st.integers(0, 3)) == 0:
        levels = st.lists(st.tuples(prices, sizes), max_size=4, unique_by=lambda level: level[0])
        msg = {"market_ticker": ticker, "yes_dollars_fp": draw(levels), "no_dollars_fp": draw(levels)}
        return "orderbook_snapshot", msg
    change = draw(st.integers(-20, 50))
    side = draw(st.sampled_from(["yes", "no"]))
    return "orderbook_delta", {
        "market_ticker": ticker,
        "price_dollars": draw(prices),
        "delta_fp": f"{change}.00",
        "side": side,
        "ts_ms": 1,
    }


OTHERS: list[tuple[str, int, dict[str, Any]]] = [
    ("trade", 4, {"market_ticker": A, "trade_id": "t", "yes_price_dollars": "0.40", "count_fp": "1.00",
                  "taker_book_side": "bid", "ts_ms": 1}),
    ("fill", 2, {"trade_id": "t", "order_id": "o", "market_ticker": A, "book_side": "ask", "count_fp": "1.00",
                 "yes_price_dollars": "0.40", "fee_cost": "0.01", "is_taker": True, "ts_ms": 1}),
    ("user_order", 1, {"order_id": "o", "ticker": A, "status": "resting", "book_side": "bid",
                       "yes_price_dollars": "0.40", "initial_count_fp": "1.00", "remaining_count_fp": "1.00",
                       "fill_count_fp": "0.00", "created_ts_ms": 1}),
    ("market_lifecycle_v2", 5, {"market_ticker": A, "event_type": "close_date_updated", "close_ts": 1}),
    ("market_lifecycle_v2", 5, {"market_ticker": "KXHIGHNY-X", "event_type": "created",
                                "additional_metadata": {"event_ticker": "KXHIGHNY-X"}}),
    ("event_lifecycle", 5, {"event_ticker": "KXHIGHNY-X", "series_ticker": "KXHIGHNY"}),
    ("event_fee_update", 5, {"event_ticker": "KXHIGHNY-26NOV23"}),
    ("subscribed", 3, {"channel": "orderbook_delta", "sid": 3}),
    ("ok", 3, {"market_tickers": [A]}),
    ("error", 3, {"code": 10, "msg": "channel error"}),
    ("unsubscribed", 4, {}),
    ("brand_new", 9, {"anything": [1]}),
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, frame: dict[str, Any]) -> Any:
    """``frame`` with fields dropped, added or given values of other types, at either depth."""
    frame = json.loads(json.dumps(frame))
    for _ in range(draw(st.integers(1, 3))):
        inner = frame.get("msg")
        target = inner if isinstance(inner, dict) and inner and draw(st.booleans()) else frame
        name = draw(st.sampled_from(sorted(target))) if target else "type"
        match draw(st.sampled_from(["drop", "change", "add", "deep", "other"])):
            case "drop":
                target.pop(name, None)
            case "change":
                target[name] = draw(documents)
            case "add":
                target[draw(st.text(max_size=6))] = draw(documents)
            case "deep":
                target[name] = [[[[{"a": target.get(name)}]]]]
            case _:
                target[name] = draw(st.sampled_from([*SIDS.values(), "yes", "no", A, B, *BOOK_TYPES]))
    return frame


steps = st.one_of(
    book_message().map(lambda made: ("book", made)),
    book_message().map(lambda made: ("book", made)),
    book_message().map(lambda made: ("mutant", made)),
    st.sampled_from(OTHERS).map(lambda made: ("other", made)),
    st.integers(1, 3).map(lambda lost: ("lose", lost)),
    st.binary(max_size=40).map(lambda raw: ("bytes", raw)),
    st.just(("heal", None)),
)


def units(text: Any, decimals: int) -> int:
    """A decimal string as an integer, by ``Decimal``; anything else raises."""
    scaled = Decimal(text) * 10**decimals
    assert isinstance(text, str)
    assert scaled == int(scaled)
    return int(scaled)


def kind_of(frame: Any) -> str:
    """The type a message has or claims."""
    return frame.type if isinstance(frame, MalformedFrame | UnknownFrame) else frame.__struct_config__.tag


class Reference:
    """Books as plain dicts, straight from the JSON documents of the frames that were accepted."""

    def __init__(self) -> None:
        self.levels: dict[str, dict[tuple[str, int], int]] = {}

    def take(self, frame: dict[str, Any]) -> None:
        msg = frame["msg"]
        ticker = msg["market_ticker"]
        if frame["type"] == "orderbook_snapshot":
            book = self.levels[ticker] = {}
            for side, key in (("yes", "yes_dollars_fp"), ("no", "no_dollars_fp")):
                for price, size in msg.get(key) or []:
                    book[side, units(price, 4)] = units(size, 2)
            return
        assert msg["side"] in {"yes", "no"}
        if ticker in self.levels:
            at = msg["side"], units(msg["price_dollars"], 4)
            self.levels[ticker][at] = self.levels[ticker].get(at, 0) + units(msg["delta_fp"], 2)


class Run:
    """A session that is up, the books made of its events, and what a plain reading makes of the same."""

    def __init__(self) -> None:
        self.bad: Counter[str] = Counter()
        self.session = FeedSession(Board(), lambda source, name: self.bad.update([name]), DoubtTime())
        self.books = {ticker: OrderBook(ticker, LINEAR_CENT) for ticker in (A, B)}
        self.reference = Reference()
        self.seq = dict.fromkeys(SIDS.values(), 0)
        self.session.open()
        self.session.watch([A, B])
        self.session.described(0)
        for raw in list(self.session.commands.encoded):
            command = json.loads(raw)
            for channel in command["params"]["channels"]:
                msg = {"channel": channel, "sid": SIDS[channel]}
                self.receive(json.dumps({"id": command["id"], "type": "subscribed", "msg": msg}).encode())
        self.heal()

    def next_frame(self, kind: str, sid: int, msg: Any) -> dict[str, Any]:
        self.seq[sid] = self.seq.get(sid, 0) + 1
        return {"type": kind, "sid": sid, "seq": self.seq[sid], "msg": msg}

    def heal(self) -> None:
        for ticker in (A, B):
            msg = {"market_ticker": ticker, "yes_dollars_fp": [["0.40", "9.00"]]}
            self.receive(json.dumps(self.next_frame("orderbook_snapshot", BOOKS, msg)).encode())

    def receive(self, raw: bytes) -> None:
        """Hand the session a message; what it accepts of books goes into the reference too."""
        frame, refused = decode_frame(raw), self.session.malformed_frames
        events = self.session.on_frame(raw, 7)
        was_refused = self.session.malformed_frames > refused
        assert was_refused or not isinstance(frame, MalformedFrame)
        self.session.commands.encoded.clear()
        if not was_refused and not isinstance(frame, UnknownFrame | MalformedFrame):
            document = json.loads(raw)
            if document["type"] in BOOK_TYPES:
                self.reference.take(document)
        for event in events:
            self.apply(event)
        if was_refused and kind_of(frame) in BOOK_TYPES:
            named = frame.ticker if isinstance(frame, MalformedFrame) else frame.msg.market_ticker
            doubtful = self.books.keys() & {named} if named else self.books.keys()
            assert not any(self.books[ticker].is_valid for ticker in doubtful)

    def apply(self, event: Event) -> None:
        """As the engine does: what does not fit its book is a reason to ask for the book again."""
        try:
            match event:
                case BookInvalid(tickers=lost):
                    for ticker in lost:
                        self.books[ticker].invalidate()
                case BookSnapshot():
                    book = self.books[event.ticker]
                    book.apply_snapshot(event.bids, event.asks, event.seq, event.ts_recv, event.ts_event)
                case BookDelta(side=side, price=price, delta=delta):
                    book = self.books[event.ticker]
                    book.apply_delta(side, price, delta, event.seq, event.ts_recv, event.ts_event)
        except BookError as error:
            for told in self.session.resync([event.ticker], str(error), 7):  # type: ignore[union-attr]
                self.apply(told)

    def check(self) -> None:
        for ticker, book in self.books.items():
            if not book.is_valid:
                continue
            held = {
                (leg, price): size
                for leg, side in (("yes", BookSide.BID), ("no", BookSide.ASK))
                for price, size in book.levels(side)
            }
            assert held == {at: size for at, size in self.reference.levels[ticker].items() if size}


@settings(max_examples=300)
@given(st.binary(max_size=200) | documents.map(lambda found: json.dumps(found).encode()))
def test_any_bytes_and_any_json_are_counted_and_nothing_raises(raw):
    """What is no frame is malformed, or of an unknown type; a session survives it without an event lost."""
    frame = decode_frame(raw)
    assert isinstance(frame, MalformedFrame | UnknownFrame)
    run = Run()
    before = run.session.malformed_frames + run.session.unknown_frames
    run.receive(raw)
    assert run.session.malformed_frames + run.session.unknown_frames == before + 1
    run.check()


@settings(max_examples=300)
@given(st.data())
def test_mutations_of_every_kind_of_frame_never_raise(data):
    kind, sid, msg = data.draw(st.sampled_from(OTHERS))
    run = Run()
    run.receive(json.dumps(data.draw(mutated(run.next_frame(kind, sid, msg)))).encode())
    run.check()


@settings(max_examples=150)
@given(st.data())
def test_a_book_equals_the_accepted_frames_or_is_quarantined(data):
    """Sequences of good, mutated, lost and foreign messages; every valid book is the plain reading's book."""
    run = Run()
    for name, made in data.draw(st.lists(steps, min_size=3, max_size=25)):
        match name:
            case "book":
                run.receive(json.dumps(run.next_frame(made[0], BOOKS, made[1])).encode())
            case "mutant":
                frame = data.draw(mutated(run.next_frame(made[0], BOOKS, made[1])))
                run.receive(json.dumps(frame).encode())
            case "other":
                kind, sid, msg = made
                run.receive(json.dumps(run.next_frame(kind, sid, msg)).encode())
            case "bytes":
                run.receive(made)
            case "lose":
                run.seq[BOOKS] += made
            case _:
                run.heal()
        run.check()


@settings(max_examples=100)
@given(st.lists(st.sampled_from([A, B]), min_size=1, max_size=4), st.integers(1, 3))
def test_after_a_loss_no_book_is_valid_until_its_snapshot(order, lost):
    run = Run()
    run.seq[BOOKS] += lost
    for ticker in order:
        msg = {"market_ticker": ticker, "price_dollars": "0.41", "delta_fp": "1.00", "side": "yes"}
        run.receive(json.dumps(run.next_frame("orderbook_delta", BOOKS, msg)).encode())
        assert not any(book.is_valid for book in run.books.values())
    run.heal()
    assert all(book.is_valid for book in run.books.values())


def test_bytes_that_are_not_text_and_bottomless_nesting_are_malformed():
    """Neither may end the feed: both were exceptions of other kinds than the parser's own."""
    frame = b'{"type":"trade","sid":1,"seq":2,"msg":'
    for raw in (
        b'{"type":"\xff"}',
        b"[" * 200_000,
        frame + b"[" * 200_000,
        frame + b'{"market_ticker":"\xff"}}',
    ):
        assert isinstance(decode_frame(raw), MalformedFrame)
        run = Run()
        run.receive(raw)
        run.check()
