"""What has been downloaded so far: one compressed file per market, written in one step.

Lines of JSON: a head (what the file holds), the market as the exchange gave it, its trades oldest first,
its candlesticks. A file that exists is whole; a run that was killed leaves no half of one.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from src.api.candles import Candle
from src.api.history import PastMarket, past_market
from src.api.schema_data import TradeBody
from src.core.errors import ConfigError

SUFFIX = ".jsonl.gz"
FORMAT = 1


class PartHead(msgspec.Struct, frozen=True):
    """First line of a part. ``final``: the market can change no more, the part need never be read again."""

    format: int
    ticker: str
    series_ticker: str
    event_date: str
    final: bool
    archived: bool
    trades: int
    candles: int
    candle_minutes: int | None
    fetched_ts: int


@dataclass(frozen=True, slots=True)
class Part:
    """A market with everything that was downloaded of it."""

    head: PartHead
    market: PastMarket
    trades: list[TradeBody]
    candles: list[Candle]


class Parts:
    """The parts below ``folder``, by series and market."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, market: PastMarket, candle_minutes: int | None) -> bool:
        """Whether a market need not be downloaded (again). A damaged part does not count."""
        path = self._path(market.series_ticker, market.body.ticker)
        try:
            head = _head(path)
        except (OSError, EOFError, zlib.error, msgspec.DecodeError):
            return False
        wanted = candle_minutes in (None, head.candle_minutes)
        return head.format == FORMAT and head.final and wanted

    def write(
        self,
        market: PastMarket,
        trades: list[TradeBody],
        candles: list[Candle],
        candle_minutes: int | None,
        fetched_ts: int,
    ) -> PartHead:
        """Keep a market. Raises ``OSError``."""
        head = PartHead(
            FORMAT,
            market.body.ticker,
            market.series_ticker,
            market.event_date,
            market.is_final,
            market.archived,
            len(trades),
            len(candles),
            candle_minutes,
            fetched_ts,
        )
        encode = msgspec.json.encode
        raw = msgspec.json.format(market.raw, indent=-1)  # on one line
        lines = [encode(head), raw, *map(encode, trades), *map(encode, candles)]
        path = self._path(market.series_ticker, market.body.ticker)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            file.write(gzip.compress(b"\n".join(lines) + b"\n", mtime=0))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        return head

    def read_all(self) -> Iterator[Part]:
        """Every part, by series, then day, then market. Raises ``ConfigError`` for a damaged one."""
        heads: list[tuple[str, str, str, Path]] = []
        for path in self._folder.glob(f"*/*{SUFFIX}"):
            try:
                head = _head(path)
            except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
                raise _damaged(path, error) from error
            heads.append((head.series_ticker, head.event_date, head.ticker, path))
        for *_, path in sorted(heads):
            yield _read(path)

    def _path(self, series_ticker: str, ticker: str) -> Path:
        for name in (series_ticker, ticker):
            if not name or name != Path(name).name or name.startswith("."):
                raise ConfigError(f"ticker {name!r} cannot be a file's name")
        return self._folder / series_ticker / f"{ticker}{SUFFIX}"


def _head(path: Path) -> PartHead:
    with gzip.open(path) as file:
        return msgspec.json.decode(file.readline(), type=PartHead)


def _read(path: Path) -> Part:
    try:
        with gzip.open(path) as file:
            lines = file.read().splitlines()
        head = msgspec.json.decode(lines[0], type=PartHead)
        if len(lines) != 2 + head.trades + head.candles:
            raise ValueError(f"{len(lines)} lines, expected {2 + head.trades + head.candles}")
        trades = [msgspec.json.decode(line, type=TradeBody) for line in lines[2 : 2 + head.trades]]
        candles = [msgspec.json.decode(line, type=Candle) for line in lines[2 + head.trades :]]
    except (OSError, EOFError, zlib.error, ValueError, IndexError) as error:
        raise _damaged(path, error) from error
    market = past_market(head.series_ticker, lines[1], archived=head.archived)
    return Part(head, market, trades, candles)


def _damaged(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{path} is damaged ({error}); delete it and run the download again")
