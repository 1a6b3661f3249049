"""Comparing our Postgres ledger with the exchange's own books, row by row, to 1e-6 dollars."""

from __future__ import annotations

from src.core.actions import OrderStatus
from src.core.events import Fill, VenueOrderStatus
from src.core.units import format_cash, format_count
from src.database.ledger import Ledger
from src.execution.order_state import LIVE
from src.simulator.account import Account
from src.simulator.records import VenueFill

_MAX_LINES = 20


def ledger_differences(ledger: Ledger, account: Account) -> list[str]:
    """Every order, fill, position and the cash, compared. Empty when all agree."""
    lines = [
        *_orders(ledger, account),
        *_fills(ledger, account),
        *_positions(ledger, account),
    ]
    if ledger.cash is None:
        lines.append("cash: the ledger was never opened")
    elif ledger.cash != account.cash:
        lines.append(f"cash: ledger {format_cash(ledger.cash)}, exchange {format_cash(account.cash)}")
    return lines[:_MAX_LINES]


def _orders(ledger: Ledger, account: Account) -> list[str]:
    ours = {order.order_id: order for order in ledger.orders if order.order_id}
    never_there = {OrderStatus.REJECTED, OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN}
    lines = [
        f"order {order.intent.client_order_id}: in the ledger as {order.status.value}, not at the exchange"
        for order in ledger.orders
        if order.order_id not in account.orders and order.status not in never_there
    ]
    for order_id, theirs in account.orders.items():
        mine = ours.get(order_id)
        if mine is None:
            lines.append(f"order {order_id}: at the exchange, not in the ledger")
            continue
        got = (mine.intent.ticker, mine.intent.side, mine.intent.price, mine.intent.count, mine.filled)
        want = (theirs.ticker, theirs.side, theirs.price, theirs.count, theirs.filled)
        live = mine.status in LIVE
        resting = theirs.status is VenueOrderStatus.RESTING
        if got != want or live != resting:
            lines.append(
                f"order {order_id}: ledger {got} {mine.status.value}, exchange {want} {theirs.status.value}"
            )
    return lines


def _fills(ledger: Ledger, account: Account) -> list[str]:
    def key(fill: Fill | VenueFill) -> tuple[object, ...]:
        return (fill.trade_id, fill.order_id, fill.ticker, fill.side, fill.price, fill.count, fill.fee)

    ours, theirs = {key(fill) for fill in ledger.fills}, {key(fill) for fill in account.fills}
    lines = [f"fill {fill[0]}: in the ledger only" for fill in sorted(ours - theirs, key=str)]
    lines += [f"fill {fill[0]}: at the exchange only" for fill in sorted(theirs - ours, key=str)]
    if len(ledger.fills) != len(account.fills):
        lines.append(f"fills: ledger {len(ledger.fills)}, exchange {len(account.fills)}")
    return lines


def _positions(ledger: Ledger, account: Account) -> list[str]:
    from_rows = {position.ticker: position.count for position in ledger.positions if position.count}
    from_fills = {ticker: count for ticker, count in ledger.counts.items() if count}
    theirs = {ticker: held.count for ticker, held in account.positions.items() if held.count}
    lines = []
    for ticker in sorted(from_rows.keys() | from_fills.keys() | theirs.keys()):
        counts = [source.get(ticker, 0) for source in (from_rows, from_fills, theirs)]
        if len(set(counts)) > 1:
            rows, fills, exchange = map(format_count, counts)
            lines.append(f"position {ticker}: ledger rows {rows}, ledger fills {fills}, exchange {exchange}")
    return lines
