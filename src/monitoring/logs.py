"""Structured logs: readable on a terminal, JSON lines elsewhere, secrets in neither.

``structlog`` loggers and the standard library's (of the packages we use) end in the same stream, in the
same form, through the same redaction.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"
# Shorter values would blot out ordinary words; nothing that short is a secret worth the name.
MIN_SECRET_LENGTH = 4

_SECRET_WORDS = {
    "apikey", "authorization", "bearer", "cookie", "credential", "credentials", "passwd", "password", "pem",
    "secret", "signature", "token",
}  # fmt: skip
_KEY_WORDS = re.compile(r"[a-z0-9]+")
_KEY_KEYS = re.compile(r"(?:access|api|private)[_-]?key")
# A telltale that is cheap to look for, and the pattern that is tried only where it stands.
_SHAPES = (
    ("-----BEGIN", re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL)),
    ("://", re.compile(r"(?<=://)[^\s/@]*:[^\s/@]*(?=@)")),  # user:password in an address
    ("/bot", re.compile(r"(?<=/bot)\d+:[\w-]{20,}")),  # a Telegram token in an address
    ("earer ", re.compile(r"(?i)(?<=bearer )[\w.~+/%-]{8,}=*")),
    ("ey=", re.compile(r"(?i)(?<=apikey=)[^&\s\"']+")),
)
# At INFO these log every request with its address, which for Telegram holds the token.
_CHATTY = ("alembic", "httpx", "httpcore", "websockets", "telegram", "tweepy", "aiohttp.access")


class Redactor:
    """A structlog processor that blots out known secrets, secret-looking keys and key material."""

    def __init__(self, secrets: Iterable[str]) -> None:
        texts = {form for secret in secrets for form in _forms(secret) if len(form) >= MIN_SECRET_LENGTH}
        # Longest first, so that a secret that contains another is not left half visible.
        ordered = sorted(texts, key=lambda text: (-len(text), text))
        self._known = re.compile("|".join(re.escape(text) for text in ordered)) if ordered else None

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Redact every value of the event, nested ones too; numbers stay as they are."""
        return {key: self._value(str(key), value) for key, value in event.items()}

    def text(self, text: str) -> str:
        """``text`` without any secret, and such that every stream can write it."""
        if not text.isascii():
            text = text.encode(errors="replace").decode()
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        for telltale, pattern in _SHAPES:
            if telltale in text:
                text = pattern.sub(REDACTED, text)
        return text

    def _value(self, key: str, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if _is_secret_key(key):
            return REDACTED
        if isinstance(value, Mapping):
            return {self.text(str(k)): self._value(str(k), v) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value("", item) for item in value]
        return self.text(value if isinstance(value, str) else repr(value))


def configure_logging(
    level: str,
    fmt: Literal["auto", "json", "console"],
    secrets: Iterable[str],
    stream: TextIO | None = None,
) -> None:
    """Send every log line of the process to ``stream`` (standard error), from ``level`` on.

    ``auto`` is console on a terminal and JSON otherwise. ``stream`` must have a binary ``buffer``, as the
    standard streams have. May be called again (a later call replaces the former settings).
    """
    stream = stream if stream is not None else sys.stderr
    number = logging.getLevelNamesMapping()[level]
    as_json = fmt == "json" or (fmt == "auto" and not stream.isatty())
    redactor = Redactor(secrets)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
    ]
    renderer: Processor
    factory: Callable[..., WrappedLogger]
    if as_json:
        renderer = structlog.processors.JSONRenderer(serializer=_dump)
        factory = structlog.BytesLoggerFactory(stream.buffer)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        factory = structlog.PrintLoggerFactory(stream)
    structlog.configure(
        processors=[*shared, redactor, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    _route_standard_logging(number, shared, [redactor, _to_text(renderer)], stream)


def _route_standard_logging(
    number: int, shared: list[Processor], ending: list[Processor], stream: TextIO
) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    for former in [h for h in root.handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(number)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.captureWarnings(True)


def _forms(secret: str) -> set[str]:
    """A secret as it may turn up: whole, its lines (PEM), and as escaped in a repr or JSON text."""
    stripped = secret.strip()
    lines = {line for line in stripped.splitlines() if not line.startswith("-----")}
    return {stripped, stripped.replace("\n", "\\n"), *lines}


@lru_cache(maxsize=1_000)
def _is_secret_key(key: str) -> bool:
    lower = key.lower()
    return not _SECRET_WORDS.isdisjoint(_KEY_WORDS.findall(lower)) or bool(_KEY_KEYS.search(lower))


def _dump(event: MutableMapping[str, Any], **_: Any) -> bytes:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits: a log line must never be the thing that fails.
        return json.dumps(event, default=repr).encode()


def _to_text(renderer: Processor) -> Processor:
    """The standard library's handlers write text, whatever the renderer makes."""

    def render(logger: WrappedLogger, method: str, event: EventDict) -> str:
        line = renderer(logger, method, event)
        return line.decode() if isinstance(line, bytes) else str(line)

    return render
