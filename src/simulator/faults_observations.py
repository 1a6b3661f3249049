"""What happened at the simulated exchange, for checks: its records, and every request that came."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from src.core.units import Cash, Count, Nanos, format_cash, format_count
from src.simulator import render_account
from src.simulator.exchange import Exchange
from src.simulator.records import VenueFill, VenueOrder
from src.simulator.render import Json, rfc3339

KEPT_REQUESTS = 10_000


@dataclass(slots=True)
class RequestSeen:
    """A request. ``status`` is what was answered, None if no answer left; 101 opened a WebSocket.

    ``signature`` is ``valid``, ``invalid`` or ``none``; ``faults`` names the rules that struck.
    """

    ts: Nanos
    method: str
    path: str
    query: str
    signature: str
    key_id: str
    faults: tuple[str, ...]
    status: int | None = None


class Observations:
    """Read-only views. ``requests`` keeps the last 10,000; ``request_count`` counts all."""

    def __init__(self, exchange: Exchange, tokens_spent: Callable[[], Mapping[str, float]]) -> None:
        self.requests: deque[RequestSeen] = deque(maxlen=KEPT_REQUESTS)
        self.request_count = 0
        self._exchange = exchange
        self._tokens_spent = tokens_spent

    def note(self, seen: RequestSeen) -> None:
        """Keep a request; its status is filled in when it is answered."""
        self.request_count += 1
        self.requests.append(seen)

    def orders_by_client_id(self, key_id: str) -> dict[str, list[VenueOrder]]:
        """Every order an account ever had, by client order id ("" for those without)."""
        found: dict[str, list[VenueOrder]] = defaultdict(list)
        for order in self._exchange.account(key_id).orders.values():
            found[order.client_order_id].append(order)
        return dict(found)

    def live_orders(self, key_id: str) -> list[VenueOrder]:
        """Orders that rest."""
        return list(self._exchange.account(key_id).open_orders.values())

    def fills(self, key_id: str) -> list[VenueFill]:
        """Fills, oldest first."""
        return list(self._exchange.account(key_id).fills)

    def positions(self, key_id: str) -> dict[str, Count]:
        """Signed positions that are not zero (+ YES, - NO), by market."""
        held = self._exchange.account(key_id).positions.values()
        return {each.ticker: each.count for each in held if each.count}

    def balance(self, key_id: str) -> Cash:
        """Cash."""
        return self._exchange.account(key_id).cash

    def tokens_spent(self) -> Mapping[str, float]:
        """Rate-limit tokens that requests were charged, by key id."""
        return self._tokens_spent()

    def document(self) -> Json:
        """Everything as plain data."""
        return {
            "now": rfc3339(self._exchange.now),
            "accounts": {key_id: self._account(key_id) for key_id in self._exchange.accounts},
            "tokens_spent": dict(self._tokens_spent()),
            "request_count": self.request_count,
            "requests": [
                {
                    "time": rfc3339(each.ts),
                    "method": each.method,
                    "path": each.path,
                    "query": each.query,
                    "status": each.status,
                    "signature": each.signature,
                    "key_id": each.key_id,
                    "faults": list(each.faults),
                }
                for each in self.requests
            ],
        }

    def _account(self, key_id: str) -> Json:
        by_client_id = self.orders_by_client_id(key_id).items()
        return {
            "orders_by_client_id": {
                name: [render_account.order(each) for each in orders] for name, orders in by_client_id
            },
            "live_orders": [render_account.order(each) for each in self.live_orders(key_id)],
            "fills": [render_account.fill(each) for each in self.fills(key_id)],
            "positions": {ticker: format_count(held) for ticker, held in self.positions(key_id).items()},
            "balance": format_cash(self.balance(key_id)),
        }
