"""``status``: what the database says about a running or stopped daemon."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from src.core.sides import BookSide, from_book
from src.core.units import ONE_CONTRACT, SECOND, Nanos, dollars
from src.database.leadership import Leadership
from src.runtime.assemble import DAEMON_LOCK, PROJECT, kill_switch_of, ledger_schema, open_database
from src.runtime.settings import Settings
from src.runtime.settings_mode import resolve_mode


async def status_command(settings: Settings, root: Path, console: Console, *, as_json: bool) -> int:
    """Print the stored state of the configured mode's ledger; ``as_json``: the facts as one JSON object."""
    mode = resolve_mode(settings, live_flag=settings.exchange.environment.value == "production")
    database = await open_database(settings, ledger_schema(settings, mode), root)
    try:
        leader = await database.store.leadership(DAEMON_LOCK)
        facts = await database.store.status()
    finally:
        await database.close()
    kill_reason = kill_switch_of(settings, PROJECT).look()
    if as_json:
        told = {"mode": mode.value, "running": leader.is_held, "leader": asdict(leader)}
        print(json.dumps({**told, "kill_switch": kill_reason, **facts}, default=str))
        return 0
    console.print(f"{mode.value} ledger, {database.described}", highlight=False, soft_wrap=True)
    if kill_reason:
        console.print(f"kill switch: {kill_reason}", style="bold red", highlight=False, markup=False)
    if facts["state"] is None:
        console.print("Nothing has run with this ledger yet.", highlight=False)
        return 0
    for table in (_overview(facts, leader), _account(facts, settings), _positions(facts), _orders(facts)):
        if table.row_count:
            console.print(table)
    return 0


def _overview(facts: Mapping[str, Any], leader: Leadership) -> Table:
    table = _facts_table()
    table.add_row("daemon", _daemon(leader))
    state = str(facts["state"])
    shown = f"{state.upper()}, set by {facts['who']}: {facts['why']}"
    style = {"halted": "bold red", "reducing": "yellow"}.get(state, "")
    table.add_row("trading state" if leader.is_held else "last trading state", Text(shown, style))
    if facts["until_ns"] is not None:
        table.add_row("until", _time(facts["until_ns"]))
    if facts["flattening"]:
        table.add_row("flatten", "on: every position is being left, until resume")
    for name, why in facts["strategies_off"].items():
        table.add_row(f"{name} off", Text(why))
    for halt in facts["halts"]:
        table.add_row("halted", Text(f"{_time(halt['ts_ns'])} by {halt['who']}: {halt['why']}"))
    newest, read = facts["journal_ns"], facts["records_read_ns"]
    if newest is not None:
        table.add_row("last record", _time(newest))
    if read is not None:
        behind = f", {(newest - read) / SECOND:.0f} s before the last record" if newest is not None else ""
        table.add_row("account read", f"{_time(read)}{behind}")
    tie_out = facts["tie_out"]
    if tie_out is not None:
        lines = [f"{each['between']}: {each['what']} by {each['amount']}" for each in tie_out["differences"]]
        table.add_row("tie-out", Text(f"{tie_out['day']}: {'; '.join(lines) or 'all three agree'}"))
    return table


def _daemon(leader: Leadership) -> str:
    if not leader.is_held:
        return "not running"
    silent = "" if leader.silent_s is None else f", heartbeat {leader.silent_s:.1f} s ago"
    waiting = f"; {leader.standing_by} standing by" if leader.standing_by else "; nobody stands by"
    return f"running: {leader.who or 'unknown'}, fence {leader.fence}{silent}{waiting}"


def _account(facts: Mapping[str, Any], settings: Settings) -> Table:
    """Exposure beside its limits."""
    table = Table("", "now", "limit", title="account")
    mark = facts["mark"]
    trading = settings.trading
    if mark is not None:
        equity = mark["cash_e6"] + mark["liquidation_e6"]
        heat = int(trading.max_portfolio_heat * max(0, equity))
        share = f"{trading.max_portfolio_heat:.0%} of the account"
        table.add_row("cash", _dollars(mark["cash_e6"]), "")
        table.add_row("positions would fetch", _dollars(mark["liquidation_e6"]), "")
        table.add_row("at risk", _dollars(mark["at_risk_e6"]), f"{_dollars(heat)}, {share}")
        day = f"profit of {mark['day']}"
        table.add_row(
            day, f"{dollars(mark['day_pnl_e6']):+,.2f} $", f"-{trading.max_daily_loss:,.2f} $ halts"
        )
    reserved = sum(row["reserved_e6"] for row in facts["live_orders"])
    table.add_row("open positions", str(len(facts["open_positions"])), str(trading.max_open_positions))
    table.add_row("live orders", f"{len(facts['live_orders'])}, {_dollars(reserved)} reserved", "")
    table.add_row("fills so far", str(facts["fills"]), "")
    if mark is not None:
        table.add_row("as of", _time(mark["ts_ns"]), "")
    return table


def _facts_table() -> Table:
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _dollars(cash: int) -> str:
    return f"{dollars(cash):,.2f} $"


def _positions(facts: Mapping[str, Any]) -> Table:
    table = Table(title="open positions")
    for name in ("market", "position", "cost", "realized"):
        table.add_column(name, no_wrap=True, overflow="fold")
    table.add_column("since")
    for row in facts["open_positions"]:
        outcome = "YES" if row["count_e2"] > 0 else "NO"
        table.add_row(
            row["ticker"],
            f"{abs(row['count_e2']) / ONE_CONTRACT:g} {outcome}",
            _dollars(row["cost_e6"]),
            f"{dollars(row['realized_e6']):+,.2f} $",
            _time(row["opened_ns"]),
        )
    return table


def _orders(facts: Mapping[str, Any]) -> Table:
    table = Table(title="live orders")
    for name in ("market", "order", "filled", "status"):
        table.add_column(name, no_wrap=True, overflow="fold")
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
    return datetime.fromtimestamp(ts / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
