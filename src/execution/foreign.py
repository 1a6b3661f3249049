"""Orders and fills that are not ours: placed by hand or by another program, adopted and told."""

from __future__ import annotations

from src.core.actions import Alert, AuditRecord, Noted, Severity
from src.core.events import Fill, OrderUpdate
from src.core.units import Count, format_count
from src.execution.market_state import MarketState
from src.execution.orders import OrderRegister


class ForeignOrders:
    """``ownerless``: contracts booked for orders not known (yet), by the venue's order id."""

    def __init__(self, orders: OrderRegister, markets: MarketState) -> None:
        self._orders = orders
        self._markets = markets
        self.ownerless: dict[str, Count] = {}

    def filled(self, fill: Fill) -> None:
        """A fill of an order that nobody has told of yet was booked."""
        self.ownerless[fill.order_id] = self.ownerless.get(fill.order_id, 0) + fill.count

    def adopt(self, update: OrderUpdate) -> list[AuditRecord | Alert]:
        """Take in an order that the register does not know."""
        order = self._orders.adopt(
            update,
            self.ownerless.pop(update.order_id, 0),
            self._markets.event_of(update.ticker),
            self._markets.fees(update.ticker),
        )
        if not order.is_live:
            # An ended order from before the ledger: its fills, if any count, come by themselves.
            note = Noted("external_order_ended", {"order_id": update.order_id}, update.ts_recv)
            # Booked fills keep their order: after a restart they would otherwise belong to none.
            return [note, order.changed(update.ts_recv)] if order.filled else [note]
        text = f"{update.ticker}: order {update.order_id} at the exchange is not ours; adopted as external"
        return [
            order.changed(update.ts_recv),
            Alert(Severity.WARNING, "external_order", text, update.ts_recv),
        ]


def foreign_fill(fill: Fill) -> Alert:
    """What a person hears of a fill that is not ours."""
    text = f"{fill.ticker}: a fill of {format_count(fill.count)} contracts that is not ours was booked"
    return Alert(Severity.WARNING, "external_fill", text, fill.ts_recv)
