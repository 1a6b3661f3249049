"""The ledger from the tables: cash is exact and independent of the order of fills."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from src.core.events import Fill, Settlement
from src.core.sides import BookSide
from src.core.units import DOLLAR_CASH, DOLLAR_PRICE
from src.database.ledger import open_counts, opening_counts, trading_cash
from tests.database.records import fill, fills

BID, ASK = BookSide.BID, BookSide.ASK


def test_buying_yes_costs_price_and_fee() -> None:
    assert trading_cash([fill("1", BID, 4_500, 1_000, 175_000)], [], {}) == -4_500_000 - 175_000


def test_buying_no_costs_one_minus_the_yes_price() -> None:
    assert trading_cash([fill("1", ASK, 4_500, 1_000)], [], {}) == -5_500_000


def test_a_pair_pays_a_dollar_back_at_once() -> None:
    trades = [fill("1", BID, 4_500, 1_000), fill("2", ASK, 6_000, 400)]
    assert trading_cash(trades, [], {}) == -4_500_000 - 1_600_000 + 4 * DOLLAR_CASH


def test_a_position_from_before_the_ledger_completes_pairs_too() -> None:
    assert (
        trading_cash([fill("1", ASK, 6_000, 300)], [], {"KXHIGHNY-26NOV24-B50.5": 500})
        == -1_200_000 + 3_000_000
    )


def test_a_settlement_adds_what_the_exchange_paid_and_ends_the_position() -> None:
    trades = [fill("1", BID, 4_500, 1_000, ticker="A"), fill("2", ASK, 4_500, 100, ticker="B")]
    payout = Settlement("A", "E", 10_000, 10_000_000, 1_000, 0, 5, 6)
    assert trading_cash(trades, [payout], {}) == -4_500_000 - 550_000 + 10_000_000
    assert open_counts(trades, [payout], {}) == {"B": -100}


def test_opening_positions_are_read_from_control_values() -> None:
    assert opening_counts({"opening_position:A": "EV|-250|1000000", "external_cash": "5"}) == {"A": -250}


@given(st.lists(fills), st.dictionaries(st.sampled_from(["A", "B"]), st.integers(-500, 500)), st.randoms())
def test_cash_is_what_pairing_one_fill_after_the_other_gives(
    trades: list[Fill], opening: dict[str, int], random: object
) -> None:
    position, cash = dict(opening), 0
    for one in trades:
        price = one.price if one.side is BID else DOLLAR_PRICE - one.price
        held = position.get(one.ticker, 0)
        cash += min(max(0, -one.side.sign * held), one.count) * DOLLAR_PRICE - price * one.count - one.fee
        position[one.ticker] = held + one.side.sign * one.count
    shuffled = list(trades)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert trading_cash(shuffled, [], opening) == cash
    assert open_counts(shuffled, [], opening) == {
        ticker: count for ticker, count in position.items() if count
    }
