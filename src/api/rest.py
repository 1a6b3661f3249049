"""One HTTP client for the process's life: signing, budget, time limits, retries of reads.

Reads are repeated with full jitter. Calls that create or cancel leave at most once, whatever comes back but
a 429 (a plain "no"), after which cancels and exits are repeated. Once begun they run to their end even if
the caller is cancelled.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TypeAlias
from urllib.parse import quote

import httpx

from src.api.budget import Priority, RateBudget, Sleep
from src.api.cancellation import finish
from src.api.clock_offset import ClockOffsetEstimate
from src.api.endpoints import Endpoint
from src.api.errors import NOT_SENT, RATE_LIMITED, Effect, classify, parse_error_body
from src.api.hosts import checked_url
from src.api.signing import Signer
from src.core.errors import ConfigError, FatalError, RetryableError, UnknownOutcomeError, VenueError
from src.core.units import MILLISECOND, Nanos

Params: TypeAlias = Sequence[tuple[str, str | int]]
OnBody: TypeAlias = Callable[[str, bytes], None]
"""Called with (``rest <status> <method> <path and query>``, body) for every answer, for a recording."""

READ_ATTEMPTS = 4
EXIT_ATTEMPTS = 4
BACKOFF_BASE_S = 0.25
BACKOFF_CAP_S = 8.0
# An order that waited longer than this for its turn was priced on another book.
CREATE_MAX_WAIT_S = 1.0
# Pool and connect are short, because nothing has left by then; together they bound a submit to seconds.
_TIMEOUT = httpx.Timeout(connect=3.0, read=6.0, write=3.0, pool=1.0)
_TOTAL_TIMEOUT_S = 12.0


def full_jitter(failures: int, rng: Callable[[], float], base: float, cap: float) -> float:
    """Seconds to wait after ``failures`` failures in a row (1, 2, ...): uniform below a doubling cap."""
    return rng() * min(cap, base * 2.0 ** min(failures - 1, 32))


class RestTransport:
    """Sends single requests below ``base_url`` (e.g. ``https://host/trade-api/v2``) and returns bodies."""

    def __init__(
        self,
        base_url: str,
        signer: Signer | None,
        budget: RateBudget,
        *,
        allow_production: bool = False,
        sleep: Sleep = asyncio.sleep,
        rng: Callable[[], float] = random.random,
        on_body: OnBody | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._on_body = on_body
        self._base = checked_url(base_url, ("https", "http"), allow_production=allow_production)
        self._signer = signer
        self._budget = budget
        self._sleep = sleep
        self._rng = rng
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=20, keepalive_expiry=60.0),
            follow_redirects=False,
            trust_env=False,
        )
        self._headers = {
            "Accept": "application/json",
            "Accept-Language": "en",
            "Accept-Encoding": self._http.headers["Accept-Encoding"],
            "User-Agent": self._http.headers["User-Agent"],
        }
        self._headers_of_body = self._headers | {"Content-Type": "application/json"}
        self._parsed: dict[str, httpx.URL] = {}
        self.clock = ClockOffsetEstimate()

    @property
    def clock_offset(self) -> Nanos | None:
        """Our wall clock minus the exchange's, as measured so far."""
        offset = self.clock.offset_ms
        return None if offset is None else int(offset * MILLISECOND)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def room(self, endpoint: Endpoint, *, is_exit: bool) -> int:
        """How many orders of a batch the budget can pay for now, at least one."""
        return self._budget.bucket(endpoint).room(self._budget.cost(endpoint), _priority(endpoint, is_exit))

    def prepare(self, endpoint: Endpoint) -> None:
        """Sign the next call of ``endpoint`` (whose path has no arguments) ahead of time."""
        if self._signer is not None:
            self._signer.prepare(endpoint.method, _signed_path(httpx.URL(self._base + endpoint.path)))

    async def request(
        self,
        endpoint: Endpoint,
        *,
        path: Mapping[str, str] | None = None,
        params: Params = (),
        body: bytes | None = None,
        orders: int = 1,
        is_exit: bool = False,
    ) -> bytes:
        """Call ``endpoint`` with ``path`` arguments filled in; returns the body of a success.

        ``orders``: how many orders the call is charged for. ``is_exit``: an order that only reduces a
        position. Raises ``VenueError`` of the class that says what to do, ``ConfigError`` for a private
        call without a key. For a call that creates or cancels, ``CancelledError`` leaves this method only
        while it waits for the rate budget: then nothing has been done.
        """
        if endpoint.private and self._signer is None:
            raise ConfigError(f"{endpoint.method} {endpoint.path} needs KALSHI_API_KEY and KALSHI_API_SECRET")
        filled = {name: quote(value, safe="") for name, value in (path or {}).items()}
        url = self._base + endpoint.path.format(**filled)
        if endpoint.effect is Effect.READ:
            return await self._repeated(endpoint, url, params)
        return await self._at_most_once(endpoint, url, params, body, orders, _priority(endpoint, is_exit))

    async def _repeated(self, endpoint: Endpoint, url: str, params: Params) -> bytes:
        failures = 0
        signed_again = False
        while True:
            await self._budget.bucket(endpoint).acquire(self._budget.cost(endpoint))
            try:
                return await self._once(endpoint, url, params, None)
            except RetryableError:
                failures += 1
                if failures >= READ_ATTEMPTS:
                    raise
            except FatalError as error:
                if error.status != 401 or signed_again:
                    raise
                signed_again = True
                continue
            await self._back_off(failures)

    async def _at_most_once(
        self,
        endpoint: Endpoint,
        url: str,
        params: Params,
        body: bytes | None,
        orders: int,
        priority: Priority,
    ) -> bytes:
        max_wait = CREATE_MAX_WAIT_S if endpoint.effect is Effect.CREATE else None
        failures = 0
        while True:
            cost = self._budget.cost(endpoint) * orders
            await self._budget.bucket(endpoint).acquire(cost, priority, max_wait)
            try:
                return await finish(self._once(endpoint, url, params, body))
            except RetryableError as error:
                failures += 1
                refused = error.code == RATE_LIMITED
                if not refused or priority is not Priority.EXIT or failures >= EXIT_ATTEMPTS:
                    raise
            await self._back_off(failures)

    async def _back_off(self, failures: int) -> None:
        await self._sleep(full_jitter(failures, self._rng, BACKOFF_BASE_S, BACKOFF_CAP_S))

    async def _once(self, endpoint: Endpoint, url: str, params: Params, body: bytes | None) -> bytes:
        """Send one signed request and read its answer."""
        request = self._request(endpoint, url, params, body)
        sent_ms = self._signer.wall_ms() if self._signer else None
        try:
            async with asyncio.timeout(_TOTAL_TIMEOUT_S):
                response = await self._http.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise RetryableError(f"{_about(endpoint, error)}: nothing was sent", code=NOT_SENT) from error
        except (httpx.RequestError, TimeoutError) as error:
            raise self._no_answer(endpoint, error) from error
        except asyncio.CancelledError as error:
            if endpoint.effect is Effect.READ:
                raise
            raise self._no_answer(endpoint, error) from error
        if sent_ms is not None:
            self._measure_clock(sent_ms, response)
        if self._on_body is not None:
            target = request.url.raw_path.decode("ascii")
            self._on_body(f"rest {response.status_code} {endpoint.method} {target}", response.content)
        if response.is_success or _is_normal_answer(endpoint, response):
            return response.content
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self._budget.bucket(endpoint).drain()
        raise classify(endpoint.effect, response.status_code, response.content)

    def _request(self, endpoint: Endpoint, url: str, params: Params, body: bytes | None) -> httpx.Request:
        """The request, signed. Its making is a good part of what an order waits for before it leaves."""
        parsed = self._parsed.get(url)
        if parsed is None:
            parsed = httpx.URL(url)
            if url == self._base + endpoint.path:  # others are as many as there are orders and markets
                self._parsed[url] = parsed
        if params:
            parsed = parsed.copy_merge_params(list(params))
        headers = self._headers if body is None else self._headers_of_body
        if self._signer is not None:
            # The bytes that go over the wire are signed: re-encoding the path would break the signature.
            headers = headers | self._signer.headers(endpoint.method, _signed_path(parsed))
        extensions = {"timeout": _TIMEOUT.as_dict()}
        request = httpx.Request(endpoint.method, parsed, headers=headers, content=body, extensions=extensions)
        if self._http.cookies:
            self._http.cookies.set_cookie_header(request)
        return request

    @staticmethod
    def _no_answer(endpoint: Endpoint, error: BaseException) -> VenueError:
        kind = RetryableError if endpoint.effect is Effect.READ else UnknownOutcomeError
        return kind(f"{_about(endpoint, error)}: no answer", code="no_answer")

    def _measure_clock(self, sent_ms: int, response: httpx.Response) -> None:
        date = response.headers.get("date")
        # An edge cache repeats the origin's old Date.
        if self._signer is None or date is None or response.headers.get("age", "0") != "0":
            return
        try:
            date_ms = int(parsedate_to_datetime(date).timestamp()) * 1_000
        except ValueError:
            return
        self.clock.add(sent_ms, self._signer.wall_ms(), date_ms)


def _priority(endpoint: Endpoint, is_exit: bool) -> Priority:
    return Priority.EXIT if is_exit or endpoint.effect is Effect.CANCEL else Priority.NORMAL


def _signed_path(url: httpx.URL) -> str:
    return url.raw_path.partition(b"?")[0].decode("ascii")


def _is_normal_answer(endpoint: Endpoint, response: httpx.Response) -> bool:
    if response.status_code not in endpoint.answers:
        return False
    error = parse_error_body(response.content)
    return error is not None and not error.text


def _about(endpoint: Endpoint, error: BaseException) -> str:
    detail = f": {error}" if str(error) else ""
    return f"{endpoint.method} {endpoint.path}: {type(error).__name__}{detail}"
