"""aiohttp below httpx: a request costs a third of what it costs over httpx's own connections.

Written here because the error decides whether an order may exist: only what provably happened before the
first byte left is a connect error, everything else is a read error. And nothing is ever sent twice: aiohttp
would repeat a DELETE or PUT by itself when a kept connection turns out to be dead.
"""

from __future__ import annotations

import aiohttp
import httpx
from aiohttp.client_middlewares import ClientHandlerType
from yarl import URL


class _Once:
    """Lets one attempt of a request through."""

    def __init__(self) -> None:
        self._used = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._used:
            raise aiohttp.ClientPayloadError("the connection broke after the request began to leave")
        self._used = True
        return await handler(request)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Keep-alive HTTP/1.1 over aiohttp, for an ``httpx.AsyncClient``. Bodies are read whole.

    Raises ``httpx.ConnectError`` and ``httpx.ConnectTimeout`` when nothing was sent, ``httpx.ReadTimeout``
    and ``httpx.ReadError`` when something may have been.
    """

    def __init__(self, connections: int = 20, keepalive: float = 60.0) -> None:
        self._connections = connections
        self._keepalive = keepalive
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request`` once and read its answer."""
        session = self._session
        if session is None:
            session = self._session = self._open()
        try:
            async with session.request(
                request.method,
                URL(str(request.url), encoded=True),  # what was signed is what is sent
                headers=request.headers,
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=_timeout(request.extensions.get("timeout", {})),
                middlewares=(_Once(),),
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise httpx.ConnectError(str(error), request=request) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise httpx.ConnectTimeout(str(error), request=request) from error
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error), request=request) from error
        except (aiohttp.ClientError, OSError) as error:
            raise httpx.ReadError(f"{type(error).__name__}: {error}", request=request) from error
        return httpx.Response(
            answer.status, headers=answer.raw_headers, stream=httpx.ByteStream(body), request=request
        )

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._connections, keepalive_timeout=self._keepalive, ssl=httpx.create_ssl_context()
        )
        # httpx decodes bodies and keeps cookies itself.
        return aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )


def _timeout(limits: dict[str, float | None]) -> aiohttp.ClientTimeout:
    connect, pool = limits.get("connect"), limits.get("pool")
    return aiohttp.ClientTimeout(
        total=None,
        # aiohttp's ``connect`` spans the wait for a connection and its making.
        connect=None if connect is None or pool is None else connect + pool,
        sock_connect=connect,
        sock_read=limits.get("read"),
    )
