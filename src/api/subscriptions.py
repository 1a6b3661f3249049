"""The subscriptions of one connection: their ids, their sequences, and the commands about them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from src.api.commands import BOOKS, Action, CommandQueue, chunks
from src.api.frames import SubscribedFrame

# Requests for snapshots whose answers may still come; with a request a second, a minute of them.
_REQUESTS_KEPT = 64


@dataclass(slots=True)
class _Channel:
    """``seq``: the last number; of books the highest, which a message that comes late does not lower."""

    name: str
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """A message of ``channel`` (empty while unknown) did not follow the one before it."""

    channel: str
    reason: str


class Subscriptions:
    """What has been asked for and what the venue confirmed. Commands gather in ``commands``."""

    def __init__(self) -> None:
        self.commands = CommandQueue()
        self._channels: dict[int, _Channel] = {}
        self._sids: dict[str, int] = {}
        self._unacknowledged: dict[int, set[str]] = {}
        self._requests: deque[tuple[int, int, int]] = deque(maxlen=_REQUESTS_KEPT)

    @property
    def confirmed(self) -> dict[str, int]:
        """Subscription id by channel."""
        return dict(self._sids)

    @property
    def is_waiting(self) -> bool:
        """Whether a subscription has not been acknowledged yet."""
        return bool(self._unacknowledged)

    def is_unanswered(self, command: int | None) -> bool:
        """Whether this is a subscribe command that waits for its acknowledgement."""
        return command in self._unacknowledged

    def channel_of(self, sid: int | None) -> str:
        """The channel of a subscription, empty when unknown."""
        channel = self._channels.get(sid) if sid is not None else None
        return channel.name if channel else ""

    def is_past(self, sid: int, seq: int) -> bool:
        """Whether a message of this subscription with this number, or a later one, came already."""
        channel = self._channels.get(sid)
        return channel is not None and seq <= channel.seq

    def last_seq(self, name: str) -> int | None:
        """The number of the last message of a channel; None while it is not live."""
        channel = self._channels.get(self._sids.get(name, 0))
        return channel.seq if channel else None

    # --- commands --------------------------------------------------------------------------------

    def subscribe(self, channels: Sequence[str], tickers: Sequence[str] = ()) -> None:
        """Subscribe to ``channels``, in pieces if there are many ``tickers``."""
        for chunk in chunks(tickers) if tickers else ((),):
            self._unacknowledged[self.commands.subscribe(channels, chunk)] = set(channels)

    def add_markets(self, channels: Sequence[str], tickers: Sequence[str]) -> None:
        """Have ``channels`` tell of these markets too."""
        if not tickers:
            return
        if all(channel in self._sids for channel in channels):
            self.update(channels, "add_markets", tickers)
        else:
            # Subscribing again adds the markets to a subscription that is still on its way.
            self.subscribe(channels, tickers)

    def update(self, channels: Iterable[str], action: Action, tickers: Iterable[str]) -> None:
        """Change the markets of those of ``channels`` that are live."""
        for chunk in chunks(sorted(tickers)):
            for channel, sid in ((each, self._sids[each]) for each in channels if each in self._sids):
                command = self.commands.update(channel, sid, action, chunk)
                if action == "get_snapshot":
                    self._requests.append((command, sid, self._channels[sid].seq))

    def unsubscribe(self, channels: Iterable[str]) -> None:
        """End the subscriptions to those of ``channels`` (extras) that are live."""
        sids = [self._sids.pop(channel) for channel in sorted(channels) if channel in self._sids]
        if sids:
            self.commands.unsubscribe(sids)

    # --- what the venue says ---------------------------------------------------------------------

    def continues(self, sid: int, seq: int) -> bool:
        """Take a message that is the next of a known subscription, as nearly every one is; else False."""
        channel = self._channels.get(sid)
        if channel is None or seq != channel.seq + 1:
            return False
        channel.seq = seq
        return True

    def sequence(self, channel: str) -> tuple[int, int] | None:
        """(id, sequence number of the last message) of a live subscription, None if there is none."""
        sid = self._sids.get(channel)
        held = None if sid is None else self._channels.get(sid)
        return None if sid is None or held is None else (sid, held.seq)

    def advance(self, sid: int, count: int) -> None:
        """Take ``count`` messages that followed one another."""
        self._channels[sid].seq += count

    def begins_again(self, sid: int, seq: int, command: int | None) -> bool:
        """Whether the answer to a command for snapshots shows that the venue counts from the start again.

        When the command was sent, messages up to some number had come already: an answer to it with a lower
        one is not late, it is of a new count. That is followed from this answer on.
        """
        if command is None or not any(
            asked <= command and of == sid and seen >= seq for asked, of, seen in self._requests
        ):
            return False
        self._requests.clear()
        self._channels[sid].seq = seq - 1
        return True

    def follow(self, sid: int, seq: int, channel_if_new: str) -> Gap | None:
        """Check a message's place in its subscription's sequence.

        Of books a number that was reached already is never a place to go on from: two messages that others
        overtook would follow one another, and make an old snapshot look like the next message.
        """
        channel = self._channels.get(sid)
        if channel is None:
            channel = self._channels[sid] = _Channel(channel_if_new)
        expected = channel.seq + 1
        channel.seq = max(channel.seq, seq) if channel.name in {BOOKS, ""} else seq
        if seq == expected:
            return None
        name = channel.name or "subscription"
        return Gap(channel.name, f"sequence of {name} {sid}: expected {expected}, got {seq}")

    def subscribed(self, frame: SubscribedFrame) -> None:
        """A channel became live."""
        name, sid = frame.msg.channel, frame.msg.sid
        previous = self._sids.get(name)
        if previous is not None and previous != sid:
            self._channels.pop(previous, None)
        self._sids[name] = sid
        self._channels.setdefault(sid, _Channel(name)).name = name
        for command in list(self._unacknowledged) if frame.id is None else [frame.id]:
            self._acknowledged(command, name)

    def acknowledged(self, command: int | None, sid: int | None) -> None:
        """Subscribing again to a channel that exists adds to it and is answered by its `ok`."""
        name = self.channel_of(sid)
        if command is not None and name:
            self._acknowledged(command, name)

    def ended(self, sid: int | None) -> str:
        """A subscription is no more; returns its channel, empty when it was not known."""
        channel = self._channels.pop(sid, None) if sid is not None else None
        if channel is None:
            return ""
        if self._sids.get(channel.name) == sid:
            del self._sids[channel.name]
        return channel.name

    def missing_from(self, listed: Iterable[int]) -> list[str]:
        """Channels that are live here and not among the subscription ids that the venue lists."""
        held = set(listed)
        return [channel for channel, sid in self._sids.items() if sid not in held]

    def _acknowledged(self, command: int, channel: str) -> None:
        channels = self._unacknowledged.get(command)
        if channels is not None:
            channels.discard(channel)
            if not channels:
                del self._unacknowledged[command]
