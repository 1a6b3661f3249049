"""Laws that hold after any sequence of orders, amendments, groups, crowd flow, cancels and settlements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from src.core.events import VenueOrderStatus
from src.core.fees import FeeSchedule, FeeType
from src.core.sides import BookSide
from src.core.signal import TimeInForce
from src.core.units import DOLLAR_CASH, DOLLAR_PRICE, HOUR
from src.simulator.matching import CROWD
from src.simulator.order_changes import Amendment
from src.simulator.outputs import BookChange, FillMade, Output
from src.simulator.records import NewOrder, SelfTradePrevention
from src.simulator.refusals import OrderRefused
from src.simulator.world import CrowdPrint, CrowdQuote, CrowdTake, Determine

from .conftest import T0, TICKER, make_exchange, make_market

NAMES = ("a", "b", "c")
START_CASH = 200 * DOLLAR_CASH
PRICES = st.integers(30, 70).map(lambda cents: cents * 100)
COUNTS = st.integers(1, 3_000)
SIDES = st.sampled_from(list(BookSide))


class ExchangeMachine(RuleBasedStateMachine):
    """Random life of one market with three accounts and a crowd."""

    def __init__(self) -> None:
        super().__init__()
        market = make_market(fees=FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES))
        self.exchange = make_exchange(market)
        self.book: dict[tuple[BookSide, int], int] = defaultdict(int)
        self.fees = 0
        self.fill_count = 0
        self.settled = False
        self.refusals: set[str] = set()
        self.exchange.subscribe(self.listen)
        for name in NAMES:
            self.exchange.add_account(name, START_CASH)
        self.groups = {name: self.exchange.create_group(name, 2_000) for name in NAMES}

    def listen(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, BookChange):
                self.book[output.side, output.price] += output.delta
            elif isinstance(output, FillMade):
                self.fees += output.fill.fee
                self.fill_count += 1

    @rule(
        name=st.sampled_from(NAMES),
        side=SIDES,
        price=PRICES,
        count=COUNTS,
        tif=st.sampled_from(list(TimeInForce)),
        stp=st.sampled_from(list(SelfTradePrevention)),
        post_only=st.booleans(),
        reduce_only=st.booleans(),
        grouped=st.booleans(),
    )
    def order(
        self,
        name: str,
        side: BookSide,
        price: int,
        count: int,
        tif: TimeInForce,
        stp: SelfTradePrevention,
        post_only: bool,
        reduce_only: bool,
        grouped: bool,
    ) -> None:
        ioc = tif is TimeInForce.IMMEDIATE_OR_CANCEL
        before = self.exchange.account(name).position_count(TICKER)
        request = NewOrder(
            TICKER,
            side,
            price,
            count,
            tif,
            stp,
            post_only=post_only and tif is TimeInForce.GOOD_TILL_CANCELED,
            reduce_only=reduce_only and ioc,
            order_group_id=self.groups[name].group_id if grouped else "",
        )
        try:
            order = self.exchange.create(name, request)
        except OrderRefused as refused:
            self.refusals.add(refused.code)
            return
        after = self.exchange.account(name).position_count(TICKER)
        assert after - before == side.sign * order.filled
        if tif is not TimeInForce.GOOD_TILL_CANCELED:
            assert order.remaining == 0
        stopped = order.reason == "SelfTradeCancel" or (grouped and self.groups[name].is_triggered)
        if tif is TimeInForce.FILL_OR_KILL and not stopped:
            assert order.filled in {0, count}
        if request.reduce_only:
            assert abs(after) <= abs(before)
        if request.post_only:
            assert order.filled == 0

    @rule(name=st.sampled_from(NAMES), pick=st.integers(0, 50))
    def cancel(self, name: str, pick: int) -> None:
        held = list(self.exchange.account(name).open_orders)
        if held:
            order, taken_out = self.exchange.cancel(name, held[pick % len(held)], TICKER)
            assert 0 < order.filled + taken_out <= order.count

    @rule(name=st.sampled_from(NAMES), pick=st.integers(0, 50), price=PRICES, count=COUNTS)
    def amend(self, name: str, pick: int, price: int, count: int) -> None:
        held = list(self.exchange.account(name).open_orders.values())
        if not held:
            return
        order = held[pick % len(held)]
        before = order.request, order.remaining, self.exchange.account(name).resting_collateral
        wanted = Amendment(order.order_id, TICKER, order.side, price, order.filled + count)
        try:
            self.exchange.amend(name, wanted)
        except OrderRefused as refused:
            self.refusals.add(refused.code)
            assert before == (order.request, order.remaining, self.exchange.account(name).resting_collateral)

    @rule(name=st.sampled_from(NAMES), pick=st.integers(0, 50), left=COUNTS)
    def decrease(self, name: str, pick: int, left: int) -> None:
        held = list(self.exchange.account(name).open_orders.values())
        if held and (order := held[pick % len(held)]).remaining > left:
            self.exchange.decrease(name, order.order_id, reduce_to=left)
            assert order.remaining == left

    @rule(name=st.sampled_from(NAMES))
    def reset_group(self, name: str) -> None:
        self.exchange.reset_group(name, self.groups[name].group_id)

    @rule(
        mid=st.integers(35, 65),
        sizes=st.lists(COUNTS, min_size=0, max_size=4),
        more=st.lists(COUNTS, min_size=0, max_size=4),
    )
    def quote(self, mid: int, sizes: list[int], more: list[int]) -> None:
        bids = tuple(((mid - 1 - i) * 100, size) for i, size in enumerate(sizes))
        asks = tuple(((mid + 1 + i) * 100, size) for i, size in enumerate(more))
        self.exchange.apply(CrowdQuote(T0, TICKER, bids, asks))

    @rule(side=SIDES, price=PRICES, count=COUNTS)
    def crowd_take(self, side: BookSide, price: int, count: int) -> None:
        self.exchange.apply(CrowdTake(T0, TICKER, side, price, count))

    @rule(side=SIDES, price=PRICES, count=COUNTS)
    def crowd_print(self, side: BookSide, price: int, count: int) -> None:
        volume = self.exchange.markets[TICKER].volume
        open_market = not self.settled
        self.exchange.apply(CrowdPrint(T0, TICKER, "print", price, count, side))
        assert self.exchange.markets[TICKER].volume - volume == (count if open_market else 0)

    @precondition(lambda self: not self.settled and self.fill_count > 3)
    @rule(value=st.sampled_from([0, 2_500, DOLLAR_PRICE]))
    def settle(self, value: int) -> None:
        held = {name: self.exchange.account(name).position_count(TICKER) for name in NAMES}
        cash = {name: self.exchange.account(name).cash for name in NAMES}
        self.exchange.apply(Determine(T0 + 30 * HOUR, TICKER, "scalar", value, ""))
        self.exchange.advance(T0 + 40 * HOUR)
        self.settled = True
        for name in NAMES:
            count = held[name]
            pays = count * value if count > 0 else -count * (DOLLAR_PRICE - value)
            assert self.exchange.account(name).cash - cash[name] == pays

    @invariant()
    def cash_and_collateral_are_conserved(self) -> None:
        accounts = [self.exchange.crowd, *self.exchange.accounts.values()]
        counts = [account.position_count(TICKER) for account in accounts]
        assert sum(counts) == 0
        backing = sum(count for count in counts if count > 0) * DOLLAR_PRICE
        cash = sum(account.cash for account in accounts)
        assert cash + backing + self.fees == len(NAMES) * START_CASH

    @invariant()
    def profit_explains_cash(self) -> None:
        for account in self.exchange.accounts.values():
            realized = sum(held.realized - held.fees - held.cost for held in account.positions.values())
            assert account.cash == START_CASH + realized
            assert all(held.cost >= 0 for held in account.positions.values())

    @invariant()
    def refusals_are_for_cash_post_only_or_the_close(self) -> None:
        allowed = {"insufficient_balance", "invalid_order", "market_inactive"}
        assert self.refusals <= allowed | {"exceeded_order_group_risk_limit"}
        assert self.settled or "market_inactive" not in self.refusals

    @invariant()
    def nobody_spends_more_than_fee_rounding_beyond_cash(self) -> None:
        for account in self.exchange.accounts.values():
            allowance = 100 * len(account.fills)
            assert account.free_cash >= -allowance

    @invariant()
    def book_is_positive_uncrossed_and_equals_the_deltas(self) -> None:
        book = self.exchange.book(TICKER)
        shown = {(side, price): size for side in BookSide for price, size in book.levels(side)}
        assert all(size > 0 for size in shown.values())
        assert shown == {key: size for key, size in self.book.items() if size}
        bid, ask = book.best(BookSide.BID), book.best(BookSide.ASK)
        assert bid is None or ask is None or bid < ask

    @invariant()
    def nothing_of_a_triggered_group_rests(self) -> None:
        for name, group in self.groups.items():
            resting = self.exchange.account(name).open_orders.values()
            members = [order for order in resting if order.request.order_group_id == group.group_id]
            assert not (group.is_triggered and members)

    @invariant()
    def resting_orders_are_the_books_lots(self) -> None:
        book = self.exchange.book(TICKER)
        resting: dict[str, int] = {}
        for side in BookSide:
            for price, size in book.levels(side):
                queue = book.queue(side, price)
                assert sum(lot.remaining for lot in queue) == size
                resting |= {lot.order_id: lot.remaining for lot in queue if lot.owner != CROWD}
        held = {
            order.order_id: order.remaining
            for account in self.exchange.accounts.values()
            for order in account.orders.values()
            if order.status is VenueOrderStatus.RESTING
        }
        assert resting == held


TestExchange = ExchangeMachine.TestCase


@given(st.lists(st.tuples(st.sampled_from(NAMES[:2]), PRICES, COUNTS), min_size=1, max_size=25), COUNTS)
def test_price_time_priority(makers: list[tuple[str, int, int]], count: int) -> None:
    """Whatever rests, a taker meets it by price and then by age."""
    exchange = make_exchange()
    for name in NAMES:
        exchange.add_account(name, 10**15)
    placed = [
        exchange.create(name, NewOrder(TICKER, BookSide.ASK, price, size)) for name, price, size in makers
    ]
    exchange.create("c", NewOrder(TICKER, BookSide.BID, 9900, count))
    left = count
    for order in sorted(placed, key=lambda each: (each.price, each.ordinal)):
        expected = min(left, order.count)
        assert order.filled == expected
        left -= expected


def test_same_seed_and_calls_give_the_same_ids_and_another_seed_others() -> None:
    from src.simulator.exchange import Exchange

    from .conftest import listing

    def ids(seed: int) -> list[str]:
        exchange = Exchange(seed=seed, start=T0)
        exchange.apply(listing())
        for name in NAMES:
            exchange.add_account(name, START_CASH)
        exchange.create("a", NewOrder(TICKER, BookSide.ASK, 4000, 100))
        exchange.create("b", NewOrder(TICKER, BookSide.BID, 4000, 100))
        return [*exchange.account("a").orders, *(fill.trade_id for fill in exchange.account("b").fills)]

    assert ids(1) == ids(1)
    assert not set(ids(1)) & set(ids(2))
