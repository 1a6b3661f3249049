"""Paper trading against a mirrored live book."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from src.core.actions import AmendOrder, CancelOrder
from src.core.events import (
    BookDelta,
    BookInvalid,
    BookSnapshot,
    Event,
    Fill,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    OrderAccepted,
    OrderRejected,
    OrderUpdate,
    PublicTrade,
    VenueOrderStatus,
)
from src.core.fees import FeeSchedule, FeeType
from src.core.market import MarketStatus
from src.core.ports import OrderGateway
from src.core.sides import BookSide
from src.core.signal import OrderIntent, Purpose, TimeInForce
from src.core.units import DOLLAR_CASH, HOUR, MINUTE, SECOND, parse_cash
from src.simulator.paper import PaperGateway

from .conftest import EVENT, T0, TICKER, make_market

BID, ASK = BookSide.BID, BookSide.ASK
CASH = 1_000 * DOLLAR_CASH


class SettableClock:
    def __init__(self) -> None:
        self.at = T0

    def now(self) -> int:
        return self.at


@dataclass(frozen=True)
class Approved:
    intent: OrderIntent
    reserved: int = 0


class Desk:
    """A paper gateway over one market, with short words for what happens to it."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.gateway = PaperGateway(CASH, self.clock)
        self.gateway.on_market_event(MarketUpdate(make_market(), T0))
        self.count = 0

    def snapshot(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        event = BookSnapshot(TICKER, tuple(bids.items()), tuple(asks.items()), 1, T0, self.clock.at)
        self.gateway.on_market_event(event)

    def delta(self, side: BookSide, price: int, delta: int) -> None:
        self.gateway.on_market_event(BookDelta(TICKER, side, price, delta, 2, T0, self.clock.at))

    def trade(self, price: int, count: int, taker: BookSide) -> None:
        event = PublicTrade(TICKER, f"t{price}", price, count, taker, T0, self.clock.at)
        self.gateway.on_market_event(event)

    async def order(
        self, side: BookSide, price: int, count: int, tif: TimeInForce = TimeInForce.GOOD_TILL_CANCELED
    ) -> OrderAccepted:
        self.count += 1
        name = f"o{self.count}"
        intent = OrderIntent(
            name, "s", "test", TICKER, EVENT, side, price, count, tif, Purpose.ENTRY, T0, "trace"
        )
        answer = await self.gateway.submit(Approved(intent))
        assert isinstance(answer, OrderAccepted), answer
        return answer

    async def events(self, count: int) -> list[Event]:
        stream = self.gateway.stream()
        async with asyncio.timeout(2):
            found = [await anext(stream) for _ in range(count)]
        await stream.aclose()  # type: ignore[attr-defined]
        return found

    async def filled(self, order: OrderAccepted) -> int:
        report = await self.gateway.report(0)
        return next(each.filled for each in report.orders if each.order_id == order.order_id)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_it_is_an_order_gateway(desk: Desk) -> None:
    gateway: OrderGateway = desk.gateway
    assert gateway is desk.gateway


async def test_taker_fills_only_displayed_size_at_the_limit_or_better(desk: Desk) -> None:
    desk.snapshot({4000: 500}, {4400: 300, 4500: 200, 4600: 1000})
    answer = await desk.order(BID, 4500, 1000, TimeInForce.IMMEDIATE_OR_CANCEL)
    assert answer.filled == 500
    first, second = [event for event in await desk.events(3) if isinstance(event, Fill)]
    assert [(first.price, first.count), (second.price, second.count)] == [(4400, 300), (4500, 200)]
    assert first.is_taker
    assert first.fee == parse_cash("0.0518")


async def test_each_displayed_lot_is_taken_once_until_the_level_grows_or_empties(desk: Desk) -> None:
    desk.snapshot({}, {4400: 300})
    ioc = TimeInForce.IMMEDIATE_OR_CANCEL
    assert (await desk.order(BID, 4400, 200, ioc)).filled == 200
    assert (await desk.order(BID, 4400, 200, ioc)).filled == 100
    desk.snapshot({}, {4400: 300})
    assert (await desk.order(BID, 4400, 200, ioc)).filled == 0
    desk.delta(ASK, 4400, 50)
    assert (await desk.order(BID, 4400, 200, ioc)).filled == 50
    desk.delta(ASK, 4400, -350)
    desk.delta(ASK, 4400, 80)
    assert (await desk.order(BID, 4400, 200, ioc)).filled == 80


async def test_resting_order_fills_only_by_a_print_strictly_through_its_price(desk: Desk) -> None:
    desk.snapshot({4000: 500}, {4400: 300})
    resting = await desk.order(BID, 4000, 400)
    desk.trade(4000, 5000, ASK)
    assert await desk.filled(resting) == 0
    desk.trade(3900, 150, ASK)
    assert await desk.filled(resting) == 150


async def test_resting_order_fills_when_the_touch_moves_strictly_through(desk: Desk) -> None:
    desk.snapshot({4000: 500}, {4400: 300})
    resting = await desk.order(BID, 4200, 400)
    desk.delta(ASK, 4200, 1000)
    assert await desk.filled(resting) == 0
    desk.delta(ASK, 4100, 250)
    assert await desk.filled(resting) == 250
    report = await desk.gateway.report(0)
    assert [(fill.price, fill.is_taker, fill.fee) for fill in report.fills] == [(4200, False, 0)]
    assert report.balance == CASH - parse_cash("1.05")


async def test_an_invalid_book_offers_nothing_until_its_next_snapshot(desk: Desk) -> None:
    desk.snapshot({}, {4400: 300})
    desk.gateway.on_market_event(BookInvalid((TICKER, "unknown"), "gap", T0))
    desk.delta(ASK, 4400, 100)
    ioc = TimeInForce.IMMEDIATE_OR_CANCEL
    assert (await desk.order(BID, 4400, 100, ioc)).filled == 0
    desk.snapshot({}, {4400: 300})
    assert (await desk.order(BID, 4400, 100, ioc)).filled == 100


async def test_settled_pays_by_the_determined_result_and_the_report_shows_it(desk: Desk) -> None:
    desk.snapshot({}, {4400: 300})
    await desk.order(BID, 4400, 300)
    before = (await desk.gateway.report(0)).balance
    desk.clock.at = T0 + 30 * HOUR
    settled = MarketLifecycle(TICKER, LifecycleKind.SETTLED, desk.clock.at)
    desk.gateway.on_market_event(settled)
    assert (await desk.gateway.report(0)).balance == before
    determined = MarketLifecycle(
        TICKER, LifecycleKind.DETERMINED, desk.clock.at, result="yes", settlement_value=10_000
    )
    desk.gateway.on_market_event(determined)
    desk.gateway.on_market_event(settled)
    desk.gateway.on_market_event(settled)
    report = await desk.gateway.report(T0 + HOUR)
    assert report.balance - before == 3 * DOLLAR_CASH
    assert [(each.revenue, each.value) for each in report.settlements] == [(3 * DOLLAR_CASH, 10_000)]
    assert (report.positions, report.fills) == ((), ())


async def test_a_finalised_market_update_pays_too(desk: Desk) -> None:
    desk.snapshot({}, {4400: 300})
    await desk.order(BID, 4400, 300)
    before = (await desk.gateway.report(0)).balance
    market = make_market(status=MarketStatus.FINALIZED, result="no", settlement_value=0)
    desk.gateway.on_market_event(MarketUpdate(market, T0 + 31 * HOUR))
    report = await desk.gateway.report(0)
    assert report.balance == before
    assert len(report.settlements) == 1


async def test_cancel_answers_and_updates(desk: Desk) -> None:
    desk.snapshot({}, {4400: 300})
    resting = await desk.order(BID, 4000, 400)
    by_client_id = CancelOrder(resting.client_order_id, "", TICKER, 0)
    assert (await desk.gateway.cancel(by_client_id)).outcome == "canceled"
    assert (await desk.gateway.cancel(by_client_id)).outcome == "not_found"
    updates = await desk.events(2)
    assert [each.status for each in updates if isinstance(each, OrderUpdate)] == [
        VenueOrderStatus.RESTING,
        VenueOrderStatus.CANCELED,
    ]


async def test_a_refused_order_is_a_definite_rejection(desk: Desk) -> None:
    intent = OrderIntent(
        "c", "s", "t", TICKER, EVENT, BID, 4050, 100, TimeInForce.GOOD_TILL_CANCELED, Purpose.ENTRY, T0, ""
    )
    answer = await desk.gateway.submit(Approved(intent))
    assert isinstance(answer, OrderRejected)
    assert answer.code == "invalid_price"
    answer = await desk.gateway.submit(Approved(replace(intent, ticker="unknown")))
    assert isinstance(answer, OrderRejected)
    assert answer.code == "not_found"


async def test_closing_time_cancels_resting_paper_orders(desk: Desk) -> None:
    desk.snapshot({}, {4400: 300})
    await desk.order(BID, 4000, 400)
    desk.clock.at = T0 + 24 * HOUR
    desk.gateway.advance()
    _, update = await desk.events(2)
    assert isinstance(update, OrderUpdate)
    assert (update.status, update.reason) == (VenueOrderStatus.CANCELED, "CloseCancel")


async def test_an_amended_paper_order_is_smaller_by_its_total_and_expires_when_it_says(desk: Desk) -> None:
    """Half filled, made smaller, then ended by its new expiry, as on the exchange."""
    desk.snapshot({}, {4400: 300})
    order = await desk.order(BID, 4200, 800)
    desk.trade(4100, 300, ASK)
    until = T0 + 5 * MINUTE
    amend = AmendOrder(order.client_order_id, order.order_id, TICKER, 0, BID, 4200, 500, until)
    answer = await desk.gateway.amend(amend)
    assert (answer.outcome, answer.count, answer.expiration_ts) == ("amended", 500, until)
    (held,) = (await desk.gateway.report(0)).orders
    assert (held.filled, held.remaining, held.count) == (300, 200, 500)
    refused = await desk.gateway.amend(replace(amend, count=300))
    assert refused.outcome == "failed"
    desk.clock.at = until
    desk.gateway.advance()
    (held,) = (await desk.gateway.report(0)).orders
    assert (held.status, held.reason, held.filled) == (VenueOrderStatus.CANCELED, "ExpiryCancel", 300)


async def test_a_post_only_paper_order_is_refused_where_it_would_take(desk: Desk) -> None:
    """Resting means resting: the refusal is the one of the wire."""
    desk.snapshot({}, {4400: 300})
    resting = TimeInForce.GOOD_TILL_CANCELED
    intent = OrderIntent("c", "s", "t", TICKER, EVENT, BID, 4400, 100, resting, Purpose.ENTRY, T0, "")
    intent = replace(intent, post_only=True, expiration_ts=T0 + MINUTE)
    answer = await desk.gateway.submit(Approved(intent))
    assert isinstance(answer, OrderRejected)
    assert (answer.code, answer.message) == ("invalid_order", "post only cross")
    answer = await desk.gateway.submit(Approved(replace(intent, client_order_id="d", price=4300)))
    assert isinstance(answer, OrderAccepted)


@pytest.mark.parametrize(
    ("kind", "fee"),
    [
        (FeeType.QUADRATIC, 0),
        (FeeType.QUADRATIC_WITH_MAKER_FEES, parse_cash("0.0128", "fee")),  # 0.0175 x 3 x 0.42 x 0.58, up
    ],
)
async def test_a_resting_paper_order_pays_the_makers_fee(desk: Desk, kind: FeeType, fee: int) -> None:
    """Nothing in a plain series, a quarter of the taker's fee where makers pay."""
    ticker = f"{EVENT}-T99"
    market = replace(make_market(), ticker=ticker, fees=FeeSchedule(kind))
    desk.gateway.on_market_event(MarketUpdate(market, T0))
    desk.gateway.on_market_event(BookSnapshot(ticker, (), ((4400, 300),), 1, T0, T0))
    resting = TimeInForce.GOOD_TILL_CANCELED
    intent = OrderIntent("m", "s", "t", ticker, EVENT, BID, 4200, 300, resting, Purpose.ENTRY, T0, "")
    await desk.gateway.submit(Approved(replace(intent, post_only=True, expiration_ts=T0 + MINUTE)))
    desk.gateway.on_market_event(PublicTrade(ticker, "x", 4100, 300, ASK, T0, T0 + SECOND))
    (fill,) = (await desk.gateway.report(0)).fills
    assert (fill.is_taker, fill.count, fill.fee) == (False, 300, fee)
