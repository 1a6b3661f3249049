"""``demo`` as a stranger runs it: the report, the same orders again, a stop in the middle, a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from .books import read_ledger
from .conftest import Start
from .programs import DATA, MAIN

REPORT_KEYS = {
    "world", "days", "signals", "refused", "orders_sent", "orders_by_status", "fills", "contracts",
    "fees_dollars", "pnl_dollars", "max_drawdown_dollars", "win_rate", "settled_markets",
    "ledger_matches_exchange", "wall_seconds", "latency_ms", "peak_rss_mb",
}  # fmt: skip
DEMO = ("demo", "--config", "empty.yaml", "--days", "1")


def report_of(folder: Path, name: str = "var/demo/report.json") -> dict[str, Any]:
    """A report that was written."""
    report: dict[str, Any] = json.loads((folder / name).read_text())
    return report


def order_rows(database_url: str) -> list[tuple[object, ...]]:
    """What the demo ordered and got, as the ledger has it."""
    rows = read_ledger(database_url, "demo_run").orders
    return [(row.intent, row.status, row.filled) for row in rows]


@pytest.mark.timeout(500)
def test_two_runs_report_fully_and_make_the_same_orders(
    start: Start, folder: Path, database_url: str
) -> None:
    """Exit code 0, every promised figure, the ledger equal to the exchange, and nothing left to chance."""
    runs = []
    for _ in range(2):
        demo = start(*DEMO, "--seconds", "0", env={"DATABASE_URL": database_url})
        assert demo.wait(240) == 0, demo.err
        runs.append((report_of(folder), order_rows(database_url)))
    (first, first_orders), (second, second_orders) = runs
    assert first.keys() >= REPORT_KEYS
    assert (first["world"], first["days"], first["ledger_matches_exchange"]) == ("generated", 1, True)
    assert first["orders_sent"] == len(first_orders) > 0
    assert sum(first["orders_by_status"].values()) == first["orders_sent"]
    assert first["signals"] >= first["orders_sent"]
    assert first["settled_markets"] > 0
    assert 0 < first["latency_ms"]["p50"] <= first["latency_ms"]["p99"]
    assert first["peak_rss_mb"] > 0
    assert first_orders == second_orders
    of_the_machine = {"wall_seconds", "latency_ms", "peak_rss_mb"}
    assert [key for key in first if first[key] != second[key] and key not in of_the_machine] == []


@pytest.mark.timeout(300)
def test_ctrl_c_ends_it_with_the_report_so_far(start: Start, folder: Path) -> None:
    """A demo paced over an hour is stopped early: exit code 0, a report, and the database is gone too.
    This one runs on the embedded database, as on a machine where nothing is set up."""
    demo = start(*DEMO, "--seconds", "3600")
    demo.until(lambda: "  0%  " in demo.out, "the first line of progress")
    assert demo.stop(signal.SIGINT) == 0, demo.err
    assert "report so far" in demo.out
    assert report_of(folder)["ledger_matches_exchange"] is True
    assert not list((folder / "var/postgres").rglob("postmaster.pid"))


@pytest.mark.timeout(300)
def test_the_live_view_fits_a_small_terminal(folder: Path, database_url: str) -> None:
    """On a terminal of 80 by 24 the picture renders, stays within its width, and gives way to the summary."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    inherited = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    program = subprocess.Popen(
        [sys.executable, str(MAIN), *DEMO, "--seconds", "3600"],
        cwd=folder,
        env=inherited | {"DATABASE_URL": database_url, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    drawn_once = False
    try:
        while part := os.read(mine, 65_536):
            shown += part
            if not drawn_once and b"account" in shown:
                drawn_once = True
                program.send_signal(signal.SIGINT)
    except OSError:  # how a terminal says that its last user is gone
        pass
    finally:
        os.close(mine)
        program.kill()
    assert program.wait() == 0, shown[-2000:].decode()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "\n")
    assert "Traceback" not in text
    for words in ("latest opinions", "orders and settlements", "account", "ledger equals exchange"):
        assert words in text, f"{words} is not shown"
    drawn = [line for line in text.splitlines() if line.startswith(("╭", "│", "┃"))]
    assert max(map(len, drawn)) <= 80


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of recorded tables is not there")
@pytest.mark.timeout(500)
def test_recorded_history_is_replayed_with_the_report_where_it_was_asked_for(
    start: Start, folder: Path, database_url: str
) -> None:
    """Three real days of New York: the ledger equals the exchange, and the report is where it should be."""
    world = ("--data", str(DATA), "--series", "KXHIGHNY", "--from", "2024-10-01", "--to", "2024-10-03")
    where = ("--report", "kept/report.json")
    demo = start("demo", "--config", "empty.yaml", *world, *where, env={"DATABASE_URL": database_url})
    assert demo.wait(240) == 0, demo.err
    report = report_of(folder, "kept/report.json")
    assert (report["world"], report["ledger_matches_exchange"]) == ("recorded", True)
    assert report["settled_markets"] > 0
