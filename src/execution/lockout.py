"""What a refusal that only a person can mend holds back: the key is revoked, a scope or an endpoint is gone.

Asking again would be refused again, every few seconds for as long as nobody looks. So nothing is asked
until the halt is cleared, and exits, which no halt may block, are tried once a minute.
"""

from __future__ import annotations

from src.core.units import MINUTE, Nanos

_EXIT_INTERVAL: Nanos = MINUTE


class Lockout:
    """Whether the exchange refuses us until a person acts, and whether it refuses orders."""

    def __init__(self) -> None:
        self.stands = False
        self._exits_from: Nanos = 0

    def begin(self) -> bool:
        """The exchange refused us; returns whether that is new."""
        is_new, self.stands = not self.stands, True
        return is_new

    def refuse_orders(self, now: Nanos) -> None:
        """An order was refused too: the next exit waits its minute."""
        self._exits_from = now + _EXIT_INTERVAL

    def allows_exits(self, now: Nanos) -> bool:
        """Whether an exit may be tried."""
        return now >= self._exits_from

    def end(self) -> None:
        """A person cleared the halt: everything is tried again."""
        self.stands = False
        self._exits_from = 0
