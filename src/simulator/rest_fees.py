"""Public REST: changes of fees of series and events."""

from __future__ import annotations

from aiohttp import web

from src.core.fees import FeeSchedule
from src.simulator.answers import API, json_answer
from src.simulator.exchange import Exchange
from src.simulator.fee_board import FeeChange
from src.simulator.queries import Query, page
from src.simulator.render import Json, rfc3339


class FeesApi:
    """Handlers of fee changes."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """The routes of this part of the API."""
        return [
            web.get(f"{API}/series/fee_changes", self._series),
            web.get(f"{API}/events/fee_changes", self._events),
        ]

    async def _series(self, request: web.Request) -> web.Response:
        """Changes to come, and with ``show_historical`` those that have been made too."""
        query = Query(request.query)
        ticker, past = query.text("series_ticker"), query.flag("show_historical")
        listed = [
            _series_change(each, each.fees)
            for each in self._exchange.fee_changes
            if not each.event_ticker
            and each.fees is not None
            and ticker in ("", each.series_ticker)
            and (past or each.ts > self._exchange.now)
        ]
        return json_answer({"series_fee_change_arr": listed})

    async def _events(self, request: web.Request) -> web.Response:
        query = Query(request.query)
        ticker = query.text("event_ticker")
        found = (
            each
            for each in self._exchange.fee_changes
            if each.event_ticker and ticker in ("", each.event_ticker)
        )
        changes, cursor = page(found, query, default=100, high=1_000, newest_first=False)
        return json_answer({"event_fee_changes": [_event_change(each) for each in changes], "cursor": cursor})


def _series_change(change: FeeChange, fees: FeeSchedule) -> Json:
    return {
        "id": change.change_id,
        "series_ticker": change.series_ticker,
        "fee_type": fees.fee_type.value,
        "fee_multiplier": fees.multiplier_e4 / 10_000,
        "scheduled_ts": rfc3339(change.ts),
    }


def _event_change(change: FeeChange) -> Json:
    fees = change.fees
    return {
        "id": change.change_id,
        "event_ticker": change.event_ticker,
        "series_ticker": change.series_ticker,
        "fee_type_override": fees.fee_type.value if fees else None,
        "fee_multiplier_override": fees.multiplier_e4 / 10_000 if fees else None,
        "scheduled_ts": rfc3339(change.ts),
    }
