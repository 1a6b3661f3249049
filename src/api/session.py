"""One WebSocket connection's subscriptions: sequences, which books can be vouched for, what to ask next.

No input or output: frames go in, events and commands come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from src.api import wire_ws
from src.api.commands import (
    BOOKS,
    CHANNEL_OF_TYPE,
    EXTRAS,
    FILLS,
    LIFECYCLE,
    ORDERS,
    TICKER,
    TRADES,
    CommandQueue,
)
from src.api.decoding import decode
from src.api.extras import OnMessage
from src.api.following import Board, OnBad, Refresh
from src.api.frames import (
    WHERE,
    DeltaFrame,
    ErrorFrame,
    EventFeeFrame,
    EventLifecycleFrame,
    FillFrame,
    Frame,
    LifecycleFrame,
    LifecycleMsg,
    ListedSubscription,
    MalformedFrame,
    OkFrame,
    SnapshotFrame,
    SubscribedFrame,
    TradeFrame,
    UnknownFrame,
    UnsubscribedFrame,
    UserOrderFrame,
    decode_frame,
)
from src.api.frames_extra import OrderGroupFrame, PositionFrame, TickerFrame
from src.api.live_books import LiveBooks
from src.api.subscriptions import Subscriptions
from src.core.errors import WireError
from src.core.events import NO_TIME, BookDeltas, BookInvalid, Event, FeedDown, FeedUp, LifecycleKind
from src.core.units import MILLISECOND, SECOND, Nanos

if TYPE_CHECKING:
    from src.api.delta_scan import DeltaScanner

Handled: TypeAlias = tuple[tuple[Event, ...], int]
"""Events, and how many messages they came from."""
WORTHWHILE = 6
"""Messages received together from which on handing them to the scanner is faster than reading each."""
# The venue ended the subscription itself (channel error, buffer overflow).
_TERMINAL_CODES = frozenset({10, 25})
_LIFECYCLE_KINDS = {kind.value: kind for kind in LifecycleKind}


class FeedSession:
    """Subscriptions of one connection.

    ``on_bad(source, field)`` counts messages that break their contract. What must be sent gathers in
    ``commands``. ``broken`` says why the connection must be given up, once it must; ``account_down``
    whether account messages were lost since the feed was last up. ``late_after``: nanoseconds from a
    message's sending to its receipt after which no book is vouched for; None where clocks cannot be compared.
    """

    def __init__(
        self,
        board: Board,
        on_bad: OnBad,
        *,
        account_down: bool = False,
        late_after: Nanos | None = None,
    ) -> None:
        self._late_after = late_after
        self._board = board
        self._on_bad = on_bad
        self.account_down = account_down
        self.subscriptions = Subscriptions()
        self.broken = ""
        self.is_up = False
        self.is_described = False
        self.unknown_frames = 0
        self.malformed_frames = 0
        self.watched: set[str] = set()
        self._books = LiveBooks()
        self._scanner: DeltaScanner | None = None
        self._extras: set[str] = set()
        self._on_message: OnMessage | None = None
        self._probe_id = 0
        self._doubted_at: Nanos = 0

    @property
    def commands(self) -> CommandQueue:
        """Commands that wait to be sent."""
        return self.subscriptions.commands

    # --- commands --------------------------------------------------------------------------------

    def open(self) -> None:
        """Subscribe to the account and to the markets' lives."""
        self.subscriptions.subscribe((ORDERS, FILLS))
        self.subscriptions.subscribe((LIFECYCLE,))

    def subscribe_extras(self, channels: Iterable[str], on_message: OnMessage) -> None:
        """Subscribe to channels that the engine does not need; their messages go to ``on_message``."""
        new = set(channels) - self._extras
        self._extras |= new
        self._on_message = on_message
        for channel in sorted(new - {TICKER}):
            self.subscriptions.subscribe((channel,))
        if TICKER in new and self.watched:
            self.subscriptions.subscribe((TICKER,), sorted(self.watched))

    def unsubscribe_extras(self, channels: Iterable[str]) -> None:
        """End the subscriptions to these extras."""
        gone = self._extras & set(channels)
        self._extras -= gone
        self.subscriptions.unsubscribe(gone)

    def described(self, ts: Nanos) -> tuple[Event, ...]:
        """The markets have been read and their books subscribed; the feed is up once all is confirmed."""
        self.is_described = True
        return self._up(ts)

    def watch(self, tickers: Iterable[str]) -> None:
        """Subscribe to books and trades of ``tickers``."""
        new = sorted(set(tickers) - self.watched)
        self.watched.update(new)
        self.subscriptions.add_markets((BOOKS, TRADES), new)
        if TICKER in self._extras:
            self.subscriptions.add_markets((TICKER,), new)

    def unwatch(self, tickers: Iterable[str]) -> None:
        """Unsubscribe from ``tickers``."""
        gone = self.watched & set(tickers)
        self.watched.difference_update(gone)
        self._books.doubt(gone)
        self.subscriptions.update((BOOKS, TRADES, TICKER), "delete_markets", gone)

    def resync(self, tickers: Iterable[str], reason: str, ts: Nanos) -> tuple[Event, ...]:
        """Stop vouching for these books and ask for snapshots."""
        doubtful = sorted(self.watched & set(tickers))
        if not doubtful:
            return ()
        self._books.doubt(doubtful)
        self.subscriptions.update((BOOKS,), "get_snapshot", doubtful)
        return (self._invalid(doubtful, reason, ts),)

    def probe(self) -> None:
        """Ask something that must be answered, to tell quiet markets from a dead connection.

        One book is asked for as well: its snapshot has the next number of the books' sequence, so that
        changes that were lost just before the markets fell quiet show as the gap they are.
        """
        self._probe_id = self.commands.list_subscriptions()
        live = min((ticker for ticker in self.watched if ticker in self._books), default="")
        if live:
            self.subscriptions.update((BOOKS,), "get_snapshot", [live])

    def ask_again(self) -> None:
        """Repeat the request for snapshots that were missing at the last call already."""
        self.subscriptions.update((BOOKS,), "get_snapshot", self._books.still_missing(self.watched))

    @property
    def is_waiting(self) -> bool:
        """Whether a subscription has not been acknowledged yet."""
        return self.subscriptions.is_waiting

    # --- frames ----------------------------------------------------------------------------------

    def read_by(self, scanner: DeltaScanner) -> None:
        """Have runs of plain changes of books read by ``scanner``; they come as ``BookDeltas``."""
        self._scanner = scanner
        self._books.read_by(scanner)

    def on_frames(self, frames: Sequence[bytes], ts: Nanos) -> list[Handled]:
        """Handle messages received together, in order, and as they would be one by one.

        Stops behind a message that makes the connection ``broken``: what follows it is not handled.
        """
        handled: list[Handled] = []
        scanner = self._scanner if len(frames) >= WORTHWHILE else None
        if scanner is not None:
            scanner.begin(frames)
        at = 0
        while at < len(frames) and not self.broken:
            ts = self._behind_doubt(ts)
            place = self.subscriptions.sequence(BOOKS) if scanner is not None else None
            run = scanner.read(*place, ts) if scanner is not None and place is not None else None
            if run is not None and place is not None:
                self.subscriptions.advance(place[0], len(run))
                late = self._late_run(run, ts)
                live = [ticker for ticker in self.watched if ticker in self._books] if late else []
                handled.append((self.resync(live, late, ts) if late else (run,), len(run)))
                at += len(run)
                continue
            handled.append((self._handle(frames[at], ts), 1))
            if scanner is not None:
                scanner.skip()
            at += 1
        return handled

    def on_frame(self, raw: bytes | str, ts: Nanos) -> tuple[Event, ...]:
        """Handle one message, received at ``ts``."""
        return self._handle(raw, self._behind_doubt(ts))

    def _handle(self, raw: bytes | str, ts: Nanos) -> tuple[Event, ...]:
        frame = decode_frame(raw)
        is_overtaken = type(frame) is SnapshotFrame and self._is_overtaken(frame)
        events = self._follow(frame, ts)
        ts = self._behind_doubt(ts)
        if is_overtaken:
            return events  # changes that came before it are not in it, and were not applied
        if self._late_after is not None and (late := self._late(frame, ts)):
            # What else is on its way has changed every book, unseen; what comes here is of the past.
            events += self.resync([ticker for ticker in self.watched if ticker in self._books], late, ts)
            ts = self._behind_doubt(ts)
            if type(frame) is SnapshotFrame:
                return events
        try:
            # Nearly every message is a change of a book: it need not be matched against all the others.
            applied = self._books.delta(frame, ts) if type(frame) is DeltaFrame else self._apply(frame, ts)
            return events + applied if events else applied
        except WireError as error:
            kind = str(frame.__struct_config__.tag)
            ticker = getattr(getattr(frame, "msg", None), "market_ticker", "")
            return events + self._malformed(MalformedFrame(kind, frame.sid, frame.seq, ticker, error), ts)

    def _is_overtaken(self, frame: SnapshotFrame) -> bool:
        """Whether later messages came before this one; not so when the venue's count began again."""
        subscriptions = self.subscriptions
        return subscriptions.is_past(frame.sid, frame.seq) and not subscriptions.begins_again(
            frame.sid, frame.seq, frame.id
        )

    def _follow(self, frame: Frame, ts: Nanos) -> tuple[Event, ...]:
        """Check the subscription's sequence, which acknowledgements and errors are part of."""
        sid, seq = frame.sid, frame.seq
        if sid is None or seq is None or self.subscriptions.continues(sid, seq):
            return ()
        kind = frame.type if isinstance(frame, UnknownFrame | MalformedFrame) else ""
        name = CHANNEL_OF_TYPE.get(kind or str(frame.__struct_config__.tag), "")
        gap = self.subscriptions.follow(sid, seq, name)
        if gap is None:
            return ()
        if gap.channel == LIFECYCLE:
            self._board.ask(Refresh("all"))
        if gap.channel in EXTRAS:
            self._on_bad(WHERE, gap.reason)
        if gap.channel not in {BOOKS, ""}:
            return ()
        # A book that is not vouched for has its snapshot on the way already, and a snapshot is whole: asking
        # again at every further gap would only breed more messages to lose. ``ask_again`` finds lost ones.
        return self.resync([ticker for ticker in self.watched if ticker in self._books], gap.reason, ts)

    def _late(self, frame: Frame, ts: Nanos) -> str:
        """Says so when a message comes too late; a change tells when it happened, others when they left."""
        sent_ms: int | None
        sent_ms = frame.msg.ts_ms if type(frame) is DeltaFrame else getattr(frame, "sending_ts_ms", None)
        if sent_ms is None or self._late_after is None:
            return ""
        return self._too_late(ts - sent_ms * MILLISECOND)

    def _late_run(self, run: BookDeltas, ts: Nanos) -> str:
        """The same of a run of changes, by the oldest of them."""
        if self._late_after is None:
            return ""
        happened = run.columns[:, 5]
        timed = happened[happened != NO_TIME]
        return self._too_late(ts - int(timed.min())) if len(timed) else ""

    def _too_late(self, lag: Nanos) -> str:
        if self._late_after is None or lag <= self._late_after:
            return ""
        return f"messages come {lag / SECOND:.1f} s late (or this machine's clock is ahead)"

    def _apply(self, frame: Frame, ts: Nanos) -> tuple[Event, ...]:
        match frame:
            case SnapshotFrame():
                return self._books.snapshot(frame, self.watched, ts)
            case TradeFrame(msg=msg):
                # A block trade is agreed outside the book and says nothing about it.
                wanted = msg.market_ticker in self.watched and not msg.is_block_trade
                return (wire_ws.public_trade(msg, ts),) if wanted else ()
            case FillFrame(msg=fill):
                return (wire_ws.fill(fill, ts),)
            case UserOrderFrame(msg=order):
                return (wire_ws.order_update(order, ts),)
            case LifecycleFrame(msg=change):
                return self._lifecycle(change, ts)
            case EventLifecycleFrame(msg=listed):
                if listed.event_ticker and listed.series_ticker in self._board.series:
                    self._board.ask(Refresh("event", listed.event_ticker))
            case EventFeeFrame(msg=fees):
                if self._is_ours(fees.event_ticker):
                    self._board.ask(Refresh("event", fees.event_ticker))
            case SubscribedFrame():
                return self._subscribed(frame, ts)
            case OkFrame(id=command, sid=sid):
                if command is not None and command == self._probe_id:
                    return self._listed(frame, ts)
                self.subscriptions.acknowledged(command, sid)
                return self._up(ts) if not self.is_up else ()
            case TickerFrame() | PositionFrame() | OrderGroupFrame():
                if self._on_message is not None:
                    self._on_message(wire_ws.extra(frame, ts))
            case UnsubscribedFrame(sid=sid):
                channel = self.subscriptions.ended(sid)
                if channel and (channel not in EXTRAS or channel in self._extras):
                    return self._resubscribe(channel, "unsubscribed without being asked", ts)
            case ErrorFrame():
                return self._error(frame, ts)
            case UnknownFrame():
                self.unknown_frames += 1
            case MalformedFrame():
                return self._malformed(frame, ts)
        return ()

    def _lifecycle(self, msg: LifecycleMsg, ts: Nanos) -> tuple[Event, ...]:
        ticker = msg.market_ticker
        if ticker not in self._board.markets:
            event_ticker = msg.additional_metadata.event_ticker if msg.additional_metadata else ticker
            if self._is_ours(event_ticker):
                self._board.ask(Refresh("market", ticker))
            return ()
        kind = _LIFECYCLE_KINDS.get(msg.event_type)
        if kind is not None:
            event = wire_ws.market_lifecycle(msg, kind, ts)
            if kind is LifecycleKind.SETTLED:
                self.unwatch((ticker,))
                self._board.forget(ticker)
            return (event,)
        self._board.ask(Refresh("market", ticker))
        if msg.event_type != "price_level_structure_updated" or ticker not in self._books:
            return ()
        self._books.doubt((ticker,))
        return (self._invalid((ticker,), "the market's price grid changed", ts),)

    def _subscribed(self, frame: SubscribedFrame, ts: Nanos) -> tuple[Event, ...]:
        self.subscriptions.subscribed(frame)
        return self._up(ts)

    def _listed(self, frame: OkFrame, ts: Nanos) -> tuple[Event, ...]:
        """The answer to a probe: what is live here must be live there."""
        try:
            listed = decode(frame.msg, list[ListedSubscription], WHERE)
        except WireError:
            return ()  # an answer is an answer
        events: tuple[Event, ...] = ()
        for channel in self.subscriptions.missing_from(each.sid for each in listed):
            reason = f"the venue no longer lists the subscription to {channel}"
            self._on_bad(WHERE, reason)
            events += self._resubscribe(channel, reason, ts)
        return events

    def _error(self, frame: ErrorFrame, ts: Nanos) -> tuple[Event, ...]:
        code, text = frame.msg.code, f"error {frame.msg.code} {frame.msg.msg}".strip()
        if frame.id is not None and frame.id == self._probe_id:
            return ()  # an answer is an answer
        self._on_bad(WHERE, text)
        if self.subscriptions.is_unanswered(frame.id):
            self.broken = f"subscription refused: {text}"
        elif code in _TERMINAL_CODES:
            channel = self.subscriptions.channel_of(frame.sid)
            if not channel:
                self.broken = f"subscription ended: {text}"
                return ()
            return self._resubscribe(channel, text, ts)
        return ()

    def _resubscribe(self, name: str, reason: str, ts: Nanos) -> tuple[Event, ...]:
        self.subscriptions.ended(self.subscriptions.confirmed.get(name))
        if name not in {BOOKS, TRADES, TICKER}:
            self.subscriptions.subscribe((name,))
            if name == LIFECYCLE:
                self._board.ask(Refresh("all"))
            return ()
        if self.watched:
            self.subscriptions.subscribe((name,), sorted(self.watched))
        return self.resync(self.watched, reason, ts) if name == BOOKS else ()

    def _malformed(self, frame: MalformedFrame, ts: Nanos) -> tuple[Event, ...]:
        self.malformed_frames += 1
        self._on_bad(WHERE, frame.error.field)
        reason = f"malformed {frame.type or 'message'}: {frame.error}"
        if frame.type in {"fill", "user_order"}:
            # What happened to the account is not known: reconnecting makes the engine read the records.
            self.broken = reason
            self.account_down = True
            return (FeedDown("account", reason, ts),)
        name = CHANNEL_OF_TYPE.get(frame.type) or self.subscriptions.channel_of(frame.sid)
        if name == LIFECYCLE:
            self._board.ask(Refresh("all"))
            return ()
        if name == TRADES or name in EXTRAS or frame.type in {"subscribed", "ok", "unsubscribed", "error"}:
            return ()
        return self.resync([frame.ticker] if frame.ticker else self.watched, reason, ts)

    # --- inside ----------------------------------------------------------------------------------

    def _invalid(self, tickers: Iterable[str], reason: str, ts: Nanos) -> BookInvalid:
        """Doubt, a nanosecond later than all that came before it.

        Doubt overtakes books on its way to the engine, which knows by their times which of them it concerns;
        messages received together have one time.
        """
        self._doubted_at = self._behind_doubt(ts) + 1
        return BookInvalid(tuple(tickers), reason, self._doubted_at)

    def _behind_doubt(self, ts: Nanos) -> Nanos:
        """The time of what is received at ``ts``: not before a doubt that was raised at that moment."""
        # A clock that was set back by more is left alone: no time may be ahead of it for long.
        return self._doubted_at if 0 < self._doubted_at - ts < MILLISECOND else ts

    def _up(self, ts: Nanos) -> tuple[Event, ...]:
        if self.is_up or not self.is_described or self.is_waiting:
            return ()
        self.is_up = True
        if not self.account_down:
            return (FeedUp("market", ts),)
        self.account_down = False
        return (FeedUp("market", ts), FeedUp("account", ts))

    def _is_ours(self, ticker: str) -> bool:
        """By the tickers' grammar (SERIES-...); what is read by REST says the series for certain."""
        return any(ticker == series or ticker.startswith(f"{series}-") for series in self._board.series)
