"""The peak of memory that reports show is the program's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from src.runtime.report import peak_rss_mb

ROOT = Path(__file__).resolve().parents[2]
STARTS_ANOTHER = """
import subprocess, sys
held = bytearray(b"x") * 300_000_000
code = "from src.runtime.report import peak_rss_mb; print(peak_rss_mb())"
print(subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system tells no better")
def test_what_the_starting_program_held_is_not_counted() -> None:
    said = subprocess.run([sys.executable, "-c", STARTS_ANOTHER], check=True, cwd=ROOT, capture_output=True)
    assert 5 < float(said.stdout) < 280


def test_memory_that_was_held_once_stays_in_the_peak() -> None:
    before = peak_rss_mb()
    held = bytearray(b"x") * 64_000_000
    del held
    assert peak_rss_mb() >= max(before, 61)
