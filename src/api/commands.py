"""Commands to the WebSocket server, numbered and encoded, waiting to be sent.

Source: Kalshi asyncapi.yaml 2.0, the five command payloads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Literal

import msgspec

BOOKS, TRADES, LIFECYCLE = "orderbook_delta", "trade", "market_lifecycle_v2"
ORDERS, FILLS = "user_orders", "fill"
TICKER, POSITIONS, GROUPS = "ticker", "market_positions", "order_group_updates"
EXTRAS = frozenset({TICKER, POSITIONS, GROUPS})
"""Channels that the engine does not need."""
TICKERS_PER_COMMAND = 500
CHANNEL_OF_TYPE = {
    "orderbook_snapshot": BOOKS,
    "orderbook_delta": BOOKS,
    "trade": TRADES,
    "market_lifecycle_v2": LIFECYCLE,
    "event_lifecycle": LIFECYCLE,
    "event_fee_update": LIFECYCLE,
    "ticker": TICKER,
    "market_position": POSITIONS,
    "order_group_updates": GROUPS,
}
# Commands about extras are numbered apart, so that a recording replays the same with them or without.
FIRST_EXTRA_ID = 1_000_000

Action = Literal["add_markets", "delete_markets", "get_snapshot"]


class CommandQueue:
    """Commands in the order they must go out; ids start at 1 and are unique in a connection."""

    def __init__(self) -> None:
        self.encoded: deque[bytes] = deque()
        self._ids = count(1)
        self._extra_ids = count(FIRST_EXTRA_ID)

    def subscribe(self, channels: Sequence[str], tickers: Sequence[str] = ()) -> int:
        """Subscribe to ``channels``; subscribing again adds ``tickers`` to what there is. Returns the id."""
        params: dict[str, Any] = {"channels": channels}
        if tickers:
            params["market_tickers"] = tickers
        if BOOKS in channels:
            # Said explicitly, because the venue has announced that its default will change.
            params["use_yes_price"] = True
        return self._put("subscribe", params, is_extra=EXTRAS.issuperset(channels))

    def update(self, channel: str, sid: int, action: Action, tickers: Sequence[str]) -> int:
        """Change a subscription's markets, or ask for their snapshots. Returns the id."""
        params = {"sids": [sid], "action": action, "market_tickers": tickers}
        return self._put("update_subscription", params, is_extra=channel in EXTRAS)

    def unsubscribe(self, sids: Sequence[int]) -> int:
        """End subscriptions to extras. Returns the id."""
        return self._put("unsubscribe", {"sids": sids}, is_extra=True)

    def list_subscriptions(self) -> int:
        """Ask what is subscribed. Returns the id."""
        return self._put("list_subscriptions", None)

    def _put(self, name: str, params: dict[str, Any] | None, *, is_extra: bool = False) -> int:
        number = next(self._extra_ids if is_extra else self._ids)
        command: dict[str, Any] = {"id": number, "cmd": name}
        if params is not None:
            command["params"] = params
        self.encoded.append(msgspec.json.encode(command))
        return number


def chunks(tickers: Sequence[str]) -> Iterator[Sequence[str]]:
    """``tickers`` in pieces that fit one command."""
    for start in range(0, len(tickers), TICKERS_PER_COMMAND):
        yield tickers[start : start + TICKERS_PER_COMMAND]
