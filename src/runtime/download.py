"""``download``: past markets and their trades as tables for backtests and the recorded world."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from src.api.client import KalshiClient
from src.api.download import Download, Progress, Wanted
from src.api.history import History
from src.core.errors import ConfigError, RetryableError
from src.runtime.clocks import SystemClock

# Kalshi's production exchange: its demo has no real history. Public data, read without a key.
PUBLIC_URL = "https://external-api.kalshi.com/trade-api/v2"
_WEATHER_TABLE = "forecasts_daily_max"


async def download_command(base_url: str, folder: Path, wanted: Wanted, console: Console) -> int:
    """Download what is missing, then write the tables; returns the exit code.

    Raises ``ConfigError`` for what the user can mend, ``VenueError`` when the exchange does not answer.
    """
    # Without a key no order can be sent: production's public data may be read in every mode.
    client = KalshiClient(base_url, None, allow_production=True)
    bar = ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[trades]:,} trades"),
        TimeRemainingColumn(),
        console=console,
    )
    try:
        with bar:
            task = bar.add_task("markets", total=None, trades=0)

            def show(progress: Progress) -> None:
                done = progress.present + progress.fetched
                bar.update(task, total=progress.wanted, completed=done, trades=progress.trades)

            download = Download(
                History(client), folder, wanted, SystemClock(), source=base_url, on_progress=show
            )
            manifest = await download.run()
    except asyncio.CancelledError:
        console.print("stopped; what was fetched is kept, run the same command again to go on")
        raise
    except RetryableError as error:
        raise ConfigError(
            f"{base_url} does not answer ({error}); what was fetched is kept, run the same command again"
        ) from error
    finally:
        await client.aclose()
    for line in summary(manifest, folder):
        console.print(line, highlight=False, soft_wrap=True)
    return 0


def summary(manifest: dict[str, Any], folder: Path) -> list[str]:
    """What a download gave, in lines for a person."""
    markets = manifest["requests"][-1]["markets"]
    lines = [f"{markets['wanted']} markets: {markets['fetched']} fetched, {markets['present']} already there"]
    lines += [f"  {table['file']}: {table['rows']:,} rows" for table in manifest["tables"].values()]
    lines += [f"  {count:,} {reason}" for reason, count in manifest["left_out"].items()]
    if unfinished := manifest["not_final"]:
        lines.append(f"  {len(unfinished)} market(s) are not settled yet; a later run fetches them again")
    forecasts = manifest["tables"].get(_WEATHER_TABLE)
    if forecasts is not None and not forecasts["rows"]:
        lines.append(
            f"  {forecasts['file']} is empty: the exchange has no forecasts; "
            "put a table with yours there for the weather model to trade on"
        )
    lines.append(
        f"in {folder}; replay with: python main.py demo --data {folder} --series ... --from ... --to ..."
    )
    return lines
