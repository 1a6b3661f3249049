"""Query parameters."""

from __future__ import annotations

from typing import TypeAlias

Query: TypeAlias = list[tuple[str, str | int]]


def query(**values: str | int | None) -> Query:
    """Parameters without those that are empty. Flags are given as "true" and "false"."""
    return [(name, value) for name, value in values.items() if value is not None and value != ""]
