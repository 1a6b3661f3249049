"""WebSocket message bodies of the public channels: what an exchange output looks like on each."""

from __future__ import annotations

from src.core.sides import BookSide
from src.core.units import (
    DOLLAR_CASH,
    DOLLAR_PRICE,
    SECOND,
    format_count,
    format_price,
)
from src.simulator.exchange import Exchange
from src.simulator.outputs import (
    BookChange,
    EventFeesChanged,
    LifecycleChange,
    LifecycleStep,
)
from src.simulator.records import Trade
from src.simulator.render import (
    Json,
    expected_expiration,
    ladder,
    millis,
    no_price,
    outcome_of,
    price_level_structure,
    price_ranges,
    rfc3339,
    strike,
)
from src.simulator.states import EventState, MarketState


def book_snapshot(state: MarketState, *, use_yes_price: bool) -> Json:
    """``orderbook_snapshot``: the key of an empty side is missing."""
    body: Json = {
        "market_ticker": state.market.ticker,
        "market_id": state.market_id,
        "clock": state.clock,
    }
    bids, asks = state.book.levels(BookSide.BID), state.book.levels(BookSide.ASK)
    if bids:
        body["yes_dollars_fp"] = ladder(bids)
    if asks:
        body["no_dollars_fp"] = ladder(asks, as_no=not use_yes_price)
    return body


def book_delta(state: MarketState, change: BookChange, *, use_yes_price: bool, own: bool) -> Json:
    """``orderbook_delta``; ``own`` adds the client order id of the changed order."""
    is_ask = change.side is BookSide.ASK
    shown = DOLLAR_PRICE - change.price if is_ask and not use_yes_price else change.price
    body: Json = {
        "market_ticker": change.ticker,
        "market_id": state.market_id,
        "clock": change.clock,
        "price_dollars": format_price(shown),
        "delta_fp": format_count(change.delta),
        "side": "no" if is_ask else "yes",
        "ts_ms": millis(change.ts),
        "ts": rfc3339(change.ts),
    }
    if own:
        body["client_order_id"] = change.client_order_id
        body["subaccount"] = 0
    return body


def ticker(exchange: Exchange, state: MarketState) -> Json:
    """``ticker`` without its times: equal bodies mean that nothing changed."""
    book = state.book
    bid, ask = book.best(BookSide.BID), book.best(BookSide.ASK)
    interest = exchange.open_interest(state.market.ticker)
    price = state.last_price or 0
    return {
        "market_id": state.market_id,
        "market_ticker": state.market.ticker,
        "price_dollars": format_price(price),
        "yes_bid_dollars": format_price(bid or 0),
        "yes_ask_dollars": format_price(DOLLAR_PRICE if ask is None else ask),
        "yes_bid_size_fp": format_count(0 if bid is None else book.size_at(BookSide.BID, bid)),
        "yes_ask_size_fp": format_count(0 if ask is None else book.size_at(BookSide.ASK, ask)),
        "last_trade_size_fp": format_count(state.last_size),
        "volume_fp": format_count(state.volume),
        "open_interest_fp": format_count(interest),
        "dollar_volume": state.turnover // DOLLAR_CASH,
        "dollar_open_interest": interest * price // DOLLAR_CASH,
    }


def times(exchange: Exchange) -> Json:
    """The three forms of now on a ticker."""
    now = exchange.now
    return {"ts": now // SECOND, "ts_ms": millis(now), "time": rfc3339(now)}


def trade(made: Trade) -> Json:
    """``trade``."""
    outcome = outcome_of(made.taker_side)
    return {
        "trade_id": made.trade_id,
        "market_ticker": made.ticker,
        "yes_price_dollars": format_price(made.price),
        "no_price_dollars": no_price(made.price),
        "count_fp": format_count(made.count),
        "taker_outcome_side": outcome,
        "taker_book_side": made.taker_side.value,
        "taker_side": outcome,
        "is_block_trade": False,
        "ts": made.ts // SECOND,
        "ts_ms": millis(made.ts),
    }


def lifecycle(state: MarketState, change: LifecycleChange) -> Json:
    """``market_lifecycle_v2``."""
    market = state.market
    body: Json = {"event_type": change.step.value, "market_ticker": market.ticker}
    if change.step is LifecycleStep.CREATED:
        body |= _created(state)
    elif change.step in {LifecycleStep.ACTIVATED, LifecycleStep.DEACTIVATED}:
        body["is_deactivated"] = change.step is LifecycleStep.DEACTIVATED
    elif change.step is LifecycleStep.CLOSE_DATE_UPDATED:
        body["close_ts"] = market.close_time // SECOND
    elif change.step is LifecycleStep.PRICE_LEVEL_STRUCTURE_UPDATED:
        body["price_level_structure"] = price_level_structure(market.grid)
        body["price_ranges"] = price_ranges(market.grid)
    elif change.step is LifecycleStep.DETERMINED:
        body["determination_ts"] = change.ts // SECOND
        body["result"] = market.result
        if market.settlement_value is not None:
            body["settlement_value"] = format_price(market.settlement_value)
    else:
        body["settled_ts"] = change.ts // SECOND
    return body


def _created(state: MarketState) -> Json:
    market = state.market
    return {
        "exchange_index": market.exchange_index,
        "open_ts": market.open_time // SECOND,
        "close_ts": market.close_time // SECOND,
        "price_level_structure": price_level_structure(market.grid),
        "price_ranges": price_ranges(market.grid),
        "additional_metadata": {
            "name": market.title,
            "title": market.title,
            "yes_sub_title": market.title,
            "no_sub_title": market.title,
            "rules_primary": market.rules_primary,
            "rules_secondary": "",
            "can_close_early": True,
            "event_ticker": market.event_ticker,
            "expected_expiration_ts": expected_expiration(market) // SECOND,
            **strike(market),
        },
    }


def event_fee_update(output: EventFeesChanged) -> Json:
    """``event_fee_update``: both fields are null when the event's own fees are lifted."""
    fees = output.fees
    return {
        "event_ticker": output.event_ticker,
        "fee_type_override": fees.fee_type.value if fees else None,
        "fee_multiplier_override": fees.multiplier_e4 / 10_000 if fees else None,
    }


def event_lifecycle(exchange: Exchange, state: EventState) -> Json:
    """``event_lifecycle``."""
    markets = [exchange.markets[name].market for name in state.tickers]
    body: Json = {
        "event_ticker": state.event_ticker,
        "series_ticker": state.series_ticker,
        "exchange_index": markets[0].exchange_index if markets else 0,
        "title": state.title,
        "subtitle": state.title,
        "collateral_return_type": "MECNET",
    }
    if markets:
        body["strike_date"] = max(each.close_time for each in markets) // SECOND
    return body
