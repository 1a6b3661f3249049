"""The fault script of ``simulate --faults FILE``: YAML, read as strictly as the configuration."""

from __future__ import annotations

from pathlib import Path

from src.core.errors import ConfigError
from src.runtime.settings_yaml import read_config_file
from src.simulator.faults import FaultPlan


def load_fault_plan(path: Path) -> FaultPlan:
    """The plan in a file. Raises ``ConfigError`` naming the file and what is wrong in it."""
    document = read_config_file(path)
    if document.problems:
        raise ConfigError(f"--faults: {'; '.join(document.problems)}")
    return FaultPlan.from_document(document.values, str(path))
