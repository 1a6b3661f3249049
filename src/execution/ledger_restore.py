"""Orders, positions and cash rebuilt from what was stored."""

from __future__ import annotations

from src.core.actions import StoredState
from src.core.events import Fill, Settlement
from src.core.units import Count, Nanos
from src.execution.market_state import MarketState
from src.execution.orders import OrderRegister
from src.execution.portfolio import Portfolio


def rebuild(
    stored: StoredState, orders: OrderRegister, portfolio: Portfolio, markets: MarketState, now: Nanos
) -> dict[str, Count]:
    """Fill the register and the portfolio, which has been opened already.

    Returns the contracts booked for orders that are not known (yet), by the venue's order id.
    """
    client_of = {row.order_id: row.intent.client_order_id for row in stored.orders if row.order_id}
    filled: dict[str, int] = {}
    for fill in stored.fills:
        # Listed fills carry the venue's order id only.
        client_id = client_of.get(fill.order_id, fill.client_order_id)
        filled[client_id] = filled.get(client_id, 0) + fill.count
    for row in stored.orders:
        fees = markets.fees(row.intent.ticker)
        orders.restore(row, filled.get(row.intent.client_order_id, 0), fees, now)
    ownerless: dict[str, Count] = {}
    timeline: list[tuple[Nanos, int, Fill | Settlement]] = [(fill.ts_event, 0, fill) for fill in stored.fills]
    timeline += [(paid.settled_ts, 1, paid) for paid in stored.settlements]
    for _, _, item in sorted(timeline, key=lambda entry: entry[:2]):
        if isinstance(item, Fill):
            order = orders.get(item.client_order_id, item.order_id)
            strategy = order.intent.strategy if order else "external"
            if order is None:
                ownerless[item.order_id] = ownerless.get(item.order_id, 0) + item.count
            portfolio.apply_fill(item, markets.event_of(item.ticker), strategy)
        else:
            portfolio.settle(item)
    return ownerless
