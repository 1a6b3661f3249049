"""From WebSocket messages to this system's events; each function raises ``WireError`` naming the field."""

from __future__ import annotations

from collections.abc import Callable

from src.api.convert import BOOK_SIDES, level_price, levels, plain_count, signed_count, to_order_status
from src.api.extras import ExtraMessage, OrderGroupUpdate, PositionUpdate, Ticker
from src.api.frame_bodies import FillMsg, LifecycleMsg, TradeMsg, UserOrderMsg
from src.api.frames import DeltaFrame, SnapshotFrame
from src.api.frames_extra import (
    OrderGroupFrame,
    OrderGroupMsg,
    PositionFrame,
    PositionMsg,
    TickerFrame,
    TickerMsg,
)
from src.core.errors import WireError
from src.core.events import (
    BookDelta,
    BookSnapshot,
    Fill,
    LifecycleKind,
    MarketLifecycle,
    OrderUpdate,
    PublicTrade,
)
from src.core.sides import BookSide
from src.core.units import MILLISECOND, SECOND, Count, Nanos, parse_cash, parse_count, parse_price

# The subscription asks for YES prices on both sides (``use_yes_price``): a NO level is an ask as it stands.
_SIDE_OF_LEG = {"yes": BookSide.BID, "no": BookSide.ASK}
_MOST_REMEMBERED = 65_536


class _Numbers(dict[str, int]):
    """Numbers by their text, read once: deltas repeat few texts a million times. Bounded.

    A text that cannot be read raises ``WireError`` each time it comes.
    """

    def __init__(self, read: Callable[[str, str], int], field: str) -> None:
        super().__init__()
        self._read = read
        self._field = field

    def __missing__(self, text: str) -> int:
        number = self._read(text, self._field)
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        self[text] = number
        return number


_PRICES = _Numbers(level_price, "price_dollars")
_DELTAS = _Numbers(parse_count, "delta_fp")
# ``BookDelta(...)`` without its Python frame, which costs as much as the rest of it.
_new_event = tuple.__new__


def book_delta(frame: DeltaFrame, ts_recv: Nanos) -> BookDelta:
    """A change of size at a YES price."""
    msg = frame.msg
    ts_ms = msg.ts_ms
    return _new_event(
        BookDelta,
        (
            msg.market_ticker,
            _SIDE_OF_LEG[msg.side],
            _PRICES[msg.price_dollars],
            _DELTAS[msg.delta_fp],
            frame.seq,
            None if ts_ms is None else ts_ms * MILLISECOND,
            ts_recv,
        ),
    )


def book_snapshot(frame: SnapshotFrame, ts_recv: Nanos) -> BookSnapshot:
    """A whole book; both sides at YES prices. How old it is, the time of its sending tells."""
    msg, sent = frame.msg, frame.sending_ts_ms
    return BookSnapshot(
        ticker=msg.market_ticker,
        bids=levels(msg.yes_dollars_fp or msg.yes_dollars, "yes_dollars_fp"),
        asks=levels(msg.no_dollars_fp or msg.no_dollars, "no_dollars_fp"),
        seq=frame.seq,
        ts_event=None if sent is None else sent * MILLISECOND,
        ts_recv=ts_recv,
    )


def public_trade(msg: TradeMsg, ts_recv: Nanos) -> PublicTrade:
    """Somebody's trade."""
    if msg.taker_book_side is not None:
        taker_side = BOOK_SIDES[msg.taker_book_side]
    elif msg.taker_side is not None:
        taker_side = _SIDE_OF_LEG[msg.taker_side]
    else:
        raise WireError("taker_book_side", None, "bid or ask")
    return PublicTrade(
        ticker=msg.market_ticker,
        trade_id=msg.trade_id,
        price=level_price(msg.yes_price_dollars, "yes_price_dollars"),
        count=plain_count(msg.count_fp, "count_fp"),
        taker_side=taker_side,
        ts_event=_event_time(msg.ts_ms, msg.ts),
        ts_recv=ts_recv,
    )


def fill(msg: FillMsg, ts_recv: Nanos) -> Fill:
    """One of our fills."""
    return Fill(
        trade_id=msg.trade_id,
        order_id=msg.order_id,
        client_order_id=msg.client_order_id,
        ticker=msg.market_ticker,
        side=BOOK_SIDES[msg.book_side],
        price=parse_price(msg.yes_price_dollars, "yes_price_dollars"),
        count=plain_count(msg.count_fp, "count_fp"),
        fee=parse_cash(msg.fee_cost, "fee_cost"),
        is_taker=msg.is_taker,
        ts_event=msg.ts_ms * MILLISECOND,
        ts_recv=ts_recv,
    )


def order_update(msg: UserOrderMsg, ts_recv: Nanos) -> OrderUpdate:
    """The state of one of our orders."""
    updated = msg.created_ts_ms if msg.last_updated_ts_ms is None else msg.last_updated_ts_ms
    return OrderUpdate(
        order_id=msg.order_id,
        client_order_id=msg.client_order_id,
        ticker=msg.ticker,
        side=BOOK_SIDES[msg.book_side],
        price=parse_price(msg.yes_price_dollars, "yes_price_dollars"),
        count=plain_count(msg.initial_count_fp, "initial_count_fp"),
        filled=plain_count(msg.fill_count_fp, "fill_count_fp"),
        remaining=plain_count(msg.remaining_count_fp, "remaining_count_fp"),
        status=to_order_status(msg.status),
        updated_ts=updated * MILLISECOND,
        ts_recv=ts_recv,
        reason=msg.last_update_reason,
    )


def market_lifecycle(msg: LifecycleMsg, kind: LifecycleKind, ts_recv: Nanos) -> MarketLifecycle:
    """A change in a known market's life."""
    if kind is LifecycleKind.CLOSE_DATE_UPDATED and msg.close_ts is None:
        raise WireError("close_ts", None, "the new close time in seconds")
    value = msg.settlement_value
    return MarketLifecycle(
        ticker=msg.market_ticker,
        kind=kind,
        ts_recv=ts_recv,
        close_time=None if msg.close_ts is None else msg.close_ts * SECOND,
        result=msg.result,
        settlement_value=None if value is None else parse_price(value, "settlement_value"),
    )


def extra(frame: TickerFrame | PositionFrame | OrderGroupFrame, ts_recv: Nanos) -> ExtraMessage:
    """A message of a channel that the engine does not need."""
    match frame:
        case TickerFrame(msg=quotes):
            return _ticker(quotes, ts_recv)
        case PositionFrame(msg=position):
            return _position_update(position, ts_recv)
        case OrderGroupFrame(msg=group):
            return _order_group_update(group, ts_recv)


def _event_time(ts_ms: int | None, ts: int | None) -> Nanos:
    if ts_ms is not None:
        return ts_ms * MILLISECOND
    if ts is not None:
        return ts * SECOND
    raise WireError("ts_ms", None, "a time in milliseconds")


def _ticker(msg: TickerMsg, ts_recv: Nanos) -> Ticker:
    return Ticker(
        ticker=msg.market_ticker,
        last_price=parse_price(msg.price_dollars, "price_dollars"),
        yes_bid=parse_price(msg.yes_bid_dollars, "yes_bid_dollars"),
        yes_ask=parse_price(msg.yes_ask_dollars, "yes_ask_dollars"),
        yes_bid_size=_count_or_none(msg.yes_bid_size_fp, "yes_bid_size_fp"),
        yes_ask_size=_count_or_none(msg.yes_ask_size_fp, "yes_ask_size_fp"),
        volume=plain_count(msg.volume_fp, "volume_fp"),
        open_interest=plain_count(msg.open_interest_fp, "open_interest_fp"),
        ts_event=_event_time(msg.ts_ms, msg.ts),
        ts_recv=ts_recv,
    )


def _count_or_none(text: str | None, field: str) -> Count | None:
    return None if text is None else plain_count(text, field)


def _position_update(msg: PositionMsg, ts_recv: Nanos) -> PositionUpdate:
    return PositionUpdate(
        ticker=msg.market_ticker,
        count=signed_count(msg.position_fp, "position_fp"),
        cost=parse_cash(msg.position_cost_dollars, "position_cost_dollars"),
        realized_pnl=parse_cash(msg.realized_pnl_dollars, "realized_pnl_dollars"),
        fees_paid=parse_cash(msg.fees_paid_dollars, "fees_paid_dollars"),
        ts_recv=ts_recv,
    )


def _order_group_update(msg: OrderGroupMsg, ts_recv: Nanos) -> OrderGroupUpdate:
    return OrderGroupUpdate(
        group_id=msg.order_group_id,
        kind=msg.event_type,
        contracts_limit=_count_or_none(msg.contracts_limit_fp, "contracts_limit_fp"),
        ts_event=msg.ts_ms * MILLISECOND,
        ts_recv=ts_recv,
    )
