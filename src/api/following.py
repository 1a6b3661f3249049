"""What a connection needs to know of the markets that are followed, and how it asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

from src.core.market import Market

OnBad: TypeAlias = Callable[[str, str], None]
"""Called with (source, field) for every message that breaks its contract."""


class Refresh(NamedTuple):
    """Something to read again by REST: one market, one event's markets, or every series."""

    scope: Literal["market", "event", "all"]
    ticker: str = ""


class Board(Protocol):
    """The markets followed, which outlive the connection."""

    @property
    def series(self) -> Sequence[str]:
        """Series whose created markets are of interest."""

    @property
    def markets(self) -> Mapping[str, Market]:
        """Markets already described to the engine."""

    def ask(self, refresh: Refresh) -> None:
        """Have something read again by REST."""

    def forget(self, ticker: str) -> None:
        """The market is settled."""
