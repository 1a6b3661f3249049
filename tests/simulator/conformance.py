"""Kalshi's API descriptions as schemas, and a world in which a lot has happened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from src.core.sides import BookSide
from src.core.units import HOUR
from src.simulator.world import CrowdQuote, CrowdTake, Determine

from .conftest import OTHER, T0, TICKER, ScriptedWorld, listing, make_market

SPECIFICATIONS = Path(__file__).parents[3] / "shared" / "kalshi"


def _json_schema(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: ``nullable`` becomes a type, everything else stays."""
    if isinstance(node, list):
        return [_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _json_schema(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") is True else made


def load(name: str) -> dict[str, Any]:
    path = SPECIFICATIONS / name
    if not path.exists():
        pytest.skip(f"{path.name} is not at {path.parent}: conformance cannot be checked")
    document: dict[str, Any] = _json_schema(yaml.load(path.read_text(), Loader=yaml.CSafeLoader))
    return document


def check(document: dict[str, Any], schema: dict[str, Any], body: Any) -> None:
    validator = Draft202012Validator({**schema, "components": document["components"]})
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)] == []


def _anonymous(path: str) -> str:
    return re.sub(r"{[^}]*}", "{}", path)


def schema_of(document: dict[str, Any], method: str, path: str, status: int) -> dict[str, Any] | None:
    """The schema of an answer's body; None when the document describes none."""
    for described, operations in document["paths"].items():
        if _anonymous(described) == _anonymous(path) and method.lower() in operations:
            answer = operations[method.lower()]["responses"].get(str(status), {})
            assert answer or status >= 400, f"{status} is not an answer of {method} {path}"
            if "$ref" in answer:
                answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            contents = list(answer.get("content", {}).values())
            return contents[0]["schema"] if contents else None
    raise AssertionError(f"{method} {path} is not in the document")


def lived_world() -> ScriptedWorld:
    quote = CrowdQuote(T0, TICKER, ((4100, 2500), (4200, 1300)), ((4400, 1700), (4500, 2000)))
    return ScriptedWorld(
        [
            listing(make_market(), make_market(OTHER)),
            quote,
            CrowdTake(T0 + 1, TICKER, BookSide.BID, 4400, 300),
            Determine(T0 + 30 * HOUR, TICKER, "yes", 10_000, "50.00"),
        ]
    )
