"""From the venue's bodies to this system's types.

Strict about money, sides and times: a missing or malformed one is a ``WireError`` that names the field.
Tolerant of enumeration values added since: they become UNKNOWN or OTHER, which never trade.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeVar

import msgspec

from src.api import schema, schema_account
from src.api.decoding import decode
from src.core.errors import WireError
from src.core.events import (
    ExchangeStatus,
    Fill,
    Levels,
    OrderUpdate,
    Settlement,
    VenueOrderStatus,
    VenuePosition,
)
from src.core.fees import FeeSchedule, FeeType
from src.core.grid import PriceGrid, PriceRange
from src.core.market import Market, MarketStatus, Strike, StrikeKind
from src.core.sides import BookSide, Outcome, to_book
from src.core.units import (
    CENT_PRICE,
    DOLLAR_PRICE,
    SECOND,
    Cash,
    Count,
    Nanos,
    Price,
    parse_cash,
    parse_count,
    parse_price,
)

_E = TypeVar("_E")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CENT_CASH = 10_000

BOOK_SIDES = {"bid": BookSide.BID, "ask": BookSide.ASK}


def nanos(moment: datetime) -> Nanos:
    """An aware datetime as nanoseconds since the epoch, exactly."""
    return (moment - _EPOCH) // _MICROSECOND * 1_000


@lru_cache(maxsize=65_536)
def level_price(text: str, field: str) -> Price:
    """A price at which something can rest: strictly between 0 and 1 dollar."""
    price = parse_price(text, field)
    if not 0 < price < DOLLAR_PRICE:
        raise WireError(field, text, "a price above 0.0000 and below 1.0000 dollars")
    return price


@lru_cache(maxsize=65_536)
def signed_count(text: str, field: str) -> Count:
    """A count that may be negative."""
    return parse_count(text, field)


def plain_count(text: str, field: str) -> Count:
    """A count of zero or more."""
    count = signed_count(text, field)
    if count < 0:
        raise WireError(field, text, "a count of zero or more")
    return count


# --- markets -------------------------------------------------------------------------------------


def to_market(raw: bytes | msgspec.Raw, event: schema.EventBody, series: schema.SeriesBody) -> Market:
    """A market from its JSON, with the fee terms in force: the event's override, else the series'.

    A fee waiver is not applied: it ends at a moment of its own, and fees assumed too high are safe.
    """
    body = decode(raw, schema.MarketBody, "market")
    value = body.settlement_value_dollars
    return Market(
        ticker=body.ticker,
        event_ticker=body.event_ticker,
        series_ticker=event.series_ticker,
        status=_known(MarketStatus, body.status, MarketStatus.UNKNOWN),
        open_time=nanos(body.open_time),
        close_time=nanos(body.close_time),
        grid=to_grid(body.price_ranges),
        fees=to_fees(event, series),
        strike=_to_strike(body),
        title=body.title or body.yes_sub_title,
        exchange_index=body.exchange_index,
        settlement_timer_seconds=body.settlement_timer_seconds,
        result=body.result,
        settlement_value=parse_price(value, "settlement_value_dollars") if value else None,
        expiration_value=body.expiration_value,
        rules_primary=body.rules_primary,
        mutually_exclusive=event.mutually_exclusive,
        category=series.category,
    )


def to_grid(ranges: Iterable[schema.PriceRangeBody]) -> PriceGrid:
    """The price grid from ``price_ranges``; the structure's label is not looked at."""
    return PriceGrid(
        tuple(
            PriceRange(
                parse_price(band.start, "price_ranges.start"),
                parse_price(band.end, "price_ranges.end"),
                parse_price(band.step, "price_ranges.step"),
            )
            for band in ranges
        )
    )


def to_fees(event: schema.EventBody, series: schema.SeriesBody) -> FeeSchedule:
    """The fee terms in force. An unknown fee type is an error: its fees cannot be computed."""
    name = series.fee_type if event.fee_type_override is None else event.fee_type_override
    override = event.fee_multiplier_override
    multiplier = (series.fee_multiplier if override is None else override) * 10_000
    try:
        fee_type = FeeType(name)
    except ValueError:
        raise WireError("fee_type", name, "one of " + ", ".join(kind.value for kind in FeeType)) from None
    if multiplier < 0 or multiplier != multiplier.to_integral_value():
        raise WireError("fee_multiplier", str(multiplier / 10_000), "a number >= 0 with at most 4 decimals")
    return FeeSchedule(fee_type, int(multiplier))


def _to_strike(body: schema.MarketBody) -> Strike | None:
    floor, cap = body.floor_strike, body.cap_strike
    match body.strike_type:
        case None | "":
            return None
        case "less":
            return Strike(StrikeKind.LESS, cap=_bound(cap, "cap_strike"))
        case "greater":
            return Strike(StrikeKind.GREATER, floor=_bound(floor, "floor_strike"))
        case "between":
            return Strike(StrikeKind.BETWEEN, _bound(floor, "floor_strike"), _bound(cap, "cap_strike"))
        case _:
            return Strike(StrikeKind.OTHER, floor, cap)


def _bound(value: float | None, field: str) -> float:
    if value is None:
        raise WireError(field, value, "a number for this strike_type")
    return value


def to_levels(yes: Iterable[schema.Level] | None, no: Iterable[schema.Level] | None) -> tuple[Levels, Levels]:
    """(YES bids, YES asks) from the bids of both outcomes, each at its own outcome's price."""
    asks = tuple((to_book(Outcome.NO, price)[1], count) for price, count in levels(no, "no_dollars"))
    return levels(yes, "yes_dollars"), asks


def levels(pairs: Iterable[schema.Level] | None, field: str) -> Levels:
    """Price levels at the prices given; a missing side is an empty one."""
    return tuple((level_price(price, field), plain_count(count, field)) for price, count in pairs or ())


# --- account -------------------------------------------------------------------------------------


def to_order_update(body: schema_account.OrderBody, ts_recv: Nanos) -> OrderUpdate:
    """A listed order."""
    updated = body.last_update_time or body.created_time
    if updated is None:
        raise WireError("last_update_time", None, "a time, or created_time")
    return OrderUpdate(
        order_id=body.order_id,
        client_order_id=body.client_order_id,
        ticker=body.ticker,
        side=BOOK_SIDES[body.book_side],
        price=parse_price(body.yes_price_dollars, "yes_price_dollars"),
        count=plain_count(body.initial_count_fp, "initial_count_fp"),
        filled=plain_count(body.fill_count_fp, "fill_count_fp"),
        remaining=plain_count(body.remaining_count_fp, "remaining_count_fp"),
        status=to_order_status(body.status),
        updated_ts=nanos(updated),
        ts_recv=ts_recv,
    )


def to_order_status(text: str) -> VenueOrderStatus:
    """The venue's order status; one added since is UNKNOWN."""
    return _known(VenueOrderStatus, text, VenueOrderStatus.UNKNOWN)


def to_fill(body: schema_account.FillBody, ts_recv: Nanos) -> Fill:
    """A listed fill; its client order id is empty unless the venue gives it."""
    if body.created_time is not None:
        ts_event = nanos(body.created_time)
    elif body.ts is not None:
        ts_event = body.ts * SECOND
    else:
        raise WireError("created_time", None, "a time")
    return Fill(
        trade_id=body.trade_id,
        order_id=body.order_id,
        client_order_id=body.client_order_id,
        ticker=body.ticker,
        side=BOOK_SIDES[body.book_side],
        price=parse_price(body.yes_price_dollars, "yes_price_dollars"),
        count=plain_count(body.count_fp, "count_fp"),
        fee=parse_cash(body.fee_cost, "fee_cost"),
        is_taker=body.is_taker,
        ts_event=ts_event,
        ts_recv=ts_recv,
    )


def to_position(body: schema_account.PositionBody) -> VenuePosition:
    """A position."""
    return VenuePosition(
        ticker=body.ticker,
        count=signed_count(body.position_fp, "position_fp"),
        exposure=parse_cash(body.market_exposure_dollars, "market_exposure_dollars"),
        realized_pnl=parse_cash(body.realized_pnl_dollars, "realized_pnl_dollars"),
        fees_paid=parse_cash(body.fees_paid_dollars, "fees_paid_dollars"),
    )


def to_settlement(body: schema_account.SettlementBody, ts_recv: Nanos) -> Settlement:
    """A settlement. Without ``value`` only a plain yes or no says what a YES contract paid."""
    value: Price
    if body.value is not None:
        value = body.value * CENT_PRICE
    elif body.market_result in {"yes", "no"}:
        value = DOLLAR_PRICE if body.market_result == "yes" else 0
    else:
        raise WireError("value", None, f"cents per YES contract for the result {body.market_result!r}")
    return Settlement(
        ticker=body.ticker,
        event_ticker=body.event_ticker,
        value=value,
        revenue=body.revenue * _CENT_CASH,
        yes_count=plain_count(body.yes_count_fp, "yes_count_fp"),
        no_count=plain_count(body.no_count_fp, "no_count_fp"),
        settled_ts=nanos(body.settled_time),
        ts_recv=ts_recv,
    )


def to_balance(body: schema_account.BalanceBody) -> Cash:
    """Cash, exactly."""
    return parse_cash(body.balance_dollars, "balance_dollars")


def to_shards(body: schema_account.BalanceBody) -> tuple[tuple[int, Cash], ...]:
    """Cash by shard; empty where the venue does not say (a key restricted to a subaccount)."""
    return tuple(
        (each.exchange_index, parse_cash(each.balance, "balance_breakdown.balance"))
        for each in body.balance_breakdown or ()
    )


def to_exchange_status(body: schema.ExchangeStatusBody, ts_recv: Nanos) -> ExchangeStatus:
    """Whether anything passes, on the exchange and on each shard."""
    closed = frozenset(
        shard.exchange_index
        for shard in body.exchange_index_statuses
        if not (shard.exchange_active and shard.trading_active)
    )
    return ExchangeStatus(body.exchange_active, body.trading_active, ts_recv, closed)


def _known(kind: Callable[[str], _E], text: str, otherwise: _E) -> _E:
    try:
        return kind(text)
    except ValueError:
        return otherwise
