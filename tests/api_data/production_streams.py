"""Streams like those that people record in production: one market's book as it lives, cut out and mixed."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from src.core.grid import DECI_CENT, LINEAR_CENT, TAPERED_DECI_CENT, PriceGrid
from src.core.units import format_count, format_price

Frame = dict[str, Any]
Leg = Literal["no-leg", "yes-leg"]
GRIDS: dict[str, PriceGrid] = {
    "linear_cent": LINEAR_CENT,
    "deci_cent": DECI_CENT,
    "tapered_deci_cent": TAPERED_DECI_CENT,
}
T0_MS = 1_795_420_800_000


@dataclass
class Life:
    """A market's book, uncrossed at the end of every action. Prices 1e-4 dollars of YES, sizes 0.01."""

    ticker: str
    grid: str
    chance: random.Random
    has_clock: bool = True
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    clock: int = 88_000
    ms: int = T0_MS

    def __post_init__(self) -> None:
        self.legal = GRIDS[self.grid].legal_prices()
        self.middle = self.chance.randrange(len(self.legal) // 4, 3 * len(self.legal) // 4)
        for _ in range(15):
            self._rest("yes", self._price("yes"), self._size(), [])
            self._rest("no", self._price("no"), self._size(), [])

    def _size(self) -> int:
        return self.chance.choice([1, 37, 100, 1_050, 2_500, 99_999, 1_234_567])

    def _price(self, side: str) -> int:
        away = 1 + int(self.chance.expovariate(1 / 6))
        place = self.middle - away if side == "yes" else self.middle + away
        return self.legal[min(max(place, 0), len(self.legal) - 1)]

    def _rest(self, side: str, price: int, change: int, deltas: list[tuple[str, int, int]]) -> None:
        book = self.bids if side == "yes" else self.asks
        book[price] = book.get(price, 0) + change
        if not book[price]:
            del book[price]
        deltas.append((side, price, change))

    def act(self) -> tuple[list[tuple[str, int, int]], list[tuple[int, int, str]]]:
        """One action of the exchange: deltas (side, YES price, change), trades (price, count, taker)."""
        chance = self.chance
        self.clock += chance.choice([1, 1, 1, 7])
        # Without clocks only the millisecond tells one change from its like.
        self.ms += chance.choice([0, 0, 1, 25] if self.has_clock else [1, 1, 2, 25])
        deltas: list[tuple[str, int, int]] = []
        trades: list[tuple[int, int, str]] = []
        what = chance.random()
        if what < 0.06:
            self._sweep(deltas, trades)
        elif what < 0.08:
            side = chance.choice(["yes", "no"])  # a side is withdrawn altogether
            for price, size in list((self.bids if side == "yes" else self.asks).items()):
                self._rest(side, price, -size, deltas)
        else:
            side = chance.choice(["yes", "no"])
            book = self.bids if side == "yes" else self.asks
            if book and chance.random() < 0.45:
                price = chance.choice(sorted(book))
                self._rest(side, price, -chance.choice([book[price], chance.randint(1, book[price])]), deltas)
            else:
                price = self._price(side)
                other = min(self.asks, default=10_001) if side == "yes" else max(self.bids, default=-1)
                if price < other if side == "yes" else price > other:
                    self._rest(side, price, self._size(), deltas)
        return deltas, trades

    def _sweep(self, deltas: list[tuple[str, int, int]], trades: list[tuple[int, int, str]]) -> None:
        """A big order takes levels; what rests of it is told first, so that it looks crossed between."""
        up = self.chance.random() < 0.5
        own, other = ("yes", "no") if up else ("no", "yes")
        book = self.asks if up else self.bids
        taken = sorted(book, reverse=not up)[: self.chance.randint(1, 4)]
        if not taken:
            return
        edge = taken[-1]
        self._rest(own, edge, self._size(), deltas)
        for price in taken:
            trades.append((price, book[price], "bid" if up else "ask"))
            self._rest(other, price, -book[price], deltas)
        self.middle = self.legal.index(edge) + (1 if up else -1)
        self.middle = min(max(self.middle, 2), len(self.legal) - 3)

    def top(self) -> tuple[str | None, str | None]:
        bid, ask = max(self.bids, default=None), min(self.asks, default=None)
        return (
            None if bid is None else format_price(bid),
            None if ask is None else format_price(ask),
        )


@dataclass
class Subscription:
    """One connection's subscription, from which one market is cut out: its numbers skip."""

    life: Life
    sid: int
    seq: int
    leg: Leg
    busy: int
    chance: random.Random
    trade_seq: int = 0

    def _next(self) -> int:
        self.seq += 1 + (self.chance.randrange(self.busy) if self.busy else 0)
        return self.seq

    def _priced(self, side: str, price: int) -> str:
        return format_price(10_000 - price if side == "no" and self.leg == "no-leg" else price)

    def _timed(self, msg: Frame) -> Frame:
        return {**msg, "clock": self.life.clock} if self.life.has_clock else msg

    def snapshot(self) -> Frame:
        life = self.life
        msg: Frame = self._timed({"market_ticker": life.ticker, "market_id": "0b7e", "new_field": {"a": [1]}})
        for key, side, book in (("yes_dollars_fp", "yes", life.bids), ("no_dollars_fp", "no", life.asks)):
            if book:
                levels = sorted(
                    (self._priced(side, price), format_count(size)) for price, size in book.items()
                )
                msg[key] = [list(level) for level in levels]
        return {"type": "orderbook_snapshot", "sid": self.sid, "seq": self._next(), "msg": msg}

    def delta(self, side: str, price: int, change: int) -> Frame:
        msg = self._timed(
            {
                "market_ticker": self.life.ticker,
                "market_id": "0b7e",
                "price_dollars": self._priced(side, price),
                "delta_fp": format_count(change),
                "side": side,
                "ts_ms": self.life.ms,
                "ts": "2026-11-23T08:00:01.017Z",
            }
        )
        if self.chance.random() < 0.05:
            msg |= {"client_order_id": "6f0c", "subaccount": 0}
        return {
            "type": "orderbook_delta",
            "sid": self.sid,
            "seq": self._next(),
            "sending_ts_ms": self.life.ms,
            "msg": msg,
        }

    def trade(self, price: int, count: int, taker: str) -> Frame:
        self.trade_seq += 1 + self.chance.randrange(5)
        outcome = "yes" if taker == "bid" else "no"
        msg = {
            "trade_id": f"t{self.trade_seq}",
            "market_ticker": self.life.ticker,
            "yes_price_dollars": format_price(price),
            "no_price_dollars": format_price(10_000 - price),
            "count_fp": format_count(count),
            "taker_side": outcome,
            "taker_outcome_side": outcome,
            "taker_book_side": taker,
            "is_block_trade": False,
            "ts": self.life.ms // 1_000,
            "ts_ms": self.life.ms,
        }
        return {"type": "trade", "sid": self.sid + 1, "seq": self.trade_seq, "msg": msg}


def stream(
    life: Life, subscriptions: Sequence[Subscription], actions: int, *, snapshots: float = 0.0, lag: int = 0
) -> list[Frame]:
    """``actions`` of a market as its ``subscriptions`` tell of them, each up to ``lag`` frames behind.

    ``snapshots``: how often, for each connection, a whole book comes again.
    """
    chance = life.chance
    queues: list[list[Frame]] = [[each.snapshot()] for each in subscriptions]
    merged: list[Frame] = []
    for _ in range(actions):
        deltas, trades = life.act()
        for each, queue in zip(subscriptions, queues, strict=True):
            queue += [each.delta(*delta) for delta in deltas] + [each.trade(*trade) for trade in trades]
            if chance.random() < snapshots:
                queue.append(each.snapshot())
        for queue in queues:
            keep = chance.randint(0, lag) if lag else 0
            while len(queue) > keep:
                merged.append(queue.pop(0))
    for queue in queues:
        merged += queue
    return merged


def write_stream(path: Path, frames: Sequence[Frame], form: str) -> Path:
    """As lines: ``bare`` frames, ``wrapped`` with a time of arrival, or wrapped as ``text``."""
    lines: list[str] = []
    for number, frame in enumerate(frames):
        text = json.dumps(frame)
        if form == "wrapped":
            text = json.dumps({"recv_ms": T0_MS + number / 8, "event": frame})
        elif form == "text":
            text = json.dumps({"recv_ms": T0_MS + number, "event": text})
        lines.append(text + ("\r\n" if number % 3 else "\n"))
    body = "".join(lines).encode()
    path.write_bytes(gzip.compress(body) if path.suffix == ".gz" else body)
    return path
