"""The tables of what was said, seen and decided; units are in the columns' names, as in ``models``."""

from __future__ import annotations

from enum import Enum
from typing import Any

from sqlalchemy import Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from src.core.events import CommandKind
from src.core.sides import Outcome
from src.database.models import Base, Key, KeyNs, known


class CommandStatus(Enum):
    """What became of a command from outside."""

    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class SignalRow(Base):
    """A strategy's opinion with its latest verdict."""

    __tablename__ = "signals"
    __table_args__ = (known("outcome", Outcome),)

    signal_id: Mapped[Key]
    strategy: Mapped[str]
    ticker: Mapped[str]
    event_ticker: Mapped[str]
    outcome: Mapped[str]
    probability: Mapped[float]
    std_error: Mapped[float]
    min_edge: Mapped[float]
    cause_id: Mapped[str]
    cause_ns: Mapped[int]
    signalled_ns: Mapped[int]
    details: Mapped[dict[str, Any]]
    verdict: Mapped[str]
    edge: Mapped[float | None]
    updated_ns: Mapped[int]


class RefusalRow(Base):
    """A signal that a gate refused, with the numbers the gate saw."""

    __tablename__ = "refusals"
    __table_args__ = (Index(None, "ticker", "refused_ns"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    signal_id: Mapped[str]
    strategy: Mapped[str]
    ticker: Mapped[str]
    gate: Mapped[str]
    numbers: Mapped[dict[str, Any]]
    refused_ns: Mapped[int]


class JournalRow(Base):
    """Everything the engine said it did, in order; ``payload`` is the whole record (``codec``)."""

    __tablename__ = "journal"
    __table_args__ = (
        Index("ix_journal_trace_id", "trace_id", postgresql_where=text("trace_id <> ''")),
        Index(None, "kind", "ts_ns"),
    )

    seq: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    ts_ns: Mapped[int]
    kind: Mapped[str]
    trace_id: Mapped[str]
    payload: Mapped[dict[str, Any]]


class CommandRow(Base):
    """A person's command to the daemon, from whatever channel; times are the database server's own."""

    __tablename__ = "commands"
    __table_args__ = (
        known("kind", CommandKind),
        known("status", CommandStatus),
        Index("ix_commands_waiting", "id", postgresql_where=text("status = 'waiting'")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str]
    target: Mapped[str]
    channel: Mapped[str]
    who: Mapped[str]
    why: Mapped[str]
    created_ns: Mapped[int]
    status: Mapped[str]
    answer: Mapped[str]
    answered_ns: Mapped[int | None]


class StrategyAnswerRow(Base):
    """What a strategy last said about an event: why it is silent, or that it gave a signal."""

    __tablename__ = "strategy_answers"

    strategy: Mapped[Key]
    event_ticker: Mapped[Key]
    answer: Mapped[str]
    since_ns: Mapped[int]


class TieOutRow(Base):
    """A comparison of fills, positions and balance; ``differences`` is empty when all three agree."""

    __tablename__ = "tie_outs"

    ts_ns: Mapped[KeyNs]
    day: Mapped[str]
    differences: Mapped[list[Any]]
    fills: Mapped[int]
    positions: Mapped[int]
    cash_e6: Mapped[int | None]
    balance_e6: Mapped[int | None]
    external_e6: Mapped[int]


class ForecastRow(Base):
    """A forecast of a daily maximum (degF) as first seen."""

    __tablename__ = "forecasts"

    series_ticker: Mapped[Key]
    station: Mapped[Key]
    target_date: Mapped[Key]
    source: Mapped[Key]
    issued_ns: Mapped[KeyNs]
    lead_days: Mapped[float]
    tmax_f: Mapped[float]
    event_ns: Mapped[int]
    first_seen_ns: Mapped[int]


class DailyMaximumRow(Base):
    """An observed daily maximum (whole degF) as first seen; ``final`` is the settling one."""

    __tablename__ = "daily_maxima"

    series_ticker: Mapped[Key]
    station: Mapped[Key]
    date: Mapped[Key]
    final: Mapped[bool] = mapped_column(primary_key=True)
    tmax_f: Mapped[int]
    event_ns: Mapped[int]
    first_seen_ns: Mapped[int]


METADATA = Base.metadata
"""Every table: those of this module and of ``models``."""
