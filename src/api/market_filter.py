"""Which markets to list: the filters of ``GET /markets`` and which of them exclude each other.

Source: Kalshi "Get Markets", table of compatible timestamp filters. The venue answers a wrong combination
with an error at best, so it is refused here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from src.api.query import Query, query
from src.core.errors import DefiniteError

STATUSES = ("unopened", "open", "paused", "closed", "settled")
_STATUSES_OF = {
    "created": ("unopened", "open", ""),
    "close": ("closed", ""),
    "settled": ("settled", ""),
    "updated": ("",),
}


@dataclass(frozen=True, slots=True)
class TimeFilter:
    """Markets whose time of this kind is between two Unix seconds; one kind at a time."""

    kind: Literal["created", "close", "settled", "updated"]
    least: int | None = None
    most: int | None = None

    @property
    def name(self) -> str:
        """The venue's name of the filter (of its first given bound)."""
        return f"{'min' if self.least is not None else 'max'}_{self.kind}_ts"


@dataclass(frozen=True, slots=True)
class MarketFilter:
    """Empty fields do not filter. ``mve``: combinations left out, or nothing but them."""

    event_ticker: str = ""
    series_ticker: str = ""
    tickers: tuple[str, ...] = ()
    status: str = ""
    time: TimeFilter | None = None
    mve: Literal["exclude", "only"] = "exclude"

    def query(self, limit: int) -> Query:
        """Query parameters. Raises ``DefiniteError`` (code ``invalid_filter``) naming the filter."""
        if self.status not in ("", *STATUSES):
            raise _invalid("status", self.status, f"one of {', '.join(STATUSES)}")
        times = {} if self.time is None else self._times(self.time)
        return query(
            event_ticker=self.event_ticker,
            series_ticker=self.series_ticker,
            tickers=",".join(self.tickers),
            status=self.status,
            mve_filter=self.mve,
            limit=limit,
            **times,
        )

    def _times(self, time: TimeFilter) -> dict[str, int | None]:
        if time.least is None and time.most is None:
            raise _invalid(f"min_{time.kind}_ts", "empty", "Unix seconds, or max of the same")
        if time.least is not None and time.most is not None and time.least > time.most:
            raise _invalid(time.name, str(time.least), f"at most max_{time.kind}_ts, {time.most}")
        allowed = _STATUSES_OF[time.kind]
        if self.status not in allowed:
            shown = _either(status or "none" for status in allowed)
            raise _invalid(time.name, f"given with status {self.status}", f"given with status {shown}")
        if time.kind == "updated":
            others = {"event_ticker": self.event_ticker, "tickers": ",".join(self.tickers)}
            if self.mve == "only":
                others["mve_filter"] = "only"
            for name, value in others.items():
                if value:
                    raise _invalid(time.name, f"given with {name}={value}", "with series_ticker at most")
        return {f"min_{time.kind}_ts": time.least, f"max_{time.kind}_ts": time.most}


def _either(names: Iterable[str]) -> str:
    return " or ".join(names)


def _invalid(name: str, value: str, expected: str) -> DefiniteError:
    return DefiniteError(f"filter {name} is {value}, must be {expected}; not sent", code="invalid_filter")
