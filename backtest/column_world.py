"""Worlds whose quotes can be had in columns, a chunk at once, instead of one event at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias, cast

from src.simulator.world import World, WorldEvent

# Arrays of equal length; see ``ColumnWorld.chunks``.
Chunk: TypeAlias = dict[str, Any]


class ColumnWorld(World, Protocol):
    """What ``events`` says, in two parts: quotes in columns, and everything else."""

    @property
    def tickers(self) -> list[str]:
        """The markets, by first row."""

    def chunks(self) -> Iterator[Chunk]:
        """The quotes, by time, a chunk of columns at once.

        Arrays ts (ns), market (place in ``tickers``), bid and ask (1e-4 dollars, 0 for nobody), bid_size and
        ask_size (0.01 contract).
        """

    def milestones(self) -> Iterator[WorldEvent]:
        """The other events, by time. At one instant listings come before the quotes, the rest after them."""


def columns_of(world: World) -> ColumnWorld | None:
    """The world as one of columns, None where it has none."""
    return cast("ColumnWorld", world) if getattr(world, "has_quotes", False) else None
