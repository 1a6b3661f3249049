"""Invariants of what rests: an owner, a time to live, an expiry; and of exits: never more than is held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.core.actions import AmendOrder, ExitJudged, Noted, OrderChanged, OrderStatus, TradingState
from src.core.book import OrderBook
from src.core.events import Event, Tick
from src.core.sides import BookSide, Outcome
from src.core.signal import OrderIntent, Purpose, TimeInForce
from src.core.units import SECOND, Nanos
from src.execution.engine import Action, Engine
from src.execution.order_state import Order
from src.execution.risk import Approved
from tests.simulation.sim_venue import SimVenue
from tests.simulation.stage import Stage

if TYPE_CHECKING:
    from tests.simulation.process import Process

# What a call may take, twice, and the difference of the clocks.
_GRACE: Nanos = 4 * SECOND
_AT_VENUE = frozenset({OrderStatus.RESTING, OrderStatus.PARTIALLY_FILLED})
_BLIND = frozenset({TradingState.STARTING, TradingState.RECONCILING})


class RestingWatch:
    """I6: nothing rests longer than it may. I7: exits never exceed the position, nor flip it at the venue.

    I8: while a position has no way out nothing more is bought in its event.
    """

    def __init__(self, stage: Stage, venue: SimVenue, sent: dict[str, OrderIntent]) -> None:
        self._stage = stage
        self._venue = venue
        self._sent = sent
        self._fills = 0
        # By process: two may run for a moment, and neither knows what the other sees.
        self._stuck: dict[int, set[tuple[str, Nanos]]] = {}

    # --- at the venue --------------------------------------------------------------------------------

    def step(self, foreign: bool) -> None:
        """``foreign``: the owner traded by hand, so that an exit under way may meet a smaller position."""
        stage, account = self._stage, self._venue.account
        longest = stage.plan.limits.longest_expiry
        for order in account.open_orders.values():
            intent = self._sent.get(order.client_order_id)
            if intent is None:
                continue
            expires, name = (
                order.request.expiration_ts,
                f"{intent.purpose.value} {intent.client_order_id[:8]}",
            )
            if expires is None or expires > stage.now + longest + _GRACE:
                stage.violated(f"I6: {name} rests with the expiry {expires}")
            elif intent.purpose is Purpose.ENTRY:
                over = stage.now - intent.created_ts - stage.plan.time_to_live
                if over > _GRACE:
                    stage.violated(f"I6: {name} outlived its time by {over / SECOND:.1f} s")
        for fill in account.fills[self._fills :]:
            intent = self._sent.get(fill.client_order_id)
            if intent is None or intent.purpose is not Purpose.EXIT or foreign:
                continue
            if fill.post_position * fill.side.sign > 0:
                stage.violated(f"I7: exit {fill.client_order_id[:8]} flipped to {fill.post_position}")
        self._fills = len(account.fills)

    # --- in the engine -------------------------------------------------------------------------------

    def handled(self, process: Process, event: Event, actions: Sequence[Action]) -> None:
        """The engine handled an event."""
        engine = process.engine
        for action in actions:
            match action:
                case Approved(intent=intent) if intent.purpose is Purpose.EXIT:
                    self._not_more_than_held(engine, intent)
                case Approved(intent=intent):
                    self._entry(process, intent)
                case AmendOrder():
                    self._amend(engine, action)
                case Noted(kind="exit_failed"):
                    self._stage.violated(f"the exit loop failed: {action.data['error']}")
                case Noted(kind="exit_path_lost" | "exit_path_back" as kind):
                    self._stage.saw(kind)
                case ExitJudged():
                    self._stage.saw("exit judged")
                case OrderChanged(status=OrderStatus.PENDING_CANCEL):
                    self._stage.saw(f"cancels: {action.reason.partition('(')[0].strip()}")
                case _:
                    pass
        if isinstance(event, Tick):
            self._owned(engine)
            blind = engine.control.state in _BLIND or engine.ledger.report_ts is None or engine.stopping
            self._stuck[process.number] = set() if blind else set(_without_bids(engine))

    def _not_more_than_held(self, engine: Engine, intent: OrderIntent) -> None:
        held = engine.position(intent.ticker)
        exits = [
            order
            for order in engine.ledger.orders.live()
            if order.is_live and order.intent.purpose is Purpose.EXIT and order.intent.ticker == intent.ticker
        ]
        total = sum(order.intent.count - order.filled for order in exits)
        if total > abs(held):
            self._stage.violated(f"I7: exits of {total} work against {held} {intent.ticker}")
        rests = intent.time_in_force is TimeInForce.GOOD_TILL_CANCELED
        if rests is intent.reduce_only or rests is not intent.post_only:
            self._stage.violated(f"I7: exit {intent.client_order_id[:8]} may take, or may open a position")
        if rests:
            self._stage.saw("exit rests")

    def _entry(self, process: Process, intent: OrderIntent) -> None:
        seen = self._stuck.get(process.number, set())
        held = process.engine.ledger.portfolio.open_positions()
        stuck = [position.ticker for position in held if (position.ticker, position.opened_ts) in seen]
        if stuck:  # all markets of a world are one event
            self._stage.violated(f"I8: entry {intent.client_order_id[:8]} while {stuck} cannot be left")

    def _amend(self, engine: Engine, action: AmendOrder) -> None:
        order = engine.ledger.orders.get(action.client_order_id)
        assert order is not None
        meant = order.intent.count - order.filled
        if order.intent.purpose is Purpose.EXIT:
            meant = min(meant, abs(engine.position(action.ticker)))
        if action.count - order.filled != meant:
            left = action.count - order.filled
            self._stage.violated(f"I7: amend {action.client_order_id[:8]} leaves {left}, meant {meant}")
        if meant < order.intent.count - order.filled:
            self._stage.saw("exit cut down")

    def _owned(self, engine: Engine) -> None:
        """After a tick nothing rests that should not, as far as the engine knows."""
        for order in engine.ledger.orders.live():
            intent = order.intent
            if order.external or order.status not in _AT_VENUE or not _reachable(engine, order):
                continue
            if intent.time_in_force is not TimeInForce.GOOD_TILL_CANCELED:
                continue
            if intent.purpose is Purpose.ENTRY:
                late = engine.now >= intent.created_ts + self._stage.plan.time_to_live
                if late or engine.control.state is not TradingState.ACTIVE:
                    state = engine.control.state.value
                    self._stage.violated(f"I6: entry {intent.client_order_id[:8]} has no owner ({state})")
                continue
            left, held = intent.count - order.filled, abs(engine.position(intent.ticker))
            if left > held and order.amend_sent is None:
                name = intent.client_order_id[:8]
                self._stage.violated(f"I7: exit {name} goes on offering {left} of {held}")


def _reachable(engine: Engine, order: Order) -> bool:
    market = engine.market(order.intent.ticker)
    return market is not None and engine.markets.exchange_active and market.is_open(engine.now)


def _without_bids(engine: Engine) -> list[tuple[str, Nanos]]:
    """Positions of ours for which nobody else bids, or whose book is in doubt: market and opening."""
    found = []
    for position in engine.ledger.portfolio.open_positions():
        if position.strategy == "external":
            continue
        book = engine.book(position.ticker)
        if book is None or not _others_bid(engine, book, position.outcome):
            found.append((position.ticker, position.opened_ts))
    return found


def _others_bid(engine: Engine, book: OrderBook, outcome: Outcome) -> bool:
    side = BookSide.BID if outcome is Outcome.YES else BookSide.ASK
    own = {
        order.intent.price: order.intent.count - order.filled
        for order in engine.ledger.orders.live()
        if order.intent.ticker == book.ticker and order.intent.side is side and order.status in _AT_VENUE
    }
    return any(size > own.get(price, 0) for price, size in book.levels(side))
