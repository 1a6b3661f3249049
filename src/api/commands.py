"""Commands to the WebSocket server, numbered and encoded, waiting to be sent.

Source: Kalshi asyncapi.yaml 2.0, ``subscribe``, ``update_subscription`` and ``list_subscriptions``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

BOOKS, TRADES, LIFECYCLE = "orderbook_delta", "trade", "market_lifecycle_v2"
ORDERS, FILLS = "user_orders", "fill"
TICKERS_PER_COMMAND = 500

Action = Literal["add_markets", "delete_markets", "get_snapshot"]


class CommandQueue:
    """Commands in the order they must go out; ids start at 1 and are unique in a connection."""

    def __init__(self) -> None:
        self.encoded: deque[bytes] = deque()
        self._last_id = 0

    def subscribe(self, channels: Sequence[str], tickers: Sequence[str] = ()) -> int:
        """Subscribe to ``channels``; subscribing again adds ``tickers`` to what there is. Returns the id."""
        params: dict[str, Any] = {"channels": channels}
        if tickers:
            params["market_tickers"] = tickers
        if BOOKS in channels:
            # Said explicitly, because the venue has announced that its default will change.
            params["use_yes_price"] = True
        return self._put("subscribe", params)

    def update(self, sid: int, action: Action, tickers: Sequence[str]) -> int:
        """Change a subscription's markets, or ask for their snapshots. Returns the id."""
        params = {"sids": [sid], "action": action, "market_tickers": tickers}
        return self._put("update_subscription", params)

    def list_subscriptions(self) -> int:
        """Ask what is subscribed. Returns the id."""
        return self._put("list_subscriptions", None)

    def _put(self, name: str, params: dict[str, Any] | None) -> int:
        self._last_id += 1
        command: dict[str, Any] = {"id": self._last_id, "cmd": name}
        if params is not None:
            command["params"] = params
        self.encoded.append(msgspec.json.encode(command))
        return self._last_id


def chunks(tickers: Sequence[str]) -> Iterator[Sequence[str]]:
    """``tickers`` in pieces that fit one command."""
    for start in range(0, len(tickers), TICKERS_PER_COMMAND):
        yield tickers[start : start + TICKERS_PER_COMMAND]
