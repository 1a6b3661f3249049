"""``why``: the stored verdicts about a market, an event or a series, in plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from src.core.actions import OrderStatus
from src.core.errors import ConfigError
from src.core.sides import BookSide, from_book
from src.core.units import ONE_CONTRACT, SECOND, Nanos
from src.database.explain import Verdicts
from src.runtime.assemble import DAEMON_LOCK, ledger_schema, open_database
from src.runtime.gate_words import explain
from src.runtime.settings import Settings
from src.runtime.settings_mode import resolve_mode

_TICKER = re.compile(r"[A-Z0-9][A-Z0-9.\-]{1,99}")
_APPROVED = "approved"


async def why_command(
    settings: Settings, root: Path, console: Console, name: str, last: int, *, as_json: bool
) -> int:
    """Print why ``name`` (ticker, event or series) was traded or not; exit code 1 when nothing is known."""
    name = name.strip().upper()
    if not _TICKER.fullmatch(name):
        raise ConfigError(
            f"{name!r} is not a ticker; write a market, an event or a series, e.g. "
            "KXHIGHNY-26NOV23-B50.5, KXHIGHNY-26NOV23 or KXHIGHNY"
        )
    mode = resolve_mode(settings, live_flag=settings.exchange.environment.value == "production")
    database = await open_database(settings, ledger_schema(settings, mode), root)
    try:
        running = await database.store.is_locked(DAEMON_LOCK)
        found = await database.store.verdicts(name, last)
        facts = await database.store.status()
    finally:
        await database.close()
    signals = [_signal(found, row) for row in found.signals]
    answers = [_answer(row) for row in found.answers]
    silence = "" if signals or answers else _silence(settings, name, facts, running=running)
    if as_json:
        told = {"name": name, "mode": mode.value, "running": running, "state": facts["state"]}
        print(json.dumps({**told, "signals": signals, "strategies": answers, "silence": silence}))
    else:
        _print(console, name, mode.value, facts, signals, answers, silence, running=running)
    return 1 if silence else 0


def _signal(found: Verdicts, row: Mapping[str, Any]) -> dict[str, Any]:
    refusal, verdict = found.refusals.get(row["signal_id"]), row["verdict"]
    orders = [_order(order) for order in found.orders.get(row["signal_id"], [])]
    numbers: Mapping[str, float | str] = {}
    if verdict == _APPROVED:
        told = "; ".join(orders) or "approved; its order's row is not there yet"
    else:
        if refusal is not None and refusal["gate"] == verdict:
            numbers = refusal["numbers"]
        told = f"refused: {explain(verdict, numbers)}"
    return {
        "at": _time(row["updated_ns"]),
        "ticker": row["ticker"],
        "strategy": row["strategy"],
        "outcome": row["outcome"],
        "probability": row["probability"],
        "std_error": row["std_error"],
        "edge": row["edge"],
        "cause": row["cause_id"],
        "verdict": verdict,
        "numbers": dict(numbers),
        "words": told,
    }


def _order(row: Mapping[str, Any]) -> str:
    outcome, price = from_book(BookSide(row["side"]), row["price_e4"])
    status = OrderStatus(row["status"]).value.replace("_", " ")
    reason = f", {row['reason']}" if row["reason"] and row["reason"] != row["status"] else ""
    return (
        f"ordered {row['count_e2'] / ONE_CONTRACT:g} {outcome.value.upper()} at {price / 100:g}c or better: "
        f"{row['filled_e2'] / ONE_CONTRACT:g} filled ({status}{reason})"
    )


def _answer(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "since": _time(row["since_ns"]),
        "strategy": row["strategy"],
        "event": row["event_ticker"],
        "says": row["answer"],
    }


def _silence(settings: Settings, name: str, facts: Mapping[str, Any], *, running: bool) -> str:
    """Why nothing at all is stored about ``name``."""
    if facts["state"] is None:
        return "nothing has run with this ledger yet; start the daemon with `python main.py run`"
    series = settings.strategies.weather_model.series
    if name.partition("-")[0] not in series:
        watched = ", ".join(series)
        return (
            f"{name.partition('-')[0]} is not watched: strategies.weather_model.series has {watched}. "
            "Add it there to trade it"
        )
    if not running:
        return "its series is watched, but no daemon runs and none that ran has looked at it"
    return (
        "its series is watched, but no strategy has looked at it yet: it is not listed at the exchange, "
        "or no book and no forecast of it has arrived"
    )


def _print(
    console: Console,
    name: str,
    mode: str,
    facts: Mapping[str, Any],
    signals: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    silence: str,
    *,
    running: bool,
) -> None:
    def line(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    state = str(facts["state"] or "never started").upper()
    why = f" by {facts['who']}: {facts['why']}" if facts["state"] else ""
    line(f"{name}, {mode} ledger, {'daemon running' if running else 'no daemon runs'}, {state}{why}")
    if silence:
        line(silence)
        return
    for answer in answers:
        says = "gave a signal" if answer["says"] == "signal" else answer["says"]
        line(f"{answer['strategy']} on {answer['event']} since {answer['since']}: {says}")
    if not signals:
        line("No signal has ever been given for it: the line above is the reason.")
    for signal in signals:
        edge = "" if signal["edge"] is None else f", edge {signal['edge']:.4f} $"
        line("")
        line(
            f"{signal['at']}  {signal['ticker']}  {signal['outcome'].upper()} at "
            f"{signal['probability']:.3f} ± {signal['std_error']:.3f}{edge}  "
            f"({signal['strategy']}, {signal['cause']})"
        )
        line(f"    {signal['words']}")


def _time(ts: Nanos) -> str:
    return datetime.fromtimestamp(ts / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
