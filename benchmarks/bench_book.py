"""JSON text of ``orderbook_delta`` -> updated book with its best bid and ask, on the product's own path.

That is ``FeedSession.on_frames`` (reading, sequence, liveness, exact numbers, the events), then
``MarketState`` (the books), with messages in batches as a busy socket hands them over. Once compiled, once in
plain Python, as before the compiled path is loaded. Reference: msgspec's typed decode of the same messages
alone, in the same run. At the end of each round every level of every book must be exact. Prints medians of
the CPU time (others may use the machine too), their ratios (how many times as fast as the reference) and the
memory of a book.

    python -m benchmarks.bench_book [--deltas 1000000] [--markets 500] [--rounds 3] [--batch 256]
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from benchmarks.machine import machine
from src.api.delta_scan import DeltaScanner
from src.api.doubt_time import DoubtTime
from src.api.following import Refresh
from src.api.session import FeedSession
from src.core.book_arrays import BookArrays
from src.core.events import BookDelta, BookDeltas, FeedUp, MarketUpdate
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus
from src.core.sides import BookSide
from src.core.units import Count, Price, format_count, format_price
from src.execution.market_state import MarketState
from src.runtime.report import peak_rss_mb

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
        self.sizes: dict[tuple[str, str, Price], Count] = {}
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
        resting = self.sizes.get(key, 0)
        if resting and rng.random() < 0.5:
            delta = -resting if rng.random() < 0.3 else -min(resting, self._size())
        else:
            delta = self._size()
        self.sizes[key] = resting + delta
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

    def __init__(self, tickers: Sequence[str], *, compiled: bool) -> None:
        self.session = FeedSession(NoBoard(), print, DoubtTime())
        self.state = MarketState()
        if compiled:
            self.session.read_by(DeltaScanner())
            deque(self.state.move_books(BookArrays()), maxlen=0)
        self.session.watch(tickers)
        self.session.on_frame(_SUBSCRIBED, 0)
        self.state.apply(FeedUp("market", 0))
        for seq, ticker in enumerate(tickers, 1):
            self.state.apply(MarketUpdate(_market(ticker), 0))
            for event in self.session.on_frame(_empty_snapshot(ticker, seq), 0):
                self.state.apply(event)

    def run(self, frames: list[bytes], batch: int) -> float:
        """Seconds from the frames' text to updated books; after each batch one of its books is read."""
        on_frames, state = self.session.on_frames, self.state
        applied = 0
        begin = time.process_time()
        for start in range(0, len(frames), batch):
            ticker = ""
            for events, _ in on_frames(frames[start : start + batch], 1):
                for event in events:
                    if type(event) is BookDeltas:
                        if not state.apply_batch(event):
                            applied += len(event)
                            ticker = event.tickers[-1]
                    elif type(event) is BookDelta and state.apply(event) is None:
                        applied += 1
                        ticker = event.ticker
            book = state.book(ticker)
            assert book is not None
            _ = book.best_bid, book.best_ask
        seconds = time.process_time() - begin
        if applied != len(frames):
            raise SystemExit(f"only {applied} of {len(frames)} changes reached a valid book")
        return seconds

    def check(self, flow: Flow) -> None:
        """Every level of every book, and the best prices, against what was sent."""
        expected: dict[str, dict[BookSide, dict[Price, Count]]] = {
            ticker: {BookSide.BID: {}, BookSide.ASK: {}} for ticker in flow.tickers
        }
        for (ticker, leg, price), size in flow.sizes.items():
            if size:
                expected[ticker][BookSide.BID if leg == "yes" else BookSide.ASK][price] = size
        for ticker, sides in expected.items():
            book = self.state.book(ticker)
            if book is None or any(dict(book.levels(side)) != sides[side] for side in BookSide):
                raise SystemExit(f"the book of {ticker} is wrong")
            best = max(sides[BookSide.BID], default=None), min(sides[BookSide.ASK], default=None)
            if best != (book.best_bid, book.best_ask):
                raise SystemExit(f"the best prices of {ticker} are wrong")


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


_SUBSCRIBED = b'{"type":"subscribed","id":1,"msg":{"channel":"orderbook_delta","sid":1}}'


def _empty_snapshot(ticker: str, seq: int) -> bytes:
    msg = f'{{"market_ticker":"{ticker}","market_id":"0b7e5a2c-6a1f-4c7e-9a65-3f0d8d1f2a11"}}'
    return f'{{"type":"orderbook_snapshot","sid":1,"seq":{seq},"msg":{msg}}}'.encode()


def decode_only(frames: list[bytes]) -> float:
    """Seconds msgspec alone takes for these frames."""
    decode = msgspec.json.Decoder(DeltaMessage).decode
    begin = time.process_time()
    for frame in frames:
        decode(frame)
    return time.process_time() - begin


def run(deltas: int, markets: int, batch: int, seed: int) -> tuple[float, float, float]:
    """Microseconds a message: (decode alone, the compiled path, the plain path)."""
    flow = Flow(markets, seed)
    paths = [Path(flow.tickers, compiled=compiled) for compiled in (True, False)]
    reference, seconds = 0.0, [0.0, 0.0]
    for start in range(0, deltas, CHUNK):
        frames = flow.chunk(min(CHUNK, deltas - start))
        reference += decode_only(frames)
        for number, path in enumerate(paths):
            seconds[number] += path.run(frames, batch)
    for path in paths:
        path.check(flow)
    compiled, plain = (each / deltas * 1e6 for each in seconds)
    return reference / deltas * 1e6, compiled, plain


def bytes_per_book(markets: int, *, compiled: bool) -> float:
    """What a book on a one-cent grid takes, with all that the feed and the engine keep of its market."""
    tickers = Flow(markets, 0).tickers
    gc.collect()
    tracemalloc.start()
    path = Path(tickers, compiled=compiled)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert path.state.book(tickers[-1]) is not None
    return held / markets


def main() -> int:
    """Print the medians of several rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--deltas", type=int, default=1_000_000)
    parser.add_argument("--markets", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256, help="messages a drain of the socket brings")
    options = parser.parse_args()
    rounds = [run(options.deltas, options.markets, options.batch, seed) for seed in range(options.rounds)]
    reference, compiled, plain = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratios = [statistics.median(each[0] / each[number] for each in rounds) for number in (1, 2)]
    print(f"{machine()}; {options.deltas:,} deltas, {options.markets} markets, {options.rounds} rounds")
    print(f"msgspec typed decode alone (reference)     {reference:6.3f} us")
    print(
        f"compiled, batches of {options.batch:<5}                 {compiled:6.3f} us   ratio {ratios[0]:.2f}"
    )
    print(f"plain Python                               {plain:6.3f} us   ratio {ratios[1]:.2f}")
    print("all books exact at the end of every round")
    for markets in (options.markets, 5_000):
        sizes = [bytes_per_book(markets, compiled=each) / 1_000 for each in (True, False)]
        print(f"memory per book, {markets:,} markets: {sizes[0]:.1f} KB compiled, {sizes[1]:.1f} KB plain")
    print(f"peak memory of all this {peak_rss_mb():.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
