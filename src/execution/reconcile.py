"""Comparing our ledger with the venue's records. Pure; nothing is invented, absence needs patience.

A failed read never gets here: a report is whole or it does not exist. Positions and cash are compared
only once every fill and settlement in the same report has been booked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from src.core.actions import OrderStatus
from src.core.events import AccountReport, OrderUpdate
from src.core.units import Cash, Count, Nanos, format_cash, format_count
from src.execution.limits import ReconcilePolicy
from src.execution.order_state import Order
from src.execution.orders import OrderRegister
from src.execution.portfolio import Portfolio


@dataclass(frozen=True, slots=True)
class Absences:
    """Live orders the venue's records do not show, by what that means now."""

    never_arrived: tuple[Order, ...]
    lost: tuple[Order, ...]
    waiting: bool


def find_foreign(report: AccountReport, orders: OrderRegister) -> list[OrderUpdate]:
    """Orders at the venue that our register does not know."""
    return [update for update in report.orders if orders.get(update.client_order_id, update.order_id) is None]


def is_moving(report: AccountReport, live: Iterable[Order], policy: ReconcilePolicy) -> bool:
    """Whether the account traded so lately that its positions and cash may or may not hold it already.

    An order sent that lately may have traded although no listing shows it yet.
    """
    recent = report.as_of - policy.grace
    return (
        any(fill.ts_event > recent for fill in report.fills)
        or any(paid.settled_ts > recent for paid in report.settlements)
        or any(order.intent.created_ts > recent for order in live)
    )


def is_one_account(first: AccountReport, second: AccountReport, policy: ReconcilePolicy) -> bool:
    """Whether two reports show the same account at rest.

    A trade between a report's reads may be in its positions or cash and not among its fills. The next report
    lists such a fill, or shows other positions or cash.
    """
    recent = first.as_of - policy.grace
    return (
        not any(fill.ts_event > recent for fill in second.fills)
        and not any(paid.settled_ts > recent for paid in second.settlements)
        and _held(first) == _held(second)
        and first.balance == second.balance
    )


def find_absences(live: Iterable[Order], report: AccountReport, policy: ReconcilePolicy) -> Absences:
    """Judge live orders that a whole report does not list.

    An order whose call has not been answered is never judged: it may not even have left. One that
    changed within the grace before the report began may simply not be readable yet. Beyond it,
    ``misses_before_absent`` reports in a row must miss it: then an order whose outcome was never
    known did not arrive, and one that the venue had acknowledged is lost (which is a mismatch).
    """
    by_client = {update.client_order_id for update in report.orders if update.client_order_id}
    by_venue = {update.order_id for update in report.orders}
    filled = {fill.order_id for fill in report.fills}
    never, lost, waiting = [], [], False
    for order in live:
        if not order.is_live or order.intent.client_order_id in by_client or order.order_id in by_venue:
            continue
        under_way = order.status is OrderStatus.PENDING_NEW
        if under_way or order.order_id in filled or report.started_ts - order.changed_ts <= policy.grace:
            waiting = True
            continue
        order.misses += 1
        if order.misses < policy.misses_before_absent:
            waiting = True
        elif order.status is OrderStatus.UNKNOWN and not order.order_id:
            never.append(order)
        else:
            lost.append(order)
    return Absences(tuple(never), tuple(lost), waiting)


def compare_positions(report: AccountReport, portfolio: Portfolio, unsettled: frozenset[str]) -> list[str]:
    """Differences between the venue's positions and ours, as lines for a person.

    ``unsettled``: markets with fills still under way, whose difference is expected.
    """
    theirs = _held(report)
    ours = {position.ticker: position.count for position in portfolio.open_positions()}
    return [
        f"position {ticker}: exchange {format_count(theirs.get(ticker, 0))}, "
        f"ledger {format_count(ours.get(ticker, 0))}"
        for ticker in sorted(theirs.keys() | ours.keys())
        if theirs.get(ticker, 0) != ours.get(ticker, 0) and ticker not in unsettled
    ]


def _held(report: AccountReport) -> dict[str, Count]:
    return {position.ticker: position.count for position in report.positions if position.count}


def compare_cash(report: AccountReport, cash: Cash) -> Cash:
    """Venue cash minus ours."""
    return report.balance - cash


def describe_cash(difference: Cash) -> str:
    """A cash difference as a line for a person."""
    return f"cash: exchange minus ledger is {format_cash(difference)} dollars"


def since(now: Nanos, last_report: Nanos | None, orders: OrderRegister, policy: ReconcilePolicy) -> Nanos:
    """From when the venue's records are needed: before the last report and every open question."""
    start = (last_report if last_report is not None else now) - policy.overlap
    open_since = min((order.intent.created_ts for order in orders.live()), default=start)
    return max(0, min(start, open_since - policy.overlap))
