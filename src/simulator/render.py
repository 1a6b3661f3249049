"""Public objects of the exchange as Kalshi's JSON (REST): markets, events, series, books, trades."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from src.core.events import Levels
from src.core.grid import PriceGrid
from src.core.market import Market, StrikeKind
from src.core.sides import BookSide, from_book
from src.core.units import DAY, DOLLAR_PRICE, MILLISECOND, SECOND, Nanos, Price, format_count, format_price
from src.simulator.exchange import Exchange
from src.simulator.matching import MarketBook
from src.simulator.records import Trade
from src.simulator.states import EventState, MarketState, SeriesState

Json = dict[str, Any]
CATEGORY = "Climate and Weather"
_STRIKE_TYPES = {StrikeKind.LESS: "less", StrikeKind.BETWEEN: "between", StrikeKind.GREATER: "greater"}
_GRID_LABELS = {
    (100,): "linear_cent",
    (10,): "deci_cent",
    (10, 100, 10): "tapered_deci_cent",
}


def rfc3339(ts: Nanos) -> str:
    """UTC time with up to microseconds, e.g. ``2026-11-23T08:00:00.345Z``."""
    seconds, rest = divmod(ts, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    micros = f".{rest // 1_000:06d}".rstrip("0").rstrip(".")
    return f"{text}{micros}Z"


def millis(ts: Nanos) -> int:
    """Unix milliseconds."""
    return ts // MILLISECOND


def price_ranges(grid: PriceGrid) -> list[Json]:
    """``price_ranges`` of a market."""
    return [
        {"start": format_price(band.start), "end": format_price(band.end), "step": format_price(band.step)}
        for band in grid.ranges
    ]


def price_level_structure(grid: PriceGrid) -> str:
    """The label of a grid; empty when it has none."""
    return _GRID_LABELS.get(tuple(band.step for band in grid.ranges), "")


def outcome_of(side: BookSide) -> str:
    """``yes`` for bids, ``no`` for asks."""
    return "yes" if side is BookSide.BID else "no"


def ladder(levels: Levels, *, as_no: bool = False) -> list[list[str]]:
    """Levels in ascending order of the price shown; ``as_no`` shows YES asks as NO bids."""
    shown = [(DOLLAR_PRICE - price if as_no else price, size) for price, size in levels]
    return [[format_price(price), format_count(size)] for price, size in sorted(shown)]


def orderbook(book: MarketBook, depth: int = 0) -> Json:
    """``orderbook_fp``: bids of both outcomes, best last; ``depth`` 0 means all levels."""
    bids, asks = book.levels(BookSide.BID), book.levels(BookSide.ASK)
    if depth:
        bids, asks = bids[:depth], asks[:depth]
    return {"yes_dollars": ladder(bids), "no_dollars": ladder(asks, as_no=True)}


def strike(market: Market) -> Json:
    """``strike_type``, ``floor_strike`` and ``cap_strike`` as far as the market has them."""
    if market.strike is None or market.strike.kind not in _STRIKE_TYPES:
        return {}
    fields: Json = {"strike_type": _STRIKE_TYPES[market.strike.kind]}
    if market.strike.floor is not None:
        fields["floor_strike"] = market.strike.floor
    if market.strike.cap is not None:
        fields["cap_strike"] = market.strike.cap
    return fields


def expected_expiration(market: Market) -> Nanos:
    """When the exchange expects to pay: after the close and the settlement timer."""
    return market.close_time + market.settlement_timer_seconds * SECOND


def _quotes(book: MarketBook) -> Json:
    bid, ask = book.best(BookSide.BID), book.best(BookSide.ASK)
    shown_bid, shown_ask = bid or 0, DOLLAR_PRICE if ask is None else ask
    return {
        "yes_bid_dollars": format_price(shown_bid),
        "yes_ask_dollars": format_price(shown_ask),
        "no_bid_dollars": format_price(DOLLAR_PRICE - shown_ask),
        "no_ask_dollars": format_price(DOLLAR_PRICE - shown_bid),
        "yes_bid_size_fp": format_count(book.size_at(BookSide.BID, bid) if bid is not None else 0),
        "yes_ask_size_fp": format_count(book.size_at(BookSide.ASK, ask) if ask is not None else 0),
    }


def market(exchange: Exchange, state: MarketState) -> Json:
    """``Market``. Its quotes of 24 hours ago are exact to the minute."""
    described = state.market
    day_volume, day_ago = state.last_day(exchange.now)
    before = state.candles.as_of(exchange.now - DAY)
    body: Json = {
        "ticker": described.ticker,
        "event_ticker": described.event_ticker,
        "market_type": "binary",
        "title": described.title,
        "yes_sub_title": described.title,
        "no_sub_title": described.title,
        "created_time": rfc3339(state.created_ts),
        "updated_time": rfc3339(state.updated_ts),
        "open_time": rfc3339(described.open_time),
        "close_time": rfc3339(described.close_time),
        "expected_expiration_time": rfc3339(expected_expiration(described)),
        "latest_expiration_time": rfc3339(described.close_time + 7 * DAY),
        "settlement_timer_seconds": described.settlement_timer_seconds,
        "status": described.status.value,
        **_quotes(state.book),
        "last_price_dollars": format_price(state.last_price or 0),
        "previous_price_dollars": format_price(day_ago or 0),
        "previous_yes_bid_dollars": format_price(before.bid.close if before else 0),
        "previous_yes_ask_dollars": format_price(before.ask.close if before else DOLLAR_PRICE),
        "volume_fp": format_count(state.volume),
        "volume_24h_fp": format_count(day_volume),
        "open_interest_fp": format_count(exchange.open_interest(described.ticker)),
        "notional_value_dollars": format_price(DOLLAR_PRICE),
        # Gone from Kalshi's description in October 2026, yet clients in use refuse a market without it.
        "liquidity_dollars": format_price(0),
        "result": described.result,
        "settlement_bounds_type": "default",
        "expiration_value": described.expiration_value,
        "can_close_early": True,
        "rules_primary": described.rules_primary,
        "rules_secondary": "",
        "price_level_structure": price_level_structure(described.grid),
        "price_ranges": price_ranges(described.grid),
        "exchange_index": described.exchange_index,
        **strike(described),
    }
    if described.settlement_value is not None:
        body["settlement_value_dollars"] = format_price(described.settlement_value)
    if state.settled_ts is not None:
        body["settlement_ts"] = rfc3339(state.settled_ts)
    return body


def event(exchange: Exchange, state: EventState, *, with_markets: bool) -> Json:
    """``EventData``: every event of a world is a set of brackets of which exactly one wins."""
    markets = [exchange.markets[ticker] for ticker in state.tickers]
    body: Json = {
        "event_ticker": state.event_ticker,
        "series_ticker": state.series_ticker,
        "title": state.title,
        "sub_title": state.title,
        "collateral_return_type": "MECNET",
        "mutually_exclusive": True,
        "category": CATEGORY,
        "settlement_sources": [],
        "last_updated_ts": rfc3339(state.listed_ts),
        "exchange_index": markets[0].market.exchange_index if markets else 0,
    }
    if state.fee_override is not None:
        body["fee_type_override"] = state.fee_override.fee_type.value
        body["fee_multiplier_override"] = state.fee_override.multiplier_e4 / 10_000
    if markets:
        body["strike_date"] = rfc3339(max(each.market.close_time for each in markets))
    if with_markets:
        body["markets"] = [market(exchange, each) for each in markets]
    return body


def series(state: SeriesState) -> Json:
    """``Series``."""
    fees = state.fees
    return {
        "ticker": state.ticker,
        "frequency": "daily",
        "title": state.ticker,
        "category": CATEGORY,
        "categories": [CATEGORY],
        "tags": None,
        "settlement_sources": [],
        "contract_url": "",
        "contract_terms_url": "",
        "fee_type": fees.fee_type.value,
        "fee_multiplier": fees.multiplier_e4 / 10_000,
        "additional_prohibitions": [],
        "last_updated_ts": rfc3339(state.created_ts),
        "exchange_index": state.exchange_index,
    }


def no_price(yes_price: Price) -> str:
    """The NO leg's price of a YES price."""
    return format_price(from_book(BookSide.ASK, yes_price)[1])


def trade(made: Trade) -> Json:
    """``Trade``; ``taker_side`` is the deprecated form of the outcome."""
    outcome = outcome_of(made.taker_side)
    return {
        "trade_id": made.trade_id,
        "ticker": made.ticker,
        "count_fp": format_count(made.count),
        "yes_price_dollars": format_price(made.price),
        "no_price_dollars": no_price(made.price),
        "taker_outcome_side": outcome,
        "taker_book_side": made.taker_side.value,
        "taker_side": outcome,
        "created_time": rfc3339(made.ts),
        "is_block_trade": False,
    }
