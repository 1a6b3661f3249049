"""How often an exit was tried, and when it may be tried again: patience grows while nothing is sold."""

from __future__ import annotations

from dataclasses import dataclass

from src.core.signal import OrderIntent, make_client_order_id
from src.core.units import MINUTE, SECOND, Nanos
from src.execution.orders import OrderRegister

_RETRY: Nanos = 5 * SECOND
_LONGEST_RETRY: Nanos = MINUTE
# So many orders in a row that sell nothing are bad luck; then the pause doubles each time.
_PATIENT_MISSES = 3


@dataclass(frozen=True, slots=True)
class Attempt:
    """The next order of an exit: its number, and how many before it in a row sold nothing."""

    number: int
    misses: int


class ExitAttempts:
    """Counts by the exit's signal. Numbers never repeat, so that no order id does."""

    def __init__(self, orders: OrderRegister) -> None:
        self._orders = orders
        self._last: dict[str, tuple[int, Nanos]] = {}

    def restore(self, intent: OrderIntent) -> None:
        """An exit order as stored."""
        number, at = self._last.get(intent.signal_id, (-1, 0))
        self._last[intent.signal_id] = (max(number, intent.attempt), max(at, intent.created_ts))

    def sent(self, signal_id: str, number: int, now: Nanos) -> None:
        """An order of this exit leaves."""
        self._last[signal_id] = (number, now)

    def next(self, signal_id: str, now: Nanos) -> Attempt | None:
        """The attempt that may be made now, or None while it is too early."""
        if signal_id not in self._last:
            return Attempt(self._free(signal_id, 0), 0)
        number, at = self._last[signal_id]
        misses = self._misses(signal_id, number)
        pause = min(_LONGEST_RETRY, _RETRY << max(0, min(misses - _PATIENT_MISSES, 8)))
        return Attempt(self._free(signal_id, number + 1), misses) if now - at >= pause else None

    def _free(self, signal_id: str, number: int) -> int:
        """The first number from this one on that no instance of ours has used, as far as we were told."""
        while self._orders.get(make_client_order_id(signal_id, number)) is not None:
            number += 1
        return number

    def _misses(self, signal_id: str, number: int) -> int:
        misses = 0
        while number >= 0:
            order = self._orders.get(make_client_order_id(signal_id, number))
            if order is None or order.filled:
                break
            misses += 1
            number -= 1
        return misses
