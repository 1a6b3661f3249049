"""A market whose entries the venue refuses is left alone for a while, each time for twice as long."""

from __future__ import annotations

from src.core.actions import Alert, OrderStatus, Severity
from src.core.units import MINUTE, SECOND, Nanos
from src.execution.order_state import Order

_FIRST_BACK_OFF: Nanos = 30 * SECOND
_LONGEST_BACK_OFF: Nanos = 30 * MINUTE
# Refusals of our own say nothing about the market.
_OWN_REFUSALS = ("withdrawn", "not_stored", "never arrived")
# Kalshi's ``last_update_reason`` of orders that it acknowledged and then would not have.
_VENUE_REFUSALS = frozenset({"PostOnlyCrossCancel", "SelfTradeCancel", "MarginCancel"})


def refused_by_venue(order: Order) -> bool:
    """Whether the venue would not have the order: at once, or by an end that nobody asked for."""
    if order.status is OrderStatus.REJECTED:
        return not order.reason.startswith(_OWN_REFUSALS) and bool(order.reason)
    return order.status is OrderStatus.CANCELED and order.reason in _VENUE_REFUSALS


class VenuePatience:
    """Counts the venue's refusals in a row, market by market."""

    def __init__(self) -> None:
        # Refusals in a row by market, and until when it is left alone.
        self._refused: dict[str, tuple[int, Nanos]] = {}
        self._judged: set[str] = set()

    def refusals(self, ticker: str) -> tuple[int, Nanos]:
        """Refusals in a row, and until when the market is left alone."""
        return self._refused.get(ticker, (0, 0))

    def ended(self, order: Order, now: Nanos) -> list[Alert]:
        """An entry has ended. One that the venue refused, also after its acknowledgement, means patience.

        A person is told once for refusals in a row; a fill ends the row.
        """
        intent = order.intent
        if order.filled:
            self._refused.pop(intent.ticker, None)
            return []
        if not refused_by_venue(order) or intent.client_order_id in self._judged:
            return []
        self._judged.add(intent.client_order_id)
        times = self.refusals(intent.ticker)[0] + 1
        pause = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF << min(times - 1, 10))
        self._refused[intent.ticker] = (times, now + pause)
        if times > 1:
            return []
        text = f"{intent.ticker}: the exchange refused an entry ({order.reason}); waiting before the next"
        return [Alert(Severity.WARNING, f"refused:{intent.ticker}", text, now)]
