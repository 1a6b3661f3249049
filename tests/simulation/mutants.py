"""Known bugs, put in on purpose at run time: the simulation is worth what it catches of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Any

from src.core.actions import OrderStatus, StoredState, TradingState
from src.core.errors import StoreUnavailableError
from src.core.events import AccountReport, Fill, OrderUnknown
from src.core.ports import ApprovedOrder
from src.core.sides import BookSide
from src.core.units import DOLLAR_PRICE, Nanos
from src.database.durable import DurableStore
from src.execution import entry_desk, exits, portfolio, reconcile
from src.execution.engine import Engine
from src.execution.entry_desk import EntryDesk
from src.execution.executor import Executor
from src.execution.exit_desk import ExitDesk
from src.execution.exposure import exposure_of as real_exposure_of
from src.execution.ledger import Ledger
from src.execution.market_state import MarketState
from src.execution.order_state import LIVE
from src.execution.orders import OrderRegister
from src.execution.portfolio import Portfolio
from src.execution.risk import approve
from src.runtime.writer import StoreWriter
from tests.simulation.mutants_limits import LIMIT_MUTANTS
from tests.simulation.mutants_resting import RESTING_MUTANTS

Patch = tuple[Any, str, Any]


def _timeout_is_rejection() -> list[Patch]:
    def unknown(self: Ledger, event: OrderUnknown) -> Any:
        order = self._own(event.client_order_id)
        if order.status is OrderStatus.PENDING_NEW:
            self.orders.move(order, OrderStatus.REJECTED, event.ts_recv, "timeout")
        return [order.changed(event.ts_recv)]

    return [(Ledger, "unknown", unknown)]


def _send_before_store() -> list[Patch]:
    async def submit(self: Executor, approved: ApprovedOrder) -> None:
        outcome = await self._gateway.submit(approved)
        await self._store.put_intent(approved)
        self._deliver(outcome)

    return [(Executor, "_submit", submit)]


def _retry_with_fresh_id() -> list[Patch]:
    original = Executor._submit

    async def submit(self: Executor, approved: ApprovedOrder) -> None:
        deliver, unknown = self._deliver, []

        def listen(event: Any) -> None:
            if isinstance(event, OrderUnknown) and event.client_order_id == approved.intent.client_order_id:
                unknown.append(event)
            deliver(event)

        self._deliver = listen
        await original(self, approved)
        if unknown:
            fresh = replace(approved.intent, client_order_id=approved.intent.client_order_id[::-1])
            await self._gateway.submit(approve(fresh, approved.reserved))

    return [(Executor, "_submit", submit)]


def _trade_id_not_checked() -> list[Patch]:
    return [(Portfolio, "has_fill", lambda self, trade_id, order_id: False)]


def _reports_without_fills() -> list[Patch]:
    original = Ledger.apply_report

    def apply_report(self: Ledger, report: AccountReport) -> Any:
        return original(self, replace(report, fills=()))

    return [(Ledger, "apply_report", apply_report)]


def _absence_believed_at_once() -> list[Patch]:
    original = reconcile.find_absences

    def find_absences(live: Any, report: AccountReport, policy: Any) -> Any:
        return original(live, report, replace(policy, grace=-1, misses_before_absent=1))

    return [(reconcile, "find_absences", find_absences)]


def _unsent_judged_absent() -> list[Patch]:
    original = reconcile.find_absences

    def find_absences(live: Any, report: AccountReport, policy: Any) -> Any:
        for order in live:
            if order.status is OrderStatus.PENDING_NEW and report.started_ts - order.changed_ts > 3 * 10**9:
                order.status, order.misses = OrderStatus.UNKNOWN, 9
        return original(live, report, replace(policy, grace=3 * 10**9))

    return [(reconcile, "find_absences", find_absences)]


def _signal_memory_lost() -> list[Patch]:
    # With derived ids the register's own orders remember their signals, so that both have to fail.
    numbers = count()
    return [
        (EntryDesk, "restore", lambda self, stored: None),
        (entry_desk, "make_client_order_id", lambda signal_id: f"fresh-{next(numbers)}-{signal_id}"),
    ]


def _reserve_released_on_unknown() -> list[Patch]:
    original = OrderRegister._reserve

    def reserve(self: OrderRegister, order: Any) -> None:
        original(self, order)
        if order.status is OrderStatus.UNKNOWN:
            order.reserved = 0

    return [(OrderRegister, "_reserve", reserve)]


def _risk_counts_fills_only() -> list[Patch]:
    def exposure_of(book: Portfolio, orders: OrderRegister, markets: MarketState) -> Any:
        return real_exposure_of(book, OrderRegister(), markets)

    return [
        (OrderRegister, "reserved", lambda self, exchange_index=None: 0),
        (entry_desk, "exposure_of", exposure_of),
    ]


def _halt_forgotten_on_restart() -> list[Patch]:
    original = Engine.start

    def start(self: Engine, stored: StoredState, now: Nanos) -> Any:
        return original(self, replace(stored, state=None), now)

    return [(Engine, "start", start)]


def _no_sign_flipped() -> list[Patch]:
    original = Portfolio.apply_fill

    def apply_fill(self: Portfolio, fill: Fill, event_ticker: str, strategy: str) -> Any:
        position, realized = original(self, fill, event_ticker, strategy)
        if fill.side is BookSide.ASK:
            position.count += 2 * fill.count
        return position, realized

    return [(Portfolio, "apply_fill", apply_fill)]


def _stop_on_any_book() -> list[Patch]:
    return [
        (exits, "usable_for_stop", lambda book: book is not None and bool(book.best_bid and book.best_ask))
    ]


def _crashed_intents_never_sent() -> list[Patch]:
    original = OrderRegister.restore

    def restore(self: OrderRegister, stored: Any, filled: int, fees: Any, ts: Nanos) -> Any:
        lost = stored.status in LIVE and not stored.order_id
        row = replace(stored, status=OrderStatus.REJECTED) if lost else stored
        return original(self, row, filled, fees, ts)

    return [(OrderRegister, "restore", restore)]


def _halt_blocks_exits() -> list[Patch]:
    original = ExitDesk.exits

    def exits_of(self: ExitDesk) -> Any:
        return [] if self._control.state is TradingState.HALTED else original(self)

    return [(ExitDesk, "exits", exits_of)]


def _settlement_pays_twice() -> list[Patch]:
    original = Portfolio.settle

    def settle(self: Portfolio, settlement: Any) -> Any:
        position, revenue, profit = original(self, settlement)
        self.cash += revenue
        return position, revenue, profit

    return [(Portfolio, "settle", settle)]


def _scalar_pays_a_dollar() -> list[Patch]:
    def revenue(count: int, value: int) -> int:
        whole = DOLLAR_PRICE if value else 0
        return count * whole if count >= 0 else -count * (DOLLAR_PRICE - whole)

    return [(portfolio, "settlement_revenue", revenue)]


def _cash_not_compared() -> list[Patch]:
    return [(reconcile, "compare_cash", lambda report, cash: 0)]


def _old_books_accepted() -> list[Patch]:
    original = MarketState.replace_book

    def replace_book(self: MarketState, *book: Any) -> Any:
        self._doubted_ts.clear()
        self._down_ts = 0
        return original(self, *book)

    return [(MarketState, "replace_book", replace_book)]


def _downtime_not_read() -> list[Patch]:
    original = Ledger.restore

    def restore(self: Ledger, stored: StoredState, now: Nanos) -> None:
        original(self, stored, now)
        self._read_until = now + self._policy.overlap

    return [(Ledger, "restore", restore)]


def _listed_fills_not_restored() -> list[Patch]:
    original = OrderRegister.restore

    def restore(self: OrderRegister, stored: Any, filled: int, fees: Any, ts: Nanos) -> Any:
        return original(self, stored, 0, fees, ts)

    return [(OrderRegister, "restore", restore)]


def _book_in_doubt_is_shown() -> list[Patch]:
    return [(MarketState, "book", lambda self, ticker: self._books.get(ticker))]


def _no_last_look() -> list[Patch]:
    return [(Engine, "withdrawn", lambda self, approved: "")]


def _held_exits_forgotten() -> list[Patch]:
    async def recover(self: DurableStore) -> None:
        self._fallback.clear()

    return [(DurableStore, "recover", recover)]


def _entry_without_a_row() -> list[Patch]:
    original = DurableStore.put_intent

    async def put_intent(self: DurableStore, approved: ApprovedOrder) -> None:
        try:
            await original(self, approved)
        except StoreUnavailableError:
            return  # "the order is more important than its row"

    return [(DurableStore, "put_intent", put_intent)]


def _batch_dropped_on_failure() -> list[Patch]:
    async def until_answered(self: StoreWriter, write: Callable[[], Any]) -> None:
        with suppress(StoreUnavailableError):
            await write()

    return [(StoreWriter, "_until_answered", until_answered)]


MUTANTS: dict[str, Callable[[], list[Patch]]] = {
    "a timeout is booked as a rejection": _timeout_is_rejection,
    "an order is sent before it is stored": _send_before_store,
    "an unknown order is sent again with a fresh client id": _retry_with_fresh_id,
    "the trade id is not checked": _trade_id_not_checked,
    "reports are applied without their fills": _reports_without_fills,
    "absence is believed at once": _absence_believed_at_once,
    "an order that has not left yet is judged absent": _unsent_judged_absent,
    "the signal memory is lost at a restart and ids are fresh": _signal_memory_lost,
    "the reserve is released on UNKNOWN": _reserve_released_on_unknown,
    "risk counts fills only": _risk_counts_fills_only,
    "a halt is forgotten on restart": _halt_forgotten_on_restart,
    "the sign of NO positions is flipped": _no_sign_flipped,
    "a price stop fires on a wide book": _stop_on_any_book,
    "intents of a crash are treated as never sent": _crashed_intents_never_sent,
    "a halt blocks exits": _halt_blocks_exits,
    "a settlement pays twice": _settlement_pays_twice,
    "a scalar settlement pays a dollar": _scalar_pays_a_dollar,
    "cash is not compared": _cash_not_compared,
    "a book older than the doubt about it is accepted": _old_books_accepted,
    "records of the downtime are not read": _downtime_not_read,
    "fills of stored orders are not restored": _listed_fills_not_restored,
    "a book in doubt is shown": _book_in_doubt_is_shown,
    "no last look before sending": _no_last_look,
    "what was held locally is forgotten": _held_exits_forgotten,
    "an entry leaves although its row was not stored": _entry_without_a_row,
    "records the database did not take are dropped": _batch_dropped_on_failure,
    **LIMIT_MUTANTS,
    **RESTING_MUTANTS,
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug of this name is in the code while the context lasts."""
    patches = MUTANTS[name]()
    saved = [(owner, attribute, getattr(owner, attribute)) for owner, attribute, _ in patches]
    try:
        for owner, attribute, patched in patches:
            setattr(owner, attribute, patched)
        yield
    finally:
        for owner, attribute, before in saved:
            setattr(owner, attribute, before)
