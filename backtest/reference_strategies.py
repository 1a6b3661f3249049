"""Reference strategies: what a model must beat. They know nothing, and claim an edge only to pass the gate.

Sizing is Kelly's for the probability claimed, so each claims just ``CLAIM`` more than the offer costs after
the fee; the risk gate and every limit apply as to any other strategy. Positions are held to settlement.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

from src.core.events import Event, Tick, books_shown
from src.core.market import Market
from src.core.ports import MarketView, Wakes
from src.core.sides import Outcome
from src.core.signal import Signal, make_signal_id
from src.core.units import DOLLAR_PRICE, Price

CLAIM = 0.06
_HIGHEST_CLAIM = 0.995
# Early in the life of a market the book is often empty; at a quarter of it both sides mostly quote.
_SHARE_OF_LIFE = 4


def claim(view: MarketView, name: str, market: Market, outcome: Outcome, edge: float) -> Signal | None:
    """A signal that ``outcome`` is worth ``edge`` more than it costs now; None where nobody offers it."""
    book = view.book(market.ticker)
    offers = book.offers(outcome, 1) if book is not None else []
    if not offers:
        return None
    price = offers[0][0] / DOLLAR_PRICE
    cost = price + market.fees.coefficient(is_taker=True) * price * (1 - price)
    return Signal(
        signal_id=make_signal_id(name, "reference", market.ticker, outcome),
        strategy=name,
        ticker=market.ticker,
        event_ticker=market.event_ticker,
        outcome=outcome,
        probability=min(cost + edge, _HIGHEST_CLAIM),
        std_error=0.0,
        min_edge=0.0,
        cause_id=f"reference:{market.ticker}",
        cause_ts=view.now,
        ts=view.now,
        details={"offer": price},
    )


class Nothing:
    """Never trades."""

    name = "nothing"
    wakes = Wakes()

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """No signal."""
        return ()

    def fair_probability(self, view: MarketView, ticker: str) -> float | None:
        """No opinion."""
        return None

    def is_done(self, ticker: str) -> bool:
        """No quote makes it speak."""
        return True


class BuyUnder(Nothing):
    """Buys YES in every market the first time it is offered below ``below`` (1e-4 dollars)."""

    def __init__(self, below: Price = 2_000, edge: float = CLAIM) -> None:
        self.name = "buy_under"
        self.below = below
        self.wakes = Wakes(ask_below=below)
        self.skips: Counter[str] = Counter()
        self._edge = edge
        self._done: set[str] = set()

    def is_done(self, ticker: str) -> bool:
        """It speaks once in a market."""
        return ticker in self._done

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """Looks at a market's book whenever it changes, until it has spoken once."""
        shown = books_shown(event)
        if not shown:
            return ()
        signals = [self._look(view, ticker) for ticker in shown if ticker not in self._done]
        return [signal for signal in signals if signal is not None]

    def _look(self, view: MarketView, ticker: str) -> Signal | None:
        book, market = view.book(ticker), view.market(ticker)
        if book is None or market is None or not market.is_open(view.now):
            return None
        if book.best_ask is None or book.best_ask >= self.below or not book.is_two_sided:
            return None
        signal = claim(view, self.name, market, Outcome.YES, self._edge)
        if signal is not None:
            self._done.add(ticker)
        return signal


class _OncePerEvent(Nothing, ABC):
    """Asks ``_choose`` once per event, at the first tick a quarter into its life with a usable choice."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.wakes = Wakes(notes_changes=True)
        self.skips: Counter[str] = Counter()
        self._waiting: set[str] = set()
        self._done: set[str] = set()

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        """Remembers events whose books move; decides on ticks."""
        for ticker in books_shown(event):
            market = view.market(ticker)
            if market is not None and market.event_ticker not in self._done:
                self._waiting.add(market.event_ticker)
        if not isinstance(event, Tick):
            return ()
        signals: list[Signal] = []
        for event_ticker in sorted(self._waiting):
            markets = view.markets_of(event_ticker)
            opened = min(market.open_time for market in markets)
            closing = max(market.close_time for market in markets)
            if view.now >= closing:
                self.skips["the event closed before both sides were quoted"] += 1
                self._finish(event_ticker)
            elif view.now >= opened + (closing - opened) // _SHARE_OF_LIFE:
                signal = self._choose(view, event_ticker, markets)
                if signal is not None:
                    signals.append(signal)
                    self._finish(event_ticker)
        return signals

    def _finish(self, event_ticker: str) -> None:
        self._waiting.discard(event_ticker)
        self._done.add(event_ticker)

    @abstractmethod
    def _choose(self, view: MarketView, event_ticker: str, markets: Sequence[Market]) -> Signal | None:
        """The one signal for an event, or None while there is nothing to say."""


class BuyFavourite(_OncePerEvent):
    """Buys the market with the highest mid of each event (a lone market: its likelier outcome)."""

    def __init__(self) -> None:
        super().__init__("buy_favourite")

    def _choose(self, view: MarketView, event_ticker: str, markets: Sequence[Market]) -> Signal | None:
        best: tuple[float, Market, Outcome] | None = None
        for market in markets:
            book = view.book(market.ticker)
            if book is None or not book.is_two_sided or book.mid is None:
                continue
            outcome = Outcome.NO if len(markets) == 1 and book.mid < 0.5 else Outcome.YES
            chance = book.mid if outcome is Outcome.YES else 1 - book.mid
            if best is None or chance > best[0]:
                best = (chance, market, outcome)
        return None if best is None else claim(view, self.name, best[1], best[2], CLAIM)


class RandomSide(_OncePerEvent):
    """Buys a market and side drawn by ``seed`` and the event's ticker, at the time of the favourite."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__("random")
        self._seed = seed

    def _choose(self, view: MarketView, event_ticker: str, markets: Sequence[Market]) -> Signal | None:
        quoted = [m for m in markets if (book := view.book(m.ticker)) is not None and book.is_two_sided]
        if not quoted:
            return None
        draw = int.from_bytes(hashlib.sha256(f"{self._seed}|{event_ticker}".encode()).digest()[:8], "big")
        market = quoted[(draw >> 1) % len(quoted)]
        outcome = Outcome.YES if draw & 1 else Outcome.NO
        return claim(view, self.name, market, outcome, CLAIM)
