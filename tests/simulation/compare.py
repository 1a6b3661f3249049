"""I2: the ledger held against the exchange's own books, order by order and cent by cent."""

from __future__ import annotations

from collections.abc import Mapping

from src.core.actions import OrderStatus, TradingState
from src.core.events import VenueOrderStatus
from src.core.signal import OrderIntent
from src.execution.engine import Engine
from src.execution.ledger import Ledger
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.execution.order_state import LIVE
from tests.simulation.crash_store import Committed
from tests.simulation.process import Process
from tests.simulation.sim_venue import SimVenue

_STOPPED_BY = frozenset(
    {"daily_loss", "loss_24h", "drawdown", "soft_daily_loss", "soft_loss_24h", "circuit_breaker"}
)


def differences(process: Process, venue: SimVenue) -> list[str]:
    """What does not agree yet, the trading state included. Empty when all is well."""
    if not process.alive or not process.started:
        return ["the process is down"]
    control = process.engine.control
    lines = ledger_lines(process.engine.ledger, venue)
    if control.state is not TradingState.ACTIVE and control.who not in _STOPPED_BY:
        lines.append(f"state is {control.state.value} by {control.who}: {control.why}")
    if process.engine.ledger.report_ts is None:
        lines.append("no report since the start")
    waiting = [order for order in process.engine.ledger.orders.live() if order.status is OrderStatus.UNKNOWN]
    lines += [f"order {order.intent.client_order_id} is still unknown" for order in waiting]
    return lines


def ledger_lines(ledger: Ledger, venue: SimVenue) -> list[str]:
    """Orders, fills, positions and cash."""
    account, opened = venue.account, ledger.opening.ts
    if opened is None:
        return ["the ledger was never opened"]
    lines = []
    for order_id, theirs in account.orders.items():
        mine = ledger.orders.get(theirs.client_order_id, order_id)
        resting = theirs.status is VenueOrderStatus.RESTING
        if mine is None:
            if resting or (theirs.client_order_id and theirs.updated_ts >= opened):
                lines.append(f"order {order_id} is not in the ledger")
            continue
        if mine.is_live != resting:
            lines.append(f"order {order_id}: {mine.status.value}, venue {theirs.status.value}")
        if not mine.external and mine.filled != theirs.filled:
            lines.append(f"order {order_id}: {mine.filled} filled, venue {theirs.filled}")
        if mine.reserved and not resting:
            lines.append(f"order {order_id} is over and still reserves {mine.reserved}")
    known = {order.order_id for order in ledger.orders if order.order_id}
    lines += [f"order {order_id} is not at the venue" for order_id in sorted(known - set(account.orders))]
    for order in ledger.orders:
        if not order.order_id and order.status in LIVE:
            lines.append(f"order {order.intent.client_order_id} is {order.status.value} and nowhere")
    for fill in account.fills:
        if fill.ts >= opened and not ledger.portfolio.has_fill(fill.trade_id, fill.order_id):
            lines.append(f"fill {fill.trade_id} is not in the ledger")
    for ticker in venue.tickers:
        if ledger.portfolio.count(ticker) != account.position_count(ticker):
            lines.append(
                f"position {ticker}: {ledger.portfolio.count(ticker)}, venue {account.position_count(ticker)}"
            )
    if ledger.portfolio.cash != account.cash:
        lines.append(f"cash {ledger.portfolio.cash}, venue {account.cash}")
    moved = sum(cash for ts, cash in venue.deposits if ts >= opened)
    if ledger.external_cash != moved:
        lines.append(f"external cash {ledger.external_cash}, the owner moved {moved}")
    return lines


def could_leave(process: Process, venue: SimVenue) -> list[str]:
    """Positions that are open although the market trades and somebody bids for them."""
    found = []
    for ticker in venue.tickers:
        held = venue.account.position_count(ticker)
        state = venue.exchange.markets[ticker]
        if held and state.is_trading and process.engine.book(ticker) is not None:
            found.append(f"{held} {ticker}")
    return found


def after_stop(
    venue: SimVenue, sent: Mapping[str, OrderIntent], committed: Committed, stopped: Engine
) -> list[str]:
    """No order of ours rests, and a new start from the store knows what the stopped engine knew."""
    lines = [
        f"order {order.client_order_id} still rests"
        for order in venue.account.open_orders.values()
        if order.client_order_id in sent
    ]
    # As a start does: what the stop set aside because the database was away goes in first.
    committed.replay(committed.local.entries, committed.fence)
    again = Engine([], RiskLimits(), ReconcilePolicy(), {})
    again.start(committed.load(), stopped.now)
    for ticker in venue.tickers:
        before, after = stopped.position(ticker), again.position(ticker)
        if before != after:
            lines.append(f"position {ticker}: {before} before, {after} when started again")
    if stopped.ledger.portfolio.cash != again.ledger.portfolio.cash:
        lines.append(
            f"cash {stopped.ledger.portfolio.cash}, {again.ledger.portfolio.cash} when started again"
        )
    held, found = stopped.ledger.orders.reserved(), again.ledger.orders.reserved()
    if found < held:  # more is only caution until the first report
        lines.append(f"reserves {held}, only {found} when started again")
    return lines
