"""Choosing the world of a demo or a simulated exchange from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from src.core.errors import ConfigError
from src.simulator.generated import GeneratedWorld
from src.simulator.world import World

Recorded: TypeAlias = tuple[Path | None, Sequence[str], str, str]


def make_world(seed: int, days: int, recorded: Recorded) -> World:
    """The recorded world when a folder is given, else the generated one of ``seed``."""
    folder, series, date_from, date_to = recorded
    if folder is None:
        return GeneratedWorld(seed, days)
    if not series:
        raise ConfigError("--series: name at least one series, e.g. KXHIGHNY")
    # Reading tables is heavy (polars): it is imported only for those who replay recorded history.
    from src.simulator.recorded import RecordedWorld

    return RecordedWorld(folder, series, date_from, date_to)
