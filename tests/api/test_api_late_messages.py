"""Messages that come late, or not at all: no book is vouched for until it came anew."""

from __future__ import annotations

import json
from typing import Any

from src.api.doubt_time import DoubtTime
from src.api.session import FeedSession
from src.core.events import BookDelta, BookInvalid, BookSnapshot
from src.core.units import MILLISECOND, SECOND

from .test_api_feed_session import BOOKS, SIDS, A, B, FakeBoard

NOW = 1_795_420_800 * SECOND


class Late:
    """A session that is up and sees messages ``lag`` seconds after they were sent."""

    def __init__(self, late_after: int | None = 2 * SECOND) -> None:
        self.session = FeedSession(FakeBoard(), lambda source, name: None, DoubtTime(), late_after=late_after)
        self.seq = 0
        self.session.open()
        self.session.watch([A, B])
        self.session.described(0)
        for command in self.commands():
            for channel in command["params"]["channels"]:
                self.take({"type": "subscribed", "id": command["id"],
                           "msg": {"channel": channel, "sid": SIDS[channel]}})  # fmt: skip
        assert self.snapshot(A)
        assert self.snapshot(B)

    def commands(self) -> list[dict[str, Any]]:
        found = [json.loads(raw) for raw in self.session.commands.encoded]
        self.session.commands.encoded.clear()
        return found

    def take(self, frame: dict[str, Any]) -> tuple[Any, ...]:
        return self.session.on_frame(json.dumps(frame), NOW)

    def sequenced(self, kind: str, msg: Any, lag: float | None) -> tuple[Any, ...]:
        self.seq += 1
        frame = {"type": kind, "sid": BOOKS, "seq": self.seq, "msg": msg}
        sent = {} if lag is None else {"sending_ts_ms": NOW // MILLISECOND - int(lag * 1_000)}
        return self.take({**frame, **sent})

    def snapshot(self, ticker: str, lag: float | None = 0.1) -> tuple[Any, ...]:
        msg = {"market_ticker": ticker, "yes_dollars_fp": [["0.4000", "10.00"]]}
        return self.sequenced("orderbook_snapshot", msg, lag)

    def delta(self, ticker: str, lag: float) -> tuple[Any, ...]:
        happened = NOW // MILLISECOND - int(lag * 1_000)
        msg = {"market_ticker": ticker, "price_dollars": "0.4100", "delta_fp": "1.00", "side": "yes"}
        return self.sequenced("orderbook_delta", {**msg, "ts_ms": happened}, None)


def invalid(events: tuple[Any, ...]) -> list[str]:
    return [ticker for event in events if isinstance(event, BookInvalid) for ticker in event.tickers]


def test_a_late_change_casts_doubt_on_every_book_and_is_not_passed_on() -> None:
    """The quiet market is as late as the busy one: what changed it may be on its way."""
    late = Late()
    events = late.delta(A, lag=2.5)
    assert invalid(events) == [A, B]
    assert "2.5 s late" in events[0].reason
    assert not [event for event in events if isinstance(event, BookDelta)]
    [asked] = late.commands()
    assert asked["params"]["market_tickers"] == [A, B]


def test_a_late_snapshot_is_of_the_past_and_a_timely_one_ends_the_doubt() -> None:
    late = Late()
    late.delta(A, lag=9)
    assert late.snapshot(A, lag=5) == ()
    assert late.delta(A, lag=4) == ()
    [fresh] = late.snapshot(A, lag=0.5)
    assert isinstance(fresh, BookSnapshot)
    assert fresh.ts_event == NOW - SECOND // 2
    [change] = late.delta(A, lag=0.4)
    assert isinstance(change, BookDelta)


def test_an_answer_that_comes_late_tells_as_much() -> None:
    late = Late()
    assert invalid(late.sequenced("ok", {"market_tickers": [A]}, lag=3)) == [A, B]


def test_messages_in_time_without_a_time_or_from_ahead_raise_no_doubt() -> None:
    late = Late()
    assert not invalid(late.delta(A, lag=1.9))
    assert not invalid(late.snapshot(B, lag=None))
    assert not invalid(late.delta(B, lag=-30))


def test_where_clocks_cannot_be_compared_lateness_is_not_judged() -> None:
    late = Late(late_after=None)
    assert not invalid(late.delta(A, lag=3_600))
    assert not invalid(late.snapshot(B, lag=3_600))
