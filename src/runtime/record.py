"""``record``: what the exchange says, as raw bytes with arrival times, until stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from src.api.client import KalshiClient
from src.api.feed import KalshiFeed
from src.api.polling import PollingFeed
from src.api.recorder import Recorder, RecorderStats
from src.api.signing import Signer, load_private_key
from src.core.errors import ConfigError, FatalError, VenueError
from src.core.units import SECOND
from src.runtime.clocks import SystemClock, wall_ms
from src.runtime.settings import Settings
from src.runtime.stop_signals import on_stop_signal
from src.runtime.venue import world_clock

PROGRESS_EVERY = 1.0
_MEGABYTE = 1_000_000


@dataclass(slots=True)
class _BadMessages:
    """Counts messages that broke their contract; they are on the tape like all others."""

    count: int = 0
    fields: set[str] = field(default_factory=set)

    def __call__(self, source: str, field_name: str) -> None:
        self.count += 1
        self.fields.add(f"{source}: {field_name}")


async def record_command(
    settings: Settings, folder: Path, series: Sequence[str], hours: float | None, console: Console
) -> int:
    """Record until SIGTERM, SIGINT or ``hours`` are over; returns the exit code."""
    stop = asyncio.Event()
    with on_stop_signal(stop.set):
        return await record(settings, folder, series, hours, console, stop)


async def record(
    settings: Settings,
    folder: Path,
    series: Sequence[str],
    hours: float | None,
    console: Console,
    stop: asyncio.Event,
) -> int:
    """Record until ``stop``. Exit code 1 when writing failed or messages were dropped.

    With a key: books, trades, market changes, own orders and fills over the WebSocket, and every REST
    answer. Without one: polled books. Raises ``ConfigError`` for what the user can mend.
    """
    key, secret = settings.secrets.kalshi_api_key, settings.secrets.kalshi_api_secret
    signer = (
        Signer(key.get_secret_value(), load_private_key(secret.get_secret_value()), wall_ms)
        if key and secret
        else None
    )
    base_url = settings.exchange.base_url
    await _check_reachable(base_url)
    clock = await world_clock(settings) or SystemClock()
    about = {"source": base_url, "feed": "websocket" if signer else "polling", "series": list(series)}
    recorder = Recorder(folder, clock, about)
    # Nothing here sends orders, so production's data may be recorded in every mode.
    client = KalshiClient(base_url, signer, allow_production=True, on_body=recorder.on_body)
    bad = _BadMessages()
    feed: KalshiFeed | PollingFeed
    if signer is None:
        feed = PollingFeed(client, clock, series=series, on_bad=bad)
    else:
        feed = KalshiFeed(
            settings.exchange.effective_ws_url,
            signer,
            client,
            clock,
            series=series,
            on_bad=bad,
            allow_production=True,
            on_raw=recorder.on_raw,
        )
    recorder.start()
    try:
        console.print(f"recording {', '.join(series)} from {base_url} ({about['feed']}) into {folder}")
        if signer is not None:
            await client.limits()
        await _until_stopped(feed, recorder, stop, hours, console)
    except FatalError as error:
        raise ConfigError(str(error)) from error
    finally:
        await feed.aclose()
        await client.aclose()
        await recorder.aclose()
    return _outcome(recorder, bad, folder, console)


async def _check_reachable(base_url: str) -> None:
    client = KalshiClient(base_url, None, allow_production=True)
    try:
        await client.exchange_status()
    except VenueError as error:
        raise ConfigError(
            f"exchange.base_url: {base_url} cannot be used ({error}); check the address and the network"
        ) from error
    finally:
        await client.aclose()


async def _until_stopped(
    feed: KalshiFeed | PollingFeed,
    recorder: Recorder,
    stop: asyncio.Event,
    hours: float | None,
    console: Console,
) -> None:
    """Follow the feed and show the progress; raises what ended the feed, if something did."""
    loop = asyncio.get_running_loop()
    end = None if hours is None else loop.time() + hours * 3_600
    following = asyncio.create_task(_follow(feed), name="record")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    tasks: set[asyncio.Task[object]] = {following, stopping}
    previous, at = recorder.stats(), loop.time()
    try:
        with Live(console=console, auto_refresh=False) as live:
            while not recorder.failure and (end is None or loop.time() < end):
                wait = PROGRESS_EVERY if end is None else min(PROGRESS_EVERY, end - loop.time())
                done, _ = await asyncio.wait(
                    tasks, timeout=max(wait, 0.0), return_when=asyncio.FIRST_COMPLETED
                )
                now, stats = loop.time(), recorder.stats()
                rate = (stats.records - previous.records) / max(now - at, 1e-9)
                live.update(Text(progress_line(stats, rate)), refresh=True)
                if done:
                    break
                previous, at = stats, now
        if following.done():
            following.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(feed: KalshiFeed | PollingFeed) -> object:
    """Take what the feed yields; what is kept are the bytes, on their way in."""
    async for _ in feed.stream():
        pass
    return None


def progress_line(stats: RecorderStats, rate: float) -> str:
    """The state of a recording on one line."""
    parts = [
        f"{stats.records:,} messages ({rate:,.0f}/s)",
        f"{stats.payload_bytes / _MEGABYTE:,.1f} MB in",
        f"{stats.file_bytes / _MEGABYTE:,.1f} MB in {stats.files} file(s)",
        f"writing {stats.lag / SECOND:.1f} s behind",
    ]
    if stats.dropped:
        parts.append(f"{stats.dropped:,} DROPPED")
    return ", ".join(parts)


def _outcome(recorder: Recorder, bad: _BadMessages, folder: Path, console: Console) -> int:
    stats = recorder.stats()
    console.print(f"recorded {progress_line(stats, 0.0)} in {folder}", highlight=False)
    if bad.count:
        fields = ", ".join(sorted(bad.fields)[:5])
        console.print(
            f"{bad.count} message(s) broke their contract ({fields}); they are kept", style="yellow"
        )
    if recorder.failure:
        console.print(f"error: {recorder.failure}; what was written before it is readable", style="red")
    if stats.dropped:
        console.print(f"error: {stats.dropped} message(s) were dropped; the files say where", style="red")
    return 1 if recorder.failure or stats.dropped else 0
