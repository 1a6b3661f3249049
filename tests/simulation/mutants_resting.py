"""Known bugs of resting orders and exits, put in on purpose at run time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from src.core.signal import TimeInForce
from src.execution.exit_desk import ExitDesk
from src.execution.exit_ladder import ExitStep
from src.execution.exit_sender import ExitSender
from src.execution.ledger import Ledger
from src.execution.liveness import ExitLiveness
from src.execution.order_state import Order
from src.execution.resting_desk import PROFIT_TARGET, RestingDesk

Patch = tuple[Any, str, Any]


def _remainder_forgotten() -> list[Patch]:
    original = Order.rests.fget
    assert original is not None
    return [(Order, "rests", property(lambda self: original(self) and not self.filled))]


def _time_to_live_ignored() -> list[Patch]:
    return [(RestingDesk, "deadline", lambda self, order: None)]


def _exit_twice_the_position() -> list[Patch]:
    original = ExitSender.send

    def send(self: ExitSender, *args: Any) -> Any:
        doubled = [
            replace(arg, count=2 * arg.count) if isinstance(arg, ExitStep) and arg.rests else arg
            for arg in args
        ]
        return original(self, *doubled)

    return [(ExitSender, "send", send)]


def _amended_to_the_remainder() -> list[Patch]:
    original = RestingDesk.amend
    return [(RestingDesk, "amend", lambda self, order, total: original(self, order, total - order.filled))]


def _target_left_after_a_stop() -> list[Patch]:
    original = Ledger.own_orders

    def own_orders(self: Ledger, ticker: str) -> list[Order]:
        return [o for o in original(self, ticker) if not o.intent.strategy.endswith(f":{PROFIT_TARGET}")]

    return [(Ledger, "own_orders", own_orders)]


def _no_way_out_and_more_of_it() -> list[Patch]:
    return [(ExitLiveness, "blocked_by", lambda self, event_ticker: "")]


def _never_cut_down() -> list[Patch]:
    return [(ExitDesk, "fit", lambda self: [])]


def _resting_exit_may_take() -> list[Patch]:
    original = ExitSender.send

    def send(self: ExitSender, *args: Any) -> Any:
        approved = original(self, *args)
        if approved.intent.time_in_force is TimeInForce.GOOD_TILL_CANCELED:
            object.__setattr__(approved.intent, "post_only", False)
        return approved

    return [(ExitSender, "send", send)]


def _halted_entries_go_on_resting() -> list[Patch]:
    original = RestingDesk._objection

    def objection(self: RestingDesk, order: Any, market: Any) -> str:
        reason = original(self, order, market)
        return "" if reason.startswith("trading is") else reason

    return [(RestingDesk, "_objection", objection)]


RESTING_MUTANTS: dict[str, Callable[[], list[Patch]]] = {
    "the remainder of a partial fill is forgotten": _remainder_forgotten,
    "the time to live is ignored": _time_to_live_ignored,
    "a resting exit is twice the position": _exit_twice_the_position,
    "amend gets what remains instead of the total": _amended_to_the_remainder,
    "the target is left resting beside a stop": _target_left_after_a_stop,
    "more is bought where there is no way out": _no_way_out_and_more_of_it,
    "a resting exit is not cut down to what is held": _never_cut_down,
    "a resting exit may take": _resting_exit_may_take,
    "entries go on resting while reducing": _halted_entries_go_on_resting,
}
