"""The order book against a plain dictionary, and everything that must make it invalid."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.book import BookError, OrderBook
from src.core.errors import WireError
from src.core.grid import DECI_CENT, LINEAR_CENT, TAPERED_DECI_CENT, PriceGrid, PriceRange
from src.core.sides import BookSide, Outcome

CENTI_CENT = PriceGrid((PriceRange(0, 10_000, 1),))
BID, ASK = BookSide.BID, BookSide.ASK


def book_of(
    bids: tuple[tuple[int, int], ...] = (),
    asks: tuple[tuple[int, int], ...] = (),
    grid: PriceGrid = LINEAR_CENT,
) -> OrderBook:
    book = OrderBook("KXHIGHNY-26NOV23-B50.5", grid)
    book.apply_snapshot(bids, asks, seq=1, ts=10, ts_event=9)
    return book


class DictBook:
    """The obvious book: a dictionary per side."""

    def __init__(self) -> None:
        self.sizes: dict[BookSide, dict[int, int]] = {BID: {}, ASK: {}}

    def change(self, side: BookSide, price: int, delta: int) -> None:
        size = self.sizes[side].pop(price, 0) + delta
        if size:
            self.sizes[side][price] = size

    def levels(self, side: BookSide) -> list[tuple[int, int]]:
        return sorted(self.sizes[side].items(), reverse=side is BID)


def assert_same(book: OrderBook, model: DictBook) -> None:
    bids, asks = model.levels(BID), model.levels(ASK)
    assert book.levels(BID) == bids
    assert book.levels(ASK) == asks
    best_bid, best_ask = (bids[0] if bids else (None, 0)), (asks[0] if asks else (None, 0))
    assert (book.best_bid, book.best_bid_size) == best_bid
    assert (book.best_ask, book.best_ask_size) == best_ask
    assert book.is_two_sided == bool(bids and asks)
    assert book.is_crossed == bool(bids and asks and bids[0][0] >= asks[0][0])
    assert book.spread == (asks[0][0] - bids[0][0] if bids and asks else None)
    assert book.mid == ((asks[0][0] + bids[0][0]) / 20_000 if bids and asks else None)


@pytest.mark.parametrize(
    "grid", [LINEAR_CENT, DECI_CENT, TAPERED_DECI_CENT, CENTI_CENT], ids=["cent", "deci", "tapered", "centi"]
)
@pytest.mark.parametrize("width", [3, 9_999])
def test_ten_thousand_random_deltas_equal_a_dictionary(grid: PriceGrid, width: int) -> None:
    """Whole and fractional sizes, sparse and crowded books, one-sided and crossed on the way."""
    rng = random.Random(width)
    legal = grid.legal_prices()
    offered = legal[len(legal) // 2 : len(legal) // 2 + width] if width < len(legal) else legal
    book, model = book_of(grid=grid), DictBook()
    for seq in range(10_000):
        side, price = rng.choice((BID, ASK)), rng.choice(offered)
        resting = model.sizes[side].get(price, 0)
        delta = rng.choice((-resting, rng.randrange(-resting, 1) if resting else 0, rng.randrange(1, 9_999)))
        book.apply_delta(side, price, delta, seq, seq * 3, seq * 2)
        model.change(side, price, delta)
        assert book.size_at(side, price) == model.sizes[side].get(price, 0)
        assert book.best_bid == max(model.sizes[BID], default=None)
        assert book.best_ask == min(model.sizes[ASK], default=None)
        if seq % 250 == 0:
            assert_same(book, model)
    assert_same(book, model)
    assert (book.seq, book.ts, book.ts_event) == (9_999, 29_997, 19_998)


deltas = st.lists(
    st.tuples(
        st.sampled_from(BookSide), st.sampled_from(TAPERED_DECI_CENT.legal_prices()), st.integers(-300, 300)
    ),
    max_size=60,
)


@given(deltas)
def test_a_size_never_goes_negative_unnoticed(changes: list[tuple[BookSide, int, int]]) -> None:
    """Every sequence either equals the dictionary or stops, invalid, at the first impossible change."""
    book, model = book_of(grid=TAPERED_DECI_CENT), DictBook()
    for side, price, delta in changes:
        if model.sizes[side].get(price, 0) + delta < 0:
            with pytest.raises(BookError, match=f"{side.value} size at"):
                book.apply_delta(side, price, delta, 2, 2, None)
            assert not book.is_valid
            assert book.levels(BID) == book.levels(ASK) == []
            return
        book.apply_delta(side, price, delta, 2, 2, None)
        model.change(side, price, delta)
    assert_same(book, model)


def test_snapshot_takes_levels_in_any_order_and_replaces_everything() -> None:
    book = book_of(((3500, 4000), (3600, 1550)), ((4100, 7), (3900, 2200), (5000, 0)))
    assert book.levels(BID) == [(3600, 1550), (3500, 4000)]
    assert book.levels(ASK, depth=1) == [(3900, 2200)]
    book.apply_snapshot((), ((3700, 5),), seq=2, ts=20, ts_event=None)
    assert book.levels(BID) == []
    assert book.best_bid is None
    assert (book.best_ask, book.best_ask_size) == (3700, 5)
    assert (book.seq, book.ts, book.ts_event) == (2, 20, None)


def test_offers_and_bids_speak_the_outcomes_own_price() -> None:
    """Best YES bid 0.42 and best NO bid 0.56: YES is offered at 0.44, NO at 0.58."""
    book = book_of(((4100, 2500), (4200, 1300)), ((4400, 1700), (4500, 300)))
    assert book.offers(Outcome.YES) == [(4400, 1700), (4500, 300)]
    assert book.offers(Outcome.NO) == [(5800, 1300), (5900, 2500)]
    assert book.offers(Outcome.NO, depth=1) == [(5800, 1300)]
    assert book.bids_for(Outcome.YES) == [(4200, 1300), (4100, 2500)]
    assert book.bids_for(Outcome.NO) == [(5600, 1700), (5500, 300)]
    assert book.bids_for(Outcome.NO, depth=1) == [(5600, 1700)]


@given(deltas)
def test_yes_and_no_ladders_are_mirror_images(changes: list[tuple[BookSide, int, int]]) -> None:
    """An offer of one outcome is a bid for the other at one minus its price, and the best come first."""
    book = book_of(grid=TAPERED_DECI_CENT)
    for side, price, delta in changes:
        book.apply_delta(side, price, abs(delta), 2, 2, None)
    for outcome in Outcome:
        mirrored = [(10_000 - price, size) for price, size in book.bids_for(outcome.other)]
        assert book.offers(outcome) == mirrored
        offered = [price for price, _ in book.offers(outcome)]
        assert offered == sorted(offered)


@pytest.mark.parametrize("price", [3_750, 0, 10_000, -100, 10_100, 1, -9_900])
def test_a_delta_off_the_grid_makes_the_book_invalid(price: int) -> None:
    book = book_of(((3500, 100),), ((3600, 100),))
    with pytest.raises(
        WireError, match=r"KXHIGHNY-26NOV23-B50.5 bid price: expected a price on the market's"
    ):
        book.apply_delta(BID, price, 100, 2, 2, None)
    assert not book.is_valid
    assert book.best_bid is None
    assert book.offers(Outcome.YES) == []


def test_an_invalid_book_refuses_deltas_until_a_snapshot() -> None:
    book = OrderBook("T", LINEAR_CENT)
    assert not book.is_valid
    for _ in range(2):
        with pytest.raises(BookError, match="a snapshot before any change"):
            book.apply_delta(ASK, 5000, 100, 1, 1, None)
    book.apply_snapshot((), (), 1, 1, None)
    assert book.is_valid
    book.apply_delta(ASK, 5000, 100, 2, 2, None)
    assert book.best_ask == 5000


@pytest.mark.parametrize(
    ("bids", "asks", "field"),
    [
        (((3500, 100), (3505, 100)), (), r"bids\[1\] price"),
        ((), ((10_000, 100),), r"asks\[0\] price"),
        ((), ((-100, 100),), r"asks\[0\] price"),
        (((3500, 100), (3400, -1)), (), r"bids\[1\] size"),
        (((3500, 100), (3500, 100)), (), r"bids\[1\] price: expected each price once"),
        (((3500, 2**63),), (), r"bids\[0\] size: expected a size of at most 64 bits"),
    ],
)
def test_a_bad_snapshot_names_the_level_and_leaves_no_book(
    bids: tuple[tuple[int, int], ...], asks: tuple[tuple[int, int], ...], field: str
) -> None:
    """A level on a finer tick than the market's is never dropped, and the old book is not kept either."""
    book = book_of(((3500, 100),), ((3600, 100),))
    with pytest.raises(BookError, match=field):
        book.apply_snapshot(bids, asks, 2, 2, None)
    assert not book.is_valid


def test_a_size_beyond_64_bits_makes_the_book_invalid() -> None:
    book = book_of(((3500, 100),))
    with pytest.raises(BookError, match="at most 64 bits"):
        book.apply_delta(BID, 3500, 2**63, 2, 2, None)
    assert not book.is_valid


def test_crossed_and_locked_books_are_flagged_and_recover() -> None:
    book = book_of(((4000, 100),), ((4100, 100),))
    assert not book.is_crossed
    book.apply_delta(BID, 4100, 100, 2, 2, None)
    assert book.is_crossed
    assert book.spread == 0
    book.apply_delta(BID, 4200, 100, 3, 3, None)
    assert (book.is_crossed, book.spread) == (True, -100)
    book.apply_delta(BID, 4200, -100, 4, 4, None)
    book.apply_delta(BID, 4100, -100, 5, 5, None)
    assert (book.is_crossed, book.spread, book.best_bid) == (False, 100, 4000)


def test_a_finer_grid_keeps_the_levels_and_admits_new_prices() -> None:
    book = book_of(((4000, 100),), ((4100, 150),))
    book.regrid(DECI_CENT)
    book.apply_delta(BID, 4010, 50, 2, 2, None)
    assert book.levels(BID) == [(4010, 50), (4000, 100)]
    assert book.levels(ASK) == [(4100, 150)]
    assert (book.best_bid, book.best_ask, book.grid) == (4010, 4100, DECI_CENT)


def test_a_coarser_grid_with_prices_between_its_ticks_waits_for_a_snapshot() -> None:
    book = book_of(((4010, 100),), grid=DECI_CENT)
    with pytest.raises(BookError, match=r"bids\[0\] price"):
        book.regrid(LINEAR_CENT)
    assert not book.is_valid
    book.apply_snapshot(((4000, 1),), (), 2, 2, None)
    assert book.levels(BID) == [(4000, 1)]


def test_regridding_an_invalid_book_leaves_it_invalid() -> None:
    book = OrderBook("T", LINEAR_CENT)
    book.regrid(DECI_CENT)
    assert not book.is_valid
    book.apply_snapshot(((4010, 1),), (), 1, 1, None)
    assert book.best_bid == 4010


def test_size_at_is_zero_where_nothing_rests_or_can() -> None:
    book = book_of(((4000, 100),))
    assert book.size_at(BID, 4000) == 100
    assert book.size_at(ASK, 4000) == book.size_at(BID, 4100) == book.size_at(BID, 4050) == 0
