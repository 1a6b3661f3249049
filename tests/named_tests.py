"""Tests that documents name, as `file.py::test_name`."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
_NAMED = re.compile(r"`([^`]+\.py)::(\w+)`")


def check_named_tests(text: str) -> int:
    """How many tests a text names; each has to be a test of the file it is said to be in."""
    named = _NAMED.findall(text)
    for file, name in named:
        assert name.startswith("test_")
        assert name in _functions(file), f"{file} has no {name}"
    return len(named)


@cache
def _functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))
