"""What one WebSocket connection asks for: subscriptions, snapshots, signs of life; and what is refused."""

from __future__ import annotations

from collections.abc import Iterable

from src.api.commands import BOOKS, FILLS, LIFECYCLE, ORDERS, TICKER, TRADES, CommandQueue
from src.api.decoding import decode
from src.api.doubt_time import DoubtTime
from src.api.extras import OnMessage
from src.api.following import Board, OnBad, Refresh
from src.api.frame_bodies import ListedSubscription
from src.api.frames import WHERE, ErrorFrame, OkFrame
from src.api.live_books import LiveBooks
from src.api.subscriptions import Subscriptions
from src.core.errors import WireError
from src.core.events import BookInvalid, Event, FeedUp
from src.core.units import Nanos

# The venue ended the subscription itself (channel error, buffer overflow).
_TERMINAL_CODES = frozenset({10, 25})


class SessionRequests:
    """The asking half of a ``FeedSession``, which says what its attributes mean."""

    def __init__(self, board: Board, on_bad: OnBad, doubt: DoubtTime, *, account_down: bool) -> None:
        self._board = board
        self._on_bad = on_bad
        self.broken = ""
        self.account_down = account_down
        self.subscriptions = Subscriptions()
        self.is_up = False
        self.is_described = False
        self.watched: set[str] = set()
        self._books = LiveBooks()
        self._doubt = doubt
        self._extras: set[str] = set()
        self._on_message: OnMessage | None = None
        self._probe_id = 0

    @property
    def commands(self) -> CommandQueue:
        """Commands that wait to be sent."""
        return self.subscriptions.commands

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
        live = min(self._live, default="")
        if live:
            self.subscriptions.update((BOOKS,), "get_snapshot", [live])

    def ask_again(self) -> None:
        """Repeat the request for snapshots that were missing at the last call already."""
        self.subscriptions.update((BOOKS,), "get_snapshot", self._books.still_missing(self.watched))

    @property
    def is_waiting(self) -> bool:
        """Whether a subscription has not been acknowledged yet."""
        return self.subscriptions.is_waiting

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

    @property
    def _live(self) -> list[str]:
        """The markets watched whose books are vouched for."""
        return [ticker for ticker in self.watched if ticker in self._books]

    def _invalid(self, tickers: Iterable[str], reason: str, ts: Nanos) -> BookInvalid:
        return BookInvalid(tuple(tickers), reason, self._doubt.raised(ts))

    def _up(self, ts: Nanos) -> tuple[Event, ...]:
        if self.is_up or not self.is_described or self.is_waiting:
            return ()
        self.is_up = True
        if not self.account_down:
            return (FeedUp("market", ts),)
        self.account_down = False
        return (FeedUp("market", ts), FeedUp("account", ts))
