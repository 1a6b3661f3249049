"""Paper trading: the simulated exchange in process, its crowd mirrored from the live market.

Fills are those of ``matching.py`` with what a mirror can know:

* A taking order trades only with displayed size at its limit or better, and each displayed lot once:
  what was taken stays taken until the level grows (only the growth is new) or empties. A fresh
  snapshot after the feed declared the book invalid shows new lots.
* A resting order trades only when a public trade prints strictly through its price, or when the
  opposite touch moves strictly through it, up to the size printed or displayed there.
* Fees are exact; markets close by the clock; payment comes with the venue's ``settled``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from src.core.actions import AmendOrder, CancelOrder
from src.core.events import (
    AccountReport,
    AmendAnswered,
    CancelAnswered,
    Event,
    MarketData,
    OrderAccepted,
    OrderRejected,
    OrderUnknown,
    Settlement,
    VenuePosition,
)
from src.core.ports import ApprovedOrder, Clock
from src.core.units import Cash, Nanos
from src.simulator.exchange import Exchange
from src.simulator.order_changes import amendment
from src.simulator.outputs import FillMade, OrderChange, Output
from src.simulator.paper_mirror import LiveMirror
from src.simulator.paper_records import fill_event, order_update, settlement_event
from src.simulator.records import Position, order_from
from src.simulator.refusals import OrderRefused
from src.simulator.venue import VenueRules

_KEY = "paper"
_QUEUE_LIMIT = 100_000


class PaperGateway:
    """``OrderGateway`` for paper trading, and the stream of its account's ``Fill`` and ``OrderUpdate``."""

    def __init__(self, cash: Cash, clock: Clock) -> None:
        self._clock = clock
        rules = VenueRules(quotes_fill_at_touch=False, weekly_pause=False, cash_per_shard=False)
        self.exchange = Exchange(seed=clock.now(), start=clock.now(), rules=rules)
        self._account = self.exchange.add_account(_KEY, cash)
        self._mirror = LiveMirror(self.exchange)
        self._events: asyncio.Queue[Event] = asyncio.Queue(_QUEUE_LIMIT)
        self.exchange.subscribe(self._on_outputs)

    def restore(self, cash: Cash, held: Sequence[VenuePosition]) -> None:
        """Go on with the account of an earlier run, as its ledger has it."""
        self._account.wallet(0).cash = cash
        for ordinal, position in enumerate(held):
            event_ticker = position.ticker.rpartition("-")[0]
            self._account.positions[position.ticker] = Position(
                position.ticker, event_ticker, 0, ordinal, position.count, position.exposure
            )

    def on_market_event(self, event: MarketData) -> None:
        """Mirror a market event. Events of markets not described by a ``MarketUpdate`` are ignored."""
        self._mirror.apply(event)

    def advance(self) -> None:
        """Let closings and expiries happen that are due by now."""
        self.exchange.advance(self._clock.now())

    async def stream(self) -> AsyncIterator[Event]:
        """Yield the account's fills and order updates until cancelled."""
        while True:
            yield await self._events.get()

    # --- OrderGateway --------------------------------------------------------------------------------

    async def submit(self, approved: ApprovedOrder) -> OrderAccepted | OrderRejected | OrderUnknown:
        """Execute an approved order against the mirrored book."""
        intent, now = approved.intent, self._clock.now()
        self.exchange.advance(now)
        request = order_from(intent)
        try:
            order = self.exchange.create(_KEY, request)
        except OrderRefused as refused:
            return OrderRejected(intent.client_order_id, refused.code, refused.details, now)
        return OrderAccepted(
            intent.client_order_id, order.order_id, order.filled, order.remaining, order.updated_ts, now
        )

    async def cancel(self, order: CancelOrder) -> CancelAnswered:
        """Cancel one order, by the venue's id or, where that is not known, by ours."""
        now = self._clock.now()
        self.exchange.advance(now)
        order_id = order.order_id or next(
            (
                held.order_id
                for held in self._account.open_orders.values()
                if held.client_order_id == order.client_order_id
            ),
            "",
        )
        try:
            _, taken_out = self.exchange.cancel(_KEY, order_id, order.ticker, order.exchange_index)
        except OrderRefused as refused:
            outcome = "not_found" if refused.code == "not_found" else "failed"
            return CancelAnswered(order.client_order_id, outcome, str(refused), now)
        return CancelAnswered(order.client_order_id, "canceled", "", now, taken_out)

    async def amend(self, order: AmendOrder) -> AmendAnswered:
        """Make one order smaller, or give it another expiry."""
        now = self._clock.now()
        self.exchange.advance(now)
        outcome, detail = "amended", ""
        try:
            self.exchange.amend(_KEY, amendment(order))
        except OrderRefused as refused:
            outcome, detail = "failed", str(refused)
        return AmendAnswered(
            order.client_order_id, outcome, order.count, order.expiration_ts, detail, now, now
        )

    async def report(self, since: Nanos) -> AccountReport:
        """The account's records: what rests or changed since ``since``, open positions, cash."""
        now = self._clock.now()
        self.exchange.advance(now)
        account = self._account
        orders = [
            order
            for order in account.orders.values()
            if order.order_id in account.open_orders or order.updated_ts >= since
        ]
        return AccountReport(
            orders=tuple(order_update(order, now) for order in orders),
            fills=tuple(fill_event(fill, now) for fill in account.fills if fill.ts >= since),
            settlements=self._settlements(since, now),
            positions=tuple(
                VenuePosition(held.ticker, held.count, held.cost, held.realized, held.fees)
                for held in account.positions.values()
                if held.count
            ),
            balance=account.cash,
            started_ts=now,
            as_of=now,
            ts_recv=now,
            at_once=True,
        )

    def _settlements(self, since: Nanos, now: Nanos) -> tuple[Settlement, ...]:
        records = self._account.settlements
        return tuple(settlement_event(record, now) for record in records if record.ts >= since)

    def _on_outputs(self, outputs: Sequence[Output]) -> None:
        now = self._clock.now()
        for output in outputs:
            if isinstance(output, FillMade):
                self._events.put_nowait(fill_event(output.fill, now))
            elif isinstance(output, OrderChange):
                self._events.put_nowait(order_update(output.order, now))
