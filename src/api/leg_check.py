"""Whether the NO side of the books really comes at YES prices, as the subscription asks (``use_yes_price``).

The venue has announced that the flag's default flips and that the flag then goes. Read in the wrong leg an
ask of 0.38 is one of 0.62, so the first telling snapshot of each connection is compared with REST, whose
prices are each side's own.
"""

from __future__ import annotations

from collections.abc import Iterable

from src.api.client import KalshiClient
from src.api.convert import to_levels
from src.core.errors import DefiniteError, FatalError
from src.core.events import BookSnapshot, Event
from src.core.units import DOLLAR_PRICE

# A book that moved in between, or one that reads the same in both legs, tells nothing: then the next one may.
MOST_LOOKS = 5


class LegCheck:
    """The check of one connection. ``is_due`` until it has been told, or cannot be."""

    def __init__(self, client: KalshiClient) -> None:
        self._client = client
        self._looks_left = MOST_LOOKS

    @property
    def is_due(self) -> bool:
        """Whether snapshots are still to be looked at."""
        return self._looks_left > 0

    async def examine(self, events: Iterable[Event]) -> None:
        """Look at the snapshots among ``events`` that have asks.

        Raises ``FatalError`` when they are in the wrong leg: nothing may be priced from them.
        """
        for event in events:
            if isinstance(event, BookSnapshot) and event.bids and event.asks and self.is_due:
                self._looks_left -= 1
                await self._compare(event)

    async def _compare(self, snapshot: BookSnapshot) -> None:
        try:
            answer = await self._client.orderbook(snapshot.ticker)
        except DefiniteError:
            return  # the market is gone, which says nothing about legs
        _, asks = to_levels(answer.yes_dollars, answer.no_dollars)
        as_sent = len(set(snapshot.asks) & set(asks))
        turned = len({(DOLLAR_PRICE - price, count) for price, count in snapshot.asks} & set(asks))
        if turned > as_sent:
            raise FatalError(
                f"the book of {snapshot.ticker} comes with NO prices although YES prices were asked for "
                "(use_yes_price): the exchange's feed has changed, update the system",
                code="wrong_leg",
            )
        if as_sent > turned:
            self._looks_left = 0
