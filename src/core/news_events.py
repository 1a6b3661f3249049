"""What the world says: forecasts, observations, news.

``ts_recv`` and ``ts_event`` are explained in ``events``, which names everything that is an event.
"""

from __future__ import annotations

from dataclasses import dataclass

from src.core.units import Nanos


@dataclass(frozen=True, slots=True)
class ForecastUpdate:
    """A forecast of the daily maximum (degF) of the local standard day ``target_date`` (ISO).

    ``lead_days``: days from issue to target. ``issued_ts``: model run; ``ts_event``: first known.
    """

    series_ticker: str
    station: str
    target_date: str
    source: str
    lead_days: float
    tmax_f: float
    issued_ts: Nanos
    ts_event: Nanos
    ts_recv: Nanos

    @property
    def cause_id(self) -> str:
        """Identity of this forecast for signals and storage."""
        return f"forecast:{self.source}:{self.station}:{self.target_date}:{self.issued_ts}"


@dataclass(frozen=True, slots=True)
class DailyMaximum:
    """The observed maximum (whole degF) of a local standard day; ``final`` when it is the settling one."""

    series_ticker: str
    station: str
    date: str
    tmax_f: int
    final: bool
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class ObservationUpdate:
    """A temperature reading (degF) at a station."""

    series_ticker: str
    station: str
    temp_f: float
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class NewsItem:
    """A headline or post. ``ts_recv`` is when it was first seen; ``ts_event`` when its sender dated it.

    Decisions know an item from ``ts_recv`` on, whatever its sender says.
    """

    source: str
    item_id: str
    text: str
    ts_event: Nanos | None
    ts_recv: Nanos

    @property
    def cause_id(self) -> str:
        """Identity of this item for signals and storage."""
        return f"news:{self.source}:{self.item_id}"
