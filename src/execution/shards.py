"""Cash by shard of the exchange: money on one shard cannot back an order on another."""

from __future__ import annotations

from collections.abc import Iterable

from src.core.units import Cash


class ShardCash:
    """What each shard (``exchange_index``) holds, as last reported and moved by our fills since."""

    def __init__(self) -> None:
        self._cash: dict[int, Cash] = {}

    @property
    def is_known(self) -> bool:
        """Whether the venue told of shards; otherwise there is one purse."""
        return bool(self._cash)

    def report(self, shards: Iterable[tuple[int, Cash]]) -> None:
        """The venue's own figures, from a report in which nothing was moving."""
        self._cash = dict(shards)

    def moved(self, shard: int, amount: Cash) -> None:
        """A fill or a settlement changed a shard's cash."""
        if self._cash:
            self._cash[shard] = self._cash.get(shard, 0) + amount

    def spendable(self, shard: int, reserved: Cash) -> Cash | None:
        """What is left on a shard beside what its orders reserve; None where there is one purse."""
        return self._cash.get(shard, 0) - reserved if self._cash else None
