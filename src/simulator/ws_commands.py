"""Commands of the trading WebSocket: subscribe, update, unsubscribe, list; with Kalshi's error codes."""

from __future__ import annotations

from typing import Any

import msgspec

from src.core.errors import TradingSystemError
from src.simulator import ws_messages
from src.simulator.exchange import Exchange
from src.simulator.render import Json, millis
from src.simulator.wire_errors import UNREADABLE
from src.simulator.ws_connection import CHANNELS, UNFILTERED, Connection, Subscription

CANNOT_PROCESS, PARAMS_REQUIRED, CHANNELS_REQUIRED, SIDS_REQUIRED, UNKNOWN_COMMAND = 1, 2, 3, 4, 5
UNKNOWN_SID, UNKNOWN_CHANNEL, INVALID_PARAMETER, ONE_SID, UNSUPPORTED_ACTION = 7, 8, 11, 12, 13
TICKER_REQUIRED, ACTION_REQUIRED, TOO_MANY_MARKETS, TOO_MANY_COMMANDS = 14, 15, 26, 27
SHARD_FACTOR_LOW, SHARD_FACTOR_NEEDED, SHARD_KEY_RANGE, SHARD_FACTOR_HIGH = 19, 20, 21, 22
MOST_MARKETS = 500_000
_MOST_SHARD_FACTOR = 100


class CommandError(TradingSystemError):
    """A command that is answered with an error frame."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Commands:
    """Executes the commands of connections."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def handle(self, connection: Connection, text: str | bytes, *, is_too_fast: bool) -> None:
        """Execute one command frame and send its answers; ``is_too_fast`` refuses it."""
        command_id = 0
        try:
            command = _decoded(text)
            command_id = _command_id(command)
            if is_too_fast:
                raise CommandError(TOO_MANY_COMMANDS, "Too many requests")
            self._dispatch(connection, command_id, command)
        except CommandError as error:
            msg = {"code": error.code, "msg": str(error)}
            connection.reply(self._now_ms(), {"type": "error", "msg": msg}, command_id)

    def _dispatch(self, connection: Connection, command_id: int, command: Json) -> None:
        name = command.get("cmd")
        if name == "list_subscriptions":
            listed = [
                {"channel": each.channel, "sid": each.sid} for each in connection.subscriptions.values()
            ]
            connection.reply(self._now_ms(), {"type": "ok", "msg": listed}, command_id)
            return
        handlers = {
            "subscribe": self._subscribe,
            "update_subscription": self._update,
            "unsubscribe": self._unsubscribe,
        }
        handler = handlers.get(name) if isinstance(name, str) else None
        if handler is None:
            raise CommandError(UNKNOWN_COMMAND, "Unknown command")
        params = command.get("params")
        if not isinstance(params, dict):
            raise CommandError(PARAMS_REQUIRED, "Params required")
        given = {key: value for key, value in params.items() if value is not None}
        handler(connection, command_id, given)

    def _subscribe(self, connection: Connection, command_id: int, params: Json) -> None:
        channels = _strings(params, "channels")
        if not channels:
            raise CommandError(CHANNELS_REQUIRED, "Channels required")
        if any(channel not in CHANNELS for channel in channels):
            raise CommandError(UNKNOWN_CHANNEL, "Unknown channel name")
        tickers = self._tickers(params)
        if "orderbook_delta" in channels and not tickers:
            raise CommandError(TICKER_REQUIRED, "Market ticker required")
        if "communications" in channels:
            _check_sharding(params)
        for channel in dict.fromkeys(channels):
            filtered = None if channel in UNFILTERED else tickers
            existing = connection.subscription_of(channel)
            if existing is not None:
                self._add(connection, existing, filtered, command_id, params)
                continue
            wanted = dict.fromkeys(filtered) if filtered else None
            _check_size(len(wanted or ()))
            subscription = connection.add_subscription(channel, wanted)
            subscription.use_yes_price = params.get("use_yes_price") is True
            subscription.skip_ticker_ack = params.get("skip_ticker_ack") is True
            msg = {"channel": channel, "sid": subscription.sid}
            connection.reply(self._now_ms(), {"type": "subscribed", "msg": msg}, command_id)
            self._snapshots(connection, subscription, filtered or [], params)

    def _update(self, connection: Connection, command_id: int, params: Json) -> None:
        subscription = _one_subscription(connection, params)
        action = params.get("action")
        if not action:
            raise CommandError(ACTION_REQUIRED, "Action required")
        if not isinstance(action, str) or action not in {"add_markets", "delete_markets", "get_snapshot"}:
            raise CommandError(UNSUPPORTED_ACTION, "Unsupported action")
        tickers = self._tickers(params)
        if not tickers:
            raise CommandError(TICKER_REQUIRED, "Market ticker required")
        if subscription.channel in UNFILTERED:
            raise CommandError(UNSUPPORTED_ACTION, "Unsupported action")
        if action == "add_markets":
            self._add(connection, subscription, tickers, command_id, params)
        elif action == "delete_markets":
            self._delete(connection, subscription, tickers, command_id)
        elif subscription.channel == "orderbook_delta":
            self._snapshots(connection, subscription, tickers, params, command_id)
        else:
            raise CommandError(UNSUPPORTED_ACTION, "Unsupported action")

    def _add(
        self,
        connection: Connection,
        subscription: Subscription,
        tickers: list[str] | None,
        command_id: int,
        params: Json,
    ) -> None:
        """Add markets (none named: all) to a subscription; known ones are ignored."""
        new: list[str] = []
        if tickers is None:
            subscription.tickers = None
        elif subscription.tickers is not None:
            new = [ticker for ticker in dict.fromkeys(tickers) if ticker not in subscription.tickers]
            _check_size(len(subscription.tickers) + len(new))
            subscription.tickers |= dict.fromkeys(new)
        self._acknowledge(connection, subscription, command_id)
        self._snapshots(connection, subscription, new, params)

    def _delete(
        self, connection: Connection, subscription: Subscription, tickers: list[str], command_id: int
    ) -> None:
        if subscription.tickers is None:
            raise CommandError(INVALID_PARAMETER, "The subscription has no market filter")
        for ticker in tickers:
            subscription.tickers.pop(ticker, None)
        self._acknowledge(connection, subscription, command_id)

    def _acknowledge(self, connection: Connection, subscription: Subscription, command_id: int) -> None:
        frame: Json = {"type": "ok", "sid": subscription.sid, "seq": subscription.next_seq()}
        if not subscription.skip_ticker_ack:
            frame["msg"] = {"market_tickers": list(subscription.tickers or ())}
        connection.reply(self._now_ms(), frame, command_id)

    def _unsubscribe(self, connection: Connection, command_id: int, params: Json) -> None:
        sids = params.get("sids")
        if not isinstance(sids, list) or not sids:
            raise CommandError(SIDS_REQUIRED, "Subscription ids required")
        ended = [_subscription(connection, sid) for sid in sids]
        for sid, subscription in {each.sid: each for each in ended}.items():
            del connection.subscriptions[sid]
            frame = {"type": "unsubscribed", "sid": sid, "seq": subscription.next_seq()}
            connection.reply(self._now_ms(), frame, command_id)

    def _snapshots(
        self,
        connection: Connection,
        subscription: Subscription,
        tickers: list[str],
        params: Json,
        command_id: int = 0,
    ) -> None:
        """First messages about markets; those not listed yet get theirs when they are."""
        for ticker in tickers:
            state = self._exchange.markets.get(ticker)
            if state is None:
                continue
            if subscription.channel == "orderbook_delta":
                msg = ws_messages.book_snapshot(state, use_yes_price=subscription.use_yes_price)
                connection.publish(self._now_ms(), subscription, "orderbook_snapshot", msg, command_id)
            elif subscription.channel == "ticker" and params.get("send_initial_snapshot") is True:
                msg = ws_messages.ticker(self._exchange, state) | ws_messages.times(self._exchange)
                connection.publish(self._now_ms(), subscription, "ticker", msg)

    def _tickers(self, params: Json) -> list[str] | None:
        """Tickers named by the parameters, by ticker or by market id; None when there are none."""
        named = [
            name for name in ("market_ticker", "market_tickers", "market_id", "market_ids") if name in params
        ]
        if len(named) > 1:
            raise CommandError(INVALID_PARAMETER, f"{named[0]} and {named[1]} exclude each other")
        if not named:
            return None
        values = _strings(params, named[0])
        if named[0] in {"market_ticker", "market_tickers"}:
            return values
        by_id = {state.market_id: ticker for ticker, state in self._exchange.markets.items()}
        if any(value not in by_id for value in values):
            raise CommandError(INVALID_PARAMETER, "Unknown market id")
        return [by_id[value] for value in values]

    def _now_ms(self) -> int:
        return millis(self._exchange.now)


def _decoded(text: str | bytes) -> Json:
    try:
        command: Any = msgspec.json.decode(text)
    except UNREADABLE:
        raise CommandError(CANNOT_PROCESS, "Unable to process message") from None
    if not isinstance(command, dict):
        raise CommandError(CANNOT_PROCESS, "Unable to process message")
    return command


def _command_id(command: Json) -> int:
    value = command.get("id")
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise CommandError(INVALID_PARAMETER, "id must be a non-negative integer")
    return value


def _check_size(markets: int) -> None:
    if markets > MOST_MARKETS:
        raise CommandError(TOO_MANY_MARKETS, "Subscription market limit exceeded")


def _check_sharding(params: Json) -> None:
    """``shard_factor`` and ``shard_key`` of the communications channel."""
    factor, key = params.get("shard_factor"), params.get("shard_key")
    if factor is None and key is None:
        return
    if factor is None:
        raise CommandError(SHARD_FACTOR_NEEDED, "shard_factor is required when shard_key is set")
    if type(factor) is not int or factor <= 0:
        raise CommandError(SHARD_FACTOR_LOW, "shard_factor must be > 0")
    if factor > _MOST_SHARD_FACTOR:
        raise CommandError(SHARD_FACTOR_HIGH, "shard_factor must be <= 100")
    if key is not None and (type(key) is not int or not 0 <= key < factor):
        raise CommandError(SHARD_KEY_RANGE, "shard_key must be >= 0 and < shard_factor")


def _strings(params: Json, name: str) -> list[str]:
    value = params.get(name, [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise CommandError(INVALID_PARAMETER, f"{name}: expected strings")
    return values


def _one_subscription(connection: Connection, params: Json) -> Subscription:
    sids = params.get("sids", [params["sid"]] if "sid" in params else [])
    if not isinstance(sids, list) or len(sids) != 1:
        raise CommandError(ONE_SID, "Exactly one subscription id required")
    return _subscription(connection, sids[0])


def _subscription(connection: Connection, sid: object) -> Subscription:
    # True would be found where 1 is, and lists cannot be looked up at all.
    subscription = connection.subscriptions.get(sid) if type(sid) is int else None
    if subscription is None:
        raise CommandError(UNKNOWN_SID, "Unknown subscription id")
    return subscription
