"""The commands ``record`` and ``download``, in process and as a person runs them."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from src.api.download import Wanted
from src.api.recorder import MANIFEST, RecorderStats
from src.api.recorder_format import read_records, recording_files
from src.api.replay import replay
from src.core.errors import ConfigError
from src.core.events import BookSnapshot, MarketUpdate
from src.core.stations import event_date
from src.core.units import HOUR
from src.runtime.cli import app
from src.runtime.download import download_command
from src.runtime.record import progress_line, record
from src.runtime.settings import load_settings

from .conftest import turn_until

ROOT = Path(__file__).parents[2]


def environment(service, *, with_key: bool = True) -> dict[str, str]:
    found = {"KALSHI_BASE_URL": service.rest_url, "KALSHI_WS_URL": service.ws_url}
    if with_key:
        found |= {
            "KALSHI_API_KEY": service.key_id,
            "KALSHI_API_SECRET": str(service.private_key_path),
        }
    return found


async def recorded(service, tmp_path) -> tuple[int, str]:
    """Record until the books have been sent; the exit code and what was said."""
    said = io.StringIO()
    settings = load_settings(None, environment(service), None)
    stop = asyncio.Event()
    series = sorted(service.exchange.series)
    console = Console(file=said, width=200)
    task = asyncio.create_task(record(settings, tmp_path / "rec", series, None, console, stop))
    enough = len(service.exchange.markets)
    await turn_until(lambda: service.server.frames_sent > enough or task.done(), "books")
    stop.set()
    async with asyncio.timeout(30):
        return await task, said.getvalue()


async def test_record_with_a_key_keeps_frames_and_answers(service, tmp_path):
    """The recording replays to markets and their books; the files are complete."""
    service.driver.step_until(service.exchange.now + 4 * HOUR)
    code, said = await recorded(service, tmp_path)
    assert code == 0
    assert "websocket" in said
    kinds = {type(event) for event in replay(tmp_path / "rec")}
    assert {MarketUpdate, BookSnapshot} <= kinds
    manifest = json.loads((tmp_path / "rec" / MANIFEST).read_text())
    assert all(entry["complete"] for entry in manifest["files"])
    assert manifest["about"]["source"] == service.rest_url


async def test_record_stops_by_itself_after_its_hours(service, tmp_path):
    """``--hours`` is kept, and a recording without a key holds polled answers."""
    service.driver.step_until(service.exchange.now + 4 * HOUR)
    settings = load_settings(None, environment(service, with_key=False), None)
    series = sorted(service.exchange.series)[:1]
    console = Console(file=io.StringIO())
    async with asyncio.timeout(30):
        code = await record(settings, tmp_path / "rec", series, 1 / 3_600, console, asyncio.Event())
    assert code == 0
    records = [r for path in recording_files(tmp_path / "rec") for r in read_records(path)]
    assert json.loads(records[0].payload)["feed"] == "polling"
    assert any("/markets/orderbooks" in r.kind for r in records)
    assert any(isinstance(event, BookSnapshot) for event in replay(tmp_path / "rec"))


async def test_record_names_an_exchange_that_is_not_there(tmp_path):
    """A wrong address is one clear error and leaves no recording."""
    settings = load_settings(None, {"KALSHI_BASE_URL": "http://127.0.0.1:9/trade-api/v2"}, None)
    with pytest.raises(ConfigError, match="check the address"):
        await record(settings, tmp_path / "rec", ["KXHIGHNY"], None, Console(), asyncio.Event())
    assert not (tmp_path / "rec").exists()


async def test_a_folder_that_cannot_be_written_is_named(service, tmp_path):
    """The error comes before any connection is opened."""
    (tmp_path / "rec").write_text("in the way")
    settings = load_settings(None, environment(service), None)
    with pytest.raises(ConfigError, match="--out"):
        await record(settings, tmp_path / "rec", ["KXHIGHNY"], None, Console(), asyncio.Event())


def test_progress_line_shows_rate_size_lag_and_drops():
    """Drops are on the line only when there are some."""
    stats = RecorderStats(12_345, 6_500_000, 900_000, 2, 0, 10, 1_500_000_000)
    line = "12,345 messages (250/s), 6.5 MB in, 0.9 MB in 2 file(s), writing 1.5 s behind"
    assert progress_line(stats, 250.0) == line
    assert "7 DROPPED" in progress_line(RecorderStats(1, 1, 1, 1, 7, 0, 0), 0.0)


async def test_download_says_what_it_wrote(service, tmp_path):
    """The summary names tables with rows, and that forecasts are not there."""
    service.driver.step_until(service.driver._world.end)
    days = sorted(event_date(event) for event in service.exchange.events)
    said = io.StringIO()
    wanted = Wanted(tuple(service.exchange.series), days[0], days[-1])
    code = await download_command(service.rest_url, tmp_path / "out", wanted, Console(file=said, width=200))
    assert code == 0
    assert f"{len(service.exchange.markets)} markets:" in said.getvalue()
    assert "kalshi_trades.parquet" in said.getvalue()
    assert "the exchange has no forecasts" in said.getvalue()


async def run_main(*arguments: str, env: dict[str, str]) -> asyncio.subprocess.Process:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "main.py",
        *arguments,
        cwd=ROOT,
        env=kept | env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_ctrl_c_leaves_complete_files(service, tmp_path):
    """As a person runs it: SIGINT ends the command with 0 and the last file is finished."""
    series = ",".join(sorted(service.exchange.series))
    out = str(tmp_path / "rec")
    process = await run_main("record", "--out", out, "--series", series, env=environment(service))
    try:
        await turn_until(
            lambda: (
                service.server.frames_sent > len(service.exchange.markets) or process.returncode is not None
            ),
            "the recording to run",
        )
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, stderr.decode()
    assert b"recorded" in stdout
    manifest = json.loads((tmp_path / "rec" / MANIFEST).read_text())
    on_disk = [path.name for path in recording_files(tmp_path / "rec")]
    assert [entry["name"] for entry in manifest["files"]] == on_disk
    assert any(isinstance(event, MarketUpdate) for event in replay(tmp_path / "rec"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--format", "xlsx"], "--format: 'xlsx' must be parquet or csv"),
        (["--candles", "5"], "--candles: 5 must be 1, 60 or 1440"),
        (["--base-url", "ftp://x"], "ftp://x"),
        (["--from", "1 Jan"], "--from: '1 Jan' is not a date"),
        (["--series", ","], "--series: name at least one series"),
    ],
)
def test_bad_options_are_named(tmp_path, arguments, says):
    """A mistake in the options is a ``ConfigError`` (one line, code 2) that says what to write instead."""
    given = {"--series": "KXHIGHNY", "--from": "2026-01-01", "--to": "2026-01-02", "--out": str(tmp_path)}
    given |= dict([arguments])
    result = CliRunner().invoke(app, ["download", *(text for pair in given.items() for text in pair)])
    assert isinstance(result.exception, ConfigError)
    assert says in str(result.exception)
