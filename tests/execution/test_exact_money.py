"""Our ledger and the simulated exchange agree to the last 1e-6 dollar, for any fills and any number."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from src.core.events import Fill
from src.core.fees import CENT, CENTICENT, FeeSchedule, FeeType
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus, Strike, StrikeKind
from src.core.sides import BookSide
from src.core.signal import TimeInForce
from src.core.units import CENT_PRICE, DAY, DOLLAR_CASH, ONE_CONTRACT, SECOND, Nanos, Price
from src.execution.portfolio import Portfolio
from src.simulator.exchange import Exchange
from src.simulator.paper_records import fill_event, settlement_event
from src.simulator.records import NewOrder
from src.simulator.refusals import OrderRefused
from src.simulator.venue import VenueRules
from src.simulator.world import CrowdQuote, CrowdTake, Determine, ListEvent

START: Nanos = 1_795_440_000 * SECOND
KEY = "account"
CASH = 1_000_000 * DOLLAR_CASH
RESULTS: tuple[tuple[str, Price], ...] = (("yes", 10_000), ("no", 0), ("scalar", 3_700), ("void", 5_000))
_SERIES = 40
_MARKETS = 250
assert _SERIES * _MARKETS == 10_000


def _market(number: int, fees: FeeSchedule) -> Market:
    return Market(
        ticker=f"KXSEQ-26NOV23-B{number}.5",
        event_ticker="KXSEQ-26NOV23",
        series_ticker="KXSEQ",
        status=MarketStatus.ACTIVE,
        open_time=START,
        close_time=START + DAY,
        grid=LINEAR_CENT,
        fees=fees,
        strike=Strike(StrikeKind.BETWEEN, 50, 51),
        settlement_timer_seconds=5,
    )


def _sequence(exchange: Exchange, ticker: str, dice: Random) -> None:
    """One market's life: quotes, our orders on both sides, others trading with what rests, the result."""
    for _ in range(dice.randint(1, 3)):
        mid = dice.randint(10, 90)
        bids = tuple(((mid - n) * CENT_PRICE, dice.randint(1, 900)) for n in (1, 2))
        asks = tuple(((mid + n) * CENT_PRICE, dice.randint(1, 900)) for n in (1, 2))
        exchange.apply(CrowdQuote(exchange.now, ticker, bids, asks))
        side = dice.choice((BookSide.BID, BookSide.ASK))
        rests = dice.random() < 0.4
        off = dice.randint(-3, 3)
        request = NewOrder(
            ticker=ticker,
            side=side,
            price=min(99, max(1, mid + off)) * CENT_PRICE,
            count=dice.randint(1, 2_500),
            time_in_force=TimeInForce.GOOD_TILL_CANCELED if rests else TimeInForce.IMMEDIATE_OR_CANCEL,
        )
        order = exchange.create(KEY, request)
        if order.remaining and dice.random() < 0.8:
            other = BookSide.ASK if side is BookSide.BID else BookSide.BID
            price = 100 if other is BookSide.ASK else 9_900
            exchange.apply(CrowdTake(exchange.now, ticker, other, price, dice.randint(1, 2_000)))
        if order.remaining and dice.random() < 0.3:
            exchange.cancel(KEY, order.order_id)
    result, value = dice.choice(RESULTS)
    exchange.apply(Determine(exchange.now, ticker, result, value, ""))


@pytest.mark.parametrize("series", range(_SERIES))
def test_ten_thousand_random_fill_sequences_agree_with_the_exchange(series: int) -> None:
    """Buys and sells of both outcomes, partial fills, maker and taker fees with the rounding accumulator,
    results yes, no, scalar and void: cash after each market, fees and profit are the exchange's, exactly."""
    dice = Random(f"sequences:{series}")
    fees = FeeSchedule(dice.choice(tuple(FeeType)), dice.choice((10_000, 5_000, 15_000)))
    exchange = Exchange(seed=series, start=START, rules=VenueRules())
    account = exchange.add_account(KEY, CASH)
    markets = [_market(number, fees) for number in range(_MARKETS)]
    exchange.apply(ListEvent(START, "KXSEQ-26NOV23", "KXSEQ", "sequences", tuple(markets)))
    portfolio = Portfolio()
    portfolio.open_ledger(CASH)
    booked = paid = 0
    for number, market in enumerate(markets):
        exchange.advance(START + (10 * number + 1) * SECOND)
        _sequence(exchange, market.ticker, dice)
        for fill in account.fills[booked:]:
            portfolio.apply_fill(fill_event(fill, exchange.now), market.event_ticker, "s")
        booked = len(account.fills)
        assert portfolio.cash == account.cash, f"{market.ticker}: before the payment"
        assert portfolio.count(market.ticker) == account.position_count(market.ticker)
        exchange.advance(START + (10 * number + 8) * SECOND)
        for settlement in account.settlements[paid:]:
            _, revenue, _ = portfolio.settle(settlement_event(settlement, exchange.now))
            assert revenue == settlement.revenue
        paid = len(account.settlements)
        assert portfolio.cash == account.cash, f"{market.ticker}: after the payment"
        ours, theirs = portfolio.get(market.ticker), account.positions.get(market.ticker)
        if theirs is not None:
            assert ours is not None
            assert (ours.fees, ours.realized) == (theirs.fees, theirs.realized - theirs.fees)
    assert booked > _MARKETS, "sequences without fills prove nothing"
    assert {fill.is_taker for fill in account.fills} == {True, False}


def test_an_error_of_a_centicent_is_seen() -> None:
    """The comparison above would notice the smallest amount Kalshi knows."""
    exchange = Exchange(seed=1, start=START)
    account = exchange.add_account(KEY, CASH)
    exchange.apply(ListEvent(START, "KXSEQ-26NOV23", "KXSEQ", "one", (_market(0, FeeSchedule()),)))
    ticker = "KXSEQ-26NOV23-B0.5"
    exchange.apply(CrowdQuote(exchange.now, ticker, ((4_000, 500),), ((4_200, 500),)))
    exchange.create(KEY, NewOrder(ticker, BookSide.BID, 4_200, 300))
    portfolio = Portfolio()
    portfolio.open_ledger(CASH)
    (fill,) = account.fills
    event = fill_event(fill, exchange.now)
    portfolio.apply_fill(replace(event, fee=event.fee + CENTICENT), "KXSEQ-26NOV23", "s")
    assert portfolio.cash == account.cash - CENTICENT
    with pytest.raises(OrderRefused):
        exchange.create(KEY, NewOrder(ticker, BookSide.BID, 4_200, 10**12))


def test_a_hundred_thousand_fills_drift_by_nothing() -> None:
    """Against exact decimals, over prices, fractions of contracts and fees that binary floats cannot hold."""
    dice = Random("drift")
    portfolio = Portfolio()
    portfolio.open_ledger(CASH)
    cash = Decimal(CASH) / DOLLAR_CASH
    held: dict[str, int] = {}
    as_floats = float(cash)
    for number in range(100_000):
        ticker = f"KXDRIFT-26NOV23-B{number % 50}.5"
        side = dice.choice((BookSide.BID, BookSide.ASK))
        price, count, fee = dice.randint(1, 9_999), dice.randint(1, 5_000), dice.randint(0, 300) * CENTICENT
        fill = Fill(str(number), "o", "c", ticker, side, price, count, fee, True, number, number)
        portfolio.apply_fill(fill, "KXDRIFT-26NOV23", "s")
        before = held.get(ticker, 0)
        pairs = min(count, max(0, -side.sign * before))
        unit = price if side is BookSide.BID else 10_000 - price
        flow = Decimal(pairs) / 100 - Decimal(unit) / 10_000 * Decimal(count) / 100
        cash += flow - Decimal(fee) / DOLLAR_CASH
        as_floats += pairs / 100 - unit / 10_000 * count / 100 - fee / DOLLAR_CASH
        held[ticker] = before + side.sign * count
    assert Decimal(portfolio.cash) / DOLLAR_CASH == cash
    assert {ticker: portfolio.count(ticker) for ticker in held} == held
    spent = sum(position.cost - position.realized for position in portfolio.open_positions())
    flat = sum(portfolio.get(t).realized for t in held if not held[t])  # type: ignore[union-attr]
    assert CASH - portfolio.cash == spent - flat, "cost and profit explain every cent of cash"
    assert as_floats != float(cash), "floats would have drifted, or this test proves nothing"
    assert ONE_CONTRACT * CENT_PRICE == CENT
