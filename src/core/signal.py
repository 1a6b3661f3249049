"""From an opinion to an order: signals, intents, and their deterministic identities."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from src.core.sides import BookSide, Outcome
from src.core.units import Count, Nanos, Price

_NAMESPACE = uuid.UUID("6d9b5c0e-7d0a-5f0e-9a53-0f6f6f2c8f01")


class Purpose(Enum):
    """Entries may be refused by any gate; exits only ever reduce a position."""

    ENTRY = "entry"
    EXIT = "exit"


class TimeInForce(Enum):
    """Kalshi V2 ``time_in_force``."""

    GOOD_TILL_CANCELED = "good_till_canceled"
    IMMEDIATE_OR_CANCEL = "immediate_or_cancel"
    FILL_OR_KILL = "fill_or_kill"


def make_signal_id(strategy: str, cause_id: str, ticker: str, outcome: Outcome) -> str:
    """One opinion per strategy, cause, market and outcome: the same news cannot trade twice."""
    return str(uuid.uuid5(_NAMESPACE, f"{strategy}|{cause_id}|{ticker}|{outcome.value}"))


def make_client_order_id(signal_id: str, attempt: int = 0) -> str:
    """The venue's idempotency key, derived so that a restart derives the same one."""
    return str(uuid.uuid5(_NAMESPACE, f"{signal_id}|{attempt}"))


@dataclass(frozen=True, slots=True)
class Signal:
    """A strategy's opinion that ``outcome`` happens with ``probability`` (float, 0..1).

    ``cause_id`` and ``cause_ts`` name the outside message that led to it; ``std_error`` is the
    standard error of the probability; ``min_edge`` is the least edge per contract in dollars, after
    fees, that the strategy wants for this opinion; ``details`` holds the numbers behind it.
    ``quoted`` is the outcome's best offer that the strategy decided on, where it looked at one.
    ``is_pooled``: the probability is already drawn towards the market's, so that its standard error must
    not shrink the stake a second time.
    """

    signal_id: str
    strategy: str
    ticker: str
    event_ticker: str
    outcome: Outcome
    probability: float
    std_error: float
    min_edge: float
    cause_id: str
    cause_ts: Nanos
    ts: Nanos
    details: Mapping[str, float] = field(default_factory=dict)
    quoted: Price | None = None
    is_pooled: bool = False


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """An order we mean to send, on the YES book. ``price`` is the YES price, ``count`` in 0.01."""

    client_order_id: str
    signal_id: str
    strategy: str
    ticker: str
    event_ticker: str
    side: BookSide
    price: Price
    count: Count
    time_in_force: TimeInForce
    purpose: Purpose
    created_ts: Nanos
    trace_id: str
    attempt: int = 0
    post_only: bool = False
    reduce_only: bool = False
    expiration_ts: Nanos | None = None
    exchange_index: int = 0
    expected_edge: float = 0.0
    probability: float | None = None
    book_seq: int | None = None
    book_ts: Nanos | None = None
