from __future__ import annotations

import contextlib
import io
import os
import pty

import pytest

from src.alerts.terminal import TerminalNotifier
from src.core.actions import Severity
from src.core.units import SECOND
from tests.alerts.fake_bot_api import T0, alert


def lines(stream: io.StringIO) -> list[str]:
    return [line.partition(" UTC  ")[2] for line in stream.getvalue().splitlines()]


def test_one_clear_line_per_alert_without_colour_where_nobody_can_see_it() -> None:
    stream = io.StringIO()
    TerminalNotifier(stream).send(alert("HALTED by risk:\n daily\x1b loss", Severity.CRITICAL))
    assert stream.getvalue() == "2026-07-30 14:03:05 UTC  CRITICAL  HALTED by risk: daily? loss\n"


def test_repetitions_within_the_window_are_counted_and_told_after_it() -> None:
    stream = io.StringIO()
    notifier = TerminalNotifier(stream, window=60 * SECOND)
    for second in range(0, 39, 3):
        notifier.send(alert(f"feed down {second}", Severity.WARNING, key="feed", ts=T0 + second * SECOND))
    assert lines(stream) == ["WARNING   feed down 0"]
    notifier.send(alert("feed down 61", Severity.WARNING, key="feed", ts=T0 + 61 * SECOND))
    assert lines(stream)[1:] == ["WARNING   feed down 61 (+12 more)"]


def test_a_finished_window_is_told_even_if_its_key_stays_quiet() -> None:
    stream = io.StringIO()
    notifier = TerminalNotifier(stream, window=60 * SECOND)
    for second in (0, 1, 2):
        notifier.send(alert(f"down {second}", key="feed", ts=T0 + second * SECOND))
    notifier.send(alert("other", ts=T0 + 59 * SECOND))
    assert lines(stream) == ["INFO      down 0", "INFO      other"]
    notifier.send(alert("later", ts=T0 + 60 * SECOND))
    assert sorted(lines(stream)[2:]) == ["INFO      down 2 (+1 more)", "INFO      later"]


def test_flush_tells_what_is_still_being_counted() -> None:
    stream = io.StringIO()
    notifier = TerminalNotifier(stream)
    for text in ("a", "b", "c"):
        notifier.send(alert(text, key="k"))
    notifier.flush()
    notifier.flush()
    assert lines(stream) == ["INFO      a", "INFO      c (+1 more)"]


def test_worse_news_and_different_emergencies_are_never_held_back() -> None:
    stream = io.StringIO()
    notifier = TerminalNotifier(stream)
    notifier.send(alert("loss 1", Severity.WARNING, key="loss"))
    notifier.send(alert("loss 2", Severity.CRITICAL, key="loss"))
    notifier.send(alert("loss 3", Severity.CRITICAL, key="loss"))
    notifier.send(alert("loss 3", Severity.CRITICAL, key="loss"))
    assert lines(stream) == ["WARNING   loss 1", "CRITICAL  loss 2", "CRITICAL  loss 3"]


def test_the_windows_kept_in_memory_are_bounded_and_closing_one_early_tells_its_count() -> None:
    stream = io.StringIO()
    notifier = TerminalNotifier(stream, limit=2)
    for text in ("a", "a", "b", "c"):
        notifier.send(alert(text))
    assert lines(stream) == ["INFO      a", "INFO      b", "INFO      c", "INFO      a"]


def test_characters_the_stream_cannot_show_are_replaced() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    TerminalNotifier(stream).send(alert("21 °F"))
    assert raw.getvalue().endswith(b"INFO      21 ?F\n")


def test_colour_on_a_terminal_only() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal:
        TerminalNotifier(terminal).send(alert("halted", Severity.CRITICAL))
        shown = os.read(master, 1000).decode()
    os.close(master)
    assert shown.rstrip() == "2026-07-30 14:03:05 UTC  \x1b[1;31mCRITICAL  halted\x1b[0m"


def test_a_closed_stream_never_raises_into_the_trading_loop() -> None:
    stream = io.StringIO()
    notifier = TerminalNotifier(stream)
    stream.close()
    notifier.send(alert("halted", Severity.CRITICAL))
    notifier.flush()
    assert stream.closed


def fill_pipe(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"." * 4096)
    os.set_blocking(descriptor, True)  # from here on a write would hang the test


def drain_pipe(descriptor: int) -> str:
    os.set_blocking(descriptor, False)
    read = b""
    with contextlib.suppress(BlockingIOError):
        while True:
            read += os.read(descriptor, 65_536)
    return read.decode()


@pytest.mark.parametrize(
    ("limit", "told"),
    [(1000, [*(f"line {number}" for number in range(5))]), (3, ["line 2", "line 3", "line 4", "2 alerts"])],
)
def test_a_full_pipe_is_not_waited_for_and_gets_the_lines_later(limit: int, told: list[str]) -> None:
    """A reader that stopped must not stop the process; lines wait, within a limit that is told."""
    read_end, write_end = os.pipe()
    fill_pipe(write_end)
    with os.fdopen(write_end, "w", encoding="utf-8") as pipe:
        notifier = TerminalNotifier(pipe, limit=limit)
        try:
            for number in range(5):
                notifier.send(alert(f"line {number}"))
        finally:
            filling = drain_pipe(read_end)  # so that a write that waits after all can end
        assert set(filling) == {"."}
        notifier.flush()
        shown = drain_pipe(read_end).splitlines()
    os.close(read_end)
    assert len(shown) == len(told)
    assert all(part in line for part, line in zip(told, shown, strict=True))
