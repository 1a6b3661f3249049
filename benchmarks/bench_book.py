"""JSON text of ``orderbook_delta`` -> updated book with its best bid and ask.

Reference: msgspec's typed decode of the same messages alone, in the same run. Prints both, their ratio
(how many times as fast as the reference) and the process's peak memory.

    python -m benchmarks.bench_book [--deltas 1000000] [--markets 500] [--rounds 3]
"""

from __future__ import annotations

import argparse
import platform
import random
import resource
import statistics
import sys
import time
from pathlib import Path

import msgspec

from src.core.book import OrderBook
from src.core.grid import LINEAR_CENT
from src.core.sides import Outcome, to_book
from src.core.units import Count, Price, format_count, format_price, parse_count, parse_price

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
        self._seq = 0

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
        price = 100 * max(1, 48 - int(rng.expovariate(1 / 6)) % DEEPEST)
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


def decode_only(frames: list[bytes]) -> float:
    """Seconds msgspec alone takes for these frames."""
    decode = msgspec.json.Decoder(DeltaMessage).decode
    begin = time.perf_counter()
    for frame in frames:
        decode(frame)
    return time.perf_counter() - begin


def decode_and_apply(frames: list[bytes], books: dict[str, OrderBook]) -> float:
    """Seconds from the frames' text to updated books whose best prices have been read."""
    decode = msgspec.json.Decoder(DeltaMessage).decode
    top: tuple[Price | None, Price | None] = (None, None)
    level_of = {
        (outcome.value, text): to_book(outcome, parse_price(text))
        for outcome in Outcome
        for text in (format_price(price) for price in LINEAR_CENT.legal_prices())
    }
    begin = time.perf_counter()
    for frame in frames:
        message = decode(frame)
        body = message.msg
        side, price = level_of[body.side, body.price_dollars]
        book = books[body.market_ticker]
        ms = body.ts_ms * 1_000_000
        book.apply_delta(side, price, parse_count(body.delta_fp), message.seq, ms, ms)
        top = (book.best_bid, book.best_ask)
    seconds = time.perf_counter() - begin
    assert top != (None, None)
    return seconds


def run(deltas: int, markets: int, seed: int) -> tuple[float, float]:
    """Microseconds a message: (decode alone, decode and book)."""
    flow = Flow(markets, seed)
    books = {ticker: OrderBook(ticker, LINEAR_CENT) for ticker in flow.tickers}
    for book in books.values():
        book.apply_snapshot((), (), 0, 0, None)
    reference = whole = 0.0
    for start in range(0, deltas, CHUNK):
        frames = flow.chunk(min(CHUNK, deltas - start))
        reference += decode_only(frames)
        whole += decode_and_apply(frames, books)
    assert all(book.best_bid is not None for book in books.values())
    return reference / deltas * 1e6, whole / deltas * 1e6


def machine() -> str:
    """The processor's name, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.processor() or platform.machine()}, Python {platform.python_version()}"


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
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{machine()}; {options.deltas:,} deltas, {options.markets} markets, {options.rounds} rounds")
    print(f"msgspec typed decode alone (reference)  {reference:6.3f} us")
    print(f"text -> book with best bid and ask      {whole:6.3f} us   ratio {ratio:.2f} of the reference")
    print(f"peak memory {peak_mb:.0f} MB (of which {CHUNK:,} frames of text held at a time)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
