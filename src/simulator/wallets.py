"""One shard's cash of an account, with what its resting orders there may need."""

from __future__ import annotations

from dataclasses import dataclass, field

from src.core.units import Cash
from src.simulator.collateral import Collateral


@dataclass(slots=True)
class Wallet:
    """Cash (1e-6 dollars) on one shard: cash elsewhere cannot back an order here."""

    cash: Cash = 0
    collateral: Collateral = field(default_factory=Collateral)

    @property
    def free_cash(self) -> Cash:
        """Cash beyond what the resting orders may need."""
        return self.cash - self.collateral.total
