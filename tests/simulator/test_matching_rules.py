"""What happens to single orders: priority, time in force, self trades, crowds, fees, settlement."""

from __future__ import annotations

import uuid

import pytest

from src.core.events import VenueOrderStatus
from src.core.fees import FeeSchedule, FeeType
from src.core.grid import DECI_CENT
from src.core.sides import BookSide
from src.core.signal import TimeInForce
from src.core.units import DOLLAR_CASH, HOUR, MINUTE, SECOND, parse_cash, parse_count, parse_price
from src.simulator.exchange import Exchange
from src.simulator.records import NewOrder, SelfTradePrevention, VenueOrder
from src.simulator.refusals import OrderRefused
from src.simulator.venue import VenueRules
from src.simulator.world import CrowdPrint, CrowdQuote, CrowdTake, Determine

from .conftest import OTHER, T0, TICKER, make_exchange, make_market

BID, ASK = BookSide.BID, BookSide.ASK
IOC, FOK = TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL
RICH = 1_000_000 * DOLLAR_CASH


def order(side: BookSide, price: str, count: str, **options: object) -> NewOrder:
    return NewOrder(TICKER, side, parse_price(price), parse_count(count), **options)  # type: ignore[arg-type]


def quote(exchange: Exchange, bids: dict[str, str], asks: dict[str, str], ticker: str = TICKER) -> None:
    levels = [
        tuple((parse_price(price), parse_count(size)) for price, size in side.items())
        for side in (bids, asks)
    ]
    exchange.apply(CrowdQuote(exchange.now, ticker, levels[0], levels[1]))


@pytest.fixture
def exchange() -> Exchange:
    made = make_exchange(make_market(), make_market(OTHER, exchange_index=1))
    for name in ("a", "b", "c"):
        made.add_account(name, RICH)
    return made


def place(exchange: Exchange, owner: str, *args: str, side: BookSide = BID, **options: object) -> VenueOrder:
    return exchange.create(owner, order(side, *args, **options))


def test_better_prices_trade_first_and_older_orders_before_younger(exchange: Exchange) -> None:
    late_good = place(exchange, "a", "0.40", "5")
    early = place(exchange, "a", "0.41", "5")
    later = place(exchange, "b", "0.41", "5")
    taker = place(exchange, "c", "0.40", "12", side=ASK)
    assert [early.filled, later.filled, late_good.filled] == [500, 500, 200]
    fills = exchange.account("c").fills
    assert [fill.price for fill in fills] == [4100, 4100, 4000]
    assert taker.status is VenueOrderStatus.EXECUTED


def test_crowd_size_ahead_trades_first_and_cancels_from_behind(exchange: Exchange) -> None:
    quote(exchange, {"0.40": "10"}, {})
    mine = place(exchange, "a", "0.40", "5")
    quote(exchange, {"0.40": "30"}, {})
    quote(exchange, {"0.40": "10"}, {})
    exchange.apply(CrowdTake(T0, TICKER, ASK, 4000, 1200))
    assert mine.filled == 200
    assert exchange.book(TICKER).size_at(BID, 4000) == 300


def test_immediate_or_cancel_leaves_nothing(exchange: Exchange) -> None:
    quote(exchange, {}, {"0.50": "3"})
    taker = place(exchange, "a", "0.50", "10", time_in_force=IOC)
    assert (taker.filled, taker.remaining, taker.status) == (300, 0, VenueOrderStatus.CANCELED)
    assert not exchange.book(TICKER).levels(BID)
    nothing = place(exchange, "a", "0.50", "10", time_in_force=IOC)
    assert (nothing.filled, nothing.status) == (0, VenueOrderStatus.CANCELED)


def test_fill_or_kill_takes_all_or_nothing(exchange: Exchange) -> None:
    quote(exchange, {}, {"0.50": "3", "0.51": "3"})
    killed = place(exchange, "a", "0.51", "7", time_in_force=FOK)
    assert (killed.filled, killed.status) == (0, VenueOrderStatus.CANCELED)
    filled = place(exchange, "a", "0.51", "6", time_in_force=FOK)
    assert (filled.filled, filled.status) == (600, VenueOrderStatus.EXECUTED)


def test_post_only_that_would_take_is_refused_and_its_id_is_burnt(exchange: Exchange) -> None:
    quote(exchange, {}, {"0.50": "3"})
    with pytest.raises(OrderRefused, match="post only cross") as refused:
        place(exchange, "a", "0.50", "1", post_only=True, client_order_id="x")
    assert refused.value.status == 400
    with pytest.raises(OrderRefused, match="order_already_exists"):
        place(exchange, "a", "0.49", "1", client_order_id="x")


def test_client_order_id_is_refused_for_ever_even_after_cancel(exchange: Exchange) -> None:
    held = place(exchange, "a", "0.40", "1", client_order_id="once")
    exchange.cancel("a", held.order_id, TICKER)
    exchange.advance(T0 + 20 * HOUR)
    with pytest.raises(OrderRefused) as refused:
        place(exchange, "a", "0.40", "1", client_order_id="once")
    assert (refused.value.status, refused.value.code) == (409, "order_already_exists")
    assert place(exchange, "b", "0.40", "1", client_order_id="once").remaining == 100


def test_self_trade_taker_at_cross_cancels_the_rest_of_the_taker(exchange: Exchange) -> None:
    mine = place(exchange, "a", "0.50", "5", side=ASK)
    place(exchange, "b", "0.49", "2", side=ASK)
    taker = place(exchange, "a", "0.50", "5")
    assert (taker.filled, taker.status, taker.reason) == (200, VenueOrderStatus.CANCELED, "SelfTradeCancel")
    assert mine.remaining == 500


def test_self_trade_maker_cancels_the_resting_order_and_goes_on(exchange: Exchange) -> None:
    mine = place(exchange, "a", "0.50", "5", side=ASK)
    behind = place(exchange, "b", "0.50", "5", side=ASK)
    taker = place(exchange, "a", "0.50", "5", self_trade_prevention=SelfTradePrevention.MAKER)
    assert (mine.status, mine.reason) == (VenueOrderStatus.CANCELED, "SelfTradeCancel")
    assert behind.filled == taker.filled == 500


def test_reduce_only_is_capped_to_the_opposite_position(exchange: Exchange) -> None:
    quote(exchange, {"0.45": "100"}, {"0.50": "100"})
    place(exchange, "a", "0.50", "4", time_in_force=IOC)
    out = place(exchange, "a", "0.45", "10", side=ASK, time_in_force=IOC, reduce_only=True)
    assert (out.filled, out.status, out.reason) == (400, VenueOrderStatus.CANCELED, "ReduceOnlyCancel")
    assert exchange.account("a").position_count(TICKER) == 0
    with pytest.raises(OrderRefused, match="reduce_only"):
        place(exchange, "a", "0.45", "1", reduce_only=True)


def test_expired_order_leaves_the_book_at_its_time(exchange: Exchange) -> None:
    held = place(exchange, "a", "0.40", "1", expiration_ts=T0 + MINUTE)
    exchange.advance(T0 + MINUTE - 1)
    assert held.remaining == 100
    exchange.advance(T0 + MINUTE)
    assert (held.status, held.reason, held.updated_ts) == (
        VenueOrderStatus.CANCELED,
        "ExpiryCancel",
        T0 + MINUTE,
    )
    assert exchange.account("a").resting_collateral == 0


def test_print_reaches_own_orders_only_strictly_through_their_price(exchange: Exchange) -> None:
    quote(exchange, {"0.40": "50"}, {"0.50": "50"})
    mine = place(exchange, "a", "0.40", "5")
    exchange.apply(CrowdPrint(T0, TICKER, "p1", 4000, 10_000, ASK))
    assert mine.filled == 0
    exchange.apply(CrowdPrint(T0, TICKER, "p2", 3900, 300, ASK))
    assert mine.filled == 300
    assert [fill.price for fill in exchange.account("a").fills] == [4000]
    assert exchange.book(TICKER).size_at(BID, 4000) == 5000 + 200
    trades = exchange.markets[TICKER].trades
    assert [(trade.count, trade.price) for trade in trades] == [(10_000, 4000), (300, 4000)]
    exchange.apply(CrowdPrint(T0, TICKER, "p3", 3900, 1000, ASK))
    assert [(trade.trade_id, trade.count) for trade in trades][-1] == ("p3", 800)


def test_crowd_quote_that_crosses_own_order_trades_at_the_order_price(exchange: Exchange) -> None:
    mine = place(exchange, "a", "0.45", "5")
    quote(exchange, {"0.40": "1"}, {"0.44": "8"})
    assert mine.filled == 500
    assert exchange.account("a").fills[0].price == 4500
    assert not exchange.account("a").fills[0].is_taker
    assert exchange.book(TICKER).levels(ASK) == ((4400, 300),)


def test_quotes_may_be_required_to_go_strictly_through() -> None:
    exchange = make_exchange(rules=VenueRules(quotes_fill_at_touch=False))
    exchange.add_account("a", RICH)
    mine = place(exchange, "a", "0.45", "5")
    quote(exchange, {}, {"0.45": "8"})
    assert mine.filled == 0
    quote(exchange, {}, {"0.44": "2"})
    assert mine.filled == 200


def test_crowd_quote_replaces_the_crowd_and_leaves_accounts_alone(exchange: Exchange) -> None:
    place(exchange, "a", "0.40", "5")
    quote(exchange, {"0.40": "10", "0.39": "4"}, {"0.50": "6"})
    quote(exchange, {"0.38": "7"}, {})
    assert exchange.book(TICKER).levels(BID) == ((4000, 500), (3800, 700))
    assert exchange.book(TICKER).levels(ASK) == ()
    with pytest.raises(ValueError, match="crosses itself"):
        quote(exchange, {"0.50": "1"}, {"0.50": "1"})


@pytest.mark.parametrize(
    ("price", "count", "taker_fee", "maker_fee"),
    [
        ("0.50", "1", "0.0175", "0.0044"),
        ("0.52", "1", "0.0175", "0.0044"),
        ("0.99", "1", "0.0007", "0.0002"),
        ("0.25", "10", "0.1313", "0.0329"),
        ("0.50", "100", "1.7500", "0.4375"),
        ("0.25", "100", "1.3125", "0.3282"),
        ("0.05", "100", "0.3325", "0.0832"),
        ("0.01", "100", "0.0693", "0.0174"),
        ("0.34", "7", "0.1100", "0.0275"),
        ("0.34", "2.5", "0.0393", "0.0099"),
        ("0.07", "33", "0.1504", "0.0376"),
        ("0.63", "250", "4.0793", "1.0199"),
    ],
)
def test_fills_are_charged_the_published_fees(price: str, count: str, taker_fee: str, maker_fee: str) -> None:
    fees = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES)
    exchange = make_exchange(make_market(fees=fees))
    for name in ("maker", "taker"):
        exchange.add_account(name, RICH)
    place(exchange, "maker", price, count, side=ASK)
    place(exchange, "taker", price, count)
    taker, maker = exchange.account("taker"), exchange.account("maker")
    assert [fill.fee for fill in taker.fills] == [parse_cash(taker_fee)]
    assert [fill.fee for fill in maker.fills] == [parse_cash(maker_fee)]
    paid = parse_price(price) * parse_count(count)
    assert taker.cash == RICH - paid - parse_cash(taker_fee)
    assert taker.positions[TICKER].fees == parse_cash(taker_fee)


def test_one_order_filled_in_parts_pays_each_parts_rounded_fee(exchange: Exchange) -> None:
    for name, count in (("b", "4"), ("b", "3"), ("c", "3")):
        place(exchange, name, "0.34", count, side=ASK)
    taker = place(exchange, "a", "0.34", "10")
    assert taker.taker_fees == parse_cash("0.1573")


def test_rounding_of_subpenny_fractional_fills_is_to_a_centicent() -> None:
    exchange = make_exchange(make_market(grid=DECI_CENT))
    for name in ("a", "b"):
        exchange.add_account(name, RICH)
    place(exchange, "b", "0.333", "0.03", side=ASK)
    place(exchange, "a", "0.333", "0.03")
    # 0.03 * 0.333 = 0.00999; trade fee 0.0005; floored to 0.0001: 0.0105.
    assert exchange.account("a").cash == RICH - parse_cash("0.0105")


def test_buying_the_other_side_nets_and_realises(exchange: Exchange) -> None:
    quote(exchange, {"0.30": "100"}, {"0.40": "100"})
    place(exchange, "a", "0.40", "10", time_in_force=IOC)
    quote(exchange, {"0.55": "100"}, {"0.60": "100"})
    place(exchange, "a", "0.55", "4", side=ASK, time_in_force=IOC)
    held = exchange.account("a").positions[TICKER]
    assert (held.count, held.cost) == (600, parse_cash("2.40"))
    assert held.realized == parse_cash("0.60")
    place(exchange, "a", "0.55", "10", side=ASK, time_in_force=IOC)
    assert (held.count, held.cost) == (-400, parse_cash("1.80"))
    assert held.realized == parse_cash("1.50")
    fees = sum(fill.fee for fill in exchange.account("a").fills)
    assert exchange.account("a").cash == RICH + parse_cash("1.50") - parse_cash("1.80") - fees


def test_settlement_pays_winners_exactly_after_the_timer(exchange: Exchange) -> None:
    place(exchange, "b", "0.40", "10", side=ASK)
    place(exchange, "a", "0.40", "10")
    before = {name: exchange.account(name).cash for name in ("a", "b")}
    exchange.apply(Determine(T0 + 30 * HOUR, TICKER, "yes", 10_000, "50.00"))
    due = T0 + 31 * HOUR
    exchange.advance(due - 1)
    assert exchange.account("a").cash == before["a"]
    exchange.advance(due)
    assert exchange.account("a").cash - before["a"] == 10 * DOLLAR_CASH
    assert exchange.account("b").cash == before["b"]
    [won], [lost] = exchange.account("a").settlements, exchange.account("b").settlements
    assert (won.yes_count, won.yes_cost, won.revenue, won.ts) == (1000, parse_cash("4"), 10_000_000, due)
    assert (lost.no_count, lost.no_cost, lost.revenue) == (1000, parse_cash("6"), 0)
    assert exchange.account("a").positions[TICKER].realized == parse_cash("6")


def test_scalar_settlement_splits_the_dollar(exchange: Exchange) -> None:
    place(exchange, "b", "0.40", "10", side=ASK)
    place(exchange, "a", "0.40", "10")
    before = {name: exchange.account(name).cash for name in ("a", "b")}
    exchange.apply(Determine(T0 + 30 * HOUR, TICKER, "scalar", 2500, ""))
    exchange.advance(T0 + 40 * HOUR)
    assert exchange.account("a").cash - before["a"] == parse_cash("2.5")
    assert exchange.account("b").cash - before["b"] == parse_cash("7.5")


def test_a_second_determination_replaces_the_first_and_restarts_the_timer(exchange: Exchange) -> None:
    place(exchange, "b", "0.40", "10", side=ASK)
    place(exchange, "a", "0.40", "10")
    before = exchange.account("a").cash
    exchange.apply(Determine(T0 + 30 * HOUR, TICKER, "yes", 10_000, "50"))
    exchange.apply(Determine(T0 + 30 * HOUR + 30 * MINUTE, TICKER, "no", 0, "49"))
    exchange.advance(T0 + 31 * HOUR)
    assert exchange.markets[TICKER].settled_ts is None
    exchange.advance(T0 + 40 * HOUR)
    assert exchange.account("a").cash == before
    assert exchange.markets[TICKER].settled_ts == T0 + 31 * HOUR + 30 * MINUTE


def test_closing_cancels_what_rests_and_refuses_everything_after(exchange: Exchange) -> None:
    quote(exchange, {"0.30": "5"}, {})
    held = place(exchange, "a", "0.40", "1")
    exchange.advance(T0 + 24 * HOUR)
    assert (held.status, held.reason) == (VenueOrderStatus.CANCELED, "CloseCancel")
    assert not exchange.book(TICKER).levels(BID)
    with pytest.raises(OrderRefused, match="market_inactive"):
        place(exchange, "a", "0.40", "1")
    with pytest.raises(OrderRefused, match="market_inactive"):
        exchange.cancel("a", held.order_id, TICKER)


def test_market_opens_by_the_clock() -> None:
    exchange = make_exchange(make_market(open_time=T0 + HOUR))
    exchange.add_account("a", RICH)
    with pytest.raises(OrderRefused, match="market_inactive"):
        place(exchange, "a", "0.40", "1")
    exchange.advance(T0 + HOUR)
    assert place(exchange, "a", "0.40", "1").remaining == 100


def test_orders_beyond_free_cash_are_refused_and_closing_orders_are_free(exchange: Exchange) -> None:
    poor = exchange.add_account("poor", parse_cash("10.00"))
    place(exchange, "poor", "0.40", "20")
    assert (poor.cash, poor.free_cash) == (parse_cash("10"), parse_cash("2"))
    with pytest.raises(OrderRefused, match="insufficient_balance"):
        place(exchange, "poor", "0.40", "6")
    place(exchange, "a", "0.40", "20", side=ASK)
    assert poor.position_count(TICKER) == 2000
    place(exchange, "poor", "0.90", "20", side=ASK)
    assert poor.resting_collateral == 0
    with pytest.raises(OrderRefused, match="insufficient_balance"):
        place(exchange, "poor", "0.01", "30", side=ASK)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": "0.405"}, "invalid_price"),
        ({"price": "0"}, "invalid_price"),
        ({"price": "1"}, "invalid_price"),
        ({"count": "0"}, "invalid_order_size"),
        ({"expiration_ts": T0 - SECOND}, "invalid_order"),
        ({"expiration_ts": T0 + HOUR, "time_in_force": IOC}, "invalid_order"),
        ({"post_only": True, "time_in_force": FOK}, "invalid_order"),
        ({"exchange_index": 3}, "not_found"),
    ],
)
def test_orders_with_wrong_terms_are_refused(
    exchange: Exchange, changes: dict[str, object], code: str
) -> None:
    price, count = str(changes.pop("price", "0.40")), str(changes.pop("count", "1"))
    with pytest.raises(OrderRefused) as refused:
        place(exchange, "a", price, count, **changes)
    assert refused.value.code == code
    assert not exchange.account("a").orders


def test_cancel_of_anything_but_a_resting_order_is_the_same_not_found(exchange: Exchange) -> None:
    quote(exchange, {}, {"0.50": "5"}, OTHER)
    done = place(exchange, "a", "0.40", "1")
    exchange.cancel("a", done.order_id)
    exchange.deposit("a", RICH, exchange_index=1)
    elsewhere = exchange.create("a", NewOrder(OTHER, BID, 4000, 100))
    for order_id, ticker in ((done.order_id, TICKER), ("no such", TICKER), (elsewhere.order_id, None)):
        with pytest.raises(OrderRefused) as refused:
            exchange.cancel("a", order_id, ticker)
        assert (refused.value.status, str(refused.value)) == (404, "not_found")
    with pytest.raises(OrderRefused, match="not_found"):
        exchange.cancel("b", elsewhere.order_id, OTHER)
    assert exchange.cancel("a", elsewhere.order_id, OTHER)[1] == 100


def test_pauses_refuse_orders_and_cancel_what_asked_for_it(exchange: Exchange) -> None:
    kept = place(exchange, "a", "0.40", "1")
    gone = place(exchange, "a", "0.40", "1", cancel_on_pause=True)
    exchange.set_exchange_status(exchange_active=True, trading_active=False)
    assert (kept.remaining, gone.remaining, gone.reason) == (100, 0, "HaltCancel")
    with pytest.raises(OrderRefused, match="trading_paused"):
        place(exchange, "a", "0.40", "1")
    assert exchange.cancel("a", kept.order_id)[1] == 100
    exchange.set_exchange_status(exchange_active=False, trading_active=False)
    with pytest.raises(OrderRefused, match="exchange_paused"):
        exchange.cancel("a", kept.order_id)


def test_resuming_a_market_cancels_all_its_resting_orders(exchange: Exchange) -> None:
    held = place(exchange, "a", "0.40", "1")
    exchange.set_market_active(TICKER, False)
    with pytest.raises(OrderRefused, match="market_inactive"):
        place(exchange, "a", "0.40", "1")
    assert held.remaining == 100
    exchange.set_market_active(TICKER, True)
    assert (held.remaining, held.reason) == (0, "HaltCancel")


def test_an_early_close_closes_at_the_new_time(exchange: Exchange) -> None:
    held = place(exchange, "a", "0.40", "1")
    exchange.change_close_time(TICKER, T0 + HOUR)
    exchange.advance(T0 + HOUR)
    assert (held.reason, held.updated_ts) == ("CloseCancel", T0 + HOUR)


def test_cancel_all_cancels_only_the_accounts_own(exchange: Exchange) -> None:
    mine = [place(exchange, "a", "0.40", "1") for _ in range(3)]
    other = place(exchange, "b", "0.40", "1")
    assert exchange.cancel_all("a") == 3
    assert [held.remaining for held in mine] == [0, 0, 0]
    assert other.remaining == 100


def test_ids_are_version_5_uuids_of_the_seed_and_a_name(exchange: Exchange) -> None:
    namespace = uuid.UUID("0f3f7f1e-5b5c-5d8a-8f0d-5a1f3c1b7a11")
    for n in range(50):
        made = place(exchange, "a", "0.40", "1")
        assert made.order_id == str(uuid.uuid5(namespace, f"7|order|{n}"))
