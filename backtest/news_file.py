"""A file of news as point-in-time items: each is delivered when it was first seen, never earlier."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import polars as pl

from backtest.filters import Filtered
from src.core.errors import ConfigError
from src.core.events import NewsItem
from src.simulator.world import Heard, World, WorldEvent

_NAMES: dict[str, tuple[str, ...]] = {
    "first_seen": ("first_seen", "first_seen_utc", "known_at_utc", "ts_utc", "timestamp", "ts", "time"),
    "published": ("published", "published_utc", "published_at"),
    "source": ("source",),
    "text": ("text", "headline", "title"),
}
_ZONED = r"(Z|[+-]\d\d:?\d\d)$"
_MEND = "write ISO times with a zone, e.g. 2024-10-01T14:00:00Z"


def read_news(path: Path) -> list[NewsItem]:
    """The items of a CSV (also .csv.gz) or Parquet file, by the time they were first seen.

    Columns: the time first seen (``first_seen``, or ``ts_utc`` where there is no other) and ``text``; may
    have ``source`` and ``published``. Raises ``ConfigError`` naming line, column and mend.
    """
    raw = _read(path)
    by_lower = {column.strip().lower(): column for column in raw.columns}
    found = {
        name: by_lower[known]
        for name, candidates in _NAMES.items()
        if (known := next((c for c in candidates if c in by_lower), None)) is not None
    }
    missing = [name for name in ("first_seen", "text") if name not in found]
    if missing:
        accepted = "; ".join(f"{name}: {', '.join(_NAMES[name])}" for name in _NAMES)
        raise ConfigError(
            f"--news: {path} lacks the column(s) {', '.join(missing)}; it has {', '.join(raw.columns)}. "
            f"Accepted names are {accepted}"
        )
    seen = _times(raw[found["first_seen"]], path, found["first_seen"], optional=False)
    published: list[int | None] = [None] * raw.height
    if "published" in found:
        published = _times(raw[found["published"]], path, found["published"], optional=True)
    sources = raw[found["source"]].to_list() if "source" in found else [None] * raw.height
    texts = raw[found["text"]].to_list()
    items = []
    for row, (first, sent, source, text) in enumerate(zip(seen, published, sources, texts, strict=True)):
        assert first is not None  # not optional, so ``_times`` refused the empty ones
        if sent is not None and sent > first:
            raise ConfigError(
                f"--news: {path} line {row + 2}: published after it was first seen; swap or repair the times"
            )
        name = source or path.name.partition(".")[0]
        digest = hashlib.sha256(f"{first}|{name}|{text}".encode()).hexdigest()[:16]
        items.append(NewsItem(name, digest, text or "", first if sent is None else sent, first))
    return sorted(items, key=attrgetter("ts_recv"))


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            frame = pl.read_parquet(path)
        elif path.name.lower().endswith((".csv", ".csv.gz")):
            frame = pl.read_csv(path, infer_schema=False)
        else:
            raise ConfigError(f"--news: {path.name} is neither .csv, .csv.gz nor .parquet; convert it")
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"--news: {path} cannot be read ({reason}); save it again as CSV") from error
    if frame.is_empty():
        raise ConfigError(f"--news: {path} has no rows below its header")
    return frame


def _times(values: pl.Series, path: Path, column: str, *, optional: bool) -> list[int | None]:
    text = values.cast(pl.String).str.strip_chars()
    if values.dtype == pl.Datetime:
        return values.dt.replace_time_zone("UTC").cast(pl.Datetime("ns", "UTC")).cast(pl.Int64).to_list()
    empty = text.is_null() | (text == "")
    zoned = text.str.contains(_ZONED).fill_null(False)
    parsed = text.str.replace(" ", "T").str.to_datetime(time_unit="ns", time_zone="UTC", strict=False)
    bad = (~zoned | parsed.is_null()) & ~empty
    bad = bad if optional else bad | empty
    if bad.any():
        row = int(bad.arg_true()[0])
        raise ConfigError(
            f"--news: {path} line {row + 2}, column {column!r}: {values[row]!r}; {_MEND} "
            f"({bad.sum()} such row(s))"
        )
    return parsed.cast(pl.Int64).to_list()


class WithNews(Filtered):
    """A world in which these items become known as well. ``notes`` says how many fall into its span."""

    def __init__(self, world: World, items: list[NewsItem]) -> None:
        super().__init__(world)
        self._items = [item for item in items if self.start <= item.ts_recv <= self.end]
        outside = len(items) - len(self._items)
        left_out = f", {outside} before or after the data left out" if outside else ""
        self.notes: tuple[str, ...] = (*self.notes, f"{len(self._items)} news items{left_out}")

    def pass_on(self, events: Iterator[WorldEvent]) -> Iterator[WorldEvent]:
        """The world's events and the items, by time."""
        news = (Heard(item.ts_recv, item) for item in self._items)
        return heapq.merge(events, news, key=attrgetter("ts"))
