"""One backtest: a world, the simulated exchange and the engine, driven by event time alone.

No thread, no clock, no randomness of its own: the same plan gives the same decision log, byte for byte.
The engine is the one that trades live. Only what stands around it differs: the exchange is in process,
messages take ``Latency`` to arrive, the store is memory, and the engine's ticks come every ``tick`` of
world time. Quotes that nobody looks at are left out as ``quote_rows`` says.
"""

from __future__ import annotations

import gc
import heapq
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from backtest.clockwork import CALL, DELIVERY, NEVER, TICK, Agenda
from backtest.column_world import columns_of
from backtest.event_rows import EachRow, EventRows
from backtest.observer import Observer
from backtest.plan import Plan, Result
from backtest.quote_rows import LazyMarketState, Rows
from backtest.venue_link import KEY, VenueLink
from src.core.actions import (
    Alert,
    AmendOrder,
    CancelOrder,
    FillApplied,
    RequestReport,
    RequestSnapshot,
    StoredState,
)
from src.core.events import BookSnapshot, Event, FeedUp, Fill, Tick, books_shown
from src.core.market import MarketStatus
from src.core.ports import Selective
from src.core.units import DOLLAR_PRICE, HOUR, MINUTE, SECOND, Count, Nanos
from src.execution.engine import Engine
from src.execution.limits import ReconcilePolicy
from src.execution.risk import Approved
from src.simulator.exchange import Exchange
from src.simulator.venue import VenueRules
from src.simulator.world import CrowdQuote, Heard, ListEvent, WeatherNews, WorldEvent

# The exchange's records are in this process: reading them every half minute would only repeat the answer.
POLICY = ReconcilePolicy(interval=6 * HOUR, grace=10 * SECOND, retry_after=2 * SECOND)
MARKOUTS: tuple[Nanos, ...] = (MINUTE, 5 * MINUTE, HOUR)
_RULES = VenueRules(quotes_fill_at_touch=False)
# Elsewhere a crowd trades with our orders, or changes a level at a time: every event of it counts.
_BULK_KINDS = frozenset({"file", "recorded"})
# Records are kept in their hundred thousands and hardly one is part of a cycle. Looking for cycles among
# them as often as Python does by itself is a tenth of a run.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def open_rows(plan: Plan, exchange: Exchange) -> Rows:
    """The world of a plan as rows: each on its own, or in bulk where the strategy says what wakes it."""
    world, strategy, feed = plan.world, plan.strategy, plan.latency.feed
    if not plan.bulk or not isinstance(strategy, Selective) or world.kind not in _BULK_KINDS:
        return EachRow(world, exchange, feed)
    columns = columns_of(world)
    if columns is not None:
        from backtest.bulk import ColumnRows

        return ColumnRows(columns, exchange, feed, strategy.wakes)
    return EventRows(world, exchange, feed, strategy.wakes)


def run(plan: Plan) -> Result:
    """Run a plan to the end of its world, settlements included."""
    with _rare_collections():
        return _Run(plan).play()


@contextmanager
def _rare_collections() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Run:
    """The loop. Ties: the world first, then our calls, then what the engine hears, then its tick."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        world = plan.world
        self._exchange = Exchange(
            seed=plan.seed, start=world.start, rules=replace(_RULES, queue_share=plan.queue_share)
        )
        self._account = self._exchange.add_account(KEY, plan.balance)
        self._rows = open_rows(plan, self._exchange)
        self._agenda = Agenda(self._rows)
        self._link = VenueLink(self._exchange, self._agenda, plan.latency, self._rows)
        limits = replace(plan.limits, max_account_age=4 * POLICY.interval)
        self._markets = LazyMarketState(self._rows)
        name = plan.strategy.name
        exits, entries = {name: plan.exits}, {name: plan.entries}
        self._engine = Engine([plan.strategy], limits, POLICY, exits, entries, self._markets)
        # Asking what a protocol is costs more than the event it is asked for.
        self._selective = plan.strategy if isinstance(plan.strategy, Selective) else None
        self._notes_changes = self._selective is not None and self._selective.wakes.notes_changes
        self._closes: list[tuple[Nanos, str]] = []
        self._observer = Observer()
        self._markouts: list[tuple[Nanos, float, Count]] = []

    def play(self) -> Result:
        started = time.perf_counter()
        world = self._plan.world
        self._act(self._engine.start(StoredState(), world.start), world.start)
        for feed in ("market", "weather"):
            self._handle(FeedUp(feed, world.start), 0)
        for item in world.history():
            self._handle(item, 0)
        self._observer.book.mark(world.start, self._plan.balance)
        self._agenda.add(world.start + self._plan.tick, TICK, Tick(world.start + self._plan.tick))
        self._loop()
        self._rows.show(self._exchange.now + self._plan.latency.feed, self._rows.position)
        self._observer.book.mark(self._engine.now, self._engine.equity())
        return self._result(time.perf_counter() - started)

    def _loop(self) -> None:
        exchange, agenda, rows = self._exchange, self._agenda, self._rows
        next_timer = exchange.venue.next_timer
        while True:
            timer, due = next_timer(), agenda.next_ts()
            until = NEVER if due is None else due
            if timer is not None and timer < until:
                until = timer
            event_ts = rows.advance(until) if until > rows.quiet_until else None
            if event_ts is not None:
                self._close_until(event_ts)
                self._happen(rows.take())
            elif timer is not None and timer == until:
                self._close_until(timer)
                exchange.advance(timer)
            elif due is not None:
                self._step()
            else:
                return

    def _happen(self, event: WorldEvent) -> None:
        """Let an event of the world happen at the exchange, and news reach the engine."""
        self._exchange.apply(event)
        if isinstance(event, CrowdQuote):
            ticker = event.ticker
            if (
                self._rows.is_hot(ticker)
                and self._exchange.is_trading_active
                and not self._link.is_busy(ticker)
            ):
                self._rows.cool(ticker)
        elif isinstance(event, ListEvent):
            for market in event.markets:
                heapq.heappush(self._closes, (market.close_time, market.ticker))
        elif isinstance(event, WeatherNews | Heard):
            heard = event.ts + self._plan.latency.feed
            self._agenda.add(heard, DELIVERY, replace(event.item, ts_recv=heard))

    def _close_until(self, ts: Nanos) -> None:
        """What rests in a market that closes is withdrawn before everybody's eyes: let it be the latest."""
        while self._closes and self._closes[0][0] <= ts:
            self._rows.refresh_exchange(heapq.heappop(self._closes)[1])

    def _step(self) -> None:
        ts, rank, item, scheduled_at = self._agenda.pop()
        self._exchange.advance(ts)
        if callable(item):
            # Calls come before what the engine hears at their instant.
            self._rows.show(ts, -1)
            item()
            return
        # Time passes last: a tick sees whatever has arrived by then.
        self._rows.show(ts, self._rows.position if rank == TICK else scheduled_at)
        self._handle(item, scheduled_at)
        following = ts + self._plan.tick
        if rank == TICK and following <= self._plan.world.end:
            self._agenda.add(following, TICK, Tick(following))

    def _handle(self, event: Event, scheduled_at: int) -> None:
        if self._notes_changes:
            self._note_changes()
        if self._rows.has_trades:
            for trade in self._rows.trades():
                self._engine.exit_desk.liveness.traded(trade)
        shown = books_shown(event)
        # A change belongs to the row that was about to count when it was made, or to an order of ours, after
        # which the market's next row brings its own changes.
        number = scheduled_at - 1 if isinstance(event, BookSnapshot) else scheduled_at
        for ticker in shown:
            self._markets.refresh(ticker)
            self._rows.delivered(ticker, number)
        actions = self._engine.handle(event)
        if self._selective is not None:
            for ticker in shown:
                if self._selective.is_done(ticker):
                    self._rows.mute(ticker)
        if actions:
            self._act(actions, event.ts_recv)

    def _note_changes(self) -> None:
        for ticker in self._rows.changed():
            self._note(ticker)

    def _note(self, ticker: str) -> None:
        """Tell a strategy that notes changes of one that nobody needed to see in detail."""
        row = self._rows.unseen(ticker)
        if row is None:
            raise AssertionError(f"{ticker} changed, but the engine knows of it already")
        seen = row.ts + self._rows.feed
        if self._engine.handle(BookSnapshot(ticker, row.bids, row.asks, row.number, row.ts, seen)):
            raise AssertionError(
                f"strategy {self._plan.strategy.name} acted on a change of {ticker}, which its wakes deny"
            )

    def _act(self, actions: Sequence[object], now: Nanos) -> None:
        for action in actions:
            match action:
                case Approved():
                    self._observer.approved(action, self._engine.book(action.intent.ticker), now)
                    self._link.submit(action, now)
                case CancelOrder():
                    self._link.cancel(action, now)
                case AmendOrder():
                    self._link.amend(action, now)
                case RequestReport():
                    self._link.report(action, now)
                case RequestSnapshot():
                    self._link.resync(action, now)
                case Alert():
                    self._observer.alerted(action)
                case FillApplied(fill=fill):
                    market, book = self._engine.market(fill.ticker), self._engine.book(fill.ticker)
                    self._watch(fill, now)
                    self._observer.recorded(action, market, book, now)
                case _:
                    self._observer.recorded(action, None, None, now)

    def _watch(self, fill: Fill, now: Nanos) -> None:
        """Look at the middle again some time after a fill: what a price was worth is seen later."""
        for delay in MARKOUTS:
            self._agenda.add(now + delay, CALL, partial(self._mark_out, fill, delay))

    def _mark_out(self, fill: Fill, delay: Nanos) -> None:
        self._note_changes()
        book = self._engine.book(fill.ticker)
        if book is not None and book.is_two_sided and book.mid is not None:
            gained = (book.mid - fill.price / DOLLAR_PRICE) * fill.side.sign
            self._markouts.append((delay, gained, fill.count))

    def _result(self, wall: float) -> Result:
        results = {
            ticker: state.market.result == "yes"
            for ticker, state in self._exchange.markets.items()
            if state.market.status is MarketStatus.FINALIZED
        }
        seen = self._observer
        said, book = seen.judged(results), seen.book
        skips = Counter[str](getattr(self._plan.strategy, "skips", {}))
        return Result(
            strategy=self._plan.strategy.name,
            opening_cash=self._plan.balance,
            closing_equity=self._engine.equity(),
            trades=book.trades,
            said=said,
            curve=book.curve,
            max_drawdown=book.max_drawdown,
            refusals=dict(book.refusals.most_common()),
            skips=dict(skips.most_common()),
            orders=book.orders(),
            alerts=dict(sorted(seen.alerts.items())),
            pauses=seen.pauses,
            halted=seen.halted,
            differences=self._differences(),
            markets=len(self._exchange.markets),
            events=len(self._exchange.events),
            prints=self._rows.prints,
            start=self._plan.world.start,
            end=self._plan.world.end,
            log=seen.lines,
            sha256=seen.sha256(),
            wall_seconds=wall,
            event_starts=self._event_starts(),
            markouts=self._markouts,
            taken=book.taken,
            made=book.made,
        )

    def _event_starts(self) -> tuple[Nanos, ...]:
        starts: dict[str, Nanos] = {}
        for state in self._exchange.markets.values():
            market = state.market
            first = starts.get(market.event_ticker, market.open_time)
            starts[market.event_ticker] = min(first, market.open_time)
        return tuple(sorted(starts.values()))

    def _differences(self) -> list[str]:
        portfolio, account = self._engine.ledger.portfolio, self._account
        lines = []
        if portfolio.cash != account.cash:
            lines.append(f"cash: ledger {portfolio.cash}, exchange {account.cash} (1e-6 dollars)")
        for ticker in sorted(account.positions):
            ours, theirs = portfolio.count(ticker), account.position_count(ticker)
            if ours != theirs:
                lines.append(f"position {ticker}: ledger {ours}, exchange {theirs} (0.01 contract)")
        return lines
