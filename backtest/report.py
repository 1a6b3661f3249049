"""The report as one value: what was run, on what, what came of it, and what that does not show."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backtest.analysis import MINIMUM_BETS, MINIMUM_CLUSTERS, Analysis
from backtest.honesty import LookAhead, Variation
from backtest.runner import Result
from backtest.spec import Spec
from backtest.times import iso
from backtest.trades import csv_row
from src.core.units import dollars


@dataclass(slots=True)
class Section:
    """One strategy's run and its figures."""

    result: Result
    analysis: Analysis
    audits: list[LookAhead] = field(default_factory=list)
    variations: list[Variation] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """Everything the four outputs are made from."""

    spec: Spec
    world_kind: str
    fill_model: str
    notes: Sequence[str]
    sections: list[Section]

    @property
    def shown_settings(self) -> dict[str, str]:
        """What was run, for people."""
        first, spec = self.sections[0].result, self.spec
        trading, risk = spec.settings.trading, spec.settings.risk
        weather = spec.settings.strategies.weather_model
        latency = spec.latency
        return {
            "data": f"{spec.data} ({self.world_kind})",
            "span": f"{iso(first.start)} to {iso(first.end)}",
            "markets": f"{first.markets} in {first.events} events; {first.prints} recorded trades",
            "fills": self.fill_model,
            "latency": (
                f"{latency.total_ms:g} ms: feed {latency.feed / 1e6:g}, order {latency.order / 1e6:g}, "
                f"answer {latency.answer / 1e6:g}; the engine decides every {spec.tick / 60e9:g} minutes"
            ),
            "fees": "Kalshi's schedule of 7 July 2026 (taker 0.07 P(1-P), maker 0), for the whole span",
            "account": f"${dollars(spec.balance):,.0f}",
            "limits": (
                f"Kelly x{risk.kelly_fraction:g}, ${trading.max_position_size_usd} a market, heat "
                f"{trading.max_portfolio_heat:.0%}, edge from ${trading.min_edge_threshold:g}, "
                f"{trading.max_open_positions} positions, pause after "
                f"{risk.circuit_breaker_consecutive_losses} losses in a row, cool-down "
                f"{risk.cooldown_after_loss_seconds:g} s; weather model's weight {weather.model_weight:g}"
            ),
        }


def caveats(report: Report, section: Section) -> list[str]:
    """What this section does not show, in plain words."""
    a, r = section.analysis, section.result
    said = []
    clusters = a.bootstrap.clusters if a.bootstrap else 0
    if a.bets == 0:
        said.append("Nothing was traded, so nothing is shown about profit either way.")
    elif a.bets < MINIMUM_BETS or clusters < MINIMUM_CLUSTERS:
        said.append(
            f"{a.bets} bets in {clusters} independent clusters are too few for a conclusion "
            f"(wanted: {MINIMUM_BETS} bets and {MINIMUM_CLUSTERS} clusters)."
        )
    if a.bootstrap and a.bootstrap.total.shifted_zero() == "includes zero":
        said.append("The 95 % interval of the profit includes zero: luck alone explains it.")
    if report.world_kind == "generated":
        said.append("The world is made up. It shows that the system works, not that anything earns money.")
    else:
        said.append("Fills are assumed as written above; nobody's order was really in that book.")
        said.append("Our orders leave no mark on prices. Sizes beyond what was traded then are fiction.")
    if report.world_kind == "recorded":
        said.append(
            "In the data of 2023-24 the fee schedule, the settlement source and the crowd were other than "
            "today's; one study puts a regime change at October 2024."
        )
    if r.halted is not None:
        said.append(
            f"Trading ended at {iso(r.halted[0])} ({r.halted[1]}); a person would have had to decide."
        )
    if r.pauses:
        said.append(f"The loss breaker paused entries {r.pauses} time(s), as it would in live trading.")
    if a.trials > 1:
        said.append(f"{a.trials} configurations were tried; the deflated Sharpe ratio accounts for that.")
    else:
        said.append("Configurations tried before this run are not counted; every look at this data was one.")
    return said


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "settings": report.shown_settings,
        "notes": list(report.notes),
        "strategies": [
            {
                **asdict(section.analysis),
                "roi": section.analysis.roi,
                "sharpe_daily": section.analysis.daily.sharpe,
                "refusals": section.result.refusals,
                "skips": section.result.skips,
                "orders": asdict(section.result.orders),
                "ledger_differences": section.result.differences,
                "decision_log_sha256": section.result.sha256,
                "look_ahead": [asdict(audit) for audit in section.audits],
                "sensitivity": [asdict(variation) for variation in section.variations],
                "does_not_show": caveats(report, section),
            }
            for section in report.sections
        ],
    }


def write_json(report: Report, path: Path) -> None:
    """Write the JSON file, whole or not at all."""
    write_whole(path, json.dumps(as_json(report), indent=1) + "\n")


def write_csv(report: Report, path: Path) -> None:
    """Write one row per trade."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [csv_row(trade) for section in report.sections for trade in section.result.trades]
    partial = path.with_suffix(path.suffix + ".partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["strategy"])
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)


def write_whole(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_text(text)
    partial.replace(path)
