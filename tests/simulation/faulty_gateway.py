"""``OrderGateway`` over the simulated exchange, through a network that loses, delays and refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from src.core.actions import AmendOrder, CancelOrder
from src.core.errors import RetryableError
from src.core.events import (
    AccountReport,
    AmendAnswered,
    CancelAnswered,
    OrderAccepted,
    OrderRejected,
    OrderUnknown,
)
from src.core.ports import ApprovedOrder, Clock
from src.core.units import SECOND, Nanos
from src.simulator.order_changes import amendment
from src.simulator.refusals import OrderRefused
from tests.simulation.sim_venue import KEY, SimVenue
from tests.simulation.stage import Stage

TIMEOUT = 10.0
# A late request still arrives: later than this a real connection is closed and nothing is accepted any more.
LATEST = 6.0

Answer = OrderAccepted | OrderRejected | OrderUnknown


class Host(Protocol):
    """The process that calls."""

    async def point(self, name: str) -> None:
        """A place where the process may crash."""

    def leaving(self, approved: ApprovedOrder) -> None:
        """An order is handed to the network now."""


class FaultyGateway:
    """Requests and answers are the network's, not the process's: both go on when the process dies."""

    def __init__(self, stage: Stage, venue: SimVenue, clock: Clock, host: Host, on_way: set[str]) -> None:
        self._stage = stage
        self._venue = venue
        self._clock = clock
        self._host = host
        self._on_way = on_way

    async def submit(self, approved: ApprovedOrder) -> Answer:
        """Send once."""
        await self._host.point("order: before it leaves")
        stage, cid = self._stage, approved.intent.client_order_id
        self._host.leaving(approved)
        if stage.hits("rate_limited", stage.plan.rate_limited):
            await asyncio.sleep(stage.latency("order"))
            stage.saw("429 on an order")
            return OrderRejected(cid, "too_many_requests", "429", self._clock.now())
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._send(approved, answer)
        await self._host.point("order: on its way")
        try:
            outcome = await asyncio.wait_for(answer, TIMEOUT)
        except TimeoutError:
            stage.saw("order timed out")
            outcome = OrderUnknown(cid, "timeout", self._clock.now())
        await self._host.point("order: answered")
        return outcome

    def _send(self, approved: ApprovedOrder, answer: asyncio.Future[Answer]) -> None:
        stage, cid = self._stage, approved.intent.client_order_id
        if stage.hits("lose_request", stage.plan.lose_request):
            stage.saw("request lost")
            return
        if stage.hits("server_error", stage.plan.server_error):
            # 5xx: done in half of the cases, and nobody says which.
            done = stage.dice("server_error").random() < 0.5
            stage.saw("5xx, order accepted" if done else "5xx, order not accepted")
            if done:
                self._deliver(approved, lambda _: None)
            error = OrderUnknown(cid, "503", self._clock.now())
            self._later(stage.latency("order"), lambda: _answer(answer, error))
            return
        self._deliver(approved, lambda outcome: self._respond(answer, outcome))

    def _deliver(self, approved: ApprovedOrder, respond: Callable[[Answer], None]) -> None:
        delay = self._stage.latency("order")
        if self._stage.hits("late_request", self._stage.plan.late_request):
            delay += self._stage.dice("late_request").uniform(0.5, LATEST - 1.8)
            self._stage.saw("request late")
        self._on_way.add(approved.intent.client_order_id)
        self._later(delay, lambda: self._arrive(approved, respond))

    def _arrive(self, approved: ApprovedOrder, respond: Callable[[Answer], None]) -> None:
        cid = approved.intent.client_order_id
        self._on_way.discard(cid)
        try:
            order = self._venue.create(approved.intent)
        except OrderRefused as refused:
            self._stage.trace(f"venue: refuses {cid[:8]} {refused.code}")
            now = self._clock.now()
            if refused.code == "order_already_exists":
                respond(OrderUnknown(cid, "exists", now))
            else:
                respond(OrderRejected(cid, refused.code, refused.details, now))
            return
        accepted = OrderAccepted(
            cid, order.order_id, order.filled, order.remaining, order.updated_ts, self._clock.now()
        )
        respond(accepted)

    def _respond(self, answer: asyncio.Future[Answer], outcome: Answer) -> None:
        if self._stage.hits("lose_response", self._stage.plan.lose_response):
            self._stage.saw("response lost")
            return
        self._later(self._stage.latency("answer"), lambda: _answer(answer, outcome))

    # --- cancels -------------------------------------------------------------------------------------

    async def cancel(self, order: CancelOrder) -> CancelAnswered:
        """Cancel once."""
        stage, cid = self._stage, order.client_order_id
        stage.saw("cancel sent")
        await asyncio.sleep(stage.latency("order"))
        if stage.hits("lose_request", stage.plan.lose_request):
            await asyncio.sleep(TIMEOUT)
            return CancelAnswered(cid, "failed", "timeout", self._clock.now())
        try:
            self._venue.advance()
            _, taken_out = self._venue.exchange.cancel(
                KEY, order.order_id, order.ticker, order.exchange_index
            )
            outcome, detail = "canceled", ""
        except OrderRefused as refused:
            taken_out = 0
            outcome, detail = ("not_found" if refused.code == "not_found" else "failed"), refused.code
        await self._host.point("order: answered")
        if stage.hits("lose_response", stage.plan.lose_response):
            await asyncio.sleep(TIMEOUT)
            return CancelAnswered(cid, "failed", "timeout", self._clock.now())
        await asyncio.sleep(stage.latency("answer"))
        return CancelAnswered(cid, outcome, detail, self._clock.now(), taken_out)

    async def amend(self, order: AmendOrder) -> AmendAnswered:
        """Amend once."""
        stage = self._stage
        stage.saw("amend sent")
        await asyncio.sleep(stage.latency("order"))
        if stage.hits("lose_request", stage.plan.lose_request):
            await asyncio.sleep(TIMEOUT)
            return self._amended(order, "failed", "timeout", 0)
        self._venue.advance()
        arrived = self._venue.exchange.now
        try:
            self._venue.exchange.amend(KEY, amendment(order))
            outcome, detail = "amended", ""
            stage.trace(f"venue: amended {order.client_order_id[:8]} to {order.count}")
        except OrderRefused as refused:
            outcome, detail = "failed", refused.code
        await self._host.point("order: answered")
        if stage.hits("lose_response", stage.plan.lose_response):
            await asyncio.sleep(TIMEOUT)
            return self._amended(order, "failed", "timeout", 0)
        await asyncio.sleep(stage.latency("answer"))
        return self._amended(order, outcome, detail, arrived)

    def _amended(self, order: AmendOrder, outcome: str, detail: str, ts: Nanos) -> AmendAnswered:
        self._stage.saw(f"amend {outcome}")
        now = self._clock.now()
        return AmendAnswered(
            order.client_order_id, outcome, order.count, order.expiration_ts, detail, ts, now
        )

    # --- records -------------------------------------------------------------------------------------

    async def report(self, since: Nanos) -> AccountReport:
        """Read the records one after the other, each as old as the venue's caches make it."""
        started = self._clock.now()
        as_of = self._stage.now - int(self._stage.plan.read_lag * SECOND)
        venue = self._venue
        orders = venue.orders(since, await self._read(), self._clock.now())
        fills = venue.fills(since, await self._read(), self._clock.now())
        await self._host.point("report: half read")
        settlements = venue.settlements(since, await self._read(), self._clock.now())
        positions = venue.positions(await self._read())
        balance = venue.balance(await self._read())
        return AccountReport(
            orders, fills, settlements, positions, balance, started, as_of, self._clock.now()
        )

    async def _read(self) -> Nanos:
        """One request: when it is answered, and as of when."""
        await asyncio.sleep(self._stage.latency("report"))
        if self._stage.hits("report_fails", self._stage.plan.report_fails / 5):
            self._stage.saw("report failed")
            raise RetryableError("503 on a listing", status=503)
        self._venue.advance()
        lag = self._stage.plan.read_lag if self._stage.faulty else 0.0
        old = self._stage.dice("read_lag").uniform(0.0, lag)
        return self._stage.now - int(old * SECOND)

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        self._stage.loop.call_later(delay, call)


def _answer(future: asyncio.Future[Answer], outcome: Answer) -> None:
    if not future.done():
        future.set_result(outcome)
