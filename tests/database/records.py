"""Builders of records, and hypothesis strategies for every kind of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from src.core.actions import AuditRecord, FillApplied, OrderChanged, OrderStatus, SettlementApplied
from src.core.events import Fill, Settlement
from src.core.sides import BookSide
from src.core.signal import OrderIntent, Purpose, TimeInForce, make_client_order_id
from src.core.units import Cash
from src.database.codec import RECORD_TYPES

TICKER = "KXHIGHNY-26NOV24-B50.5"
EVENT = "KXHIGHNY-26NOV24"


@dataclass(frozen=True)
class Approved:
    """What the store sees of an approved order."""

    intent: OrderIntent
    reserved: Cash


def intent(signal_id: str, attempt: int = 0, **changes: object) -> OrderIntent:
    """An entry order for 10 contracts at 45 cents."""
    made = OrderIntent(
        client_order_id=make_client_order_id(signal_id, attempt),
        signal_id=signal_id,
        strategy="weather_model",
        ticker=TICKER,
        event_ticker=EVENT,
        side=BookSide.BID,
        price=4_500,
        count=1_000,
        time_in_force=TimeInForce.GOOD_TILL_CANCELED,
        purpose=Purpose.ENTRY,
        created_ts=1_000,
        trace_id=f"cause of {signal_id}",
        attempt=attempt,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def approved(signal_id: str, attempt: int = 0, **changes: object) -> Approved:
    """The same, approved."""
    return Approved(intent(signal_id, attempt, **changes), 4_500_000)


def changed(order: OrderIntent, status: OrderStatus, ts: int, **changes: object) -> OrderChanged:
    """An order's row as it now stands."""
    record = OrderChanged(order.client_order_id, "venue-1", order, status, 0, 4_500_000, "", False, ts)
    return replace(record, **changes)  # type: ignore[arg-type]


def fill(trade_id: str, side: BookSide, price: int, count: int, fee: int = 0, ticker: str = TICKER) -> Fill:
    """One of our fills."""
    return Fill(trade_id, "venue-1", "client-1", ticker, side, price, count, fee, True, 2_000, 2_001)


def booked(one: Fill) -> FillApplied:
    """The fill as the engine books it."""
    return FillApplied(one, "weather_model", "cause", 0, one.ts_recv)


def paid(ticker: str, value: int, revenue: int, settled_ts: int = 3_000) -> SettlementApplied:
    """A payout as the engine books it."""
    settlement = Settlement(ticker, EVENT, value, revenue, 0, 0, settled_ts, settled_ts + 1)
    return SettlementApplied(settlement, "weather_model", revenue, settled_ts + 1)


nanos = st.integers(0, 2**62)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
# Where a field also takes integers or texts, jsonb gives back 1e300 as an integer and infinity as a text.
numbers = st.floats(-1e15, 1e15)


_LEAVES: dict[object, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(-(2**62), 2**62),
    float: numbers,
    bool: st.booleans(),
    type(None): st.none(),
}


def anything(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type: the core's dataclasses and what they are made of."""
    if hint in _LEAVES:
        return _LEAVES[hint]
    if isinstance(hint, UnionType):
        return st.one_of([anything(part) for part in get_args(hint)])
    if get_origin(hint) is Mapping:
        return st.dictionaries(texts, anything(get_args(hint)[1]), max_size=3)
    if get_origin(hint) is tuple:
        return st.lists(anything(get_args(hint)[0]), max_size=3).map(tuple)
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    return st.builds(hint, **{name: anything(kind) for name, kind in get_type_hints(hint).items()})


records: st.SearchStrategy[AuditRecord] = st.one_of([anything(kind) for kind in RECORD_TYPES])

intents = st.builds(
    OrderIntent,
    client_order_id=st.uuids().map(str),
    signal_id=st.uuids().map(str),
    strategy=texts,
    ticker=texts,
    event_ticker=texts,
    side=st.sampled_from(BookSide),
    price=st.integers(1, 9_999),
    count=st.integers(1, 10**9),
    time_in_force=st.sampled_from(TimeInForce),
    purpose=st.sampled_from(Purpose),
    created_ts=nanos,
    trace_id=texts,
    attempt=st.integers(0, 50),
    post_only=st.booleans(),
    reduce_only=st.booleans(),
    expiration_ts=st.none() | nanos,
    exchange_index=st.integers(0, 9),
    expected_edge=numbers,
    probability=st.none() | st.floats(0, 1),
    book_seq=st.none() | nanos,
    book_ts=st.none() | nanos,
)


@st.composite
def order_changes(draw: st.DrawFn) -> OrderChanged:
    """An order of ours at any point of its life."""
    order = draw(intents)
    return OrderChanged(
        client_order_id=order.client_order_id,
        order_id=draw(st.just("") | st.uuids().map(str)),
        intent=order,
        status=draw(
            st.sampled_from([status for status in OrderStatus if status is not OrderStatus.PENDING_NEW])
        ),
        filled=draw(st.integers(0, order.count)),
        reserved=draw(st.integers(0, 10**12)),
        reason=draw(texts),
        external=False,
        ts=draw(nanos),
    )


fills = st.builds(
    Fill,
    trade_id=st.uuids().map(str),
    order_id=texts,
    client_order_id=texts,
    ticker=st.sampled_from(["A", "B", "C"]),
    side=st.sampled_from(BookSide),
    price=st.integers(1, 9_999),
    count=st.integers(1, 50_000),
    fee=st.integers(-10_000, 10_000_000),
    is_taker=st.booleans(),
    ts_event=nanos,
    ts_recv=nanos,
)
