"""One HTTP client for the process's life: signing, budget, time limits, retries of reads.

Reads are repeated with full jitter. Calls that create or cancel leave at most once, whatever comes back,
and once begun they run to their end even if the caller is cancelled.
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
from src.api.endpoints import Bucket, Endpoint
from src.api.errors import NOT_SENT, Effect, classify, parse_error_body
from src.api.hosts import checked_url
from src.api.signing import Signer
from src.core.errors import ConfigError, FatalError, RetryableError, UnknownOutcomeError, VenueError
from src.core.units import MILLISECOND, Nanos

Params: TypeAlias = Sequence[tuple[str, str | int]]
OnBody: TypeAlias = Callable[[str, bytes], None]
"""Called with (``rest <status> <method> <path and query>``, body) for every answer, for a recording."""

READ_ATTEMPTS = 4
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
    ) -> None:
        self._on_body = on_body
        self._base = checked_url(base_url, ("https", "http"), allow_production=allow_production)
        self._signer = signer
        self._budget = budget
        self._sleep = sleep
        self._rng = rng
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=20, keepalive_expiry=60.0),
            headers={"Accept": "application/json", "Accept-Language": "en"},
            follow_redirects=False,
            trust_env=False,
        )
        self.clock_offset: Nanos | None = None
        """Our wall clock minus the exchange's, as last measured (good to about half a second)."""

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def request(
        self,
        endpoint: Endpoint,
        *,
        path: Mapping[str, str] | None = None,
        params: Params = (),
        body: bytes | None = None,
    ) -> bytes:
        """Call ``endpoint`` with ``path`` arguments filled in; returns the body of a success.

        Raises ``VenueError`` of the class that says what to do, ``ConfigError`` for a private call
        without a key. For a call that creates or cancels, ``CancelledError`` leaves this method only
        while it waits for the rate budget: then nothing was sent.
        """
        if endpoint.private and self._signer is None:
            raise ConfigError(f"{endpoint.method} {endpoint.path} needs KALSHI_API_KEY and KALSHI_API_SECRET")
        filled = {name: quote(value, safe="") for name, value in (path or {}).items()}
        url = self._base + endpoint.path.format(**filled)
        if endpoint.effect is not Effect.READ:
            await self._admit(endpoint)
            return await finish(self._once(endpoint, url, params, body))
        failures = 0
        signed_again = False
        while True:
            await self._admit(endpoint)
            try:
                return await self._once(endpoint, url, params, body)
            except RetryableError:
                failures += 1
                if failures >= READ_ATTEMPTS:
                    raise
            except FatalError as error:
                if error.status != 401 or signed_again:
                    raise
                signed_again = True
                continue
            await self._sleep(full_jitter(failures, self._rng, BACKOFF_BASE_S, BACKOFF_CAP_S))

    async def _admit(self, endpoint: Endpoint) -> None:
        match endpoint.bucket:
            case Bucket.READ:
                await self._budget.read.acquire(endpoint.cost)
            case Bucket.BALANCE:
                await self._budget.balance.acquire(endpoint.cost)
            case Bucket.WRITE if endpoint.effect is Effect.CANCEL:
                await self._budget.write.acquire(endpoint.cost, Priority.CANCEL)
            case Bucket.WRITE:
                await self._budget.write.acquire(endpoint.cost, max_wait=CREATE_MAX_WAIT_S)

    async def _once(self, endpoint: Endpoint, url: str, params: Params, body: bytes | None) -> bytes:
        """Send one signed request and read its answer."""
        request = self._http.build_request(endpoint.method, url, params=list(params) or None, content=body)
        if body is not None:
            request.headers["Content-Type"] = "application/json"
        if self._signer is not None:
            # The bytes that go over the wire are signed: re-encoding the path would break the signature.
            path = request.url.raw_path.partition(b"?")[0].decode("ascii")
            request.headers.update(self._signer.headers(endpoint.method, path))
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
        raise classify(endpoint.effect, response.status_code, response.content)

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
            venue_ms = int(parsedate_to_datetime(date).timestamp() * 1_000) + 500
        except ValueError:
            return
        self.clock_offset = ((sent_ms + self._signer.wall_ms()) // 2 - venue_ms) * MILLISECOND


def _is_normal_answer(endpoint: Endpoint, response: httpx.Response) -> bool:
    if response.status_code not in endpoint.answers:
        return False
    error = parse_error_body(response.content)
    return error is not None and not error.text


def _about(endpoint: Endpoint, error: BaseException) -> str:
    detail = f": {error}" if str(error) else ""
    return f"{endpoint.method} {endpoint.path}: {type(error).__name__}{detail}"
