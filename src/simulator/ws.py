"""The trading WebSocket: connections, and the fan-out of exchange outputs to their subscriptions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import WSCloseCode, WSMsgType, web

from src.simulator import ws_account_messages, ws_messages
from src.simulator.exchange import Exchange
from src.simulator.outputs import (
    BookChange,
    EventFeesChanged,
    EventListed,
    FillMade,
    GroupChange,
    LifecycleChange,
    LifecycleStep,
    OrderChange,
    Output,
    PositionChange,
    TradePrinted,
)
from src.simulator.ratelimit import TokenBucket
from src.simulator.render import Json, millis
from src.simulator.ws_commands import Commands
from src.simulator.ws_connection import Connection, Outbox, plain_connection
from src.simulator.ws_order import as_told

PING_PAYLOAD = b"heartbeat"
BUFFERED_FRAMES = 100_000
COMMANDS_PER_SECOND = 10_000
# Clients that encode to bytes send binary frames; what a command says does not depend on it.
_COMMAND_FRAMES = frozenset({WSMsgType.TEXT, WSMsgType.BINARY})
Connect = Callable[[web.Request, web.WebSocketResponse, int], Connection]


class TradingSockets:
    """All trading connections of a server. ``frames_sent`` includes connections that are gone."""

    def __init__(
        self,
        exchange: Exchange,
        catch_up: Callable[[], None],
        *,
        monotonic: Callable[[], float],
        ping_interval: float = 10.0,
        buffered_frames: int = BUFFERED_FRAMES,
        connect: Connect = plain_connection,
    ) -> None:
        self.connections: list[Connection] = []
        self._exchange = exchange
        self._commands = Commands(exchange)
        self._monotonic = monotonic
        self._catch_up = catch_up
        self._ping_interval = ping_interval
        self._buffered_frames = buffered_frames
        self._connect = connect
        self._frames_of_gone = 0
        self._tickers: dict[str, Json] = {}
        exchange.subscribe(self._on_outputs)

    @property
    def frames_sent(self) -> int:
        """Frames handed to all connections so far (pings do not count)."""
        return self._frames_of_gone + sum(each.outbox.frames_sent for each in self.connections)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it closes. The request has been authenticated."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = self._connect(request, socket, self._buffered_frames)
        pace = TokenBucket(COMMANDS_PER_SECOND, COMMANDS_PER_SECOND, self._monotonic)
        self.connections.append(connection)
        tasks = [
            asyncio.create_task(connection.outbox.write()),
            asyncio.create_task(self._ping(connection.outbox)),
        ]
        try:
            async for message in socket:
                if message.type in _COMMAND_FRAMES:
                    self._catch_up()
                    self._commands.handle(connection, message.data, is_too_fast=not pace.take(1))
        finally:
            self.connections.remove(connection)
            self._frames_of_gone += connection.outbox.frames_sent
            for task in tasks:
                task.cancel()
            # Writing fails when the client is gone, which is why we are here.
            await asyncio.gather(*tasks, return_exceptions=True)
        return socket

    async def close(self) -> None:
        """Close every connection, as a server going away does."""
        for connection in list(self.connections):
            await connection.outbox.socket.close(code=WSCloseCode.GOING_AWAY)

    async def _ping(self, outbox: Outbox) -> None:
        while not outbox.socket.closed:
            await asyncio.sleep(self._ping_interval)
            await outbox.ping(PING_PAYLOAD)

    # --- fan-out -----------------------------------------------------------------------------------

    def _on_outputs(self, outputs: Sequence[Output]) -> None:
        if not self.connections:
            return
        for output in as_told(outputs):
            if isinstance(output, BookChange):
                self._book_change(output)
            elif isinstance(output, TradePrinted):
                self._to_all("trade", "trade", ws_messages.trade(output.trade), output.trade.ticker)
            elif isinstance(output, FillMade):
                msg = ws_account_messages.fill(output)
                self._to_owner(output.key_id, "fill", "fill", msg, output.fill.ticker)
            elif isinstance(output, OrderChange):
                msg = ws_account_messages.user_order(output)
                self._to_owner(output.key_id, "user_orders", "user_order", msg, output.order.ticker)
            elif isinstance(output, PositionChange):
                self._position(output)
            elif isinstance(output, LifecycleChange):
                self._lifecycle(output)
            elif isinstance(output, EventListed):
                state = self._exchange.events[output.event_ticker]
                body = ws_messages.event_lifecycle(self._exchange, state)
                self._to_all("market_lifecycle_v2", "event_lifecycle", body, "")
            elif isinstance(output, EventFeesChanged):
                msg = ws_messages.event_fee_update(output)
                self._to_all("market_lifecycle_v2", "event_fee_update", msg, "")
            elif isinstance(output, GroupChange):
                msg = ws_account_messages.order_group_update(output)
                self._to_owner(output.key_id, "order_group_updates", "order_group_updates", msg, "")
        self._publish_tickers(outputs)

    def _position(self, output: PositionChange) -> None:
        account = self._exchange.account(output.key_id)
        msg = ws_account_messages.market_position(account.user_id, output.position)
        ticker = output.position.ticker
        self._to_owner(output.key_id, "market_positions", "market_position", msg, ticker)

    def _lifecycle(self, output: LifecycleChange) -> None:
        state = self._exchange.markets[output.ticker]
        body = ws_messages.lifecycle(state, output)
        self._to_all("market_lifecycle_v2", "market_lifecycle_v2", body, output.ticker)
        if output.step is not LifecycleStep.CREATED:
            return
        for connection in self.connections:
            subscription = connection.subscription_of("orderbook_delta")
            if subscription is not None and subscription.wants(output.ticker):
                msg = ws_messages.book_snapshot(state, use_yes_price=subscription.use_yes_price)
                connection.publish(self._now_ms(), subscription, "orderbook_snapshot", msg)

    def _book_change(self, output: BookChange) -> None:
        state = self._exchange.markets[output.ticker]
        for connection in self.connections:
            subscription = connection.subscription_of("orderbook_delta")
            if subscription is None or not subscription.wants(output.ticker):
                continue
            msg = ws_messages.book_delta(
                state,
                output,
                use_yes_price=subscription.use_yes_price,
                own=output.key_id == connection.key_id,
            )
            connection.publish(self._now_ms(), subscription, "orderbook_delta", msg)

    def _publish_tickers(self, outputs: Sequence[Output]) -> None:
        """One ticker message per market whose top of book, price or volume changed."""
        changed = dict.fromkeys(
            output.ticker if isinstance(output, BookChange) else output.trade.ticker
            for output in outputs
            if isinstance(output, BookChange | TradePrinted)
        )
        if not any(connection.subscription_of("ticker") for connection in self.connections):
            return
        for ticker in changed:
            msg = ws_messages.ticker(self._exchange, self._exchange.markets[ticker])
            if self._tickers.get(ticker) != msg:
                self._tickers[ticker] = msg
                self._to_all("ticker", "ticker", msg | ws_messages.times(self._exchange), ticker)

    def _to_all(self, channel: str, kind: str, msg: Json, ticker: str) -> None:
        for connection in self.connections:
            self._send(connection, channel, kind, msg, ticker)

    def _to_owner(self, key_id: str, channel: str, kind: str, msg: Json, ticker: str) -> None:
        for connection in self.connections:
            if connection.key_id == key_id:
                self._send(connection, channel, kind, msg, ticker)

    def _send(self, connection: Connection, channel: str, kind: str, msg: Json, ticker: str) -> None:
        subscription = connection.subscription_of(channel)
        if subscription is not None and subscription.wants(ticker):
            connection.publish(self._now_ms(), subscription, kind, msg)

    def _now_ms(self) -> int:
        return millis(self._exchange.now)
