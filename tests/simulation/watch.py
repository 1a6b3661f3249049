"""The invariants, looked at after every step of the engine and of the exchange.

The watch knows the truth (the exchange's account, what is on its way, what was committed) and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from src.core.actions import (
    AccountMarked,
    AuditRecord,
    CancelOrder,
    ControlValue,
    OrderChanged,
    OrderStatus,
    StateChanged,
    TradingState,
)
from src.core.events import (
    BookInvalid,
    BookSnapshot,
    Command,
    CommandKind,
    Event,
    FeedDown,
    Fill,
    OrderAccepted,
    OrderUnknown,
    VenueOrderStatus,
)
from src.core.fees import FeeSchedule
from src.core.ports import ApprovedOrder
from src.core.signal import OrderIntent, Purpose
from src.core.units import Cash, Count, Price
from src.database.held import HeldIntent
from src.execution.engine import Action
from src.execution.order_state import worst_case_cost
from src.execution.risk import Approved
from tests.simulation.crash_store import Committed
from tests.simulation.faulty_feed import Wire
from tests.simulation.news import NAME
from tests.simulation.sim_venue import SimVenue
from tests.simulation.stage import Stage
from tests.simulation.watch_limits import Concentration, Losses
from tests.simulation.watch_resting import RestingWatch

if TYPE_CHECKING:
    from tests.simulation.process import Process

_FEES = FeeSchedule()
_STOP_SPREAD: Price = 1_000


class Watch:
    """Safety invariants I1 and I3 to I5 of one world (I2 is checked once it has healed)."""

    def __init__(self, stage: Stage, venue: SimVenue, wire: Wire, committed: Committed) -> None:
        self.stage = stage
        self.venue = venue
        self.wire = wire
        self.committed = committed
        self.on_way: set[str] = set()
        self.sent: dict[str, OrderIntent] = {}
        self.halted = False
        self.foreign = False
        self.by_hand: set[str] = set()
        self._resting = RestingWatch(stage, venue, self.sent)
        self._by_signal: dict[tuple[str, int], str] = {}
        self._concentration = Concentration(stage, venue)
        self._losses = Losses(stage)
        self.switched_off = False
        self.paused = False
        self._open: set[str] = set()
        self._venue_ids: dict[str, str] = {}
        self._unknown: set[str] = set()
        self._process: Process | None = None
        self.entry_approved: list[Callable[[str], None]] = []
        venue.after.append(self.step)

    # --- what the process does -----------------------------------------------------------------------

    def begins(self, process: Process) -> None:
        """A process starts: every order sent so far is looked at again."""
        self._process = process
        self._open = set(self.sent)

    def crashed(self, process: Process) -> None:
        """Note which situation a crash hit."""
        for order in self.venue.account.orders.values():
            mine = process.engine.ledger.orders.get(order.client_order_id)
            if mine is not None and mine.status is OrderStatus.PENDING_NEW:
                self.stage.saw("crash between arrival and answer")
        if self.on_way:
            self.stage.saw("crash while an order is on its way")

    def leaving(self, process: Process, approved: ApprovedOrder) -> None:
        """An order is handed to the network: I1, I3, I5."""
        intent = approved.intent
        cid, key = intent.client_order_id, (intent.signal_id, intent.attempt)
        stage = self.stage
        stage.trace(
            f"sends {intent.purpose.value} {cid[:8]} {intent.side.value} {intent.count}@{intent.price}"
        )
        if cid in self.sent:
            stage.violated(f"I1: order {cid} is sent twice")
        if key in self._by_signal:
            stage.violated(f"I1: {key} is sent as {cid} and as {self._by_signal[key]}")
        if intent.purpose is Purpose.ENTRY and intent.attempt:
            stage.violated(f"I1: entry {cid} is attempt {intent.attempt} for one signal")
        held = {
            entry.intent.client_order_id
            for entry in self.committed.local.entries
            if isinstance(entry, HeldIntent)
        }
        if cid in held and intent.purpose is Purpose.EXIT:
            stage.saw("exit by the fallback journal")
        elif cid not in self.committed.orders:
            stage.violated(f"I1: order {cid} leaves before it is stored")
        if intent.purpose is Purpose.ENTRY:
            state = process.engine.control.state
            if state is not TradingState.ACTIVE:
                stage.violated(f"I5: entry {cid} leaves while {state.value} ({process.engine.control.why})")
            if self.halted:
                stage.violated(f"I5: entry {cid} leaves after a halt nobody cleared")
            if self.switched_off:
                stage.violated(f"I5: entry {cid} leaves although its strategy is switched off")
            if self.paused:
                stage.violated(f"I5: entry {cid} leaves after a pause nobody lifted")
            self._losses.entry_leaves(cid, process.engine.ledger.external_cash)
        self.sent[cid] = intent
        self._by_signal[key] = cid
        if process is self._process or intent.purpose is Purpose.ENTRY:
            self._open.add(cid)
        else:
            # Replaced, and cut off from the database: its successor learns of this exit from the records.
            stage.saw("exit by a replaced instance")
        if intent.purpose is Purpose.ENTRY:
            self._limits(process, intent)

    def handled(
        self, process: Process, event: Event, actions: Sequence[Action], before: TradingState
    ) -> None:
        """The engine handled an event: I4, I5 and the halts."""
        self._follow(process, event, before)
        self._resting.handled(process, event, actions)
        for action in actions:
            match action:
                case Approved(intent=intent):
                    self._approved(process, intent)
                case StateChanged():
                    self.stage.trace(f"state {action.state.value} by {action.who}: {action.why[:110]}")
                    self.stage.saw(f"state {action.state.value} by {action.who}")
                    if action.who == "reconcile":
                        self.stage.violated(f"halted by a mismatch that is none: {action.why}")
                case AccountMarked():
                    self._losses.marked(action, process.engine.ledger.external_cash)
                case CancelOrder():
                    self.stage.trace(f"cancels {action.client_order_id[:8]}")
                case OrderChanged():
                    self._note(process, action)
                case _:
                    pass
        self.step()

    def stored(self, process: Process, records: Sequence[AuditRecord]) -> None:
        """Records were committed: a committed halt binds all later processes."""
        for record in records:
            control = process.engine.control
            if isinstance(record, StateChanged) and record.state is TradingState.HALTED:
                self.halted = control.state is TradingState.HALTED
            if isinstance(record, ControlValue) and record.key == f"strategy_off:{NAME}":
                self.switched_off = NAME in control.strategies_off
            if isinstance(record, ControlValue) and record.key == "reductions":
                self.paused = "owner" in control.reductions
            self._losses.stored(record)
        if len(records) > 1:
            self.stage.trace(f"commits {len(records)} records")

    def replayed(self, records: Sequence[AuditRecord]) -> None:
        """What an earlier process held locally was committed: what was gained and lost counts from now on."""
        for record in records:
            self._losses.stored(record)

    # --- each step -----------------------------------------------------------------------------------

    def step(self) -> None:
        """No reserve is released while its order may still trade; one order at the venue per intent."""
        process = self._process
        self._resting.step(self.foreign)
        for order_id in list(self.venue.account.orders)[len(self._venue_ids) :]:
            cid = self.venue.account.orders[order_id].client_order_id
            self._venue_ids[order_id] = cid
            if cid and list(self._venue_ids.values()).count(cid) > 1:
                self.stage.violated(f"I1: two venue orders for {cid}")
        if process is None or not process.alive or process.engine.now == 0:
            return
        by_client = {cid: order_id for order_id, cid in self._venue_ids.items()}
        for cid in tuple(self._open):
            possible, ended = self._possible(process, cid, by_client.get(cid))
            intent = self.sent[cid]
            mine = process.engine.ledger.orders.get(cid)
            if cid in self.by_hand:
                continue  # made larger by the owner, which is heard of only later
            needed = worst_case_cost(intent, possible, _FEES)
            if mine is None:
                self.stage.violated(f"order {cid} is forgotten")
                self._open.discard(cid)
            elif mine.reserved < needed:
                self.stage.violated(
                    f"I3: order {cid} ({mine.status.value}, {mine.reason}) reserves {mine.reserved}, "
                    f"but {possible} contracts may cost {needed}"
                )
                self._open.discard(cid)
            elif ended:
                self._open.discard(cid)

    def _possible(self, process: Process, cid: str, order_id: str | None) -> tuple[Count, bool]:
        """Contracts of an order that may trade, or did without our having booked it; whether it is over."""
        if cid in self.on_way:
            return self.sent[cid].count, False
        if order_id is None:
            return 0, False
        theirs = self.venue.account.orders[order_id]
        mine = process.engine.ledger.orders.get(cid)
        booked = mine.filled if mine else 0
        left = theirs.filled + theirs.remaining - booked
        return max(0, left), theirs.status is not VenueOrderStatus.RESTING and not left

    def _limits(self, process: Process, intent: OrderIntent) -> None:
        """I3: what the venue holds for us and what may still trade stays within the limits."""
        if self.foreign:
            return  # the owner's own trades are not ours to limit
        by_client = {cid: order_id for order_id, cid in self._venue_ids.items()}
        working: list[tuple[OrderIntent, Cash]] = []
        for cid, other in self.sent.items():
            count = 0
            if cid in self.on_way or cid == intent.client_order_id:
                count = other.count
            elif cid in by_client:
                count = self.venue.account.orders[by_client[cid]].remaining
            if cost := worst_case_cost(other, count, _FEES):
                working.append((other, cost))
        self._concentration.entry_leaves(intent, working)

    def _approved(self, process: Process, intent: OrderIntent) -> None:
        stage, engine = self.stage, process.engine
        book = engine.book(intent.ticker)
        name = f"{intent.purpose.value} {intent.client_order_id[:8]}"
        if intent.ticker in process.doubted or book is None:
            stage.violated(f"I4: {name} is priced from a book that is in doubt")
            return
        touch = self.wire.truth.get(book.seq)
        if touch is not None and touch != (intent.ticker, (book.best_bid, book.best_ask)):
            stage.violated(f"I4: {name} sees {book.best_bid}/{book.best_ask}, frame {book.seq} said {touch}")
        if intent.purpose is Purpose.ENTRY:
            self._concentration.approved(intent, max(0, engine.equity()))
            if engine.control.state is not TradingState.ACTIVE:
                stage.violated(f"I5: {name} is approved while {engine.control.state.value}")
            for hook in self.entry_approved:
                hook(intent.client_order_id)
            return
        self._concentration.exits += 1
        stage.saw(f"exit {intent.strategy.partition(':')[2]}")
        if engine.control.state is TradingState.HALTED:
            stage.saw("exit while halted")
        held = engine.position(intent.ticker)
        if held * intent.side.sign >= 0:
            stage.violated(f"I5: {name} {intent.side.value} does not reduce {held}")
        if intent.strategy.endswith(":stop_loss"):
            spread = book.spread
            if spread is None or not 0 < spread <= _STOP_SPREAD:
                stage.violated(f"stop {name} from a book {book.best_bid}/{book.best_ask}")

    def _follow(self, process: Process, event: Event, before: TradingState) -> None:
        match event:
            case BookInvalid(tickers=tickers, ts_recv=ts):
                process.doubted.update(dict.fromkeys(tickers, ts))
            case FeedDown(feed="market", ts_recv=ts):
                process.doubted.update(dict.fromkeys(self.venue.tickers, ts))
            case BookSnapshot(ticker=ticker, ts_recv=ts):
                if ts >= process.doubted.get(ticker, 0):
                    process.doubted.pop(ticker, None)
            case Command(kind=CommandKind.CLEAR_HALT) if before is TradingState.HALTED:
                self.halted = False
                self._losses.forgiven()
                self.stage.saw("halt cleared")
            case Command(kind=CommandKind.RESUME) if before is not TradingState.HALTED:
                self.paused = False
            case Command(kind=CommandKind.STRATEGY_ON):
                self.switched_off = False
            case Fill():
                self._fill(process, event)
            case OrderAccepted() | OrderUnknown():
                self.stage.trace(f"{type(event).__name__} {event.client_order_id[:8]}")
            case _:
                pass

    def _fill(self, process: Process, fill: Fill) -> None:
        order = process.engine.ledger.orders.get(fill.client_order_id, fill.order_id)
        if order is None:
            return
        if not order.order_id or order.status is OrderStatus.PENDING_NEW:
            self.stage.saw("fill before the answer")
        if order.status is OrderStatus.CANCELED:
            self.stage.saw("fill after the end of its order")

    def _note(self, process: Process, row: OrderChanged) -> None:
        name = f"external {row.order_id[:8]}" if row.external else row.client_order_id[:8]
        self.stage.trace(f"order {name} {row.status.value} {row.filled} {row.reason[:60]}")
        if row.external:
            self.stage.saw("external order adopted")
        elif row.reason == "never arrived at the exchange":
            self.stage.saw("unknown resolved: never arrived")
        elif row.status is OrderStatus.EXECUTED and row.client_order_id in self._unknown:
            self.stage.saw("unknown resolved: executed")
        elif row.status is OrderStatus.CANCELED and row.client_order_id in self._unknown:
            self.stage.saw("unknown resolved: canceled")
        if row.status is OrderStatus.UNKNOWN:
            self._unknown.add(row.client_order_id)
        elif row.status in {OrderStatus.RESTING, OrderStatus.PARTIALLY_FILLED}:
            self.stage.saw(f"order {row.status.value}")
