"""Subscriptions without a socket: sequences, gaps, snapshots, refusals, and what is asked next."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from src.api.doubt_time import DoubtTime
from src.api.following import Refresh
from src.api.session import FeedSession
from src.core.book import OrderBook
from src.core.events import (
    BookDelta,
    BookInvalid,
    BookSnapshot,
    FeedDown,
    FeedUp,
    Fill,
    MarketLifecycle,
    MarketUpdate,
    OrderUpdate,
    PublicTrade,
)
from src.core.grid import LINEAR_CENT
from src.core.sides import BookSide
from src.execution.market_state import MarketState

from .test_api_compiled_books import market

A, B = "KXHIGHNY-26NOV23-B50.5", "KXHIGHNY-26NOV23-T57"
BOOKS, TRADES, LIFE = 3, 4, 5

SIDS = {
    "user_orders": 1,
    "fill": 2,
    "orderbook_delta": BOOKS,
    "trade": TRADES,
    "market_lifecycle_v2": LIFE,
}


@dataclass
class FakeBoard:
    series: tuple[str, ...] = ("KXHIGHNY",)
    markets: dict[str, Any] = field(default_factory=lambda: {A: None, B: None})
    asked: list[Refresh] = field(default_factory=list)

    def ask(self, refresh: Refresh) -> None:
        self.asked.append(refresh)

    def forget(self, ticker: str) -> None:
        self.markets.pop(ticker)


class Driver:
    """A session that is up, with books of A and B live, and the frames of a well-behaved server."""

    def __init__(self) -> None:
        self.board = FakeBoard()
        self.bad: list[tuple[str, str]] = []
        self.session = FeedSession(
            self.board, lambda source, name: self.bad.append((source, name)), DoubtTime()
        )
        self.seq = {BOOKS: 0, TRADES: 0, LIFE: 0}
        self.session.open()
        self.session.watch([A, B])
        self.session.described(0)
        for command in self.commands():
            for channel in command["params"]["channels"]:
                self.ack(channel, command["id"])
        for ticker in (A, B):
            self.snapshot(ticker)

    def commands(self) -> list[dict[str, Any]]:
        encoded = self.session.commands.encoded
        found = [json.loads(raw) for raw in encoded]
        encoded.clear()
        return found

    def send(self, document: Any) -> tuple[Any, ...]:
        return self.session.on_frame(document if isinstance(document, str) else json.dumps(document), 7)

    def ack(self, channel: str, command: int) -> tuple[Any, ...]:
        msg = {"channel": channel, "sid": SIDS[channel]}
        return self.send({"id": command, "type": "subscribed", "msg": msg})

    def sequenced(self, kind: str, sid: int, msg: Any, skip: int = 0) -> tuple[Any, ...]:
        self.seq[sid] += 1 + skip
        return self.send({"type": kind, "sid": sid, "seq": self.seq[sid], "msg": msg})

    def snapshot(self, ticker: str, skip: int = 0, **sides: Any) -> tuple[Any, ...]:
        return self.sequenced("orderbook_snapshot", BOOKS, {"market_ticker": ticker, **sides}, skip)

    def delta(self, ticker: str, skip: int = 0, **changes: Any) -> tuple[Any, ...]:
        msg = {
            "market_ticker": ticker,
            "price_dollars": "0.4000",
            "delta_fp": "5.00",
            "side": "yes",
            **changes,
        }
        return self.sequenced("orderbook_delta", BOOKS, msg, skip)

    def life(self, event_type: str, ticker: str = A, skip: int = 0, **more: Any) -> tuple[Any, ...]:
        msg = {"event_type": event_type, "market_ticker": ticker, **more}
        return self.sequenced("market_lifecycle_v2", LIFE, msg, skip)


@pytest.fixture
def driver() -> Driver:
    return Driver()


def test_the_feed_is_up_once_markets_are_described_and_every_channel_is_acknowledged():
    session = FeedSession(FakeBoard(), lambda *_: None, DoubtTime())
    session.open()
    session.watch([A])
    commands = [json.loads(raw) for raw in session.commands.encoded]
    assert [command["params"]["channels"] for command in commands] == [
        ["user_orders", "fill"],
        ["market_lifecycle_v2"],
        ["orderbook_delta", "trade"],
    ]
    assert commands[2]["params"]["use_yes_price"] is True
    assert [command["id"] for command in commands] == [1, 2, 3]
    assert session.described(1) == ()
    sid, events = 0, []
    for command in commands:
        for channel in command["params"]["channels"]:
            sid += 1
            assert events == []
            frame = {"id": command["id"], "type": "subscribed", "msg": {"channel": channel, "sid": sid}}
            events = list(session.on_frame(json.dumps(frame), 2))
    assert events == [FeedUp("market", 2)]


def test_deltas_flow_while_the_sequence_holds(driver):
    (event,) = driver.delta(A)
    assert event == BookDelta(A, BookSide.BID, 4_000, 500, 3, None, 7)
    assert driver.commands() == []


def test_a_gap_invalidates_every_book_of_the_subscription_and_asks_for_snapshots(driver):
    (event,) = driver.delta(A, skip=1)
    assert isinstance(event, BookInvalid)
    assert event.tickers == (A, B)
    (command,) = driver.commands()
    assert command["params"] == {"sids": [BOOKS], "action": "get_snapshot", "market_tickers": [A, B]}
    assert driver.delta(A) == ()
    assert isinstance(driver.snapshot(A)[0], BookSnapshot)
    assert isinstance(driver.delta(A)[0], BookDelta)
    assert driver.delta(B) == ()
    assert isinstance(driver.snapshot(B)[0], BookSnapshot)


@pytest.mark.parametrize("step", [-1, -2], ids=["repeated", "backwards"])
def test_a_sequence_that_repeats_or_goes_back_is_a_reset(driver, step):
    (event,) = driver.delta(A, skip=step)
    assert isinstance(event, BookInvalid)
    assert driver.delta(A) == ()
    assert [command["params"]["action"] for command in driver.commands()] == ["get_snapshot"]


def test_a_snapshot_that_reveals_a_gap_is_still_used(driver):
    invalid, snapshot = driver.snapshot(A, skip=3)
    assert isinstance(invalid, BookInvalid)
    assert isinstance(snapshot, BookSnapshot)
    assert isinstance(driver.delta(A)[0], BookDelta)


def test_acknowledgements_errors_and_unknown_messages_are_part_of_the_sequence(driver):
    driver.session.watch(["KXHIGHNY-26NOV24-T48"])
    for kind, msg in (
        ("ok", {"market_tickers": [A, B]}),
        ("error", {"code": 11, "msg": "Invalid parameter"}),
        ("brand_new", {}),
    ):
        assert driver.sequenced(kind, BOOKS, msg) == ()
    assert isinstance(driver.delta(A)[0], BookDelta)
    assert (driver.session.unknown_frames, driver.session.malformed_frames) == (1, 0)


def test_five_hundred_merged_acknowledgements_make_no_false_gap(driver):
    for number in range(500):
        ticker = f"KXHIGHNY-26NOV24-B{number}"
        driver.session.watch([ticker])
        driver.sequenced("ok", BOOKS, {"market_tickers": []})
        driver.sequenced("ok", TRADES, {"market_tickers": []})
        assert isinstance(driver.snapshot(ticker)[0], BookSnapshot)
    assert isinstance(driver.delta(A)[0], BookDelta)
    assert len(driver.session.watched) == 502


def test_subscribing_again_into_the_same_sid_keeps_its_sequence(driver):
    driver.ack("orderbook_delta", 99)
    assert isinstance(driver.delta(A)[0], BookDelta)


def test_added_markets_use_the_live_subscriptions_and_deleted_ones_fall_silent(driver):
    driver.session.watch(["C"])
    assert [command["params"] for command in driver.commands()] == [
        {"sids": [BOOKS], "action": "add_markets", "market_tickers": ["C"]},
        {"sids": [TRADES], "action": "add_markets", "market_tickers": ["C"]},
    ]
    driver.session.unwatch([A])
    assert [command["params"]["action"] for command in driver.commands()] == ["delete_markets"] * 2
    assert driver.delta(A) == ()
    assert driver.snapshot(A) == ()


def test_a_missing_side_key_clears_that_side(driver):
    driver.snapshot(A, yes_dollars_fp=[["0.4000", "1.00"]], no_dollars_fp=[["0.5000", "2.00"]])
    (event,) = driver.snapshot(A, yes_dollars_fp=[["0.4000", "1.00"]])
    assert (event.bids, event.asks) == (((4_000, 100),), ())


def test_changes_the_snapshot_already_holds_are_dropped_by_its_clock(driver):
    driver.snapshot(A, clock=100)
    assert driver.delta(A, clock=99) == ()
    assert driver.delta(A, clock=100) == ()
    assert isinstance(driver.delta(A, clock=101)[0], BookDelta)
    # After maintenance clocks may restart: once past the snapshot, the stream's order is enough.
    assert isinstance(driver.delta(A, clock=5)[0], BookDelta)


@pytest.mark.parametrize(
    "changes",
    [
        {"price_dollars": None},
        {"price_dollars": "1.00"},
        {"side": "bid"},
        {"delta_fp": "1.005"},
        {"delta_fp": 5},
    ],
)
def test_a_malformed_delta_is_counted_and_only_its_market_is_invalidated(driver, changes):
    (event,) = driver.delta(A, **changes)
    assert isinstance(event, BookInvalid)
    assert event.tickers == (A,)
    ((source, name),) = driver.bad
    assert source == "kalshi-ws"
    assert name.endswith(next(iter(changes)))
    assert [command["params"]["market_tickers"] for command in driver.commands()] == [[A]]
    assert isinstance(driver.delta(B)[0], BookDelta)
    assert driver.delta(A) == ()


def test_an_unreadable_message_invalidates_every_book(driver):
    (event,) = driver.send('{"type":"orderbook_del')
    assert event.tickers == (A, B)
    assert driver.session.malformed_frames == 1


@pytest.mark.parametrize("code", [10, 25])
def test_a_subscription_the_venue_ended_is_made_again(driver, code):
    frame = {"type": "error", "sid": BOOKS, "seq": driver.seq[BOOKS] + 1, "msg": {"code": code, "msg": "x"}}
    (event,) = driver.send(frame)
    assert isinstance(event, BookInvalid)
    (command,) = driver.commands()
    assert command["params"] == {
        "channels": ["orderbook_delta"],
        "market_tickers": [A, B],
        "use_yes_price": True,
    }
    assert driver.session.is_waiting
    driver.seq[BOOKS] = 0
    driver.ack("orderbook_delta", command["id"])
    assert isinstance(driver.snapshot(A)[0], BookSnapshot)
    assert not driver.session.is_waiting


def test_a_terminal_error_without_a_subscription_gives_the_connection_up(driver):
    driver.send({"type": "error", "msg": {"code": 25, "msg": "overflow"}})
    assert "25" in driver.session.broken


def test_a_refused_subscription_gives_the_connection_up():
    session = FeedSession(FakeBoard(), lambda *_: None, DoubtTime())
    session.open()
    session.on_frame('{"id":1,"type":"error","msg":{"code":9,"msg":"Authentication required"}}', 0)
    assert "9 Authentication required" in session.broken


def test_a_malformed_account_message_takes_the_account_feed_down_until_reconnected(driver):
    (event,) = driver.send({"type": "fill", "sid": 2, "msg": {"trade_id": "t"}})
    assert isinstance(event, FeedDown)
    assert event.feed == "account"
    assert driver.session.broken
    again = FeedSession(FakeBoard(), lambda *_: None, DoubtTime(), account_down=driver.session.account_down)
    assert again.described(3) == (FeedUp("market", 3), FeedUp("account", 3))


def test_account_and_trade_messages_become_events(driver):
    order = {
        "order_id": "a1",
        "ticker": A,
        "status": "canceled",
        "book_side": "ask",
        "yes_price_dollars": "0.3700",
        "initial_count_fp": "12.00",
        "remaining_count_fp": "0.00",
        "fill_count_fp": "4.00",
        "created_ts_ms": 1,
    }
    assert isinstance(driver.send({"type": "user_order", "sid": 1, "msg": order})[0], OrderUpdate)
    fill = {
        "trade_id": "t",
        "order_id": "a1",
        "market_ticker": "ELSEWHERE",
        "book_side": "ask",
        "yes_price_dollars": "0.3700",
        "count_fp": "4.00",
        "fee_cost": "0.0000",
        "is_taker": False,
        "ts_ms": 1,
    }
    assert isinstance(driver.send({"type": "fill", "sid": 2, "msg": fill})[0], Fill)
    trade = {
        "trade_id": "t",
        "market_ticker": A,
        "yes_price_dollars": "0.3700",
        "count_fp": "4.00",
        "taker_book_side": "bid",
        "ts_ms": 1,
    }
    assert isinstance(driver.sequenced("trade", TRADES, trade)[0], PublicTrade)
    assert driver.sequenced("trade", TRADES, {**trade, "is_block_trade": True}) == ()
    assert driver.sequenced("trade", TRADES, {**trade, "market_ticker": "C"}, skip=5) == ()
    assert driver.commands() == []


def test_lifecycle_of_known_markets_is_told_and_new_ones_of_our_series_are_read(driver):
    (event,) = driver.life("deactivated", is_deactivated=True)
    assert isinstance(event, MarketLifecycle)
    new = "KXHIGHNY-26NOV24-T48"
    assert driver.life("created", new, additional_metadata={"event_ticker": "KXHIGHNY-26NOV24"}) == ()
    assert driver.life("created", "KXOTHER-1-A", additional_metadata={"event_ticker": "KXOTHER-1"}) == ()
    assert driver.life("created", "KXHIGHNYX-1-A", additional_metadata={"event_ticker": "KXHIGHNYX-1"}) == ()
    assert driver.life("metadata_updated") == ()
    driver.sequenced(
        "event_fee_update", LIFE, {"event_ticker": "KXHIGHNY-26NOV23", "fee_type_override": None}
    )
    driver.sequenced("event_lifecycle", LIFE, {"event_ticker": "KXHIGHNY-26NOV25"})
    assert driver.board.asked == [
        Refresh("market", new),
        Refresh("market", A),
        Refresh("event", "KXHIGHNY-26NOV23"),
    ]


def test_a_changed_grid_invalidates_the_book_until_the_market_is_read_again(driver):
    (event,) = driver.life("price_level_structure_updated")
    assert isinstance(event, BookInvalid)
    assert driver.delta(A) == ()
    assert driver.board.asked == [Refresh("market", A)]


def test_a_settled_market_is_no_longer_followed(driver):
    (event,) = driver.life("settled", settled_ts=1)
    assert isinstance(event, MarketLifecycle)
    assert driver.session.watched == {B}
    assert A not in driver.board.markets


def test_a_gap_in_lifecycle_messages_has_everything_read_again(driver):
    driver.life("deactivated", skip=1)
    assert driver.board.asked == [Refresh("all")]


def test_snapshots_that_do_not_come_are_asked_for_again(driver):
    driver.delta(A, skip=1)
    driver.commands()
    driver.session.ask_again()
    assert driver.commands() == []
    driver.snapshot(B)
    driver.session.ask_again()
    assert [command["params"]["market_tickers"] for command in driver.commands()] == [[A]]


def test_a_probe_is_answered_by_anything(driver):
    driver.session.probe()
    command, book = driver.commands()
    assert command["cmd"] == "list_subscriptions"
    assert (book["params"]["action"], len(book["params"]["market_tickers"])) == ("get_snapshot", 1)
    assert (
        driver.send({"id": command["id"], "type": "error", "msg": {"code": 5, "msg": "Unknown command"}})
        == ()
    )
    assert (driver.bad, driver.session.broken) == ([], "")


def test_the_snapshot_a_probe_asks_for_shows_changes_lost_before_the_markets_fell_quiet(driver):
    """Its number does not follow: every book is doubted, not only the one that was asked for."""
    driver.session.probe()
    driver.seq[BOOKS] += 1  # a change of B that never came, and nothing after it
    (doubt, book) = driver.snapshot(A)
    assert isinstance(doubt, BookInvalid)
    assert doubt.tickers == (A, B)
    assert isinstance(book, BookSnapshot)


def test_a_snapshot_that_changes_have_overtaken_is_not_taken(driver):
    """The change was dropped, for there was no book yet, and the snapshot does not hold it."""
    driver.delta(A, skip=1)
    driver.seq[BOOKS] += 1
    driver.delta(A)
    seq, driver.seq[BOOKS] = driver.seq[BOOKS], driver.seq[BOOKS] - 2
    assert not [event for event in driver.snapshot(A) if isinstance(event, BookSnapshot)]
    driver.seq[BOOKS] = seq
    assert driver.delta(A) == ()


def test_an_old_snapshot_that_two_overtaken_messages_make_look_like_the_next_is_not_taken(driver):
    """The first of the two must not bring the count back: the second would then go on from it."""
    driver.seq[BOOKS] += 2  # a change and a snapshot of A, on their way
    driver.delta(A)
    reached = driver.seq[BOOKS]
    driver.seq[BOOKS] = reached - 3
    assert driver.delta(A) == ()
    assert driver.snapshot(A) == ()
    driver.seq[BOOKS] = reached
    assert isinstance(driver.snapshot(A)[0], BookSnapshot)
    assert isinstance(driver.delta(A)[0], BookDelta)


def test_a_count_that_begins_again_is_known_by_an_answer_that_cannot_be_old(driver):
    """Whatever came before the command was sent has a lower number than its answer, but in a new count."""
    for _ in range(50):
        driver.delta(A)
    driver.seq[BOOKS] = 0
    assert isinstance(driver.delta(A)[0], BookInvalid)
    (command,) = driver.commands()
    assert driver.delta(A) == ()
    answer = {"type": "orderbook_snapshot", "sid": BOOKS, "msg": {"market_ticker": A}}
    for earlier in ({}, {"id": command["id"] - 1}):
        assert driver.send({**answer, **earlier, "seq": 3}) == ()
    (snapshot,) = driver.send({**answer, "id": command["id"], "seq": 3})
    assert isinstance(snapshot, BookSnapshot)
    driver.seq[BOOKS] = 3
    assert isinstance(driver.delta(A)[0], BookDelta)


def test_doubt_tells_by_its_time_which_books_of_the_same_moment_it_concerns(driver):
    """It overtakes them on its way to the engine, which must not take the older one for the newer."""
    (older,) = driver.snapshot(A)
    doubt, newer = driver.snapshot(A, skip=1)
    again, newest = driver.snapshot(A, skip=1)
    assert older.ts_recv < doubt.ts_recv <= newer.ts_recv < again.ts_recv <= newest.ts_recv
    assert newest.ts_recv - older.ts_recv == 2
    state = MarketState()
    state.apply(MarketUpdate(market(A), 0))
    state.apply(FeedUp("market", 0))
    for event in (doubt, again, older, newer):
        state.apply(event)
    assert state.book(A) is None
    state.apply(newest)
    assert state.book(A) is not None


@pytest.mark.parametrize("seed", range(20))
def test_books_rebuilt_through_lost_and_repeated_frames_equal_the_venues(driver, seed):
    """Frames are dropped and repeated at random; whenever a book is vouched for, it equals the venue's."""
    rng = random.Random(seed)
    venue = {ticker: OrderBook(ticker, LINEAR_CENT) for ticker in (A, B)}
    ours = {ticker: OrderBook(ticker, LINEAR_CENT) for ticker in (A, B)}
    for book in (*venue.values(), *ours.values()):
        book.apply_snapshot((), (), 0, 0, None)
    vouched = {A, B}
    seq = seen = driver.seq[BOOKS]
    pending: list[str] = []

    def deliver(kind: str, msg: dict[str, Any]) -> None:
        nonlocal seq, seen
        seq += 1
        if rng.random() < 0.05:
            return
        seen = seq
        for _ in range(2 if rng.random() < 0.03 else 1):
            apply(driver.send({"type": kind, "sid": BOOKS, "seq": seq, "msg": msg}))

    def apply(events: tuple[Any, ...]) -> None:
        for event in events:
            match event:
                case BookInvalid(tickers=tickers):
                    vouched.difference_update(tickers)
                case BookSnapshot(ticker=ticker):
                    ours[ticker].apply_snapshot(event.bids, event.asks, 0, 0, None)
                    vouched.add(ticker)
                case BookDelta(ticker=ticker):
                    ours[ticker].apply_delta(event.side, event.price, event.delta, 0, 0, None)
        for command in driver.commands():
            pending.extend(command["params"]["market_tickers"])

    for _ in range(400):
        ticker, side, price = rng.choice((A, B)), rng.choice(tuple(BookSide)), rng.randrange(1, 99) * 100
        size = venue[ticker].size_at(side, price)
        change = rng.randint(-size, 500)
        venue[ticker].apply_delta(side, price, change, 0, 0, None)
        leg = "yes" if side is BookSide.BID else "no"
        text = {"price_dollars": f"{price / 10_000:.4f}", "delta_fp": f"{change / 100:.2f}"}
        deliver("orderbook_delta", {"market_ticker": ticker, "side": leg, **text})
        if rng.random() < 0.2:
            driver.session.ask_again()
            apply(())
        while pending and rng.random() < 0.7:
            wanted = venue[pending.pop(0)]
            sides = {
                key: [[f"{p / 10_000:.4f}", f"{s / 100:.2f}"] for p, s in wanted.levels(side)]
                for key, side in (("yes_dollars_fp", BookSide.BID), ("no_dollars_fp", BookSide.ASK))
                if wanted.levels(side)
            }
            deliver("orderbook_snapshot", {"market_ticker": wanted.ticker, **sides})
        if seen == seq:  # otherwise the loss shows itself with the next message
            for good in vouched:
                for side in BookSide:
                    assert ours[good].levels(side) == venue[good].levels(side)
    assert driver.session.malformed_frames == 0


# --- extras, lists, endings -------------------------------------------------------------------------


def extra_driver(driver: Driver) -> list[Any]:
    told: list[Any] = []
    driver.session.subscribe_extras(["ticker", "market_positions", "order_group_updates"], told.append)
    driver.seq |= {6: 0, 7: 0, 8: 0}
    for command in driver.commands():
        assert command["id"] >= 1_000_000
        (channel,) = command["params"]["channels"]
        sid = {"market_positions": 6, "order_group_updates": 7, "ticker": 8}[channel]
        driver.send({"id": command["id"], "type": "subscribed", "msg": {"channel": channel, "sid": sid}})
    return told


QUOTES = {
    "market_ticker": A,
    "price_dollars": "0.3700",
    "yes_bid_dollars": "0.3600",
    "yes_ask_dollars": "0.3900",
    "yes_bid_size_fp": "15.50",
    "yes_ask_size_fp": "22.00",
    "volume_fp": "5120.00",
    "open_interest_fp": "2210.00",
    "ts_ms": 1_795_420_801_050,
}


def test_extra_channels_are_told_in_exact_units_and_make_no_events(driver):
    told = extra_driver(driver)
    position = {
        "market_ticker": A,
        "position_fp": "-4.00",
        "position_cost_dollars": "2.520000",
        "realized_pnl_dollars": "0.000000",
        "fees_paid_dollars": "0.010000",
    }
    group = {"event_type": "triggered", "order_group_id": "og-9", "ts_ms": 5}
    assert driver.send({"type": "ticker", "sid": 8, "msg": QUOTES}) == ()
    assert driver.send({"type": "market_position", "sid": 6, "msg": position}) == ()
    assert driver.sequenced("order_group_updates", 7, group) == ()
    ticker, held, update = told
    assert (ticker.yes_bid, ticker.yes_ask, ticker.yes_bid_size, ticker.volume) == (
        3_600,
        3_900,
        1_550,
        512_000,
    )
    assert (held.count, held.cost, held.fees_paid) == (-400, 2_520_000, 10_000)
    assert (update.group_id, update.kind, update.contracts_limit) == ("og-9", "triggered", None)


def test_a_malformed_extra_is_counted_and_leaves_the_books_alone(driver):
    extra_driver(driver)
    assert driver.send({"type": "ticker", "sid": 8, "msg": {**QUOTES, "yes_bid_dollars": "x"}}) == ()
    assert driver.sequenced("order_group_updates", 7, {"event_type": 5}) == ()
    assert [field for _, field in driver.bad] == ["yes_bid_dollars", "kalshi-ws.msg.event_type"]
    assert driver.delta(A) != ()


def test_new_markets_join_the_ticker_channel_and_dropped_extras_are_not_made_again(driver):
    extra_driver(driver)
    driver.session.watch(["KXHIGHNY-26NOV24-T48"])
    assert [command["params"]["sids"] for command in driver.commands()] == [[BOOKS], [TRADES], [8]]
    driver.session.unsubscribe_extras(["ticker", "market_positions", "order_group_updates"])
    (command,) = driver.commands()
    assert (command["cmd"], sorted(command["params"]["sids"])) == ("unsubscribe", [6, 7, 8])
    assert driver.sequenced("unsubscribed", 7, None) == ()
    assert driver.commands() == []


def test_a_subscription_the_venue_ends_or_forgets_is_made_again(driver):
    (invalid,) = driver.sequenced("unsubscribed", BOOKS, None)
    assert invalid.reason == "unsubscribed without being asked"
    assert driver.commands()[0]["params"]["channels"] == ["orderbook_delta"]
    driver = Driver()
    driver.session.probe()
    probe, _ = driver.commands()
    held = [{"channel": name, "sid": sid} for name, sid in SIDS.items() if name != "fill"]
    assert driver.send({"id": probe["id"], "type": "ok", "msg": held}) == ()
    (again,) = driver.commands()
    assert again["params"]["channels"] == ["fill"]
    assert "no longer lists" in driver.bad[0][1]
