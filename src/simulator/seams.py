"""Where a plan of faults may interfere with the wire server: the three seams, as one protocol.

The server works without a plan; with one it asks at these seams and does what it is told. The
exchange itself is never interfered with: what a fault hides or breaks has happened all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from src.core.units import Nanos

if TYPE_CHECKING:
    from src.simulator.ws_connection import Outbox


class FaultPlan(Protocol):
    """What may go wrong between the exchange and its clients."""

    async def before(self, request: web.Request) -> web.StreamResponse | None:
        """Asked before a REST request is authenticated; an answer is sent and nothing executed."""

    async def after(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """Asked after a REST request was executed; returns what the client gets to see."""

    async def frames(self, outbox: Outbox, text: str) -> Sequence[str]:
        """Asked before a trading frame is written; returns what is written instead (none: it is lost)."""

    def read_lag(self) -> Nanos:
        """How far the portfolio's REST views stay behind, on top of ``VenueRules.read_lag``."""
