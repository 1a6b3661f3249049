"""What the engine asks the outside to do, and what it says about what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from src.core.events import Fill, Settlement
from src.core.sides import BookSide, Outcome
from src.core.signal import OrderIntent, Signal
from src.core.units import Cash, Count, Nanos, Price


class TradingState(Enum):
    """What the system may do. Cancels and exits are never blocked by a halt."""

    # Members are one of a kind. Enum's own hash is a Python function, and states are looked up all the time.
    __hash__ = object.__hash__

    STARTING = "starting"
    RECONCILING = "reconciling"
    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class OrderStatus(Enum):
    """States of an order as we know it; transitions are one table in ``execution/orders.py``."""

    __hash__ = object.__hash__

    PENDING_NEW = "pending_new"
    RESTING = "resting"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    UNKNOWN = "unknown"
    EXECUTED = "executed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class Severity(Enum):
    """How loudly a person is told."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


# --- calls to the outside ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel a live order. ``order_id`` is empty while the venue's id is not known."""

    client_order_id: str
    order_id: str
    ticker: str
    exchange_index: int


@dataclass(frozen=True, slots=True)
class AmendOrder:
    """Change a resting order in a way that keeps its place in the queue: smaller, or another expiry.

    ``count`` is the total, what has filled plus what shall rest: fills that happen before the call arrives
    then leave exactly as much resting as was meant. ``price`` and ``side`` repeat the order's own.
    """

    client_order_id: str
    order_id: str
    ticker: str
    exchange_index: int
    side: BookSide
    price: Price
    count: Count
    expiration_ts: Nanos


@dataclass(frozen=True, slots=True)
class RequestReport:
    """Read the venue's records (orders, fills, settlements updated since ``since``)."""

    reason: str
    since: Nanos


@dataclass(frozen=True, slots=True)
class RequestSnapshot:
    """A book became unusable here: ask the feed for fresh snapshots of these markets."""

    tickers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should know. ``key`` lets a channel coalesce repetitions."""

    severity: Severity
    key: str
    text: str
    ts: Nanos


# --- audit records: journal, metrics and alerts are readers of these ---------------------------


@dataclass(frozen=True, slots=True)
class GateResult:
    """One risk check: its name, whether it passed, and the numbers it looked at."""

    gate: str
    passed: bool
    numbers: Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class SignalRecorded:
    """A strategy spoke. ``verdict``: "approved" or the name of the first gate that refused."""

    signal: Signal
    verdict: str
    edge: float | None
    ts: Nanos


@dataclass(frozen=True, slots=True)
class Refused:
    """A signal was refused by a gate, with the numbers it saw."""

    signal_id: str
    strategy: str
    ticker: str
    result: GateResult
    ts: Nanos


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order's row as it now stands (counts in 0.01, cash in 1e-6 dollars)."""

    client_order_id: str
    order_id: str
    intent: OrderIntent
    status: OrderStatus
    filled: Count
    reserved: Cash
    reason: str
    external: bool
    ts: Nanos


@dataclass(frozen=True, slots=True)
class FillApplied:
    """A fill was booked. ``realized`` is the profit of the part that closed a position, after fees."""

    fill: Fill
    strategy: str
    trace_id: str
    realized: Cash
    ts: Nanos


@dataclass(frozen=True, slots=True)
class PositionChanged:
    """A position as it now stands: signed count, cost of the open part, realised profit, fees."""

    ticker: str
    event_ticker: str
    strategy: str
    count: Count
    cost: Cash
    realized: Cash
    fees: Cash
    opened_ts: Nanos
    ts: Nanos


@dataclass(frozen=True, slots=True)
class SettlementApplied:
    """A market we held paid out. ``pnl`` is its whole profit, fees included."""

    settlement: Settlement
    strategy: str
    pnl: Cash
    ts: Nanos


@dataclass(frozen=True, slots=True)
class ExitJudged:
    """A market that was left early has settled: what the exit brought, beside what holding would have paid.

    ``count`` contracts of ``outcome`` were sold for ``proceeds`` after fees; ``hold_value`` is what the
    settlement pays for as many. ``reason``: the rule that left ("stop_loss", "thesis", ...).
    """

    signal_id: str
    strategy: str
    reason: str
    ticker: str
    outcome: Outcome
    count: Count
    proceeds: Cash
    hold_value: Cash
    ts: Nanos

    @property
    def gain(self) -> Cash:
        """What leaving made more than holding; below zero when it cost money."""
        return self.proceeds - self.hold_value


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The trading state changed; stored before it matters, so that it survives a restart."""

    state: TradingState
    who: str
    why: str
    until: Nanos | None
    ts: Nanos


@dataclass(frozen=True, slots=True)
class AccountMarked:
    """The account as valued now: cash, liquidation value of positions, worst-case loss at risk."""

    cash: Cash
    liquidation: Cash
    at_risk: Cash
    open_positions: int
    day: str
    day_pnl: Cash
    ts: Nanos


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The venue's records were compared with ours; ``mismatches`` is empty when all agree."""

    mismatches: tuple[str, ...]
    adopted: tuple[str, ...]
    ts: Nanos


@dataclass(frozen=True, slots=True)
class Noted:
    """Anything else worth keeping in the journal."""

    kind: str
    data: Mapping[str, str | int | float]
    ts: Nanos
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class CommandAnswered:
    """A command from the table was carried out or refused; stored together with what it changed."""

    command_id: int
    done: bool
    answer: str
    ts: Nanos


@dataclass(frozen=True, slots=True)
class LedgerOpened:
    """Cash and trading day the ledger starts from, learned from the first good account report."""

    cash: Cash
    ts: Nanos


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order row as read back from the store."""

    order_id: str
    intent: OrderIntent
    status: OrderStatus
    filled: Count
    reserved: Cash
    external: bool


@dataclass(frozen=True, slots=True)
class StoredState:
    """Everything the engine needs to come back from a crash, as read from the store.

    ``opening_cash`` is None before the first reconciliation ever. ``day_start`` maps the trading day
    (``YYYY-MM-DD``, New York) to the equity it began with, for the current day only.
    """

    orders: tuple[StoredOrder, ...] = ()
    fills: tuple[Fill, ...] = ()
    settlements: tuple[Settlement, ...] = ()
    signal_ids: frozenset[str] = frozenset()
    opening_cash: Cash | None = None
    opening_ts: Nanos | None = None
    state: TradingState | None = None
    state_who: str = ""
    state_why: str = ""
    state_until: Nanos | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ControlValue:
    """A small durable fact of the engine (counters of breakers, day start), by key."""

    key: str
    value: str
    ts: Nanos


AuditRecord: TypeAlias = (
    SignalRecorded
    | Refused
    | OrderChanged
    | FillApplied
    | PositionChanged
    | SettlementApplied
    | ExitJudged
    | StateChanged
    | AccountMarked
    | Reconciled
    | LedgerOpened
    | ControlValue
    | CommandAnswered
    | Noted
)
