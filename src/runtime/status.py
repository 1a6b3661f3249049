"""``status``: what the database says about a running or stopped daemon."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from src.core.sides import BookSide, from_book
from src.core.units import ONE_CONTRACT, SECOND, Nanos, dollars
from src.runtime.assemble import DAEMON_LOCK, ledger_schema, open_database
from src.runtime.settings import Settings
from src.runtime.settings_mode import resolve_mode


async def status_command(settings: Settings, root: Path, console: Console, *, as_json: bool) -> int:
    """Print the stored state of the configured mode's ledger; ``as_json``: the facts as one JSON object."""
    mode = resolve_mode(settings, live_flag=settings.exchange.environment.value == "production")
    database = await open_database(settings, ledger_schema(settings, mode), root)
    try:
        running = await database.store.is_locked(DAEMON_LOCK)
        facts = await database.store.status()
    finally:
        await database.close()
    if as_json:
        print(json.dumps({"mode": mode.value, "running": running, **facts}, default=str))
        return 0
    console.print(f"{mode.value} ledger, {database.described}", highlight=False)
    if facts["state"] is None:
        console.print("Nothing has run with this ledger yet.", highlight=False)
        return 0
    for table in (_overview(facts, running=running), _positions(facts), _orders(facts)):
        if table.row_count:
            console.print(table)
    return 0


def _overview(facts: Mapping[str, Any], *, running: bool) -> Table:
    table = Table(show_header=False)
    state = f"{str(facts['state']).upper()}, set by {facts['who']}: {facts['why']}"
    table.add_row("daemon", "running" if running else "not running")
    table.add_row("trading state" if running else "last trading state", state)
    if facts["until_ns"] is not None:
        table.add_row("until", _time(facts["until_ns"]))
    if facts["journal_ns"] is not None:
        table.add_row("last record", _time(facts["journal_ns"]))
    mark = facts["mark"]
    if mark is not None:
        table.add_row("cash", f"${dollars(mark['cash_e6']):,.2f}")
        table.add_row("positions would fetch", f"${dollars(mark['liquidation_e6']):,.2f}")
        table.add_row("at risk", f"${dollars(mark['at_risk_e6']):,.2f}")
        table.add_row(f"profit of {mark['day']}", f"{dollars(mark['day_pnl_e6']):+,.2f} $")
        table.add_row("as of", _time(mark["ts_ns"]))
    table.add_row("fills so far", str(facts["fills"]))
    table.add_row("open positions", str(len(facts["open_positions"])))
    table.add_row("live orders", str(len(facts["live_orders"])))
    return table


def _positions(facts: Mapping[str, Any]) -> Table:
    table = Table("market", "position", "cost", "realized", "since", title="open positions")
    for row in facts["open_positions"]:
        outcome = "YES" if row["count_e2"] > 0 else "NO"
        table.add_row(
            row["ticker"],
            f"{abs(row['count_e2']) / ONE_CONTRACT:g} {outcome}",
            f"${dollars(row['cost_e6']):,.2f}",
            f"{dollars(row['realized_e6']):+,.2f} $",
            _time(row["opened_ns"]),
        )
    return table


def _orders(facts: Mapping[str, Any]) -> Table:
    table = Table("market", "order", "filled", "status", title="live orders")
    for row in facts["live_orders"]:
        outcome, price = from_book(BookSide(row["side"]), row["price_e4"])
        table.add_row(
            row["ticker"],
            f"{row['count_e2'] / ONE_CONTRACT:g} {outcome.value.upper()} at {price / 100:g}c",
            f"{row['filled_e2'] / ONE_CONTRACT:g}",
            str(row["status"]),
        )
    return table


def _time(ts: Nanos) -> str:
    return datetime.fromtimestamp(ts / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
