"""What is wrong with a configuration, in words a user can act on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from src.runtime.settings_yaml import Key

Location: TypeAlias = tuple[int | str, ...]

_USER_INFO = re.compile(r"//[^/]*@")
_BOUND_ERRORS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
# Pydantic's words for Python's types -> words for the writer of a configuration file.
_WORDS = (
    ("Input should be", "must be"),
    ("String should", "must"),
    ("Tuple should", "must"),
    ("a valid integer", "a whole number"),
    ("a valid boolean", "true or false"),
    ("a valid tuple", "a list"),
    ("a valid string", "text"),
    ("a valid ", "a "),
)


def leaf_fields(model: type[BaseModel], prefix: Key = ()) -> Iterator[tuple[Key, FieldInfo]]:
    """Every key of a configuration model that is not itself a section, with its field."""
    for name, info in model.model_fields.items():
        section = _section_of(info)
        if section is None:
            yield (*prefix, name), info
        else:
            yield from leaf_fields(section, (*prefix, name))


def describe_problems(
    error: ValidationError, model: type[BaseModel], origins: Mapping[Key, str]
) -> list[str]:
    """One line for each wrong key: its path, where it was given, what is allowed and what was got."""
    fields = dict(leaf_fields(model))
    grouped: dict[str, list[ErrorDetails]] = {}
    for item in error.errors(include_url=False, include_context=False):
        location = item["loc"]
        known = len(_longest_known(location, fields))
        # Beyond the key itself come list positions, shown, and the branches of a union, which are not.
        path = ".".join(str(part) for part in location[:known])
        path += "".join(f"[{part}]" for part in location[known:] if isinstance(part, int))
        grouped.setdefault(path, []).append(item)
    lines = []
    for path, items in grouped.items():
        location = items[0]["loc"]
        field = fields.get(_longest_known(location, fields))
        texts = dict.fromkeys(_message(item, field, model) for item in items)
        origin = _origin(location, origins)
        where = f" ({origin})" if origin else ""
        lines.append(f"{path}{where}: {' or '.join(texts)}{_got(items[0])}")
    return lines


def allowed_range(field: FieldInfo) -> str:
    """The limits of a numeric field in words, from its own metadata."""
    low = high = ""
    for item in field.metadata:
        if (bound := getattr(item, "ge", None)) is not None:
            low = f"at least {bound}"
        elif (bound := getattr(item, "gt", None)) is not None:
            low = f"more than {bound}"
        elif (bound := getattr(item, "le", None)) is not None:
            high = f"at most {bound}"
        elif (bound := getattr(item, "lt", None)) is not None:
            high = f"less than {bound}"
    return " and ".join(part for part in (low, high) if part)


def _section_of(info: FieldInfo) -> type[BaseModel] | None:
    annotation = info.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _longest_known(location: Location, fields: Mapping[Key, FieldInfo]) -> Key:
    texts = tuple(str(part) for part in location)
    return next((texts[:length] for length in range(len(texts), 0, -1) if texts[:length] in fields), texts)


def _origin(location: Location, origins: Mapping[Key, str]) -> str:
    texts = tuple(str(part) for part in location)
    starts = (texts[:length] for length in range(len(texts), 0, -1))
    return next((origins[start] for start in starts if start in origins), "")


def _message(item: ErrorDetails, field: FieldInfo | None, model: type[BaseModel]) -> str:
    kind = item["type"]
    if kind == "extra_forbidden":
        return _unknown_key(item["loc"], model)
    if kind in {"model_type", "model_attributes_type"}:
        return "must be a section with keys under it"
    if kind in _BOUND_ERRORS and field is not None:
        return f"must be {allowed_range(field)}"
    text = item["msg"].removeprefix("Value error, ")
    for pydantics, ours in _WORDS:
        text = text.replace(pydantics, ours)
    return text


def _unknown_key(location: Location, model: type[BaseModel]) -> str:
    section: type[BaseModel] | None = model
    for part in location[:-1]:
        section = _section_of(section.model_fields[str(part)]) if section else None
    known = sorted(set(section.model_fields) - {"secrets"}) if section else []
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"no such key; did you mean {close[0]}?" if close else f"no such key; it knows {', '.join(known)}"


def _got(item: ErrorDetails) -> str:
    value = item["input"]
    if item["type"] == "extra_forbidden" or isinstance(value, Mapping | BaseModel):
        return ""
    if value is None:
        return ", got nothing"
    text = _USER_INFO.sub("//[hidden]@", str(value) if isinstance(value, Decimal) else repr(value))
    return f", got {text if len(text) <= 80 else text[:77] + '...'}"
