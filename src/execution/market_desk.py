"""The market desk: what the venue says of its markets, and what follows from it."""

from __future__ import annotations

from typing import Protocol

from src.core.actions import Alert, Noted, RequestSnapshot, Severity
from src.core.events import (
    BookDelta,
    BookDeltas,
    BookInvalid,
    BookSnapshot,
    DailyMaximum,
    ExchangeSchedule,
    ExchangeStatus,
    FeedDown,
    FeedUp,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    ObservationUpdate,
    PublicTrade,
    RulesAcknowledged,
)
from src.core.market import MarketStatus
from src.core.units import Nanos
from src.execution.engine_base import Action, Routes
from src.execution.exit_desk import ExitDesk
from src.execution.ledger import Ledger
from src.execution.market_state import MarketState
from src.execution.rules_watch import RulesWatch


class MarketHost(Protocol):
    """What the market desk needs from the engine it belongs to."""

    @property
    def now(self) -> Nanos:
        """Time of the event being handled."""

    def locked_out(self, reason: str) -> list[Action]:
        """The exchange refuses us until a person acts."""


class MarketDesk:
    """Keeps ``MarketState``, and says where a book must be asked for anew or the records read."""

    def __init__(
        self, host: MarketHost, markets: MarketState, ledger: Ledger, rules: RulesWatch, exits: ExitDesk
    ) -> None:
        self._host = host
        self._markets = markets
        self._ledger = ledger
        self._rules = rules
        self._exits = exits

    def routes(self) -> Routes:
        """Its events, and what handles each."""
        return {
            BookDelta: self._book_changed,
            BookSnapshot: self._book_changed,
            BookInvalid: self._applied,
            BookDeltas: self._books_changed,
            PublicTrade: self._traded,
            MarketUpdate: self._described,
            MarketLifecycle: self._lived,
            RulesAcknowledged: self._rules_acknowledged,
            ObservationUpdate: self._observed,
            DailyMaximum: self._observed,
            ExchangeStatus: self._status_changed,
            ExchangeSchedule: self._applied,
            FeedDown: self._feed_down,
            FeedUp: self._feed_up,
        }

    def _applied(self, event: BookInvalid | ExchangeSchedule) -> list[Action]:
        self._markets.apply(event)
        return []

    def _book_changed(self, event: BookDelta | BookSnapshot) -> list[Action]:
        complaint = self._markets.apply(event)
        return [] if complaint is None else self._bad_book(event.ticker, complaint)

    def _books_changed(self, event: BookDeltas) -> list[Action]:
        complaints = self._markets.apply_batch(event)
        return [each for complaint in complaints for each in self._bad_book(*complaint)]

    def _bad_book(self, ticker: str, complaint: str) -> list[Action]:
        note = Noted("bad_book", {"ticker": ticker, "complaint": complaint}, self._host.now)
        return [note, RequestSnapshot((ticker,))]

    def _traded(self, event: PublicTrade) -> list[Action]:
        self._exits.liveness.traded(event)
        return []

    def _observed(self, event: ObservationUpdate | DailyMaximum) -> list[Action]:
        self._exits.heard(event)
        return []

    def _described(self, event: MarketUpdate) -> list[Action]:
        self._markets.apply(event)
        final = event.market.status is MarketStatus.FINALIZED
        judged = self._judge_exits(event.market.ticker) if final else []
        return [*judged, *self._rules.described(event.market, self._host.now)]

    def _lived(self, event: MarketLifecycle) -> list[Action]:
        self._markets.apply(event)
        if event.kind is not LifecycleKind.SETTLED:
            return []
        out = self._judge_exits(event.ticker)
        if self._ledger.portfolio.count(event.ticker):
            out.append(self._ledger.request("settlement", self._host.now))
        return out

    def _judge_exits(self, ticker: str) -> list[Action]:
        """The market has paid: what would holding have brought where we left early?"""
        market = self._markets.market(ticker)
        if market is None or market.settlement_value is None:
            return []
        return [*self._ledger.counterfactuals.settled(ticker, market.settlement_value, self._host.now)]

    def _rules_acknowledged(self, event: RulesAcknowledged) -> list[Action]:
        return [*self._rules.acknowledged(event)]

    def _status_changed(self, event: ExchangeStatus) -> list[Action]:
        doubtful = self._markets.status_changed(event)
        return [RequestSnapshot(doubtful)] if doubtful else []

    def _feed_down(self, event: FeedDown) -> list[Action]:
        self._markets.apply(event)
        now = self._host.now
        note = Noted("feed_down", {"feed": event.feed, "reason": event.reason}, now)
        if event.fatal:
            return [note, *self._host.locked_out(event.reason)]
        text = f"{event.feed} feed is down: {event.reason}"
        return [note, Alert(Severity.WARNING, f"feed:{event.feed}", text, now)]

    def _feed_up(self, event: FeedUp) -> list[Action]:
        self._markets.apply(event)
        out: list[Action] = [Noted("feed_up", {"feed": event.feed}, self._host.now)]
        if event.feed == "market":
            # Private messages carry no sequence: after a reconnect only the records tell what was missed.
            out.append(self._ledger.request("reconnect", self._host.now))
        return out
