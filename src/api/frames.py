"""WebSocket messages, decoded and checked.

Source: Kalshi asyncapi.yaml 2.0. One ``msgspec`` pass validates a frame; the loose second look is taken only
at frames that fail it, to learn what they were about.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from src.api.decoding import UNREADABLE, wire_error
from src.api.frame_bodies import (
    DeltaMsg,
    ErrorMsg,
    EventFeeMsg,
    EventLifecycleMsg,
    FillMsg,
    LifecycleMsg,
    SnapshotMsg,
    SubscribedMsg,
    TradeMsg,
    UserOrderMsg,
)
from src.api.frames_extra import OrderGroupFrame, PositionFrame, TickerFrame
from src.api.schema import Number
from src.core.errors import WireError

WHERE = "kalshi-ws"


class SnapshotFrame(Struct, tag_field="type", tag="orderbook_snapshot"):
    """``orderbook_snapshot``. Its message has no time of its own, only that of its sending.

    ``id``: the command it answers, where it was asked for.
    """

    sid: Number
    seq: Number
    msg: SnapshotMsg
    id: int | None = None
    sending_ts_ms: int | None = None


class DeltaFrame(Struct, tag_field="type", tag="orderbook_delta", gc=False):
    """``orderbook_delta``."""

    sid: Number
    seq: Number
    msg: DeltaMsg


class TradeFrame(Struct, tag_field="type", tag="trade"):
    """``trade``."""

    sid: Number
    seq: Number
    msg: TradeMsg
    sending_ts_ms: int | None = None


class FillFrame(Struct, tag_field="type", tag="fill"):
    """``fill`` (not sequenced)."""

    sid: Number
    msg: FillMsg
    seq: Number | None = None


class UserOrderFrame(Struct, tag_field="type", tag="user_order"):
    """``user_order`` (not sequenced)."""

    sid: Number
    msg: UserOrderMsg
    seq: Number | None = None


class LifecycleFrame(Struct, tag_field="type", tag="market_lifecycle_v2"):
    """``market_lifecycle_v2``."""

    sid: Number
    seq: Number
    msg: LifecycleMsg


class EventLifecycleFrame(Struct, tag_field="type", tag="event_lifecycle"):
    """``event_lifecycle``."""

    sid: Number
    seq: Number
    msg: EventLifecycleMsg = EventLifecycleMsg()


class EventFeeFrame(Struct, tag_field="type", tag="event_fee_update"):
    """``event_fee_update``."""

    sid: Number
    seq: Number
    msg: EventFeeMsg


class SubscribedFrame(Struct, tag_field="type", tag="subscribed"):
    """``subscribed``: one per channel of a subscribe command."""

    msg: SubscribedMsg
    id: int | None = None
    sid: Number | None = None
    seq: Number | None = None


class OkFrame(Struct, tag_field="type", tag="ok"):
    """``ok``: part of the subscription's sequence when it answers an update.

    ``msg`` lists the subscriptions (``ListedSubscription``) when that was asked, else markets.
    """

    id: int | None = None
    sid: Number | None = None
    seq: Number | None = None
    msg: msgspec.Raw = msgspec.Raw()
    sending_ts_ms: int | None = None


class UnsubscribedFrame(Struct, tag_field="type", tag="unsubscribed"):
    """``unsubscribed``: part of the sequence."""

    sid: Number
    seq: Number
    id: int | None = None


class ErrorFrame(Struct, tag_field="type", tag="error"):
    """``error``: part of the sequence when it carries ``seq``."""

    msg: ErrorMsg
    id: int | None = None
    sid: Number | None = None
    seq: Number | None = None


class UnknownFrame(Struct):
    """A message of a type this system does not know; only its place in the sequence matters."""

    type: str
    sid: Number | None
    seq: Number | None


class MalformedFrame(Struct):
    """A message that breaks its contract. What could not be read of it is empty or None."""

    type: str
    sid: Number | None
    seq: Number | None
    ticker: str
    error: WireError


KnownFrame: TypeAlias = (
    SnapshotFrame
    | DeltaFrame
    | TradeFrame
    | FillFrame
    | UserOrderFrame
    | LifecycleFrame
    | EventLifecycleFrame
    | EventFeeFrame
    | TickerFrame
    | PositionFrame
    | OrderGroupFrame
    | SubscribedFrame
    | OkFrame
    | UnsubscribedFrame
    | ErrorFrame
)
Frame: TypeAlias = KnownFrame | UnknownFrame | MalformedFrame

_DECODER: msgspec.json.Decoder[KnownFrame] = msgspec.json.Decoder(KnownFrame)
_KNOWN_TYPES = frozenset(str(kind.__struct_config__.tag) for kind in KnownFrame.__args__)


def decode_frame(raw: bytes | str) -> Frame:
    """Decode one message. Never raises for its content."""
    try:
        return _DECODER.decode(raw)
    except UNREADABLE as error:
        return _second_look(raw, wire_error(error, WHERE))


def _second_look(raw: bytes | str, error: WireError) -> UnknownFrame | MalformedFrame:
    try:
        document: Any = msgspec.json.decode(raw)
    except UNREADABLE:
        document = None
    if not isinstance(document, dict):
        return MalformedFrame("", None, None, "", error)
    kind, sid, seq = document.get("type"), document.get("sid"), document.get("seq")
    sid, seq = (value if type(value) is int and -(2**63) <= value < 2**63 else None for value in (sid, seq))
    if isinstance(kind, str) and kind not in _KNOWN_TYPES:
        return UnknownFrame(kind, sid, seq)
    msg = document.get("msg")
    ticker = msg.get("market_ticker") or msg.get("ticker") if isinstance(msg, dict) else ""
    return MalformedFrame(
        kind if isinstance(kind, str) else "", sid, seq, ticker if isinstance(ticker, str) else "", error
    )
