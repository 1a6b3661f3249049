"""Public REST: the exchange's status, its week, and how fresh the portfolio's views are."""

from __future__ import annotations

from aiohttp import web

from src.core.trading_hours import PAUSE_FROM, PAUSE_TO
from src.simulator.answers import API, json_answer
from src.simulator.exchange import Exchange
from src.simulator.render import Json, rfc3339
from src.simulator.views import AccountViews

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MIDNIGHT = "00:00"


class ExchangeApi:
    """Handlers about the exchange as a whole."""

    def __init__(self, exchange: Exchange, views: AccountViews) -> None:
        self._exchange = exchange
        self._views = views

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        return [
            web.get(f"{API}/exchange/status", self._status),
            web.get(f"{API}/exchange/schedule", self._schedule),
            web.get(f"{API}/exchange/user_data_timestamp", self._user_data_timestamp),
        ]

    async def _status(self, request: web.Request) -> web.Response:
        exchange = self._exchange
        flags: Json = {
            "exchange_active": exchange.is_exchange_active,
            "trading_active": exchange.is_trading_active,
            "intra_exchange_transfers_active": exchange.is_exchange_active,
        }
        shards = [
            {"exchange_index": index, "description": f"Shard {index}" if index else "Default", **flags}
            for index in exchange.shards
        ]
        body: Json = {**flags, "exchange_index_statuses": shards}
        resumes = exchange.resumes_at()
        if resumes is not None:
            body["exchange_estimated_resume_time"] = rfc3339(resumes)
        return json_answer(body)

    async def _schedule(self, request: web.Request) -> web.Response:
        week: Json = {day: [_open(_MIDNIGHT, _MIDNIGHT)] for day in _DAYS}
        if self._exchange.rules.weekly_pause:
            pause_from, pause_to = f"{PAUSE_FROM:%H:%M}", f"{PAUSE_TO:%H:%M}"
            week["thursday"] = [_open(_MIDNIGHT, pause_from), _open(pause_to, _MIDNIGHT)]
        hours = {"start_time": "2020-01-01T00:00:00Z", "end_time": "2100-01-01T00:00:00Z", **week}
        return json_answer({"schedule": {"standard_hours": [hours], "maintenance_windows": []}})

    async def _user_data_timestamp(self, request: web.Request) -> web.Response:
        return json_answer({"as_of_time": rfc3339(self._views.as_of)})


def _open(start: str, end: str) -> Json:
    return {"open_time": start, "close_time": end}
