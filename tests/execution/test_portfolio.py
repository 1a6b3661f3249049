"""Cash and positions are exact, whatever the order of fills, and settlement pays what the pairs are worth."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from src.core.events import Fill, Settlement
from src.core.sides import BookSide
from src.core.units import DOLLAR_PRICE
from src.execution.portfolio import Portfolio, fill_cash_flow, settlement_revenue

TICKER = "KXHIGHNY-26NOV24-B50.5"

fills = st.lists(
    st.tuples(
        st.sampled_from(BookSide),
        st.integers(1, 9_999),
        st.integers(1, 50_000),
        st.integers(0, 500).map(lambda fee: fee * 100),
    ),
    min_size=1,
    max_size=40,
)


def _fill(number: int, side: BookSide, price: int, count: int, fee: int) -> Fill:
    return Fill(f"t{number}", "o", "c", TICKER, side, price, count, fee, True, number, number)


def _settlement(value: int) -> Settlement:
    return Settlement(TICKER, "KXHIGHNY-26NOV24", value, 0, 0, 0, 10**6, 10**6)


@given(fills, st.integers(0, DOLLAR_PRICE))
def test_final_cash_is_the_sum_of_gross_legs_and_payout(
    trades: list[tuple[BookSide, int, int, int]], value: int
) -> None:
    """Netting moves a pair's dollar earlier, never its amount: the end equals holding both legs gross."""
    portfolio = Portfolio()
    portfolio.open_ledger(0)
    gross = 0
    for number, (side, price, count, fee) in enumerate(trades):
        portfolio.apply_fill(_fill(number, side, price, count, fee), "KXHIGHNY-26NOV24", "s")
        paid = price if side is BookSide.BID else DOLLAR_PRICE - price
        pays = value if side is BookSide.BID else DOLLAR_PRICE - value
        gross += count * (pays - paid) - fee
    portfolio.settle(_settlement(value))
    assert portfolio.cash == gross
    assert portfolio.count(TICKER) == 0
    position = portfolio.get(TICKER)
    assert position is not None
    assert position.realized == gross
    assert position.cost == 0


@given(fills)
def test_cost_is_never_negative_and_flat_means_no_cost(trades: list[tuple[BookSide, int, int, int]]) -> None:
    """The open part's all-in cost stays a cost, and every cent leaves with the position."""
    portfolio = Portfolio()
    for number, (side, price, count, fee) in enumerate(trades):
        position, _ = portfolio.apply_fill(_fill(number, side, price, count, fee), "E", "s")
        assert position.cost >= 0
        assert (position.count != 0) or position.cost == 0


@given(fills)
def test_cash_flow_formula_equals_the_ledger(trades: list[tuple[BookSide, int, int, int]]) -> None:
    """The pure formula used to check the store gives the ledger's cash."""
    portfolio = Portfolio()
    cash = count_before = 0
    for number, (side, price, count, fee) in enumerate(trades):
        cash += fill_cash_flow(count_before, side, price, count, fee)
        count_before += side.sign * count
        portfolio.apply_fill(_fill(number, side, price, count, fee), "E", "s")
    assert (cash, count_before) == (portfolio.cash, portfolio.count(TICKER))


def test_buying_no_is_an_ask_and_pays_when_yes_loses() -> None:
    """100 contracts of NO at 0.63 (an ask at 0.37) cost 63 dollars and pay 100 on a NO."""
    portfolio = Portfolio()
    portfolio.open_ledger(100_000_000)
    portfolio.apply_fill(_fill(1, BookSide.ASK, 3_700, 10_000, 0), "E", "s")
    assert portfolio.cash == 37_000_000
    assert portfolio.count(TICKER) == -10_000
    _, revenue, profit = portfolio.settle(_settlement(0))
    assert (revenue, profit, portfolio.cash) == (100_000_000, 37_000_000, 137_000_000)


def test_scalar_settlement_pays_each_side_its_share() -> None:
    """A void or scalar value pays YES the value and NO the rest."""
    assert settlement_revenue(10_000, 4_000) == 40_000_000
    assert settlement_revenue(-10_000, 4_000) == 60_000_000


def test_each_time_a_market_is_held_has_its_own_profit() -> None:
    """A loss, then a gain in the same market: streaks and breakers hear of each by itself."""
    portfolio = Portfolio()
    first, _ = portfolio.apply_fill(_fill(1, BookSide.BID, 5_000, 100, 0), "E", "s")
    assert first.closed_pnl is None
    lost, _ = portfolio.apply_fill(_fill(2, BookSide.ASK, 4_000, 100, 0), "E", "s")
    assert lost.closed_pnl == -100_000
    again, _ = portfolio.apply_fill(_fill(3, BookSide.BID, 4_000, 100, 0), "E", "s")
    assert again.closed_pnl is None
    flipped, _ = portfolio.apply_fill(_fill(4, BookSide.ASK, 4_300, 250, 0), "E", "s")
    assert flipped.closed_pnl == 30_000
    settled, _, _ = portfolio.settle(_settlement(0))
    assert settled.closed_pnl == 150 * 4_300
    assert settled.realized == -100_000 + 30_000 + 150 * 4_300
