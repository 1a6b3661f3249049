"""What every group of REST calls needs: one typed read, reading to the last page, one change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, TypeVar

import msgspec

from src.api.decoding import decode
from src.api.endpoints import Endpoint
from src.api.rest import Params, RestTransport
from src.core.errors import DefiniteError

PAGE = 1_000
TICKERS_PER_CALL = 100
MAX_PAGES = 1_000

T = TypeVar("T")


class _Page(Protocol):
    cursor: str


P = TypeVar("P", bound=_Page)


class Calls:
    """A group of calls over one transport."""

    _rest: RestTransport

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

    async def _change(
        self,
        endpoint: Endpoint,
        kind: type[T],
        body: msgspec.Struct | dict[str, str] | None = None,
        params: Params = (),
        *,
        orders: int = 1,
        is_exit: bool = False,
        **path: str,
    ) -> T:
        raw = await self._rest.request(
            endpoint,
            path=path,
            params=params,
            body=None if body is None else msgspec.json.encode(body),
            orders=orders,
            is_exit=is_exit,
        )
        return decode(raw, kind, f"{endpoint.method} {endpoint.path}")


def in_pieces(tickers: Sequence[str]) -> list[Sequence[str]]:
    """``tickers`` in pieces that fit one call."""
    return [tickers[start : start + TICKERS_PER_CALL] for start in range(0, len(tickers), TICKERS_PER_CALL)]
