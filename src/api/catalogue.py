"""Markets with their event's and series' terms, read by REST."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from src.api import schema
from src.api.calls import in_pieces
from src.api.client import KalshiClient
from src.api.convert import to_market
from src.api.decoding import UNREADABLE
from src.api.errors import HTTP_NOT_FOUND
from src.api.following import OnBad
from src.core.errors import DefiniteError, WireError
from src.core.market import Market, MarketStatus

WHERE = "kalshi-rest"
# A market that opens sends no message, so those not open yet are read as well.
_LISTED = ("open", "unopened")
TRADABLE = frozenset({MarketStatus.INITIALIZED, MarketStatus.ACTIVE, MarketStatus.INACTIVE})


class MarketCatalogue:
    """Reads markets. A malformed one is reported to ``on_bad(source, field)`` and left out."""

    def __init__(self, client: KalshiClient, on_bad: OnBad) -> None:
        self._client = client
        self._on_bad = on_bad
        self._series: dict[str, schema.SeriesBody] = {}
        self._events: dict[str, schema.EventBody] = {}

    async def discover(self, series_tickers: Iterable[str]) -> list[Market]:
        """Markets of the open and upcoming events of these series, with terms read afresh."""
        found: dict[str, Market] = {}
        for series_ticker in series_tickers:
            try:
                self._series[series_ticker] = await self._client.series(series_ticker)
            except DefiniteError as error:
                if error.status != HTTP_NOT_FOUND:
                    raise
                # One unknown series must not keep the others from being traded.
                self._on_bad(WHERE, f"series {series_ticker} is not listed")
                continue
            for status in _LISTED:
                for event in await self._client.events(series_ticker, status):
                    for market in await self._markets_of(event):
                        found[market.ticker] = market
        return list(found.values())

    async def fetch(self, tickers: Sequence[str]) -> list[Market]:
        """These markets as they are now; one the venue does not list (yet) is absent."""
        found: list[Market] = []
        for piece in in_pieces(tickers):
            for raw in await self._client.markets(tickers=piece):
                event_ticker = self._event_ticker(raw)
                if event_ticker:
                    found.extend(self._converted([raw], await self._event(event_ticker)))
        return found

    async def fetch_event(self, event_ticker: str) -> list[Market]:
        """An event's markets, with its terms read afresh."""
        self._events.pop(event_ticker, None)
        event = await self._event(event_ticker)
        return self._converted(await self._client.markets(event_ticker=event_ticker), event)

    async def _markets_of(self, event: schema.EventBody) -> list[Market]:
        raw = event.markets
        event.markets = None  # only the event's own terms are kept
        self._events[event.event_ticker] = event
        if raw is None:
            raw = await self._client.markets(event_ticker=event.event_ticker)
        return self._converted(raw, event)

    async def _event(self, event_ticker: str) -> schema.EventBody:
        event = self._events.get(event_ticker)
        if event is None:
            event = self._events[event_ticker] = await self._client.event(event_ticker)
        if event.series_ticker not in self._series:
            self._series[event.series_ticker] = await self._client.series(event.series_ticker)
        return event

    def _event_ticker(self, raw: msgspec.Raw) -> str:
        try:
            return msgspec.json.decode(raw, type=schema.MarketEvent).event_ticker
        except UNREADABLE:
            self._on_bad(WHERE, "market.event_ticker")
            return ""

    def _converted(self, raw: Iterable[msgspec.Raw], event: schema.EventBody) -> list[Market]:
        markets: list[Market] = []
        for item in raw:
            try:
                markets.append(to_market(item, event, self._series[event.series_ticker]))
            except WireError as error:
                self._on_bad(WHERE, error.field)
        return markets
