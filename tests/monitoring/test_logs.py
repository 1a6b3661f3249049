"""Logs: one form for all loggers, readable or JSON, and no secret in either."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from src.monitoring.logs import MIN_SECRET_LENGTH, REDACTED, Redactor, configure_logging

SECRET = "hunter2-s3cr3t"
PEM = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7\n"
    "-----END PRIVATE KEY-----\n"
)


class Stream(io.TextIOWrapper):
    """A standard stream in memory; ``terminal`` decides what isatty says."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def text(self) -> str:
        self.flush()
        raw = self.buffer
        assert isinstance(raw, io.BytesIO)
        return raw.getvalue().decode()

    def lines(self) -> list[dict[str, object]]:
        return [orjson.loads(line) for line in self.text().splitlines()]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> Stream:
    return Stream()


def test_json_lines_carry_time_level_event_and_fields(stream: Stream) -> None:
    configure_logging("INFO", "json", [], stream)
    structlog.get_logger().info("order accepted", ticker="KXHIGHNY-26NOV22-B50", count=3)
    (line,) = stream.lines()
    assert line["event"] == "order accepted"
    assert (line["level"], line["ticker"], line["count"]) == ("info", "KXHIGHNY-26NOV22-B50", 3)
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize(("terminal", "fmt", "is_json"), [
    (False, "auto", True), (True, "auto", False), (True, "json", True), (False, "console", False),
])  # fmt: skip
def test_the_form_follows_the_terminal_unless_it_is_named(terminal: bool, fmt: str, is_json: bool) -> None:
    stream = Stream(terminal=terminal)
    configure_logging("INFO", fmt, [], stream)  # type: ignore[arg-type]
    structlog.get_logger().warning("spoken")
    logging.getLogger("other").warning("spoken too")
    lines = stream.text().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("{") is is_json for line in lines)


def test_levels_below_the_chosen_one_are_dropped_for_both_kinds_of_logger(stream: Stream) -> None:
    configure_logging("WARNING", "json", [], stream)
    structlog.get_logger().info("no")
    logging.getLogger("library").info("no")
    structlog.get_logger().error("yes")
    logging.getLogger("library").error("yes %s", "indeed")
    assert [line["event"] for line in stream.lines()] == ["yes", "yes indeed"]


def test_standard_loggers_are_named_and_configured_once_however_often_it_is_called(stream: Stream) -> None:
    configure_logging("INFO", "json", [], Stream())
    configure_logging("INFO", "json", [], stream)
    logging.getLogger("asyncpg").info("connected")
    (line,) = stream.lines()
    assert (line["logger"], line["event"], line["level"]) == ("asyncpg", "connected", "info")


@pytest.mark.parametrize("name", ["httpx", "httpcore.connection", "websockets.client"])
def test_libraries_that_log_addresses_are_quiet_even_at_debug(stream: Stream, name: str) -> None:
    configure_logging("DEBUG", "json", [], stream)
    logging.getLogger(name).info("HTTP Request: POST https://api.telegram.org/bot1:AA/sendMessage")
    logging.getLogger(name).warning("trouble")
    assert [line["event"] for line in stream.lines()] == ["trouble"]


def test_warnings_are_logged(stream: Stream) -> None:
    configure_logging("INFO", "json", [], stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "old thing" in stream.text()


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_no_secret_gets_through_anywhere(fmt: str, stream: Stream) -> None:
    configure_logging("INFO", fmt, [SECRET, PEM], stream)  # type: ignore[arg-type]
    log = structlog.get_logger()
    log.info(
        f"event {SECRET}", plain=SECRET, nested={"a": [SECRET, (SECRET,)]}, raw=SECRET.encode(), obj=[PEM]
    )
    log.info("pem", one_line=PEM.replace("\n", "\\n"), body=PEM.splitlines()[2], shown=repr(PEM))
    logging.getLogger("library").warning("failed with %s", SECRET)
    try:
        raise RuntimeError(f"cannot use {SECRET}")
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("library").exception("failed")
    text = stream.text()
    assert "RuntimeError" in text
    assert SECRET not in text
    assert "MIIEvQ" not in text
    assert "BKcwggSj" not in text


@pytest.mark.parametrize("key", [
    "token", "bot_token", "API_SECRET", "password", "Authorization", "KALSHI-ACCESS-SIGNATURE", "api_key",
    "private-key", "KALSHI-ACCESS-KEY", "set-cookie",
])  # fmt: skip
def test_values_under_telling_names_are_removed_unseen(stream: Stream, key: str) -> None:
    configure_logging("INFO", "json", [], stream)
    structlog.get_logger().info("request", headers={key: "whatever it is"}, **{key: "whatever it is"})
    assert "whatever" not in stream.text()
    assert stream.lines()[0]["headers"] == {key: REDACTED}


def test_innocent_names_and_numbers_stay(stream: Stream) -> None:
    configure_logging("INFO", "json", [], stream)
    structlog.get_logger().info("budget", tokens="9 of 10", token_cost=3, keyed="yes", ticker="T")
    line = stream.lines()[0]
    assert (line["tokens"], line["token_cost"], line["keyed"], line["ticker"]) == ("9 of 10", 3, "yes", "T")


@pytest.mark.parametrize("text", [
    "postgresql://kalshi:s3cr3t@db/kalshi", "https://api.telegram.org/bot123456:AAF-s3cr3t_AAAAAAAAAAAAAAAAAA/getMe",
    "Authorization: Bearer s3cr3tAAAAAAA%2B==", "GET /query?function=NEWS&apikey=s3cr3t&x=1",
    "-----BEGIN RSA PRIVATE KEY-----\ns3cr3t and cut off",
])  # fmt: skip
def test_unregistered_secrets_are_known_by_their_shape(text: str) -> None:
    cleaned = Redactor([]).text(text)
    assert "s3cr3t" not in cleaned
    assert REDACTED in cleaned


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_a_line_that_is_hard_to_write_is_written_all_the_same(stream: Stream, fmt: str) -> None:
    configure_logging("INFO", fmt, [], stream)  # type: ignore[arg-type]
    structlog.get_logger().info("odd", surrogate="\udc80", huge=10**30, thing=object(), when={1: {2, 3}})
    assert "odd" in stream.text()
    if fmt == "json":
        assert [line["event"] for line in stream.lines()] == ["odd"]


_SECRETS = (
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=MIN_SECRET_LENGTH)
    .map(str.strip)
    .filter(lambda text: len(text) >= MIN_SECRET_LENGTH and text not in REDACTED)
)


@given(secret=_SECRETS, before=st.text(max_size=5), after=st.text(max_size=5))
def test_a_known_secret_never_survives_in_any_surroundings(secret: str, before: str, after: str) -> None:
    cleaned = Redactor([secret, secret + "longer"]).text(f"{before}{secret}{after}{secret}longer")
    assert secret not in cleaned.replace(REDACTED, "\0")
