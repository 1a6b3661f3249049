"""What a benchmark ran on and how its figures are spread."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path


def machine() -> str:
    """The processor's name, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.processor() or platform.machine()}, Python {platform.python_version()}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0..1) of ``values`` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def waited_for_a_core() -> float:
    """Seconds for which the calling thread could have run and did not, because others had the cores.

    Zero where the system does not tell.
    """
    schedstat = Path("/proc/thread-self/schedstat")
    return int(schedstat.read_text().split()[1]) / 1e9 if schedstat.exists() else 0.0
