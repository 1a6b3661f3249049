"""The rows of a table in order of time, a bounded number at once, however large the table is.

A table is one CSV file (read whole), one Parquet file, or a folder of Parquet files (one per event, day or
whatever divides it). It is read twice, a slice at a time: first to check every row and to learn when each
market begins and ends, then for its rows in order of time. Slices that follow each other in time are passed
on as they are; others are read for windows of time and sorted within.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from backtest.clockwork import NEVER
from backtest.file_columns import Layout, Slice, layout_of, normalise
from src.core.errors import ConfigError
from src.core.units import CENT_PRICE, Nanos

SLICE_ROWS = 500_000

Span: TypeAlias = tuple[str, Nanos, Nanos, str | None]


@dataclass(frozen=True, slots=True)
class _Part:
    """A file, or a table in memory; ``line`` of its first row."""

    path: Path
    table: pl.LazyFrame
    line: int


@dataclass(slots=True)
class _Piece:
    """One slice of a part, and the times it spans."""

    part: _Part
    offset: int
    rows: int
    first: Nanos = 0
    last: Nanos = 0
    in_order: bool = True


class FileRows:
    """A checked table.

    ``spans``: ticker, first and last time and result (None while not known) of each market, by first time.
    ``whole_cents``: whether every price is one. Raises ``ConfigError`` naming file, line, column and mend.
    """

    def __init__(self, path: Path, slice_rows: int = SLICE_ROWS) -> None:
        from backtest import kernels

        self._kernels: Any = kernels
        self._slice_rows = slice_rows
        parts = _parts(path)
        try:
            self.layout: Layout = layout_of(_together(parts), path)
            self._pieces = [piece for part in parts for piece in self._cut(part)]
            self._markets = _Markets(kernels)
            # Every piece is checked, also behind one whose prices are no whole cents.
            whole = [self._check(piece) for piece in self._pieces]
        except pl.exceptions.PolarsError as error:
            raise _unreadable(path, error) from error
        self.whole_cents = all(whole)
        self.spans: list[Span] = self._markets.in_order()
        ordered = sorted(self._pieces, key=lambda piece: piece.first)
        self._is_ordered = all(before.last <= after.first for before, after in pairwise(ordered))
        self._pieces = ordered if self._is_ordered else self._pieces

    def chunks(self) -> Iterator[pl.DataFrame]:
        """The rows by time (file order within an instant): ``market`` is the place in ``spans``."""
        names = [name for name in self.layout.found if name != "result"]
        if self._is_ordered:
            for piece in self._pieces:
                table = self._read(piece, names)
                yield table if piece.in_order else table.sort("ts", maintain_order=True)
            return
        for start, end in self._windows():
            within = (pl.col("ts") >= start) & (pl.col("ts") < end)
            tables = [
                self._read(piece, names).filter(within)
                for piece in self._pieces
                if piece.first < end and piece.last >= start
            ]
            if tables:
                yield pl.concat(tables).sort("ts", maintain_order=True)

    def median_gap(self) -> float:
        """Median nanoseconds between two rows of a market, over the first chunk; 0 without any."""
        chunk = next(self.chunks())
        gaps = self._kernels.gaps(
            chunk["ts"].to_numpy(), chunk["market"].to_numpy(), np.full(len(self.spans), -1, np.int64)
        )
        return float(np.median(gaps)) if gaps.size else 0.0

    # --- reading -------------------------------------------------------------------------------

    def _cut(self, part: _Part) -> Iterator[_Piece]:
        rows = part.table.select(pl.len()).collect().item()
        for offset in range(0, rows, self._slice_rows):
            yield _Piece(part, offset, min(self._slice_rows, rows - offset))

    def _slice(self, piece: _Piece, names: Sequence[str]) -> Slice:
        columns = [self.layout.found[name] for name in names]
        table = piece.part.table.slice(piece.offset, piece.rows).select(columns).collect()
        return Slice(table, piece.part.path, piece.part.line + piece.offset)

    def _read(self, piece: _Piece, names: Sequence[str]) -> pl.DataFrame:
        table = normalise(self._slice(piece, names), self.layout, names)
        market = self._markets.places(table["ticker"])
        return table.drop("ticker").with_columns(pl.Series("market", market, pl.Int32))

    def _check(self, piece: _Piece) -> bool:
        """Check a piece and take in what it says of its markets; whether its prices are whole cents."""
        rows = self._slice(piece, list(self.layout.found))
        table = normalise(rows, self.layout, list(self.layout.found))
        codes = self._markets.meet(table["ticker"])
        ts = table["ts"].to_numpy()
        piece.first, piece.last = int(ts.min()), int(ts.max())
        piece.in_order = self._kernels.spans(ts, codes, self._markets.first, self._markets.last)
        if "result" in table.columns:
            self._markets.decide(codes, table["result"], rows, self.layout.found["result"])
        prices = [name for name in ("bid", "ask", "price") if name in table.columns]
        return all(bool((table[name].drop_nulls() % CENT_PRICE == 0).all()) for name in prices)

    def _windows(self) -> Iterator[tuple[Nanos, Nanos]]:
        """Spans of time with about a slice of rows each, taking each piece's rows as spread evenly."""
        starts = sorted({piece.first for piece in self._pieces})
        edges = np.array([*starts, max(piece.last for piece in self._pieces) + 1], np.float64)
        held = np.zeros(edges.size)
        for piece in self._pieces:
            share = np.clip((edges - piece.first) / (piece.last - piece.first + 1), 0.0, 1.0)
            held += piece.rows * share
        wanted = np.arange(self._slice_rows, held[-1], self._slice_rows)
        cuts = np.interp(wanted, held, edges).astype(np.int64).tolist()
        bounds = [starts[0], *cuts, int(edges[-1]) + 1]
        yield from pairwise(bounds)


@dataclass(slots=True)
class _Markets:
    """Tickers as small numbers: in order of appearance while the table is checked, then by first time."""

    _kernels: Any
    tickers: list[str] = field(default_factory=list)
    first: Any = field(default_factory=lambda: np.empty(0, np.int64))
    last: Any = field(default_factory=lambda: np.empty(0, np.int64))
    _results: Any = field(default_factory=lambda: np.empty(0, np.int8))
    _number: dict[str, int] = field(default_factory=dict)
    # The dictionary of tickers that come as text lives as long as a series of it.
    _texts: pl.Series = field(
        default_factory=lambda: pl.Series([""]).cast(pl.Categorical(pl.Categories.random()))
    )
    # Of each dictionary: its code to our number, -1 while not met.
    _known: list[tuple[pl.DataType, Any]] = field(default_factory=list)
    _place: Any = field(default_factory=lambda: np.empty(0, np.int32))

    def meet(self, tickers: pl.Series) -> Any:
        """Numbers of a column of tickers, new ones included."""
        coded = tickers if isinstance(tickers.dtype, pl.Enum) else tickers.cast(self._texts.dtype)
        codes = coded.to_physical().cast(pl.UInt32).to_numpy()
        known = self._known_of(coded.dtype, int(codes.max()) + 1)
        numbers = np.empty(codes.size, np.int64)
        if not self._kernels.gather(codes, known, numbers):
            for row in self._kernels.first_rows(codes, known).tolist():
                known[codes[row]] = self._add(str(coded[row]))
            self._kernels.gather(codes, known, numbers)
        return numbers

    def decide(self, numbers: Any, results: pl.Series, rows: Slice, column: str) -> None:
        """Take in results. Raises ``ConfigError`` where a market has two."""
        yes = results.to_physical().cast(pl.Int8).fill_null(-1).to_numpy()
        bad = self._kernels.decide(numbers, yes, self._results)
        if bad >= 0:
            where = pl.Series([row == bad for row in range(rows.table.height)])
            mend = f"the result of {self.tickers[numbers[bad]]} was another before; a market has one"
            raise rows.refuse(column, where, mend)

    def in_order(self) -> list[Span]:
        """Every market by first time; from now on ``places`` counts in this order."""
        order = sorted(
            range(len(self.tickers)), key=lambda number: (self.first[number], self.tickers[number])
        )
        self._place = np.empty(len(order), np.int32)
        self._place[order] = np.arange(len(order), dtype=np.int32)
        said = {1: "yes", 0: "no", -1: None}
        return [
            (self.tickers[n], int(self.first[n]), int(self.last[n]), said[int(self._results[n])])
            for n in order
        ]

    def places(self, tickers: pl.Series) -> Any:
        """Places of a column of known tickers."""
        return self._place.take(self.meet(tickers))

    def _known_of(self, dictionary: pl.DataType, size: int) -> Any:
        for place, (other, known) in enumerate(self._known):
            if other == dictionary:
                if known.size < size:
                    known = np.concatenate([known, np.full(size, -1, np.int64)])
                    self._known[place] = (other, known)
                return known
        self._known.append((dictionary, np.full(max(size, 4_096), -1, np.int64)))
        return self._known[-1][1]

    def _add(self, ticker: str) -> int:
        number = self._number.get(ticker)
        if number is None:
            number = self._number[ticker] = len(self.tickers)
            self.tickers.append(ticker)
            if number >= self.first.size:
                more = max(1_024, self.first.size)
                self.first = np.concatenate([self.first, np.full(more, NEVER, np.int64)])
                self.last = np.concatenate([self.last, np.full(more, -NEVER, np.int64)])
                self._results = np.concatenate([self._results, np.full(more, -1, np.int8)])
        return number


def _parts(path: Path) -> list[_Part]:
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            files = sorted(path.rglob("*.parquet"))
            if not files:
                raise ConfigError(f"data: {path} holds neither the tables of `download` nor Parquet files")
            return [_Part(file, pl.scan_parquet(file), 1) for file in files]
        if suffix == ".parquet":
            return [_Part(path, pl.scan_parquet(path), 1)]
        if suffix in {".csv", ".txt"}:
            # Line 1 of a CSV file is its header.
            return [_Part(path, pl.read_csv(path, infer_schema=False).lazy(), 2)]
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from error
    raise ConfigError(f"data: {path.name} is neither .csv nor .parquet; convert it to one of them")


def _together(parts: Sequence[_Part]) -> pl.LazyFrame:
    return parts[0].table if len(parts) == 1 else pl.scan_parquet([part.path for part in parts])


def _unreadable(path: Path, error: Exception) -> ConfigError:
    reason = str(error).splitlines()[0]
    return ConfigError(f"data: {path} cannot be read ({reason}); save it again as CSV or Parquet")
