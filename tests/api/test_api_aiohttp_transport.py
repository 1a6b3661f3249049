"""The aiohttp transport: what it sends, and above all which error it reports when something breaks."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from src.api.aiohttp_transport import AiohttpTransport
from src.api.budget import RateBudget
from src.api.endpoints import CREATE_ORDER
from src.api.errors import NOT_SENT
from src.api.rest import RestTransport
from src.api.signing import Signer
from src.core.errors import RetryableError, UnknownOutcomeError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Twice: a\r\nX-Twice: b\r\n\r\nok"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


class Peer:
    """A server that reads whole requests and then does what ``talk`` says."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                request = head + await reader.readexactly(int(fields.get(b"content-length", 0)))
                self.requests.append(request)
                await self._talk(reader, writer, request)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def answer_ok(_: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(OK)


@asynccontextmanager
async def running(talk: Talk) -> AsyncIterator[tuple[Peer, httpx.AsyncClient]]:
    peer = Peer(talk)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with httpx.AsyncClient(transport=AiohttpTransport(), base_url=url, timeout=5.0) as client:
        yield peer, client
    server.close()


async def test_path_headers_and_body_leave_as_they_were_given() -> None:
    """The signature covers the encoded path, so nothing may re-encode it; headers are not added twice."""
    async with running(answer_ok) as (peer, client):
        answer = await client.post("/a%2Fb/c%20d?x=1%2C2", content=b'{"a":1}', headers={"X-Sign": "s=="})
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert head.startswith(b"POST /a%2Fb/c%20d?x=1%2C2 HTTP/1.1\r\n")
    assert b"x-sign: s==" in head.lower()
    assert body == b'{"a":1}'
    assert len(names) == len(set(names))
    assert (answer.status_code, answer.content) == (200, b"ok")
    assert answer.headers.get_list("x-twice") == ["a", "b"]


async def test_compressed_answers_are_decoded_once() -> None:
    """aiohttp hands the body over as it came; httpx decodes it."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        packed = gzip.compress(b'{"b":2}')
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
        writer.write(head.encode() + packed)

    async with running(talk) as (_, client):
        assert (await client.get("/")).json() == {"b": 2}


async def test_a_refused_connection_says_that_nothing_was_sent() -> None:
    """Nobody listens: a connect error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        async with httpx.AsyncClient(transport=AiohttpTransport()) as client:
            with pytest.raises(httpx.ConnectError):
                await client.post(url, content=b"{}")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "GET"])
@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
async def test_a_connection_that_breaks_after_the_request_is_a_read_error_and_not_repeated(
    method: str, kept: bool
) -> None:
    """The order may exist: neither "nothing was sent" nor a second attempt."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        if b"/first" in request:
            writer.write(OK)
        else:
            writer.close()

    async with running(talk) as (peer, client):
        if kept:
            await client.get("/first")
        with pytest.raises(httpx.ReadError):
            await client.request(method, "/then", content=b"{}")
    assert sum(b"/then" in request for request in peer.requests) == 1


@pytest.mark.parametrize("partial", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"])
async def test_silence_after_the_request_is_a_read_timeout(partial: bytes) -> None:
    """No answer, or half of one."""
    done = asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.write(partial)
        await done.wait()

    async with running(talk) as (peer, client):
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/", content=b"{}", timeout=httpx.Timeout(5.0, read=0.05))
        done.set()
    assert len(peer.requests) == 1


async def test_half_an_answer_is_a_read_error() -> None:
    """A body cut off by the end of the connection is not an answer."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async with running(talk) as (_, client):
        with pytest.raises(httpx.ReadError):
            await client.post("/", content=b"{}")


async def test_an_exhausted_pool_says_that_nothing_was_sent() -> None:
    """Waiting for a free connection in vain is a connect timeout."""
    release = asyncio.Event()
    entered = asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        entered.set()
        await release.wait()
        writer.write(OK)

    peer = Peer(talk)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with httpx.AsyncClient(transport=AiohttpTransport(connections=1)) as client:
        first = asyncio.create_task(client.get(url))
        await entered.wait()
        with pytest.raises(httpx.ConnectTimeout):
            await client.get(url, timeout=httpx.Timeout(5.0, connect=0.02, pool=0.02))
        release.set()
        assert (await first).content == b"ok"
    server.close()
    assert len(peer.requests) == 1


async def test_an_order_whose_connection_broke_is_unknown_and_one_never_connected_was_not_sent(
    signer: Signer,
) -> None:
    """What the order path makes of it: a broken connection must never read as "nothing was sent"."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.close()

    peer = Peer(talk)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/trade-api/v2"
    rest = RestTransport(base, signer, RateBudget(), transport=AiohttpTransport())
    with pytest.raises(UnknownOutcomeError):
        await rest.request(CREATE_ORDER, body=b"{}")
    server.close()
    await server.wait_closed()
    with pytest.raises(RetryableError) as refused:
        await rest.request(CREATE_ORDER, body=b"{}")
    await rest.aclose()
    assert refused.value.code == NOT_SENT
    assert len(peer.requests) == 1
