"""The account's tables, in exact integers. Column names carry their unit.

``_e4``: 1e-4 dollars per contract. ``_e2``: 0.01 contract. ``_e6``: 1e-6 dollars. ``_ns``: nanoseconds
since the epoch, UTC. Floats are probabilities and edges only. Tables have no schema of their own: each
mode (live, paper, demo) has one, chosen by the connection's ``search_path``, so that they never mix.

What was said, seen and decided besides is in ``models_log``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Annotated, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Float,
    Identity,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from src.core.actions import OrderStatus, TradingState
from src.core.sides import BookSide
from src.core.signal import Purpose, TimeInForce

LIVE_STATUSES = (
    OrderStatus.PENDING_NEW,
    OrderStatus.RESTING,
    OrderStatus.PARTIALLY_FILLED,
    OrderStatus.PENDING_CANCEL,
    OrderStatus.UNKNOWN,
)


Key = Annotated[str, mapped_column(Text, primary_key=True)]
KeyNs = Annotated[int, mapped_column(BigInteger, primary_key=True)]


def known(column: str, values: Iterable[Enum]) -> CheckConstraint:
    """The column holds one of an enumeration's values."""
    listed = ", ".join(f"'{value.value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


class Base(DeclarativeBase):
    """Base of all tables; names of constraints are fixed so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        int: BigInteger,
        float: Float(53),
        str: Text,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }


def table_of(model: type[Base]) -> Table:
    """The model's table, as such."""
    table = model.__table__
    assert isinstance(table, Table)
    return table


class OrderRow(Base):
    """One order. Ours are committed here before they are sent; foreign ones are adopted as ``external``.

    ``fence`` is the number of the instance that committed, and so may have sent, it.
    """

    __tablename__ = "orders"
    # What a stranger's order looks like is the venue's business: it must be kept even if it looks odd.
    __table_args__ = (
        CheckConstraint("external OR (price_e4 > 0 AND price_e4 < 10000)", name="price_legal"),
        CheckConstraint("external OR count_e2 > 0", name="count_positive"),
        CheckConstraint("filled_e2 >= 0 AND (external OR filled_e2 <= count_e2)", name="filled_within_count"),
        CheckConstraint("reserved_e6 >= 0", name="reserved_not_negative"),
        known("status", OrderStatus),
        known("side", BookSide),
        known("purpose", Purpose),
        known("time_in_force", TimeInForce),
        UniqueConstraint("order_id"),
        Index(
            "uq_orders_signal_id_attempt",
            "signal_id",
            "attempt",
            unique=True,
            postgresql_where=text("NOT external"),
        ),
        Index(
            "ix_orders_live",
            "ticker",
            postgresql_where=text(f"status IN ({', '.join(repr(status.value) for status in LIVE_STATUSES)})"),
        ),
    )

    client_order_id: Mapped[Key]
    order_id: Mapped[str | None]
    signal_id: Mapped[str]
    attempt: Mapped[int]
    strategy: Mapped[str]
    ticker: Mapped[str]
    event_ticker: Mapped[str]
    side: Mapped[str]
    price_e4: Mapped[int]
    count_e2: Mapped[int]
    filled_e2: Mapped[int]
    time_in_force: Mapped[str]
    post_only: Mapped[bool]
    reduce_only: Mapped[bool]
    purpose: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str]
    reserved_e6: Mapped[int]
    expected_edge: Mapped[float]
    probability: Mapped[float | None]
    trace_id: Mapped[str]
    book_seq: Mapped[int | None]
    book_ts_ns: Mapped[int | None]
    expiration_ns: Mapped[int | None]
    exchange_index: Mapped[int]
    external: Mapped[bool]
    fence: Mapped[int | None]
    created_ns: Mapped[int]
    updated_ns: Mapped[int]


class FillRow(Base):
    """One of our fills; ``seq`` is the order in which they were booked."""

    __tablename__ = "fills"
    __table_args__ = (
        PrimaryKeyConstraint("trade_id", "order_id"),
        CheckConstraint("count_e2 > 0", name="count_positive"),
        CheckConstraint("price_e4 >= 0 AND price_e4 <= 10000", name="price_legal"),
        known("side", BookSide),
        Index(None, "ticker"),
    )

    trade_id: Mapped[str]
    order_id: Mapped[str]
    seq: Mapped[int] = mapped_column(Identity(always=True))
    client_order_id: Mapped[str]
    ticker: Mapped[str]
    side: Mapped[str]
    price_e4: Mapped[int]
    count_e2: Mapped[int]
    fee_e6: Mapped[int]
    is_taker: Mapped[bool]
    strategy: Mapped[str]
    trace_id: Mapped[str]
    realized_e6: Mapped[int]
    event_ns: Mapped[int]
    recv_ns: Mapped[int]
    booked_ns: Mapped[int]


class PositionRow(Base):
    """A position as it now stands: signed (+ YES, - NO), all-in cost of what is open."""

    __tablename__ = "positions"

    ticker: Mapped[Key]
    event_ticker: Mapped[str]
    strategy: Mapped[str]
    count_e2: Mapped[int]
    cost_e6: Mapped[int]
    realized_e6: Mapped[int]
    fees_e6: Mapped[int]
    opened_ns: Mapped[int]
    updated_ns: Mapped[int]


class SettlementRow(Base):
    """A payout. A re-determined market may pay again, at another time."""

    __tablename__ = "settlements"
    __table_args__ = (
        PrimaryKeyConstraint("ticker", "settled_ns"),
        CheckConstraint("value_e4 >= 0 AND value_e4 <= 10000", name="value_legal"),
    )

    ticker: Mapped[str]
    settled_ns: Mapped[int]
    event_ticker: Mapped[str]
    value_e4: Mapped[int]
    revenue_e6: Mapped[int]
    yes_count_e2: Mapped[int]
    no_count_e2: Mapped[int]
    strategy: Mapped[str]
    pnl_e6: Mapped[int]
    recv_ns: Mapped[int]
    booked_ns: Mapped[int]


class AccountMarkRow(Base):
    """The account as valued at a time; the report's equity curve."""

    __tablename__ = "account_marks"

    ts_ns: Mapped[KeyNs]
    cash_e6: Mapped[int]
    liquidation_e6: Mapped[int]
    at_risk_e6: Mapped[int]
    open_positions: Mapped[int]
    day: Mapped[str]
    day_pnl_e6: Mapped[int]


class ControlRow(Base):
    """Small durable facts: the trading state, the ledger's opening, the fence, the engine's own values."""

    __tablename__ = "control_state"
    __table_args__ = (
        CheckConstraint(
            f"key <> 'trading_state' OR value IN ({', '.join(repr(state.value) for state in TradingState)})",
            name="trading_state_known",
        ),
    )

    key: Mapped[Key]
    value: Mapped[str]
    who: Mapped[str]
    why: Mapped[str]
    until_ns: Mapped[int | None]
    updated_ns: Mapped[int]
