"""The client of the Kalshi Trade API v2: every call typed, lists read to their last page."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import httpx

from src.api import endpoints
from src.api.archive_calls import ArchiveCalls
from src.api.budget import RateBudget, Sleep
from src.api.order_calls import OrderCalls
from src.api.rest import OnBody, RestTransport
from src.api.signing import Signer
from src.core.units import MILLISECOND, Nanos


class KalshiClient(ArchiveCalls, OrderCalls):
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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.budget = budget or RateBudget()
        self._sleep = sleep
        self._rest = RestTransport(
            base_url,
            signer,
            self.budget,
            allow_production=allow_production,
            sleep=sleep,
            rng=rng,
            on_body=on_body,
            transport=transport,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._rest.aclose()

    @property
    def clock_offset(self) -> Nanos | None:
        """Our wall clock minus the exchange's; None before a signed call.

        Good to half a second after one answer and to a few hundredths after some dozens.
        """
        return self._rest.clock_offset

    @property
    def least_clock_offset(self) -> Nanos:
        """What the offset is at the least, without its sign, whatever the measurement's own error."""
        return self._rest.clock.least_ms * MILLISECOND

    async def keep_signature_ready(self, every: float = 1.0) -> None:
        """Sign the next order ahead of time, again each second, until cancelled.

        Takes the signature (0.5 ms and more with an RSA key) off the order's way. Each one is used once and
        none is older than two seconds when it is.
        """
        while True:
            self._rest.prepare(endpoints.CREATE_ORDER)
            await self._sleep(every)
