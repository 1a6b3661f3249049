"""What the risk checks look at, and the two kinds of check: a gate answers yes or no, a cap says how much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from src.core.actions import GateResult
from src.core.book import OrderBook
from src.core.events import ExchangeSchedule, ExchangeStatus
from src.core.market import Market
from src.core.signal import Signal
from src.core.units import Cash, Count, Nanos
from src.execution.exposure import Exposure, Place
from src.execution.limits import RiskLimits
from src.execution.trading_state import TradingControl


@dataclass(frozen=True, slots=True)
class RiskContext:
    """Everything the checks look at, taken at one instant. Cash in 1e-6 dollars.

    ``status`` None: never read; ``status_lost``: it could be read once and cannot now. ``shard_spendable``
    is what the market's shard has left, None where the venue keeps one purse. ``equity_known`` is False
    while an open position of an open market has never been valued. ``store_down``: why the store takes no
    writes, empty when it does. ``unexitable``: a position of the same event that could not be left, empty
    when there is none. ``refused_times`` and ``refused_until``: refusals of the venue in a row in this
    market, and how long it is left alone for them.
    """

    now: Nanos
    signal: Signal
    market: Market | None
    place: Place
    book: OrderBook | None
    control: TradingControl
    status: ExchangeStatus | None
    status_lost: bool
    schedule: ExchangeSchedule | None
    account_ts: Nanos | None
    clock_offset: Nanos | None
    store_down: str
    equity: Cash
    equity_known: bool
    spendable: Cash
    shard_spendable: Cash | None
    exposure: Exposure
    open_positions: int
    held: Count
    stopped_out: bool
    working: bool
    unexitable: str
    refused_times: int
    refused_until: Nanos
    rules: GateResult


@dataclass(frozen=True, slots=True)
class AccountView:
    """What every signal of a moment is held against, whichever its market is (see ``RiskContext``)."""

    equity: Cash
    equity_known: bool
    spendable: Cash
    exposure: Exposure
    working: frozenset[str]
    open_positions: int


@dataclass(slots=True)
class Looked:
    """What was looked at since the last order was opened: in between, nothing of it can change."""

    account: AccountView | None = None
    judged: dict[str, tuple[RiskContext, GateResult | None]] = field(default_factory=dict)

    def forget(self) -> None:
        """An order was opened."""
        self.account = None
        self.judged.clear()


Check: TypeAlias = Callable[[RiskContext, RiskLimits], GateResult]
Room: TypeAlias = Callable[[RiskContext, RiskLimits], Cash]


@dataclass(frozen=True, slots=True)
class Gate:
    """A check that lets an entry pass (``PASSED``) or not. Its refusals may carry a finer name."""

    name: str
    check: Check


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit on how much an entry may cost: ``room`` is what is left, in 1e-6 dollars.

    Asked once and used twice: the size stays within it, and the finished order's reserve is held against it.
    """

    name: str
    room: Room


# The answer of every check that passes: twenty of them do for each entry, and nobody reads their numbers.
PASSED = GateResult("passed", True, {})


def refused(name: str, **numbers: float | str) -> GateResult:
    """A refusal with the numbers that the check looked at."""
    return GateResult(name, False, numbers)
