"""One WebSocket connection's subscriptions: sequences, which books can be vouched for, what to ask next.

No input or output: frames go in, events and commands come out. A book is *live* from its snapshot until
something casts doubt on it; changes to a book that is not live are dropped, the next snapshot holds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from src.api import wire_ws
from src.api.commands import BOOKS, FILLS, LIFECYCLE, ORDERS, TRADES, Action, CommandQueue, chunks
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
    MalformedFrame,
    OkFrame,
    SnapshotFrame,
    SubscribedFrame,
    TradeFrame,
    UnknownFrame,
    UserOrderFrame,
    decode_frame,
)
from src.core.errors import WireError
from src.core.events import BookInvalid, Event, FeedDown, FeedUp, LifecycleKind
from src.core.units import Nanos

# The venue ended the subscription itself (channel error, buffer overflow).
_TERMINAL_CODES = frozenset({10, 25})
_CHANNEL_OF_TYPE = {
    "orderbook_snapshot": BOOKS,
    "orderbook_delta": BOOKS,
    "trade": TRADES,
    "market_lifecycle_v2": LIFECYCLE,
    "event_lifecycle": LIFECYCLE,
    "event_fee_update": LIFECYCLE,
}
_LIFECYCLE_KINDS = {kind.value: kind for kind in LifecycleKind}


@dataclass(slots=True)
class _Channel:
    name: str
    seq: int = 0


class FeedSession:
    """Subscriptions of one connection.

    ``on_bad(source, field)`` counts messages that break their contract. What must be sent gathers in
    ``commands``. ``broken`` says why the connection must be given up, once it must; ``account_down``
    whether account messages were lost since the feed was last up.
    """

    def __init__(self, board: Board, on_bad: OnBad, *, account_down: bool = False) -> None:
        self._board = board
        self._on_bad = on_bad
        self.account_down = account_down
        self.commands = CommandQueue()
        self.broken = ""
        self.is_up = False
        self.is_described = False
        self.unknown_frames = 0
        self.malformed_frames = 0
        self.watched: set[str] = set()
        self._live: set[str] = set()
        self._missing: set[str] = set()
        self._clocks: dict[str, int] = {}
        self._channels: dict[int, _Channel] = {}
        self._sids: dict[str, int] = {}
        self._unacknowledged: dict[int, set[str]] = {}
        self._probe_id = 0

    # --- commands --------------------------------------------------------------------------------

    def open(self) -> None:
        """Subscribe to the account and to the markets' lives."""
        self._subscribe((ORDERS, FILLS))
        self._subscribe((LIFECYCLE,))

    def described(self, ts: Nanos) -> tuple[Event, ...]:
        """The markets have been read and their books subscribed; the feed is up once all is confirmed."""
        self.is_described = True
        return self._up(ts)

    def watch(self, tickers: Iterable[str]) -> None:
        """Subscribe to books and trades of ``tickers``."""
        new = sorted(set(tickers) - self.watched)
        self.watched.update(new)
        if BOOKS in self._sids and TRADES in self._sids:
            self._update((BOOKS, TRADES), "add_markets", new)
            return
        for chunk in chunks(new):
            # Subscribing again adds the markets to a subscription that is still on its way.
            self._subscribe((BOOKS, TRADES), chunk)

    def unwatch(self, tickers: Iterable[str]) -> None:
        """Unsubscribe from ``tickers``."""
        gone = self.watched & set(tickers)
        self.watched.difference_update(gone)
        self._live.difference_update(gone)
        self._update((BOOKS, TRADES), "delete_markets", gone)

    def resync(self, tickers: Iterable[str], reason: str, ts: Nanos) -> tuple[Event, ...]:
        """Stop vouching for these books and ask for snapshots."""
        doubtful = sorted(self.watched & set(tickers))
        if not doubtful:
            return ()
        self._live.difference_update(doubtful)
        self._update((BOOKS,), "get_snapshot", doubtful)
        return (BookInvalid(tuple(doubtful), reason, ts),)

    def probe(self) -> None:
        """Ask something that must be answered, to tell a quiet market from a dead connection."""
        self._probe_id = self.commands.list_subscriptions()

    def ask_again(self) -> None:
        """Repeat the request for snapshots that were missing at the last call already."""
        missing = self.watched - self._live
        self._update((BOOKS,), "get_snapshot", missing & self._missing)
        self._missing = missing

    @property
    def is_waiting(self) -> bool:
        """Whether a subscription has not been acknowledged yet."""
        return bool(self._unacknowledged)

    # --- frames ----------------------------------------------------------------------------------

    def on_frame(self, raw: bytes | str, ts: Nanos) -> tuple[Event, ...]:
        """Handle one message, received at ``ts``."""
        frame = decode_frame(raw)
        events = self._follow(frame, ts)
        try:
            # Nearly every message is a change of a book: it need not be matched against all the others.
            applied = self._delta(frame, ts) if type(frame) is DeltaFrame else self._apply(frame, ts)
            return events + applied if events else applied
        except WireError as error:
            kind = str(frame.__struct_config__.tag)
            ticker = getattr(getattr(frame, "msg", None), "market_ticker", "")
            return events + self._malformed(MalformedFrame(kind, frame.sid, frame.seq, ticker, error), ts)

    def _follow(self, frame: Frame, ts: Nanos) -> tuple[Event, ...]:
        """Check the subscription's sequence, which acknowledgements and errors are part of."""
        sid, seq = frame.sid, frame.seq
        if sid is None or seq is None:
            return ()
        channel = self._channels.get(sid)
        if channel is None:
            kind = frame.type if isinstance(frame, UnknownFrame | MalformedFrame) else ""
            name = _CHANNEL_OF_TYPE.get(kind or str(frame.__struct_config__.tag), "")
            channel = self._channels[sid] = _Channel(name)
        expected = channel.seq + 1
        channel.seq = seq
        if seq == expected:
            return ()
        reason = f"sequence of {channel.name or 'subscription'} {sid}: expected {expected}, got {seq}"
        if channel.name == LIFECYCLE:
            self._board.ask(Refresh("all"))
        return self.resync(self.watched, reason, ts) if channel.name in {BOOKS, ""} else ()

    def _apply(self, frame: Frame, ts: Nanos) -> tuple[Event, ...]:
        match frame:
            case SnapshotFrame():
                return self._snapshot(frame, ts)
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
                # Subscribing again to a channel that exists adds to it and is answered by its `ok`.
                channel = self._channels.get(sid) if sid is not None else None
                if command is not None and channel is not None:
                    self._acknowledged(command, channel.name)
                return self._up(ts) if not self.is_up else ()
            case ErrorFrame():
                return self._error(frame, ts)
            case UnknownFrame():
                self.unknown_frames += 1
            case MalformedFrame():
                return self._malformed(frame, ts)
        return ()

    def _delta(self, frame: DeltaFrame, ts: Nanos) -> tuple[Event, ...]:
        ticker, clock = frame.msg.market_ticker, frame.msg.clock
        event = wire_ws.book_delta(frame, ts)
        if ticker not in self._live:
            return ()
        included = self._clocks.get(ticker)
        if included is not None:
            if clock is not None and clock <= included:
                return ()  # the snapshot holds every change up to its clock
            # From here on the order of the stream suffices; clocks may restart after maintenance.
            del self._clocks[ticker]
        return (event,)

    def _snapshot(self, frame: SnapshotFrame, ts: Nanos) -> tuple[Event, ...]:
        ticker, clock = frame.msg.market_ticker, frame.msg.clock
        event = wire_ws.book_snapshot(frame, ts)
        if ticker not in self.watched:
            return ()
        self._live.add(ticker)
        if clock is not None:
            self._clocks[ticker] = clock
        return (event,)

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
        if msg.event_type != "price_level_structure_updated" or ticker not in self._live:
            return ()
        self._live.discard(ticker)
        return (BookInvalid((ticker,), "the market's price grid changed", ts),)

    def _subscribed(self, frame: SubscribedFrame, ts: Nanos) -> tuple[Event, ...]:
        name, sid = frame.msg.channel, frame.msg.sid
        previous = self._sids.get(name)
        if previous is not None and previous != sid:
            self._channels.pop(previous, None)
        self._sids[name] = sid
        self._channels.setdefault(sid, _Channel(name)).name = name
        for command in list(self._unacknowledged) if frame.id is None else [frame.id]:
            self._acknowledged(command, name)
        return self._up(ts)

    def _acknowledged(self, command: int, channel: str) -> None:
        channels = self._unacknowledged.get(command)
        if channels is not None:
            channels.discard(channel)
            if not channels:
                del self._unacknowledged[command]

    def _error(self, frame: ErrorFrame, ts: Nanos) -> tuple[Event, ...]:
        code, text = frame.msg.code, f"error {frame.msg.code} {frame.msg.msg}".strip()
        if frame.id is not None and frame.id == self._probe_id:
            return ()  # an answer is an answer
        self._on_bad(WHERE, text)
        if frame.id in self._unacknowledged:
            self.broken = f"subscription refused: {text}"
        elif code in _TERMINAL_CODES:
            channel = self._channels.pop(frame.sid, None) if frame.sid is not None else None
            if channel is None:
                self.broken = f"subscription ended: {text}"
                return ()
            return self._resubscribe(channel.name, text, ts)
        return ()

    def _resubscribe(self, name: str, reason: str, ts: Nanos) -> tuple[Event, ...]:
        self._sids.pop(name, None)
        if name not in {BOOKS, TRADES}:
            self._subscribe((name,))
            if name == LIFECYCLE:
                self._board.ask(Refresh("all"))
            return ()
        for chunk in chunks(sorted(self.watched)):
            self._subscribe((name,), chunk)
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
        channel = self._channels.get(frame.sid) if frame.sid is not None else None
        name = _CHANNEL_OF_TYPE.get(frame.type) or (channel.name if channel else "")
        if name == LIFECYCLE:
            self._board.ask(Refresh("all"))
            return ()
        if name == TRADES or frame.type in {"subscribed", "ok", "unsubscribed", "error"}:
            return ()
        return self.resync([frame.ticker] if frame.ticker else self.watched, reason, ts)

    # --- inside ----------------------------------------------------------------------------------

    def _up(self, ts: Nanos) -> tuple[Event, ...]:
        if self.is_up or not self.is_described or self._unacknowledged:
            return ()
        self.is_up = True
        if not self.account_down:
            return (FeedUp("market", ts),)
        self.account_down = False
        return (FeedUp("market", ts), FeedUp("account", ts))

    def _is_ours(self, ticker: str) -> bool:
        """By the tickers' grammar (SERIES-...); what is read by REST says the series for certain."""
        return any(ticker == series or ticker.startswith(f"{series}-") for series in self._board.series)

    def _subscribe(self, channels: Sequence[str], tickers: Sequence[str] = ()) -> None:
        self._unacknowledged[self.commands.subscribe(channels, tickers)] = set(channels)

    def _update(self, names: Iterable[str], action: Action, tickers: Iterable[str]) -> None:
        for chunk in chunks(sorted(tickers)):
            for sid in (self._sids[name] for name in names if name in self._sids):
                self.commands.update(sid, action, chunk)
