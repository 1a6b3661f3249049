"""The REST calls of the Kalshi Trade API v2, typed. Lists are read to their last page."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import msgspec

from src.api import endpoints, schema
from src.api.budget import RateBudget, Sleep
from src.api.decoding import decode
from src.api.endpoints import Endpoint
from src.api.rest import OnBody, Params, RestTransport
from src.api.signing import Signer
from src.core.errors import DefiniteError
from src.core.units import Nanos

PAGE = 1_000
EVENTS_PAGE = 200
BOOKS_PER_CALL = 100
MAX_PAGES = 1_000

T = TypeVar("T")


class _Page(Protocol):
    cursor: str


P = TypeVar("P", bound=_Page)


class KalshiClient:
    """One exchange account (or, without a signer, its public data) below ``base_url``.

    Every method raises ``VenueError`` when the call fails and ``WireError`` when its answer breaks the
    documented contract. Times in parameters are Unix seconds of the venue's clock.
    """

    def __init__(
        self,
        base_url: str,
        signer: Signer | None,
        *,
        allow_production: bool = False,
        budget: RateBudget | None = None,
        sleep: Sleep = asyncio.sleep,
        rng: Callable[[], float] = random.random,
        on_body: OnBody | None = None,
    ) -> None:
        self.budget = budget or RateBudget()
        self._rest = RestTransport(
            base_url,
            signer,
            self.budget,
            allow_production=allow_production,
            sleep=sleep,
            rng=rng,
            on_body=on_body,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._rest.aclose()

    @property
    def clock_offset(self) -> Nanos | None:
        """Our wall clock minus the exchange's, good to about half a second; None before a signed call."""
        return self._rest.clock_offset

    # --- exchange --------------------------------------------------------------------------------

    async def exchange_status(self) -> schema.ExchangeStatusBody:
        """Whether the exchange and its trading are active."""
        return await self._get(endpoints.EXCHANGE_STATUS, schema.ExchangeStatusBody)

    async def user_data_timestamp(self) -> schema.UserDataTimestampBody:
        """How fresh the portfolio reads are."""
        return await self._get(endpoints.USER_DATA_TIMESTAMP, schema.UserDataTimestampBody)

    async def limits(self) -> schema.LimitsBody:
        """Read the account's rate limits and spend by them from now on."""
        limits = await self._get(endpoints.LIMITS, schema.LimitsBody)
        self.budget.learn(
            read_rate=limits.read.refill_rate,
            read_capacity=limits.read.bucket_capacity,
            write_rate=limits.write.refill_rate,
            write_capacity=limits.write.bucket_capacity,
        )
        return limits

    # --- market data -----------------------------------------------------------------------------

    async def series(self, series_ticker: str) -> schema.SeriesBody:
        """A series."""
        answer = await self._get(endpoints.SERIES, schema.SeriesAnswer, series_ticker=series_ticker)
        return answer.series

    async def event(self, event_ticker: str) -> schema.EventBody:
        """An event, without its markets."""
        answer = await self._get(endpoints.EVENT, schema.EventAnswer, event_ticker=event_ticker)
        return answer.event

    async def events(self, series_ticker: str, status: str = "") -> list[schema.EventBody]:
        """Events of a series with their markets. ``status``: "", unopened, open, closed or settled."""
        params = _params(
            series_ticker=series_ticker, status=status, with_nested_markets="true", limit=EVENTS_PAGE
        )
        pages = self._pages(endpoints.EVENTS, schema.EventsPage, params)
        return [event async for page in pages for event in page.events]

    async def markets(
        self,
        *,
        event_ticker: str = "",
        series_ticker: str = "",
        tickers: Iterable[str] = (),
        status: str = "",
    ) -> list[msgspec.Raw]:
        """Markets as undecoded JSON, for ``convert.to_market``. Combinations are left out."""
        params = _params(
            event_ticker=event_ticker,
            series_ticker=series_ticker,
            tickers=",".join(tickers),
            status=status,
            mve_filter="exclude",
            limit=PAGE,
        )
        pages = self._pages(endpoints.MARKETS, schema.MarketsPage, params)
        return [market async for page in pages for market in page.markets]

    async def orderbook(self, ticker: str) -> schema.OrderbookBody:
        """One market's whole book."""
        return (await self._get(endpoints.ORDERBOOK, schema.OrderbookAnswer, ticker=ticker)).orderbook_fp

    async def orderbooks(self, tickers: Sequence[str]) -> list[schema.MarketOrderbookBody]:
        """The whole books of many markets, a hundred in one call."""
        books: list[schema.MarketOrderbookBody] = []
        for start in range(0, len(tickers), BOOKS_PER_CALL):
            params = [("tickers", ticker) for ticker in tickers[start : start + BOOKS_PER_CALL]]
            answer = await self._get(endpoints.ORDERBOOKS, schema.OrderbooksAnswer, params)
            books.extend(answer.orderbooks)
        return books

    # --- portfolio -------------------------------------------------------------------------------

    async def balance(self) -> schema.BalanceBody:
        """Cash of the account (at most one call a second, the budget waits)."""
        return await self._get(endpoints.BALANCE, schema.BalanceBody)

    async def positions(self) -> list[schema.PositionBody]:
        """Every position that is not settled yet."""
        params = _params(settlement_status="unsettled", limit=PAGE)
        pages = self._pages(endpoints.POSITIONS, schema.PositionsPage, params)
        return [position async for page in pages for position in page.market_positions]

    async def orders(
        self, *, status: str = "", ticker: str = "", min_ts: int | None = None
    ) -> list[schema.OrderBody]:
        """Orders. ``status``: "", resting, canceled or executed."""
        params = _params(status=status, ticker=ticker, min_ts=min_ts, limit=PAGE)
        pages = self._pages(endpoints.ORDERS, schema.OrdersPage, params)
        return [order async for page in pages for order in page.orders]

    async def order(self, order_id: str) -> schema.OrderBody:
        """One order by the venue's id."""
        return (await self._get(endpoints.ORDER, schema.OrderAnswer, order_id=order_id)).order

    async def fills(self, *, ticker: str = "", min_ts: int | None = None) -> list[schema.FillBody]:
        """Our fills."""
        params = _params(ticker=ticker, min_ts=min_ts, limit=PAGE)
        pages = self._pages(endpoints.FILLS, schema.FillsPage, params)
        return [fill async for page in pages for fill in page.fills]

    async def settlements(self, *, min_ts: int | None = None) -> list[schema.SettlementBody]:
        """Settled markets that were held."""
        params = _params(min_ts=min_ts, limit=PAGE)
        pages = self._pages(endpoints.SETTLEMENTS, schema.SettlementsPage, params)
        return [settlement async for page in pages for settlement in page.settlements]

    # --- orders ----------------------------------------------------------------------------------

    async def create_order(self, body: schema.CreateOrderBody) -> schema.CreateOrderAnswer:
        """Send an order once. ``CancelledError`` from here means that nothing was sent.

        ``UnknownOutcomeError`` and ``WireError`` mean that the order may exist.
        """
        raw = await self._rest.request(endpoints.CREATE_ORDER, body=msgspec.json.encode(body))
        return decode(raw, schema.CreateOrderAnswer, "create order answer")

    async def cancel_order(self, order_id: str, ticker: str, exchange_index: int) -> schema.CancelOrderAnswer:
        """Cancel once. The market and shard are given because an id alone is looked up on shard 0."""
        params = _params(market_ticker=ticker, exchange_index=exchange_index)
        raw = await self._rest.request(endpoints.CANCEL_ORDER, path={"order_id": order_id}, params=params)
        return decode(raw, schema.CancelOrderAnswer, "cancel order answer")

    # --- inside ----------------------------------------------------------------------------------

    async def _get(self, endpoint: Endpoint, kind: type[T], params: Params = (), **path: str) -> T:
        raw = await self._rest.request(endpoint, path=path, params=params)
        return decode(raw, kind, endpoint.path)

    async def _pages(self, endpoint: Endpoint, kind: type[P], params: Params) -> AsyncIterator[P]:
        """Every page. A cursor the venue does not know yields page one again, so repeats are an error."""
        seen = {""}
        cursor = ""
        for _ in range(MAX_PAGES):
            page = await self._get(endpoint, kind, [*params, ("cursor", cursor)] if cursor else params)
            yield page
            cursor = page.cursor
            if not cursor:
                return
            if cursor in seen:
                raise DefiniteError(
                    f"{endpoint.path}: the cursor repeats before the last page", code="cursor"
                )
            seen.add(cursor)
        raise DefiniteError(f"{endpoint.path}: no last page after {MAX_PAGES}", code="cursor")


def _params(**values: str | int | None) -> list[tuple[str, str | int]]:
    """Query parameters without those that are empty."""
    return [(name, value) for name, value in values.items() if value is not None and value != ""]
