"""The simulated exchange with a memory: what it was at any earlier instant, for reads that lag."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from src.core.events import Fill, OrderUpdate, Settlement, VenuePosition
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus, Strike, StrikeKind
from src.core.signal import OrderIntent
from src.core.units import HOUR, MINUTE, Cash, Nanos
from src.simulator.exchange import Exchange
from src.simulator.outputs import FillMade, OrderChange, Output, PositionChange
from src.simulator.paper_records import fill_event, order_update, settlement_event
from src.simulator.records import NewOrder, VenueOrder, order_from
from src.simulator.world import ListEvent
from tests.simulation.plan import SERIES
from tests.simulation.stage import START, Stage

T = TypeVar("T")
KEY = "account"
EVENT = f"{SERIES}-26NOV23"
_LADDER = [
    Strike(StrikeKind.LESS, None, 50),
    Strike(StrikeKind.BETWEEN, 50, 51),
    Strike(StrikeKind.GREATER, 51, None),
]


class SimVenue:
    """One exchange with our account, its history, and hooks for the checks."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.exchange = Exchange(seed=stage.plan.seed, start=START)
        self.account = self.exchange.add_account(KEY, stage.plan.balance)
        self.deposits: list[tuple[Nanos, Cash]] = []
        self.tickers = [f"{EVENT}-B{50 + 2 * n}.5" for n in range(stage.plan.markets)]
        strikes = (
            _LADDER if stage.plan.exclusive else [Strike(StrikeKind.BETWEEN, 50, 51)] * len(self.tickers)
        )
        self.markets = tuple(
            replace(
                _market(ticker),
                strike=strike,
                mutually_exclusive=stage.plan.exclusive,
                category=stage.plan.category,
            )
            for ticker, strike in zip(self.tickers, strikes, strict=True)
        )
        self.after: list[Callable[[], None]] = []
        self.arrived: list[VenueOrder] = []
        self._orders: dict[str, list[tuple[Nanos, OrderUpdate]]] = {}
        self._positions: dict[str, list[tuple[Nanos, VenuePosition]]] = {}
        self._cash: list[tuple[Nanos, Cash]] = [(0, stage.plan.balance)]
        self.exchange.subscribe(self._remember)
        self.exchange.apply(ListEvent(START, EVENT, SERIES, "simulated event", self.markets))

    def advance(self) -> None:
        """Let the exchange reach the present."""
        self.exchange.advance(self.stage.now)
        self._changed()

    def create(self, intent: OrderIntent) -> VenueOrder:
        """Our order arrives. Raises ``OrderRefused``."""
        self.advance()
        request = order_from(intent)
        order = self.exchange.create(KEY, request)
        self.stage.trace(f"venue: order {intent.client_order_id[:8]} {order.status.value} {order.filled}")
        return order

    def foreign(self, request: NewOrder) -> VenueOrder:
        """An order of the owner's own hand. Raises ``OrderRefused``."""
        self.advance()
        order = self.exchange.create(KEY, request)
        self.stage.trace(f"venue: foreign order {order.order_id[:8]} {order.status.value} {order.filled}")
        return order

    def deposit(self, amount: Cash) -> None:
        """The owner moves cash in (or out)."""
        self.exchange.deposit(KEY, amount)
        self.deposits.append((self.stage.now, amount))
        self.stage.trace(f"venue: deposit {amount}")
        self._changed()

    # --- reads that lag ------------------------------------------------------------------------------

    def orders(self, since: Nanos, at: Nanos, recv: Nanos) -> tuple[OrderUpdate, ...]:
        """Orders as of ``at``: all that rest and those updated since. Listings give no reason."""
        found = []
        for versions in self._orders.values():
            update = _as_of(versions, at)
            if update is not None and (update.remaining or update.updated_ts >= since):
                found.append(_received(update, recv))
        return tuple(found)

    def fills(self, since: Nanos, at: Nanos, recv: Nanos) -> tuple[Fill, ...]:
        """Fills as of ``at``. Listings give no client order id."""
        return tuple(
            _without_client(fill_event(fill, recv)) for fill in self.account.fills if since <= fill.ts <= at
        )

    def settlements(self, since: Nanos, at: Nanos, recv: Nanos) -> tuple[Settlement, ...]:
        """Payments as of ``at``."""
        records = self.account.settlements
        return tuple(settlement_event(paid, recv) for paid in records if since <= paid.ts <= at)

    def positions(self, at: Nanos) -> tuple[VenuePosition, ...]:
        """Open positions as of ``at``."""
        found = [_as_of(versions, at) for versions in self._positions.values()]
        return tuple(position for position in found if position is not None and position.count)

    def balance(self, at: Nanos) -> Cash:
        """Cash as of ``at``."""
        cash = _as_of(self._cash, at)
        assert cash is not None
        return cash

    # --- inside --------------------------------------------------------------------------------------

    def _remember(self, outputs: Sequence[Output]) -> None:
        now = self.exchange.now
        for output in outputs:
            if isinstance(output, OrderChange):
                update = order_update(output.order, now)
                self._orders.setdefault(update.order_id, []).append((now, update))
            elif isinstance(output, FillMade):
                order = self.account.orders[output.fill.order_id]
                self._orders.setdefault(order.order_id, []).append((now, order_update(order, now)))
            elif isinstance(output, PositionChange):
                held = output.position
                seen = VenuePosition(held.ticker, held.count, held.cost, held.realized, held.fees)
                self._positions.setdefault(held.ticker, []).append((now, seen))
        self._changed()

    def _changed(self) -> None:
        if self._cash[-1][1] != self.account.cash:
            self._cash.append((self.stage.now, self.account.cash))
        for hook in self.after:
            hook()


def _market(ticker: str) -> Market:
    return Market(
        ticker=ticker,
        event_ticker=EVENT,
        series_ticker=SERIES,
        status=MarketStatus.ACTIVE,
        open_time=START - HOUR,
        close_time=START + 40 * MINUTE,
        grid=LINEAR_CENT,
        fees=FeeSchedule(),
        settlement_timer_seconds=5,
    )


def _as_of(versions: list[tuple[Nanos, T]], at: Nanos) -> T | None:
    place = bisect_right(versions, at, key=lambda version: version[0])
    return versions[place - 1][1] if place else None


def _received(update: OrderUpdate, recv: Nanos) -> OrderUpdate:
    return replace(update, ts_recv=recv, reason="")


def _without_client(fill: Fill) -> Fill:
    return replace(fill, client_order_id="")
