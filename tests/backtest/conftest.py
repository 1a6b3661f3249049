"""A made-up file world and settings for the backtest's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from backtest.file_world import FileWorld
from backtest.sample import write_sample
from src.runtime.settings import Settings, load_settings

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_settings(None, {}, None)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "sample.csv"
    write_sample(path, 3)
    return path


@pytest.fixture(scope="session")
def small(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-six markets of the sample, every twelfth quote."""
    path = tmp_path_factory.mktemp("data") / "small.csv"
    head, *rows = sample.read_text().splitlines()
    kept = [row for row in rows if row.split(",")[1] < "SAMPLE-26"]
    by_market: dict[str, list[str]] = {}
    for row in kept:
        by_market.setdefault(row.split(",")[1], []).append(row)
    thinned = sorted(row for rows_of in by_market.values() for row in rows_of[::12])
    path.write_text("\n".join([head, *thinned]) + "\n")
    return path


@pytest.fixture
def sample_world(sample: Path) -> FileWorld:
    return FileWorld.read(sample)
