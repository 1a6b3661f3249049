"""``status``: what the database says about a running or stopped daemon."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from src.runtime.app import ledger_schema
from src.runtime.assemble import open_database
from src.runtime.settings import Settings
from src.runtime.settings_mode import resolve_mode


async def status_command(settings: Settings, root: Path, console: Console, *, as_json: bool) -> int:
    """Print the stored state of the configured mode's ledger."""
    mode = resolve_mode(settings, live_flag=settings.exchange.environment.value == "production")
    database = await open_database(settings, ledger_schema(settings, mode), root)
    try:
        facts = await database.store.status()
    finally:
        await database.close()
    if as_json:
        print(json.dumps(facts, default=str))
        return 0
    table = Table(title=f"{mode.value}: {database.described}", show_header=False)
    for name, value in facts.items():
        table.add_row(
            name.replace("_", " "),
            json.dumps(value, default=str) if isinstance(value, dict | list) else str(value),
        )
    console.print(table)
    return 0
