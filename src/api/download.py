"""A download of past markets into a folder: resumable, market by market, then the tables made of it all.

A run reads the listings, fetches each market that is not yet there in full, and writes the tables and
``manifest.json`` from everything in the folder. A run that was stopped or killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from src.api.download_parts import PartHead, Parts
from src.api.download_tables import SCHEMAS, TableFormat, Tables, build_tables, sha256_of, write_table
from src.api.history import History, PastMarket
from src.api.public_calls import Minutes
from src.api.schema_data import CutoffBody
from src.core.errors import ConfigError
from src.core.ports import Clock
from src.core.units import SECOND, Nanos

MANIFEST = "manifest.json"
FORMAT = 1
WORKERS = 4
# Tables about the weather may come from better sources: such files are left alone.
_MAY_BE_FOREIGN = ("nws_daily_max", "forecasts_daily_max")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to download: markets whose event day is in ``[date_from, date_to]`` (ISO, both included)."""

    series: tuple[str, ...]
    date_from: str
    date_to: str
    candle_minutes: Minutes | None = None
    table_format: TableFormat = "parquet"

    def __post_init__(self) -> None:
        if not self.series:
            raise ConfigError("--series: name at least one series, e.g. KXHIGHNY")
        for option, text in (("--from", self.date_from), ("--to", self.date_to)):
            try:
                is_iso = date.fromisoformat(text).isoformat() == text
            except ValueError:
                is_iso = False
            if not is_iso:
                raise ConfigError(f"{option}: {text!r} is not a date; write it as 2026-01-31")
        if self.date_from > self.date_to:
            raise ConfigError(f"--from: {self.date_from} lies after --to {self.date_to}; swap them")


@dataclass(slots=True)
class Progress:
    """Where a download is: markets wanted, there already, fetched now; trades and candles fetched now."""

    wanted: int = 0
    present: int = 0
    fetched: int = 0
    trades: int = 0
    candles: int = 0


class Download:
    """One run. ``source`` is the exchange's address, for the manifest."""

    def __init__(
        self,
        history: History,
        folder: Path,
        wanted: Wanted,
        clock: Clock,
        *,
        source: str,
        on_progress: Callable[[Progress], None] = lambda _: None,
        workers: int = WORKERS,
    ) -> None:
        self._history = history
        self._folder = folder
        self._wanted = wanted
        self._clock = clock
        self._source = source
        self._on_progress = on_progress
        self._workers = workers
        self._parts = Parts(folder / "parts")
        self._writing: set[asyncio.Future[PartHead]] = set()
        self.progress = Progress()

    async def run(self) -> dict[str, Any]:
        """Fetch what is missing and write the tables; returns the manifest.

        Raises ``ConfigError`` for what the user can mend (nothing in the range, a folder that cannot be
        written), ``VenueError`` and ``WireError`` as the calls do; what was fetched by then stays.
        """
        started = self._clock.now()
        before = _manifest(self._folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            cutoff = await self._history.cutoff()
            markets = await self._markets(cutoff)
            await self._fetch_missing(markets, cutoff)
            manifest = await asyncio.to_thread(self._write, before, cutoff, started, markets)
        except OSError as error:
            raise ConfigError(
                f"--out: {self._folder} cannot be written ({error.strerror or error})"
            ) from error
        return manifest

    async def _markets(self, cutoff: CutoffBody | None) -> list[PastMarket]:
        wanted, found = self._wanted, list[PastMarket]()
        days: list[str] = []
        for series in dict.fromkeys(wanted.series):
            listed = await self._history.markets(series, cutoff)
            days += (market.event_date for market in listed)
            found += (m for m in listed if wanted.date_from <= m.event_date <= wanted.date_to)
        if not found:
            held = f"its markets are from {min(days)} to {max(days)}" if days else "it lists no market"
            raise ConfigError(
                f"no market of {', '.join(wanted.series)} from {wanted.date_from} to {wanted.date_to}: {held}"
            )
        return sorted(found, key=lambda m: (m.series_ticker, m.event_date, m.body.ticker))

    async def _fetch_missing(self, markets: list[PastMarket], cutoff: CutoffBody | None) -> None:
        minutes = self._wanted.candle_minutes
        missing = [market for market in markets if not self._parts.has(market, minutes)]
        self.progress.wanted, self.progress.present = len(markets), len(markets) - len(missing)
        self._on_progress(self.progress)
        # The client's rate budget paces the calls; workers keep it used while answers are on the way.
        queue = iter(missing)
        tasks = [asyncio.create_task(self._work(queue, cutoff)) for _ in range(self._workers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # A thread cannot be stopped: the run has ended only when the part it writes is whole.
            await asyncio.gather(*self._writing, return_exceptions=True)

    async def _work(self, queue: Iterable[PastMarket], cutoff: CutoffBody | None) -> None:
        minutes = self._wanted.candle_minutes
        for market in queue:
            trades = await self._history.trades(market, cutoff)
            candles = [] if minutes is None else await self._history.candles(market, minutes, cutoff)
            now = self._clock.now()
            write = asyncio.to_thread(self._parts.write, market, trades, candles, minutes, now)
            writing = asyncio.ensure_future(write)
            self._writing.add(writing)
            await asyncio.shield(writing)
            self._writing.discard(writing)
            self.progress.fetched += 1
            self.progress.trades += len(trades)
            self.progress.candles += len(candles)
            self._on_progress(self.progress)

    # --- tables ----------------------------------------------------------------------------------

    def _write(
        self, before: dict[str, Any], cutoff: CutoffBody | None, started: Nanos, markets: list[PastMarket]
    ) -> dict[str, Any]:
        tables = build_tables(self._parts.read_all())
        written = self._write_tables(tables, before.get("tables", {}))
        requests = [*before.get("requests", ()), self._request(cutoff, started)]
        manifest = {
            "kind": "kalshi download",
            "format": FORMAT,
            "source": self._source,
            "licence": "Kalshi's data terms may restrict redistribution; see docs/DATA.md",
            "requests": requests,
            "tables": written,
            "left_out": {reason: count for reason, count in sorted(tables.left_out.items()) if count},
            "not_final": sorted(market.body.ticker for market in markets if not market.is_final),
        }
        partial = self._folder / f"{MANIFEST}.partial"
        partial.write_text(json.dumps(manifest, indent=1) + "\n")
        partial.replace(self._folder / MANIFEST)
        return manifest

    def _request(self, cutoff: CutoffBody | None, started: Nanos) -> dict[str, Any]:
        wanted, progress = self._wanted, self.progress
        return {
            "series": list(wanted.series),
            "from": wanted.date_from,
            "to": wanted.date_to,
            "candle_minutes": wanted.candle_minutes,
            "source": self._source,
            "archive_cutoff": None if cutoff is None else cutoff.trades_created_ts.isoformat(),
            "started_utc": _utc(started),
            "finished_utc": _utc(self._clock.now()),
            "markets": {
                "wanted": progress.wanted,
                "present": progress.present,
                "fetched": progress.fetched,
            },
        }

    def _write_tables(self, tables: Tables, before: dict[str, Any]) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for name in SCHEMAS:
            if name in _MAY_BE_FOREIGN and self._is_foreign(name, before):
                continue
            if name == "kalshi_candles" and tables.frames[name].is_empty():
                continue
            written[name] = write_table(tables.frames[name], self._folder, name, self._wanted.table_format)
            old = before.get(name, {}).get("file", "")
            if old and old != written[name]["file"]:
                (self._folder / old).unlink(missing_ok=True)  # the same table in the other format
        return written

    def _is_foreign(self, name: str, before: dict[str, Any]) -> bool:
        """Whether the table is there and not as a download wrote it."""
        ours = before.get(name, {})
        files = [self._folder / f"{name}.{suffix}" for suffix in ("parquet", "csv")]
        there = [path for path in files if path.exists()]
        return any(path.name != ours.get("file") or sha256_of(path) != ours.get("sha256") for path in there)


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        content = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"--out: {path} cannot be read ({error}); delete it or choose another folder"
        ) from error
    if content.get("kind") != "kalshi download" or content.get("format") != FORMAT:
        raise ConfigError(f"--out: {path} is not a download's manifest; choose another folder")
    return content


def _utc(ts: Nanos) -> str:
    return datetime.fromtimestamp(ts // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
