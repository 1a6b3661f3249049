"""Administration of a simulated exchange's faults over HTTP. Exists only where a token was given.

Every call needs ``Authorization: Bearer TOKEN``.

* ``GET /sim/v1/faults`` -> ``{"rules": [...]}`` with counters
* ``POST /sim/v1/faults`` with one rule, or ``{"rules": [...]}`` -> 201 and the list; all or none are added
* ``DELETE /sim/v1/faults`` -> 204: no rules any more, and what lasted is undone
* ``GET /sim/v1/observations`` -> orders by client id, live orders, fills, positions, balance, requests
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from src.core.errors import ConfigError
from src.simulator.answers import json_answer
from src.simulator.faults import FaultPlan, parse_rules
from src.simulator.faults_observations import Observations
from src.simulator.wire_errors import UNREADABLE, bad_request, nested

FAULTS_PATH = "/sim/v1/faults"
OBSERVATIONS_PATH = "/sim/v1/observations"


class AdminApi:
    """Handlers for whoever holds the token."""

    def __init__(self, plan: FaultPlan, observations: Observations, token: str) -> None:
        self._plan = plan
        self._observations = observations
        self._expected = f"Bearer {token}".encode()

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        return [
            web.get(FAULTS_PATH, self._list),
            web.post(FAULTS_PATH, self._add),
            web.delete(FAULTS_PATH, self._clear),
            web.get(OBSERVATIONS_PATH, self._observe),
        ]

    def _check(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, self._expected):
            raise nested(401, "authentication_error", "the administration token is missing or wrong")

    async def _list(self, request: web.Request) -> web.Response:
        self._check(request)
        return self._answer(200)

    async def _add(self, request: web.Request) -> web.Response:
        self._check(request)
        try:
            body: Any = msgspec.json.decode(await request.read())
            raw = body["rules"] if isinstance(body, Mapping) and set(body) == {"rules"} else [body]
            rules = parse_rules(raw, "faults")
        except (*UNREADABLE, ConfigError) as error:
            raise bad_request(str(error)) from None
        for rule in rules:
            self._plan.add(rule)
        return self._answer(201)

    async def _clear(self, request: web.Request) -> web.Response:
        self._check(request)
        self._plan.clear()
        return web.Response(status=204)

    async def _observe(self, request: web.Request) -> web.Response:
        self._check(request)
        return json_answer(self._observations.document())

    def _answer(self, status: int) -> web.Response:
        return json_answer({"rules": [each.document() for each in self._plan.rules]}, status)
