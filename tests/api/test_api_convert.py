"""Conversion of bodies: exact money, strict about what must be there, tolerant of what is new."""

from __future__ import annotations

import json
from datetime import UTC
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.api import schema, schema_account
from src.api.convert import (
    level_price,
    nanos,
    plain_count,
    to_balance,
    to_fees,
    to_fill,
    to_market,
    to_order_update,
    to_position,
    to_settlement,
)
from src.api.decoding import decode
from src.core.errors import WireError
from src.core.events import VenueOrderStatus
from src.core.fees import FeeSchedule, FeeType
from src.core.grid import LINEAR_CENT, TAPERED_DECI_CENT
from src.core.market import MarketStatus, Strike, StrikeKind
from src.core.sides import BookSide
from src.core.units import format_cash, format_count, format_price, parse_cash

FIXTURE = Path("../shared/data/api_fixtures/kalshi_rest/events_KXNBAMENTION-26MAY09OKCLAL_with_markets.json")
SERIES = schema.SeriesBody("KXHIGHNY", "quadratic", Decimal(1))
EVENT = schema.EventBody("KXHIGHNY-26NOV23", "KXHIGHNY")
TICKER = "KXHIGHNY-26NOV23-B50.5"
# 2026-11-22T08:00:00Z
BASE_TS = 1_795_334_400 * 1_000_000_000

ORDER = {
    "order_id": "a1",
    "user_id": "u1",
    "client_order_id": "6f0c",
    "ticker": TICKER,
    "outcome_side": "no",
    "book_side": "ask",
    "type": "limit",
    "status": "resting",
    "yes_price_dollars": "0.3700",
    "no_price_dollars": "0.6300",
    "initial_count_fp": "12.00",
    "fill_count_fp": "4.00",
    "remaining_count_fp": "8.00",
    "created_time": "2026-11-22T08:00:00Z",
    "last_update_time": "2026-11-22T08:00:01.000001Z",
}
FILL = {
    "fill_id": "77",
    "trade_id": "77",
    "order_id": "a1",
    "ticker": TICKER,
    "market_ticker": TICKER,
    "outcome_side": "no",
    "book_side": "ask",
    "count_fp": "0.37",
    "yes_price_dollars": "0.370000",
    "no_price_dollars": "0.630000",
    "is_taker": True,
    "fee_cost": "0.006100",
    "created_time": "2026-11-22T08:00:00Z",
}
POSITION = {
    "ticker": TICKER,
    "position_fp": "-4.00",
    "market_exposure_dollars": "2.520000",
    "realized_pnl_dollars": "-0.010000",
    "fees_paid_dollars": "0.017500",
    "last_updated_ts": "2026-11-22T08:00:00Z",
}
SETTLEMENT = {
    "ticker": TICKER,
    "event_ticker": "KXHIGHNY-26NOV23",
    "market_result": "no",
    "yes_count_fp": "0.00",
    "no_count_fp": "4.00",
    "revenue": 400,
    "value": 0,
    "settled_time": "2026-11-22T08:00:00Z",
    "fee_cost": "0.0000",
}


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def order(**changes: object):
    return to_order_update(decode(raw({**ORDER, **changes}), schema_account.OrderBody, "order"), 5)


def fill(**changes: object):
    return to_fill(decode(raw({**FILL, **changes}), schema_account.FillBody, "fill"), 5)


def settlement(**changes: object):
    return to_settlement(
        decode(raw({**SETTLEMENT, **changes}), schema_account.SettlementBody, "settlement"), 5
    )


def test_a_market_carries_grid_fees_strike_and_exact_times(make_market):
    market = to_market(raw(make_market(TICKER, open_time="2026-11-22T08:00:00.123456Z")), EVENT, SERIES)
    assert market.grid == LINEAR_CENT
    assert market.fees == FeeSchedule()
    assert market.strike == Strike(StrikeKind.BETWEEN, 50.0, 51.0)
    assert market.open_time == BASE_TS + 123_456_000
    assert (market.series_ticker, market.status) == ("KXHIGHNY", MarketStatus.ACTIVE)


@pytest.mark.parametrize(
    ("strike_type", "floor", "cap", "expected"),
    [
        ("less", None, 50, Strike(StrikeKind.LESS, cap=50.0)),
        ("greater", 57, None, Strike(StrikeKind.GREATER, floor=57.0)),
        ("less_or_equal", None, 50, Strike(StrikeKind.OTHER, None, 50.0)),
        ("a_new_kind", None, None, Strike(StrikeKind.OTHER)),
        (None, None, None, None),
    ],
)
def test_strikes_keep_their_direction_and_new_kinds_are_other(make_market, strike_type, floor, cap, expected):
    body = make_market(TICKER, strike_type=strike_type, floor_strike=floor, cap_strike=cap)
    assert to_market(raw(body), EVENT, SERIES).strike == expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"strike_type": "less", "cap_strike": None}, "cap_strike"),
        ({"price_ranges": None}, "market.price_ranges"),
        ({"price_ranges": [{"start": "0.0000", "end": "0.9000", "step": "0.0100"}]}, "price_ranges"),
        ({"close_time": "tomorrow"}, "market.close_time"),
        ({"close_time": "2026-11-22T08:00:00"}, "market.close_time"),
        ({"settlement_value_dollars": "1.5"}, "settlement_value_dollars"),
        ({"status": None}, "market.status"),
    ],
)
def test_a_market_that_breaks_its_contract_names_the_field(make_market, change, field):
    with pytest.raises(WireError) as caught:
        to_market(raw(make_market(TICKER, **change)), EVENT, SERIES)
    assert caught.value.field == field


def test_new_statuses_are_unknown_and_new_fields_are_ignored(make_market):
    market = to_market(raw(make_market(TICKER, status="frozen", brand_new={"a": 1})), EVENT, SERIES)
    assert market.status is MarketStatus.UNKNOWN


def test_the_price_grid_comes_from_price_ranges_not_from_the_label(make_market):
    bands = [("0.0000", "0.1000", "0.0010"), ("0.1000", "0.9000", "0.0100"), ("0.9000", "1.0000", "0.0010")]
    ranges = [dict(zip(("start", "end", "step"), band, strict=True)) for band in bands]
    body = make_market(TICKER, price_level_structure="linear_cent", price_ranges=ranges)
    assert to_market(raw(body), EVENT, SERIES).grid == TAPERED_DECI_CENT


def test_fees_of_the_event_override_those_of_the_series():
    half = msgspec.json.decode(
        b'{"event_ticker":"E","series_ticker":"S","fee_multiplier_override":0.5}', type=schema.EventBody
    )
    assert to_fees(half, SERIES) == FeeSchedule(FeeType.QUADRATIC, 5_000)
    maker = schema.EventBody("E", "S", fee_type_override="quadratic_with_maker_fees")
    assert to_fees(maker, SERIES) == FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES)
    zero = schema.EventBody("E", "S", fee_multiplier_override=Decimal(0))
    assert to_fees(zero, SERIES).multiplier_e4 == 0


@pytest.mark.parametrize(
    ("fee_type", "multiplier"),
    [("flat", Decimal(1)), ("quadratic", Decimal("0.00001")), ("quadratic", Decimal(-1))],
)
def test_fees_that_cannot_be_computed_are_an_error(fee_type, multiplier):
    with pytest.raises(WireError, match="fee_"):
        to_fees(EVENT, schema.SeriesBody("S", fee_type, multiplier))


def test_recorded_markets_of_the_real_venue_convert():
    if not FIXTURE.exists():
        pytest.skip(f"{FIXTURE} is not there")
    document = json.loads(FIXTURE.read_bytes())
    event = decode(raw(document["event"]), schema.EventBody, "event")
    markets = [to_market(raw(body), event, SERIES) for body in document["markets"]]
    assert len(markets) == 25
    assert all(market.grid == LINEAR_CENT and market.open_time < market.close_time for market in markets)


def test_an_order_is_read_from_book_side_and_yes_price():
    update = order()
    assert (update.side, update.price, update.count, update.filled) == (BookSide.ASK, 3700, 1200, 400)
    assert update.updated_ts == BASE_TS + 1_000_001_000
    assert order(status="held").status is VenueOrderStatus.UNKNOWN
    assert order(last_update_time=None).updated_ts == BASE_TS


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"yes_price_dollars": None}, "order.yes_price_dollars"),
        ({"yes_price_dollars": 0.37}, "order.yes_price_dollars"),
        ({"yes_price_dollars": "37"}, "yes_price_dollars"),
        ({"initial_count_fp": "12.001"}, "initial_count_fp"),
        ({"fill_count_fp": "-1.00"}, "fill_count_fp"),
        ({"book_side": "buy"}, "order.book_side"),
        ({"created_time": None, "last_update_time": None}, "last_update_time"),
    ],
)
def test_an_order_that_breaks_its_contract_names_the_field(change, field):
    with pytest.raises(WireError) as caught:
        order(**change)
    assert caught.value.field == field


def test_a_fill_is_exact_and_its_deprecated_fields_are_not_needed():
    found = fill()
    assert (found.side, found.price, found.count, found.fee) == (BookSide.ASK, 3700, 37, 6_100)
    assert fill(created_time=None, ts=1_795_334_400).ts_event == BASE_TS
    with pytest.raises(WireError, match="created_time"):
        fill(created_time=None)
    with pytest.raises(WireError, match="fee_cost"):
        fill(fee_cost=None)


def test_a_position_is_signed_and_exact():
    found = to_position(decode(raw(POSITION), schema_account.PositionBody, "position"))
    assert (found.count, found.exposure, found.realized_pnl, found.fees_paid) == (
        -400,
        2_520_000,
        -10_000,
        17_500,
    )


def test_a_settlement_converts_cents_and_falls_back_to_a_plain_result():
    found = settlement()
    assert (found.value, found.revenue, found.no_count, found.settled_ts) == (0, 4_000_000, 400, BASE_TS)
    assert settlement(value=None, market_result="yes").value == 10_000
    assert settlement(value=37, market_result="scalar").value == 3_700
    with pytest.raises(WireError, match="value"):
        settlement(value=None, market_result="scalar")


def test_balance_is_the_exact_string_not_the_truncated_cents():
    body = decode(b'{"balance":9801,"balance_dollars":"98.018600"}', schema_account.BalanceBody, "balance")
    assert to_balance(body) == 98_018_600
    with pytest.raises(WireError, match="balance_dollars"):
        decode(b'{"balance":9801}', schema_account.BalanceBody, "balance")


@given(st.integers(1, 9_999))
def test_prices_survive_the_wire(price):
    assert level_price(format_price(price), "price") == price


@given(st.integers(0, 10**12))
def test_counts_survive_the_wire(count):
    assert plain_count(format_count(count), "count") == count


@given(st.integers(-(10**15), 10**15))
def test_cash_survives_the_wire(cash):
    assert parse_cash(format_cash(cash)) == cash


@given(st.text(max_size=8))
def test_no_text_but_a_decimal_inside_the_range_is_a_price(text):
    try:
        price = level_price(text, "price")
    except WireError:
        return
    assert Decimal(text) * 10_000 == price
    assert 0 < price < 10_000


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_convert_exactly(moment):
    back = nanos(moment)
    assert back % 1_000 == 0
    assert moment.microsecond == back // 1_000 % 1_000_000
