"""One WebSocket connection's messages: sequences, which books can be vouched for, what to ask next.

No input or output: frames go in, events and commands come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from src.api import wire_ws
from src.api.commands import (
    BOOKS,
    CHANNEL_OF_TYPE,
    EXTRAS,
    LIFECYCLE,
    TRADES,
)
from src.api.doubt_time import DoubtTime
from src.api.following import Board, OnBad, Refresh
from src.api.frame_bodies import LifecycleMsg
from src.api.frames import (
    WHERE,
    DeltaFrame,
    ErrorFrame,
    EventFeeFrame,
    EventLifecycleFrame,
    FillFrame,
    Frame,
    LifecycleFrame,
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
from src.api.lateness import Lateness
from src.api.session_requests import SessionRequests
from src.core.errors import WireError
from src.core.events import Event, FeedDown, LifecycleKind
from src.core.units import Nanos

if TYPE_CHECKING:
    from src.api.delta_scan import DeltaScanner

Handled: TypeAlias = tuple[tuple[Event, ...], int]
"""Events, and how many messages they came from."""
WORTHWHILE = 6
"""Messages received together from which on handing them to the scanner is faster than reading each."""
_LIFECYCLE_KINDS = {kind.value: kind for kind in LifecycleKind}


class FeedSession(SessionRequests):
    """Subscriptions of one connection.

    ``on_bad(source, field)`` counts messages that break their contract. What must be sent gathers in
    ``commands``. ``broken`` says why the connection must be given up, once it must; ``account_down``
    whether account messages were lost since the feed was last up. ``doubt`` is the feed's, ``late_after``
    that of ``Lateness``.
    """

    def __init__(
        self,
        board: Board,
        on_bad: OnBad,
        doubt: DoubtTime,
        *,
        account_down: bool = False,
        late_after: Nanos | None = None,
    ) -> None:
        super().__init__(board, on_bad, doubt, account_down=account_down)
        self._lateness = Lateness(late_after)
        self.unknown_frames = 0
        self.malformed_frames = 0
        self._scanner: DeltaScanner | None = None

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
            ts = self._doubt.behind(ts)
            place = self.subscriptions.sequence(BOOKS) if scanner is not None else None
            run = scanner.read(*place, ts) if scanner is not None and place is not None else None
            if run is not None and place is not None:
                self.subscriptions.advance(place[0], len(run))
                late = self._lateness.of_run(run, ts)
                handled.append((self.resync(self._live, late, ts) if late else (run,), len(run)))
                at += len(run)
                continue
            handled.append((self._handle(frames[at], ts), 1))
            if scanner is not None:
                scanner.skip()
            at += 1
        return handled

    def on_frame(self, raw: bytes | str, ts: Nanos) -> tuple[Event, ...]:
        """Handle one message, received at ``ts``."""
        return self._handle(raw, self._doubt.behind(ts))

    def _handle(self, raw: bytes | str, ts: Nanos) -> tuple[Event, ...]:
        frame = decode_frame(raw)
        is_overtaken = type(frame) is SnapshotFrame and self._is_overtaken(frame)
        events = self._follow(frame, ts)
        ts = self._doubt.behind(ts)
        if is_overtaken:
            return events  # changes that came before it are not in it, and were not applied
        if late := self._lateness.of(frame, ts):
            # What else is on its way has changed every book, unseen; what comes here is of the past.
            events += self.resync(self._live, late, ts)
            ts = self._doubt.behind(ts)
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
        return self.resync(self._live, gap.reason, ts)

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
                self.subscriptions.subscribed(frame)
                return self._up(ts)
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

    def _is_ours(self, ticker: str) -> bool:
        """By the tickers' grammar (SERIES-...); what is read by REST says the series for certain."""
        return any(ticker == series or ticker.startswith(f"{series}-") for series in self._board.series)
