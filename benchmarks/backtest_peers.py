"""The same purchases in other people's engines, where they can be imported (see ``bench_backtest``).

Each is given the ticks as it likes them best, already in memory, and only its run is timed. Neither knows
binary markets that settle at 0 or 1: what is left at the end is valued at the last price, without settlement.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

_BELOW_CENTS = 18  # the ask is assumed two cents above the last price, and bought under 20


def importable() -> list[str]:
    """Names of the peers that are installed here."""
    return [name for name in RUNNERS if importlib.util.find_spec(name) is not None]


def _ticks(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path).with_columns(pl.col("ticker").cast(pl.String))


def nautilus(path: Path) -> dict[str, float]:
    """nautilus_trader: every market a ``BinaryOption`` of one venue, trade ticks, one account."""
    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.model.currencies import USD
    from nautilus_trader.model.data import TradeTick
    from nautilus_trader.model.enums import AccountType, AggressorSide, AssetClass, OmsType, OrderSide
    from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
    from nautilus_trader.model.instruments import BinaryOption
    from nautilus_trader.model.objects import Money, Price, Quantity
    from nautilus_trader.trading.strategy import Strategy

    frame, venue = _ticks(path), Venue("KALSHI")
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(venue, OmsType.NETTING, AccountType.CASH, [Money(1_000_000, USD)], base_currency=USD)
    ids = {}
    for ticker in frame["ticker"].unique(maintain_order=True):
        ids[ticker] = InstrumentId(Symbol(ticker), venue)
        option = BinaryOption(
            instrument_id=ids[ticker],
            raw_symbol=Symbol(ticker),
            asset_class=AssetClass.ALTERNATIVE,
            currency=USD,
            price_precision=2,
            price_increment=Price.from_str("0.01"),
            size_precision=0,
            size_increment=Quantity.from_int(1),
            activation_ns=0,
            expiration_ns=2**62,
            ts_event=0,
            ts_init=0,
            maker_fee=Decimal(0),
            taker_fee=Decimal("0.07"),
        )
        engine.add_instrument(option)
    ticks = [
        TradeTick(
            ids[ticker],
            Price.from_str(f"0.{price:02d}"),
            Quantity.from_int(volume),
            AggressorSide.BUYER,
            TradeId(str(number)),
            stamp * 1_000_000,
            stamp * 1_000_000,
        )
        for number, (stamp, ticker, price, volume) in enumerate(
            frame.select("timestamp", "ticker", "price", "volume").iter_rows()
        )
    ]
    engine.add_data(ticks)

    class Buyer(Strategy):  # type: ignore[misc]
        def on_start(self) -> None:
            self.bought: set[Any] = set()
            for instrument in ids.values():
                self.subscribe_trade_ticks(instrument)

        def on_trade_tick(self, tick: Any) -> None:
            if tick.instrument_id not in self.bought and tick.price < 0.01 * _BELOW_CENTS:
                self.bought.add(tick.instrument_id)
                order = self.order_factory.market(tick.instrument_id, OrderSide.BUY, Quantity.from_int(1))
                self.submit_order(order)

    buyer = Buyer()
    engine.add_strategy(buyer)
    started = time.perf_counter()
    engine.run()
    return {"seconds": time.perf_counter() - started, "entries": len(buyer.bought)}


def hft(path: Path) -> dict[str, float]:
    """hftbacktest: one market at a time (no account is shared), each tick as a book of one level."""
    import numpy as np
    from hftbacktest import (
        BUY_EVENT,
        DEPTH_EVENT,
        EXCH_EVENT,
        GTC,
        LIMIT,
        LOCAL_EVENT,
        SELL_EVENT,
        BacktestAsset,
        HashMapMarketDepthBacktest,
    )
    from hftbacktest.types import event_dtype
    from numba import njit

    frame, kept = _ticks(path), list[Any]()

    def asset_of(rows: pl.DataFrame) -> Any:
        """One level a side: each tick takes away the level before it and puts its own."""
        data = np.zeros(4 * rows.height, event_dtype)
        stamp, price = rows["timestamp"].to_numpy() * 1_000_000, rows["price"].to_numpy() / 100
        for first, side, gap in ((0, BUY_EVENT, -0.02), (2, SELL_EVENT, 0.02)):
            quoted = np.clip(price + gap, 0.01, 0.99)
            for place, levels, size in (
                (first, np.roll(quoted, 1), 0.0),
                (first + 1, quoted, rows["volume"]),
            ):
                part = data[place::4]
                part["ev"] = DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT | side
                part["exch_ts"], part["local_ts"] = stamp, stamp + 100_000_000
                part["px"], part["qty"] = levels, size
        kept.append(data)  # the engine reads this memory and does not own it
        return (
            BacktestAsset()
            .data(data)
            .linear_asset(1.0)
            .constant_order_latency(100_000_000, 50_000_000)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.07)
            .tick_size(0.01)
            .lot_size(1.0)
        )

    @njit  # type: ignore[untyped-decorator]
    def trade(backtest: Any) -> int:
        bought = 0
        while backtest.wait_next_feed(False, 10**18) == 2:
            ask = backtest.depth(0).best_ask
            if not bought and 0 < ask < 0.2:
                bought = 1
                backtest.submit_buy_order(0, 1, ask, 1.0, GTC, LIMIT, False)
        return bought

    assets = [asset_of(rows) for _, rows in frame.group_by(["ticker"], maintain_order=True)]
    trade(HashMapMarketDepthBacktest([assets[0]]))  # compiles it
    started = time.perf_counter()
    entries = sum(trade(HashMapMarketDepthBacktest([asset])) for asset in assets)
    return {"seconds": time.perf_counter() - started, "entries": entries}


RUNNERS: dict[str, Callable[[Path], dict[str, float]]] = {"nautilus_trader": nautilus, "hftbacktest": hft}
