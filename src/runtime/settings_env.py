"""Environment variables and the ``.env`` file as a layer over the configuration file."""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv.parser import parse_stream

from src.runtime.settings_yaml import Key, parse_yaml_scalar

PREFIX = "KATS__"

# Names users know, for keys that the configuration file has too.
NAMED_KEYS: dict[str, Key] = {
    "TRADING_ENABLED": ("trading", "enabled"),
    "KALSHI_BASE_URL": ("exchange", "base_url"),
    "KALSHI_WS_URL": ("exchange", "ws_url"),
    "LOG_LEVEL": ("logging", "level"),
    "KATS_HALT": ("operations", "start_halted"),
}
SECRET_NAMES = (
    "KALSHI_API_KEY",
    "KALSHI_API_SECRET",
    "KALSHI_LIVE_CONFIRMATION",
    "TELEGRAM_BOT_TOKEN",
    "TELEGRAM_CHAT_ID",
    "TWITTER_BEARER_TOKEN",
    "NEWSAPI_KEY",
    "ALPHAVANTAGE_KEY",
    "DB_PASSWORD",
    "DATABASE_URL",
)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)


@dataclass(slots=True)
class EnvironmentLayer:
    """Values by key path, the variable each came from, secrets by field, and what is wrong."""

    values: dict[Key, object] = field(default_factory=dict)
    origins: dict[Key, str] = field(default_factory=dict)
    secrets: dict[str, str | int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_dotenv(path: Path) -> tuple[dict[str, str], list[str]]:
    """Variables of a ``.env`` file and its problems. Nothing is expanded: a ``$`` in a key is a ``$``."""
    variables: dict[str, str] = {}
    problems: list[str] = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return {}, [f"{path}: cannot be read: {reason}"]
    for binding in parse_stream(io.StringIO(text)):
        where = f"{path} line {binding.original.line}"
        if binding.error:
            problems.append(f"{where}: must be NAME=value (the line is not shown, it may hold a secret)")
        elif binding.key is not None and binding.value:
            if binding.key in variables:
                problems.append(f"{where}: {binding.key} is given twice; remove one of them")
            variables[binding.key] = binding.value
    return variables, problems


def environment_layer(variables: Mapping[str, str], known: frozenset[Key], where: str) -> EnvironmentLayer:
    """Translate variables into keys. ``known`` are the keys the configuration has; blank is unset."""
    layer = EnvironmentLayer()
    for name in sorted(variables):
        raw = variables[name].strip()
        if not raw:
            continue
        if name in SECRET_NAMES:
            _add_secret(layer, name, raw, where)
        elif name in NAMED_KEYS:
            _add_value(layer, NAMED_KEYS[name], name, raw, where)
        elif name.upper().startswith("KATS_"):
            key = _key_of(name)
            if key in known:
                _add_value(layer, key, name, raw, where)
            else:
                layer.problems.append(f"{where} {name}: {_unknown_name(name, known)}")
    return layer


def variable_of(key: Key) -> str:
    """The generic variable of a key: ``risk.kelly_fraction`` -> ``KATS__RISK__KELLY_FRACTION``."""
    return PREFIX + "__".join(key).upper()


def _key_of(name: str) -> Key:
    if not name.startswith(PREFIX) or name != name.upper():
        return ()
    return tuple(name.removeprefix(PREFIX).lower().split("__"))


def _unknown_name(name: str, known: frozenset[Key]) -> str:
    names = [variable_of(key) for key in known]
    close = difflib.get_close_matches(name.upper(), names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"no such setting; write {PREFIX}SECTION__KEY in capitals{hint}"


def _add_value(layer: EnvironmentLayer, key: Key, name: str, raw: str, where: str) -> None:
    if key in layer.origins:
        layer.problems.append(f"{layer.origins[key]} and {name} both set {'.'.join(key)}; remove one of them")
        return
    try:
        layer.values[key] = raw if name in NAMED_KEYS and key[-1] != "enabled" else parse_yaml_scalar(raw)
        layer.origins[key] = f"{where} {name}"
    except ValueError:
        layer.problems.append(f"{where} {name}: cannot be understood; write it as in the configuration file")


def _add_secret(layer: EnvironmentLayer, name: str, raw: str, where: str) -> None:
    """Secrets are checked here, where no other code can put their value into a message."""
    try:
        layer.secrets[name.lower()] = _checked_secret(name, raw)
    except ValueError as error:
        layer.problems.append(f"{where} {name}: {error}")


def _checked_secret(name: str, raw: str) -> str | int:
    if name == "KALSHI_API_SECRET":
        return _private_key(raw)
    if name == "TELEGRAM_CHAT_ID":
        if not re.fullmatch(r"-?[0-9]{1,19}", raw):
            raise ValueError("must be the number of the chat")
        return int(raw)
    if name not in {"KALSHI_LIVE_CONFIRMATION", "DB_PASSWORD"} and not re.fullmatch(r"[!-~]+", raw):
        raise ValueError("must be plain characters without spaces (value not shown)")
    return raw


def _private_key(raw: str) -> str:
    """PEM text, with real or ``\\n``-escaped line ends, or the path of a file that holds it."""
    text = raw.replace("\\n", "\n")
    if "-----BEGIN" not in text:
        try:
            text = Path(raw).expanduser().read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError, ValueError, RuntimeError):
            raise ValueError(
                "must be a PEM private key or the path of a readable PEM file (value not shown)"
            ) from None
    found = _PEM.search(text)
    if found is None:
        raise ValueError(
            "holds no complete PEM private key, -----BEGIN ... to -----END ... (value not shown)"
        )
    return found.group(0) + "\n"
