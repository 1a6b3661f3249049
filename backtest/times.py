"""Nanoseconds as text and as calendar days."""

from __future__ import annotations

from datetime import UTC, datetime

from src.core.units import SECOND, Nanos


def moment(ts: Nanos) -> datetime:
    """UTC datetime of an instant, to the second."""
    return datetime.fromtimestamp(ts // SECOND, UTC)


def iso(ts: Nanos) -> str:
    """``2024-10-01T14:00:00Z``."""
    return moment(ts).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(ts: Nanos) -> str:
    """UTC calendar day, ``2024-10-01``."""
    return moment(ts).date().isoformat()
