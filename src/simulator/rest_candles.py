"""Public REST: candlesticks of one market, of several, of an event, and of historical markets."""

from __future__ import annotations

from aiohttp import web

from src.core.units import MINUTE, SECOND, Nanos
from src.simulator.answers import API, json_answer
from src.simulator.archive import Archive
from src.simulator.candles import MINUTES, Candle
from src.simulator.exchange import Exchange
from src.simulator.queries import Query
from src.simulator.render import Json
from src.simulator.render_candles import candle, historical_candle, synthetic_candle
from src.simulator.states import MarketState
from src.simulator.wire_errors import invalid_parameter, nested

_MOST_CANDLES = 10_000
_MOST_MARKETS = 100


class CandlesApi:
    """Handlers of candlesticks."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._archive = Archive(exchange)

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        return [
            web.get(f"{API}/series/{{series}}/markets/{{ticker}}/candlesticks", self._market),
            web.get(f"{API}/markets/candlesticks", self._batch),
            web.get(f"{API}/series/{{series}}/events/{{event}}/candlesticks", self._event),
            web.get(f"{API}/historical/markets/{{ticker}}/candlesticks", self._historical),
        ]

    async def _market(self, request: web.Request) -> web.Response:
        state = self._state(request, archived=False)
        if state.market.series_ticker != request.match_info["series"]:
            raise nested(404, "not_found")
        span = _Span(Query(request.query))
        shown = self._shown(state, span)
        _check_size(len(shown))
        return json_answer({"ticker": state.market.ticker, "candlesticks": shown})

    async def _batch(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        tickers = list(dict.fromkeys(query.text("market_tickers").split(",")))
        if not query.has("market_tickers") or len(tickers) > _MOST_MARKETS:
            raise invalid_parameter("market_tickers", f"expected 1 to {_MOST_MARKETS}")
        span = _Span(query)
        markets = [
            {"market_ticker": ticker, "candlesticks": self._shown(state, span)}
            for ticker in tickers
            if (state := self._exchange.markets.get(ticker)) and not self._archive.has_market(state)
        ]
        _check_size(sum(len(each["candlesticks"]) for each in markets))
        return json_answer({"markets": markets})

    async def _event(self, request: web.Request) -> web.Response:
        event = self._exchange.events.get(request.match_info["event"])
        if event is None or event.series_ticker != request.match_info["series"]:
            raise nested(404, "not_found")
        span = _Span(Query(request.query))
        # A range that is too long is cut at its end, and the answer says where.
        span.cut(_MOST_CANDLES // max(len(event.tickers), 1))
        shown = [self._shown(self._exchange.markets[ticker], span) for ticker in event.tickers]
        return json_answer(
            {
                "market_tickers": event.tickers,
                "market_candlesticks": shown,
                "adjusted_end_ts": span.end // SECOND,
            }
        )

    async def _historical(self, request: web.Request) -> web.Response:
        state = self._state(request, archived=True)
        shown = [historical_candle(each) for each in self._candles(state, _Span(Query(request.query)))]
        _check_size(len(shown))
        return json_answer({"ticker": state.market.ticker, "candlesticks": shown})

    def _shown(self, state: MarketState, span: _Span) -> list[Json]:
        shown = [candle(each) for each in self._candles(state, span)]
        before = state.candles.as_of(span.start)
        if span.with_latest_before and before is not None:
            shown.insert(0, synthetic_candle(before))
        return shown

    def _candles(self, state: MarketState, span: _Span) -> list[Candle]:
        """Periods that began in the market's life and by now."""
        length = span.minutes * MINUTE
        ended = min(self._exchange.now, state.market.close_time)
        first = max(span.start, state.created_ts + 1)
        last = min(span.end, ended + length - 1)
        if (last - first) // length > _MOST_CANDLES:
            raise invalid_parameter("start_ts", f"the range holds more than {_MOST_CANDLES} candlesticks")
        return list(state.candles.periods(first, last, span.minutes))

    def _state(self, request: web.Request, *, archived: bool) -> MarketState:
        state = self._exchange.markets.get(request.match_info["ticker"])
        if state is None or self._archive.has_market(state) is not archived:
            raise nested(404, "not_found")
        return state


class _Span:
    """``start_ts``, ``end_ts`` and ``period_interval`` of a request, all needed."""

    def __init__(self, query: Query) -> None:
        self.start: Nanos = self._needed(query, "start_ts")
        self.end: Nanos = self._needed(query, "end_ts")
        if self.end < self.start:
            raise invalid_parameter("end_ts", "lies before start_ts")
        self.minutes = query.number("period_interval", 0, 0, max(MINUTES))
        if self.minutes not in MINUTES:
            raise invalid_parameter("period_interval", "expected 1, 60 or 1440")
        self.with_latest_before = query.flag("include_latest_before_start")

    def cut(self, candles: int) -> None:
        """Leave at most so many periods."""
        self.end = min(self.end, self.start + candles * self.minutes * MINUTE)

    @staticmethod
    def _needed(query: Query, name: str) -> Nanos:
        value = query.seconds(name)
        if value is None:
            raise invalid_parameter(name, "is required")
        return value


def _check_size(candles: int) -> None:
    if candles > _MOST_CANDLES:
        raise invalid_parameter("end_ts", f"the range holds more than {_MOST_CANDLES} candlesticks")
