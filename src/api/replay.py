"""A recording back into events, through the parser and the session logic that handled it live.

``ts_recv`` of every event is the recorded time of arrival. A recording of the WebSocket feed yields the
events that were yielded then, in the same order (only while more than ten thousand messages were waiting
may neighbours have changed places). A recording made without a key holds polled REST answers; it yields
the markets and books they describe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from src.api import recorder_tape as tape
from src.api.decoding import decode
from src.api.doubt_time import DoubtTime
from src.api.extras import ExtraMessage
from src.api.following import OnBad, Refresh
from src.api.recorder_format import FORMAT, Record, read_records, recording_files
from src.api.replay_polled import PolledAnswers
from src.api.session import FeedSession
from src.core.errors import ConfigError
from src.core.events import BookInvalid, Event, FeedDown, MarketUpdate
from src.core.market import Market

T = TypeVar("T")


class _Start(msgspec.Struct):
    format: int
    feed: str = "websocket"


class _Board:
    """The markets followed, as the recording describes them."""

    def __init__(self) -> None:
        self.series: Sequence[str] = ()
        self.markets: dict[str, Market] = {}

    def ask(self, refresh: Refresh) -> None:
        """Nothing is read in a replay: what was read then is in the recording."""

    def forget(self, ticker: str) -> None:
        """The market is settled."""
        self.markets.pop(ticker, None)


def replay(recording: Path | Iterable[Path], on_bad: OnBad | None = None) -> Iterator[Event]:
    """The events of a recording: its folder, or its files in order, from the first on.

    ``on_bad(source, field)`` is called for messages that broke their contract. Raises ``ConfigError``
    for an empty folder or files that begin in the middle, ``WireError`` for a damaged record.
    """
    files = recording_files(recording) if isinstance(recording, Path) else list(recording)
    if not files:
        raise ConfigError(f"{recording}: holds no recording (*.rec.gz); give the folder `record` wrote")
    player = _Player(on_bad or _ignore)
    for path in files:
        for record in read_records(path):
            yield from player.play(record, path)


def _ignore(source: str, field: str) -> None:
    """A replay without somebody who counts bad messages."""


def _ignore_extra(message: ExtraMessage) -> None:
    """Messages the engine does not need are no events."""


class _Player:
    def __init__(self, on_bad: OnBad) -> None:
        self._on_bad = on_bad
        self._board = _Board()
        self._session: FeedSession | None = None
        self._doubt = DoubtTime()
        self._polled: PolledAnswers | None = None
        self._has_begun = False

    def play(self, record: Record, path: Path) -> tuple[Event, ...]:
        kind = record.kind
        if kind == "start":
            self._start(record)
            return ()
        if not self._has_begun:
            raise ConfigError(f"{path} is the middle of a recording; give its earlier files too")
        if kind.startswith("rest "):
            return self._polled.on_answer(record) if self._polled is not None else ()
        if kind == tape.MARKET:
            market = _payload(record, Market)
            self._board.markets[market.ticker] = market
            return (MarketUpdate(market, record.ts),)
        if kind == tape.DOWN:
            lost = _payload(record, tape.Doubt)
            ts = self._doubt.raised(record.ts)
            invalid = (BookInvalid(lost.tickers, lost.reason, ts),) if lost.tickers else ()
            return (*invalid, FeedDown("market", lost.reason, ts))
        if kind == tape.OPEN:
            self._open(record)
            return ()
        if kind == "dropped":
            # The subscription's sequence shows the gap; the session draws the consequences itself.
            self._on_bad("recording", "dropped")
            return ()
        return self._step(record, path)

    def _start(self, record: Record) -> None:
        start = _payload(record, _Start)
        if start.format != FORMAT:
            raise ConfigError(f"the recording has format {start.format}, this version reads format {FORMAT}")
        self._has_begun = True
        self._board = _Board()
        self._session = None
        self._doubt = DoubtTime()
        self._polled = PolledAnswers(self._on_bad) if start.feed == "polling" else None

    def _open(self, record: Record) -> None:
        opened = _payload(record, tape.Opened)
        self._board.series = opened.series
        account_down = self._session is not None and self._session.account_down
        self._session = FeedSession(
            self._board,
            self._on_bad,
            self._doubt,
            account_down=account_down,
            late_after=opened.late_after,
        )
        self._session.open()

    def _step(self, record: Record, path: Path) -> tuple[Event, ...]:
        session, ts = self._session, record.ts
        if session is None:
            raise ConfigError(f"{path}: {record.kind!r} before any connection; give the earlier files too")
        # Nobody sends what the session would like to send.
        session.commands.encoded.clear()
        match record.kind:
            case tape.FRAME:
                return session.on_frame(record.payload, ts)
            case tape.DESCRIBED:
                return session.described(ts)
            case tape.RESYNC:
                doubt = _payload(record, tape.Doubt)
                return session.resync(doubt.tickers, doubt.reason, ts)
            case tape.WATCH:
                session.watch(_payload(record, list[str]))
            case tape.UNWATCH:
                session.unwatch(_payload(record, list[str]))
            case tape.EXTRAS_ON:
                session.subscribe_extras(_payload(record, list[str]), _ignore_extra)
            case tape.EXTRAS_OFF:
                session.unsubscribe_extras(_payload(record, list[str]))
            case tape.PROBE:
                session.probe()
            case tape.ASK_AGAIN:
                session.ask_again()
            case _:
                raise ConfigError(f"{path}: unknown record {record.kind!r}, from a newer version")
        return ()


def _payload(record: Record, kind: type[T]) -> T:
    return decode(record.payload, kind, record.kind)
