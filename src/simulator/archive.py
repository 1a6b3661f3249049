"""What has left the live endpoints for the historical ones: everything older than the live window."""

from __future__ import annotations

from src.core.units import Nanos
from src.simulator.exchange import Exchange
from src.simulator.records import Position, Trade, VenueFill, VenueOrder
from src.simulator.states import MarketState


class Archive:
    """Tells live from historical, by the exchange's present time."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property
    def cutoff(self) -> Nanos:
        """Older than this is historical (never before 1970: there is nothing then)."""
        return max(self._exchange.now - self._exchange.rules.live_window, 0)

    def has_market(self, state: MarketState) -> bool:
        """Whether a market settled before the cut-off."""
        return state.settled_ts is not None and state.settled_ts < self.cutoff

    def has_record(self, record: Trade | VenueFill) -> bool:
        """Whether a trade or fill happened before the cut-off."""
        return record.ts < self.cutoff

    def has_order(self, order: VenueOrder) -> bool:
        """Whether an order ended before the cut-off; resting ones never are historical."""
        return not order.remaining and order.updated_ts < self.cutoff

    def has_position(self, held: Position) -> bool:
        """Whether a position's market was settled before the cut-off."""
        return held.settled and self.has_market(self._exchange.markets[held.ticker])
