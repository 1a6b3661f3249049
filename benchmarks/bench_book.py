"""JSON text of ``orderbook_delta`` -> updated book with its best bid and ask, on the product's own path.

That is ``FeedSession.on_frame`` (decoding, sequence, liveness, exact numbers, the event) and
``MarketState.apply`` (the book). Reference: msgspec's typed decode of the same messages alone, in the same
run. Prints both, their ratio (how many times as fast as the reference) and the process's peak memory.

    python -m benchmarks.bench_book [--deltas 1000000] [--markets 500] [--rounds 3]
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec

from benchmarks.machine import machine, peak_mb
from src.api.following import Refresh
from src.api.session import FeedSession
from src.core.events import BookDelta, FeedUp, MarketUpdate
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus
from src.core.units import Count, Price, format_count, format_price
from src.execution.market_state import MarketState

CHUNK = 50_000
DEEPEST = 40
_START_MS = 1_795_420_800_000


class DeltaBody(msgspec.Struct, gc=False):
    """The fields of a delta that the book needs."""

    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: str
    ts_ms: int


class DeltaMessage(msgspec.Struct, gc=False):
    """One frame of the ``orderbook_delta`` channel."""

    type: str
    sid: int
    seq: int
    msg: DeltaBody


class Flow:
    """Endless consistent deltas: near the touch, one new size in ten of fractional contracts."""

    def __init__(self, markets: int, seed: int) -> None:
        self._random = random.Random(seed)
        self.tickers = [f"KXHIGHNY-26NOV23-B{50 + i / 2}" for i in range(markets)]
        self._sizes: dict[tuple[str, str, Price], Count] = {}
        self._seq = markets  # a snapshot of each came before

    def chunk(self, count: int) -> list[bytes]:
        """The next ``count`` frames as the wire would carry them."""
        return [self._frame() for _ in range(count)]

    def _size(self) -> Count:
        rng = self._random
        return rng.randrange(1, 50_000) if rng.random() < 0.1 else 100 * rng.randrange(1, 500)

    def _frame(self) -> bytes:
        rng = self._random
        ticker = rng.choice(self.tickers)
        side = rng.choice(("yes", "no"))
        depth = int(rng.expovariate(1 / 6)) % DEEPEST
        price = 100 * (48 - depth if side == "yes" else 52 + depth)
        key = (ticker, side, price)
        resting = self._sizes.get(key, 0)
        if resting and rng.random() < 0.5:
            delta = -resting if rng.random() < 0.3 else -min(resting, self._size())
        else:
            delta = self._size()
        self._sizes[key] = resting + delta
        self._seq += 1
        text = (
            f'{{"type":"orderbook_delta","sid":1,"seq":{self._seq},"msg":{{"market_ticker":"{ticker}",'
            f'"market_id":"0b7e5a2c-6a1f-4c7e-9a65-3f0d8d1f2a11","clock":{88_000 + self._seq},'
            f'"price_dollars":"{format_price(price)}","delta_fp":"{format_count(delta)}","side":"{side}",'
            f'"ts_ms":{_START_MS + self._seq},"ts":"2026-11-23T08:00:01.017Z"}}}}'
        )
        return text.encode()


class NoBoard:
    """Markets and requests are none of this benchmark's business."""

    series: Sequence[str] = ()
    markets: Mapping[str, Market] = {}

    def ask(self, refresh: Refresh) -> None:
        """Never needed: nothing is malformed or missing."""
        raise AssertionError(refresh)

    def forget(self, ticker: str) -> None:
        """Never needed: nothing settles."""
        raise AssertionError(ticker)


class Path:
    """The product's own path without its sockets and queues: the feed's session, then the engine's books."""

    def __init__(self, tickers: Sequence[str]) -> None:
        self.session = FeedSession(NoBoard(), print)
        self.state = MarketState()
        self.session.watch(tickers)
        self.state.apply(FeedUp("market", 0))
        for seq, ticker in enumerate(tickers, 1):
            self.state.apply(MarketUpdate(_market(ticker), 0))
            for event in self.session.on_frame(_empty_snapshot(ticker, seq), 0):
                self.state.apply(event)

    def run(self, frames: list[bytes]) -> float:
        """Seconds from the frames' text to updated books whose best prices have been read."""
        on_frame, apply, book_of = self.session.on_frame, self.state.apply, self.state.book
        valid = 0
        begin = time.perf_counter()
        for frame in frames:
            for event in on_frame(frame, 1):
                if apply(event) is None and type(event) is BookDelta:
                    book = book_of(event.ticker)
                    if book is not None:
                        valid += (book.best_bid, book.best_ask) is not None
        seconds = time.perf_counter() - begin
        if valid != len(frames):
            raise SystemExit(f"only {valid} of {len(frames)} changes reached a valid book")
        return seconds


def _market(ticker: str) -> Market:
    return Market(
        ticker=ticker,
        event_ticker=ticker.rpartition("-")[0],
        series_ticker=ticker.partition("-")[0],
        status=MarketStatus.ACTIVE,
        open_time=0,
        close_time=2**62,
        grid=LINEAR_CENT,
        fees=FeeSchedule(),
    )


def _empty_snapshot(ticker: str, seq: int) -> bytes:
    msg = f'{{"market_ticker":"{ticker}","market_id":"0b7e5a2c-6a1f-4c7e-9a65-3f0d8d1f2a11"}}'
    return f'{{"type":"orderbook_snapshot","sid":1,"seq":{seq},"msg":{msg}}}'.encode()


def decode_only(frames: list[bytes]) -> float:
    """Seconds msgspec alone takes for these frames."""
    decode = msgspec.json.Decoder(DeltaMessage).decode
    begin = time.perf_counter()
    for frame in frames:
        decode(frame)
    return time.perf_counter() - begin


def run(deltas: int, markets: int, seed: int) -> tuple[float, float]:
    """Microseconds a message: (decode alone, the product's path)."""
    flow = Flow(markets, seed)
    path = Path(flow.tickers)
    reference = whole = 0.0
    for start in range(0, deltas, CHUNK):
        frames = flow.chunk(min(CHUNK, deltas - start))
        reference += decode_only(frames)
        whole += path.run(frames)
    return reference / deltas * 1e6, whole / deltas * 1e6


def main() -> int:
    """Print the medians of several rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--deltas", type=int, default=1_000_000)
    parser.add_argument("--markets", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rounds = [run(options.deltas, options.markets, seed) for seed in range(options.rounds)]
    reference, whole = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(alone / full for alone, full in rounds)
    print(f"{machine()}; {options.deltas:,} deltas, {options.markets} markets, {options.rounds} rounds")
    print(f"msgspec typed decode alone (reference)  {reference:6.3f} us")
    print(f"text -> book with best bid and ask      {whole:6.3f} us   ratio {ratio:.2f} of the reference")
    print(f"peak memory {peak_mb():.0f} MB (of which {CHUNK:,} frames of text held at a time)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
