"""Reading the configuration file strictly: no duplicate keys, no surprises, line numbers kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Key: TypeAlias = tuple[str, ...]

_MERGE_TAG = "tag:yaml.org,2002:merge"
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq")}


@dataclass(slots=True)
class YamlDocument:
    """A configuration text as plain values, the line of every key, and everything wrong with it."""

    values: dict[str, object] = field(default_factory=dict)
    lines: dict[Key, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_config_file(path: Path) -> YamlDocument:
    """Read and parse a YAML file. Problems, an unreadable file among them, are in the result."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return YamlDocument(problems=[f"{path}: cannot be read: {reason}"])
    return parse_config_text(text, str(path))


def parse_config_text(text: str, name: str) -> YamlDocument:
    """Parse a YAML text whose top level is a mapping; ``name`` is how problems call it."""
    document = YamlDocument()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return document
        if not isinstance(root, MappingNode):
            document.problems.append(f"{name} line 1: must be sections of `key: value` lines")
            return document
        document.values = _Builder(document, name).mapping(root, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        document.problems.append(f"{name}{where}: not valid YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:
        first_line = str(error).partition("\n")[0]
        document.problems.append(f"{name}: not valid YAML: {first_line}")
    except (RecursionError, ValueError) as error:
        # PyYAML lets these out for absurd nesting and for scalars such as the date 2026-99-99.
        document.problems.append(f"{name}: not valid YAML: {error}")
    return document


def parse_yaml_scalar(text: str) -> object:
    """One value as YAML understands it (``0.25``, ``true``, ``[A, B]``). Raises ``ValueError``."""
    document = parse_config_text(f"value: {text}", "value")
    if document.problems or set(document.values) != {"value"}:
        raise ValueError("not a valid YAML value")
    return document.values["value"]


class _Builder:
    """Turns composed nodes into plain values, noting duplicate keys instead of letting the last win."""

    def __init__(self, document: YamlDocument, name: str) -> None:
        self._document = document
        self._name = name
        self._scalars = SafeConstructor()

    def mapping(self, node: MappingNode, path: Key) -> dict[str, object]:
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            where = f"{self._name} line {line}"
            is_text = isinstance(key_node, ScalarNode) and key_node.tag == "tag:yaml.org,2002:str"
            if not is_text:
                reason = (
                    "merge keys are not supported" if key_node.tag == _MERGE_TAG else "a key must be text"
                )
                self._document.problems.append(f"{where}: {reason}")
                continue
            key = key_node.value
            here = (*path, key)
            if key in result:
                first = self._document.lines[here]
                self._document.problems.append(
                    f"{where}: {'.'.join(here)} is given twice (first on line {first}); remove one of them"
                )
                continue
            self._document.lines[here] = line
            result[key] = self._value(value_node, here)
        return result

    def _value(self, node: Node, path: Key) -> object:
        if not isinstance(node, ScalarNode) and node.tag not in _PLAIN_TAGS:
            where = f"{self._name} line {node.start_mark.line + 1}"
            self._document.problems.append(f"{where}: tags such as {node.tag} are not supported")
            return {}
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self._value(item, (*path, str(index))) for index, item in enumerate(node.value)]
        return self._scalars.construct_object(node)
