"""``demo``: settings of its own, the run, the summary and ``report.json``."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from rich.console import Console
from rich.table import Table

from src.core.errors import ConfigError
from src.core.units import Cash
from src.runtime.demo import DemoPlan, run_demo
from src.runtime.report import Report, machine_name
from src.runtime.settings import Settings
from src.runtime.stop_signals import on_stop_signal
from src.runtime.worlds import Recorded, make_world

# Looser than the defaults on purpose, and said so on the screen and in the report: three days are too
# few for the standard thresholds to show the whole system at work.
DEMO_EDGE = 0.03
DEMO_MODEL_WEIGHT = 0.6
DEMO_BREAKER = 10
DEMO_COOLDOWN_SECONDS = 0.0


async def demo_command(
    settings: Settings,
    root: Path,
    console: Console,
    seed: int,
    days: int,
    seconds: float,
    recorded: Recorded,
    balance: Cash,
    report_path: Path,
) -> int:
    """Run the demo; exit code 0 when the ledger equals the exchange's books."""
    _check_writable(report_path)
    world = make_world(seed, days, recorded)
    stop = asyncio.Event()
    loose, shown = demo_settings(settings, series=tuple(recorded[1]) if recorded[0] else None)
    said = ", ".join(f"{name} {value}" for name, value in shown.items())
    console.print(
        f"SIMULATED exchange and money. Demo settings, looser than the defaults: {said}", highlight=False
    )
    for note in getattr(world, "notes", ()):
        console.print(f"data: {note}", highlight=False)
    plan = DemoPlan(
        world=world,
        seed=seed,
        balance=balance,
        wall_seconds=0.0 if recorded[0] else seconds,
        settings_shown=shown,
    )
    with on_stop_signal(stop.set):
        report = await run_demo(plan, loose, root, console, stop)
    report.write(report_path)
    if stop.is_set():
        console.print("Stopped before the end of the world; this is the report so far.")
    console.print(summary(report))
    console.print(f"report: {report_path}", highlight=False, soft_wrap=True)
    return 0 if report.ledger_matches_exchange else 1


def _check_writable(report_path: Path) -> None:
    """A run of minutes must not end in a report that cannot be written."""
    try:
        report_path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--report: {report_path} cannot be written ({error.strerror}); choose another place"
        ) from error
    if report_path.is_dir() or not os.access(report_path.parent, os.W_OK):
        raise ConfigError(f"--report: {report_path} cannot be written; choose another place")


def demo_settings(
    settings: Settings, series: tuple[str, ...] | None
) -> tuple[Settings, dict[str, float | int | str]]:
    """The configuration with the demo's own edge settings, and what was changed."""
    weather = settings.strategies.weather_model.model_copy(
        update={"model_weight": DEMO_MODEL_WEIGHT, **({"series": series} if series else {})}
    )
    changed = settings.model_copy(
        update={
            "trading": settings.trading.model_copy(update={"min_edge_threshold": DEMO_EDGE}),
            "risk": settings.risk.model_copy(
                update={
                    "circuit_breaker_consecutive_losses": DEMO_BREAKER,
                    "cooldown_after_loss_seconds": DEMO_COOLDOWN_SECONDS,
                }
            ),
            "strategies": settings.strategies.model_copy(update={"weather_model": weather}),
        }
    )
    return changed, {
        "min_edge_threshold": DEMO_EDGE,
        "model_weight": DEMO_MODEL_WEIGHT,
        "circuit_breaker_consecutive_losses": DEMO_BREAKER,
        "cooldown_after_loss_seconds": DEMO_COOLDOWN_SECONDS,
    }


def summary(report: Report) -> Table:
    """The report as a table for a person."""
    days = "1 day" if report.days == 1 else f"{report.days} days"
    table = Table(title=f"{report.world} world, {days}, SIMULATED money", show_header=False)
    refused = ", ".join(f"{gate} {count}" for gate, count in report.refused.items()) or "none"
    statuses = ", ".join(f"{status} {count}" for status, count in report.orders_by_status.items()) or "none"
    latency = report.latency_ms
    rows = [
        ("signals", f"{report.signals}"),
        ("refused", refused),
        ("orders sent", f"{report.orders_sent} ({statuses})"),
        ("fills", f"{report.fills} for {report.contracts:g} contracts, fees {report.fees_dollars:.4f} $"),
        (
            "profit and loss",
            f"{report.pnl_dollars:+,.2f} $ (largest drawdown {report.max_drawdown_dollars:,.2f} $)",
        ),
        ("win rate", "no position closed" if report.win_rate is None else f"{report.win_rate:.0%}"),
        ("settled", f"{report.settled_markets} markets of {report.settled_events} events"),
        ("ledger equals exchange", "yes, every order, fill, position and the cash"),
        ("cause to order", f"p50 {_ms(latency['p50'])}, p99 {_ms(latency['p99'])}"),
        ("wall time, memory", f"{report.wall_seconds:.1f} s, {report.peak_rss_mb:.0f} MB"),
        ("machine", machine_name()),
    ]
    if not report.ledger_matches_exchange:
        rows[7] = ("ledger equals exchange", "NO: " + "; ".join(report.ledger_differences[:5]))
    for name, value in rows:
        table.add_row(name, value)
    return table


def _ms(value: float | None) -> str:
    return "no orders" if value is None else f"{value:.2f} ms"
