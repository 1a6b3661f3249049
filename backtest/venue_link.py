"""The simulated exchange in process, as the engine would see it over the wire: later, and in events.

What the exchange does becomes feed events ``latency.feed`` later; what the engine wants becomes calls
``latency.order`` later, whose answers come ``latency.answer`` after that. Nothing is answered early.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import partial
from operator import attrgetter, itemgetter

import numpy as np

from backtest.clockwork import CALL, DELIVERY, Agenda, Latency
from backtest.quote_rows import Rows
from src.core.actions import AmendOrder, CancelOrder, RequestReport, RequestSnapshot
from src.core.events import (
    AccountReport,
    AmendAnswered,
    BookDelta,
    BookDeltas,
    BookSnapshot,
    CancelAnswered,
    Event,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    OrderAccepted,
    OrderRejected,
    PublicTrade,
    VenuePosition,
)
from src.core.ports import ApprovedOrder
from src.core.sides import BookSide
from src.core.units import Nanos
from src.simulator.exchange import Exchange
from src.simulator.order_changes import amendment
from src.simulator.outputs import (
    BookChange,
    FillMade,
    LifecycleChange,
    LifecycleStep,
    OrderChange,
    Output,
    PositionChange,
    TradePrinted,
)
from src.simulator.paper_records import fill_event, order_update, settlement_event
from src.simulator.records import NewOrder, Position, VenueOrder, order_from
from src.simulator.refusals import OrderRefused

KEY = "backtest"
_time_of, _ordinal_of = attrgetter("ts"), attrgetter("ordinal")


class VenueLink:
    """Feed and gateway of one account at one exchange, with latency, on an agenda."""

    def __init__(self, exchange: Exchange, agenda: Agenda, latency: Latency, rows: Rows) -> None:
        self._exchange = exchange
        self._rows = rows
        self._on_the_way: Counter[str] = Counter()
        self._account = exchange.account(KEY)
        self._agenda = agenda
        self._latency = latency
        # The account's orders in the order of their last changes: a report reads only its tail.
        self._changes: list[tuple[Nanos, VenueOrder]] = []
        # Positions that are not flat: those of markets long gone must not make every report slower.
        self._held: dict[str, Position] = {}
        exchange.subscribe(self._on_outputs)

    # --- what the engine wants -----------------------------------------------------------------

    def submit(self, approved: ApprovedOrder, now: Nanos) -> None:
        """Send an approved order."""
        intent = approved.intent
        request = order_from(intent)
        self._on_the_way[intent.ticker] += 1
        self._rows.heat(intent.ticker)
        due = now + self._latency.order + self._latency.bar
        self._agenda.add(due, CALL, partial(self._create, request))

    def cancel(self, call: CancelOrder, now: Nanos) -> None:
        """Send a cancel."""
        self._agenda.add(now + self._latency.order, CALL, partial(self._cancel, call))

    def amend(self, call: AmendOrder, now: Nanos) -> None:
        """Send a change of a resting order."""
        self._agenda.add(now + self._latency.order, CALL, partial(self._amend, call))

    def report(self, request: RequestReport, now: Nanos) -> None:
        """Ask for the account's records."""
        self._agenda.add(now + self._latency.order, CALL, partial(self._report, request.since))

    def resync(self, request: RequestSnapshot, now: Nanos) -> None:
        """Ask the feed for fresh books."""
        self._agenda.add(now + self._latency.order, CALL, partial(self._snapshots, request.tickers))

    def is_busy(self, ticker: str) -> bool:
        """Whether an order of ours is on its way to a market or rests there."""
        resting = self._account.open_orders.values()
        return self._on_the_way[ticker] > 0 or any(order.ticker == ticker for order in resting)

    # --- at the exchange -----------------------------------------------------------------------

    def _create(self, request: NewOrder) -> None:
        now = self._exchange.now
        due = now + self._latency.answer
        self._on_the_way[request.ticker] -= 1
        self._rows.refresh_exchange(request.ticker)
        try:
            order = self._exchange.create(KEY, request)
        except OrderRefused as refused:
            self._answer(OrderRejected(request.client_order_id, refused.code, refused.details, due))
            return
        self._answer(
            OrderAccepted(request.client_order_id, order.order_id, order.filled, order.remaining, now, due)
        )

    def _cancel(self, call: CancelOrder) -> None:
        due = self._exchange.now + self._latency.answer
        try:
            _, taken_out = self._exchange.cancel(KEY, call.order_id, call.ticker, call.exchange_index)
        except OrderRefused as refused:
            outcome = "not_found" if refused.code == "not_found" else "failed"
            self._answer(CancelAnswered(call.client_order_id, outcome, str(refused), due))
            return
        self._answer(CancelAnswered(call.client_order_id, "canceled", "", due, taken_out))

    def _amend(self, call: AmendOrder) -> None:
        now = self._exchange.now
        outcome, detail = "amended", ""
        try:
            self._exchange.amend(KEY, amendment(call))
        except OrderRefused as refused:
            outcome, detail = "failed", str(refused)
        answer = AmendAnswered(
            call.client_order_id,
            outcome,
            call.count,
            call.expiration_ts,
            detail,
            now,
            now + self._latency.answer,
        )
        self._answer(answer)

    def _report(self, since: Nanos) -> None:
        account, now = self._account, self._exchange.now
        due = now + self._latency.answer
        orders = dict(account.open_orders)
        for _, order in self._changes[bisect_left(self._changes, since, key=itemgetter(0)) :]:
            orders[order.order_id] = order
        first_fill = bisect_left(account.fills, since, key=_time_of)
        first_payment = bisect_left(account.settlements, since, key=_time_of)
        self._answer(
            AccountReport(
                orders=tuple(order_update(order, due) for order in orders.values()),
                fills=tuple(fill_event(fill, due) for fill in account.fills[first_fill:]),
                settlements=tuple(
                    settlement_event(paid, due) for paid in account.settlements[first_payment:]
                ),
                positions=tuple(
                    VenuePosition(held.ticker, held.count, held.cost, held.realized, held.fees)
                    for held in sorted(self._held.values(), key=_ordinal_of)
                ),
                balance=account.cash,
                started_ts=now,
                as_of=now,
                ts_recv=due,
                at_once=True,
            )
        )

    def _snapshots(self, tickers: Sequence[str]) -> None:
        # Over the feed's own path: changes already under way arrive before it, later ones after it.
        due = self._exchange.now + self._latency.feed
        for ticker in tickers:
            if ticker in self._exchange.markets:
                self._rows.refresh_exchange(ticker)
                self._agenda.add(due, DELIVERY, self._snapshot(ticker, due))

    def _answer(self, event: Event) -> None:
        self._agenda.add(event.ts_recv, DELIVERY, event)

    # --- what the exchange says ----------------------------------------------------------------

    def _on_outputs(self, outputs: Sequence[Output]) -> None:
        due = self._exchange.now + self._latency.feed
        add = self._agenda.add
        changes: list[BookChange] = []
        for output in outputs:
            if type(output) is BookChange:
                if changes and (output.clock, output.ticker) != (changes[0].clock, changes[0].ticker):
                    self._on_changes(changes, due)
                    changes = []
                changes.append(output)
                continue
            if changes:
                self._on_changes(changes, due)
                changes = []
            match output:
                case TradePrinted(trade):
                    printed = PublicTrade(
                        trade.ticker,
                        trade.trade_id,
                        trade.price,
                        trade.count,
                        trade.taker_side,
                        trade.ts,
                        due,
                    )
                    add(due, DELIVERY, printed)
                case LifecycleChange():
                    self._on_lifecycle(output, due)
                case FillMade():
                    add(due, DELIVERY, fill_event(output.fill, due))
                case OrderChange():
                    self._changes.append((self._exchange.now, output.order))
                    add(due, DELIVERY, order_update(output.order, due))
                case PositionChange(position=held) if held.count:
                    self._held[held.ticker] = held
                case PositionChange(position=flat):
                    self._held.pop(flat.ticker, None)
        if changes:
            self._on_changes(changes, due)

    def _on_changes(self, changes: Sequence[BookChange], due: Nanos) -> None:
        """What changes a book at once is heard at once, as the feed passes on what it read together."""
        first = changes[0]
        if len(changes) == 1:
            delta = BookDelta(first.ticker, first.side, first.price, first.delta, first.clock, first.ts, due)
            self._agenda.add(due, DELIVERY, delta)
            return
        rows = [
            (0, each.side is BookSide.ASK, each.price, each.delta, each.clock, each.ts) for each in changes
        ]
        self._agenda.add(due, DELIVERY, BookDeltas((first.ticker,), np.array(rows, np.int64), due))

    def _on_lifecycle(self, change: LifecycleChange, due: Nanos) -> None:
        market = self._exchange.markets[change.ticker].market
        if change.step is LifecycleStep.CREATED:
            self._agenda.add(due, DELIVERY, MarketUpdate(market, due))
            self._agenda.add(due, DELIVERY, self._snapshot(change.ticker, due))
            return
        decided = change.step in {LifecycleStep.DETERMINED, LifecycleStep.SETTLED}
        self._agenda.add(
            due,
            DELIVERY,
            MarketLifecycle(
                change.ticker,
                LifecycleKind(change.step.value),
                due,
                close_time=market.close_time,
                result=market.result if decided else "",
                settlement_value=market.settlement_value if decided else None,
            ),
        )

    def _snapshot(self, ticker: str, due: Nanos) -> BookSnapshot:
        state = self._exchange.markets[ticker]
        bids, asks = state.book.levels(BookSide.BID), state.book.levels(BookSide.ASK)
        return BookSnapshot(ticker, tuple(bids), tuple(asks), state.clock, self._exchange.now, due)
