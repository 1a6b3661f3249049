"""The report as one value: what was run, on what, what came of it, and what that does not show."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backtest.analysis import Analysis
from backtest.baselines import Baseline, baselines_of
from backtest.honesty import LookAhead, Variation
from backtest.plan import Result
from backtest.spec import Spec
from backtest.times import iso
from backtest.trades import csv_row
from backtest.verdict import caveats, verdict
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

    def baselines(self, section: Section) -> list[Baseline]:
        """What stands beside a section's result."""
        return baselines_of(section.analysis, [other.analysis for other in self.sections])

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
            "markets": (
                f"{first.markets:,} markets in {first.events:,} events, {first.prints:,} recorded trades"
            ),
            "fills": self.fill_model,
            "latency": (
                f"{latency.total_ms:g} ms: feed {latency.feed / 1e6:g}, order {latency.order / 1e6:g}, "
                f"answer {latency.answer / 1e6:g}; the engine decides every {spec.tick / 60e9:g} minutes"
            ),
            "fees": spec.fees.described,
            "account": f"${dollars(spec.balance):,.0f}",
            "limits": (
                f"Kelly x{risk.kelly_fraction:g}, ${trading.max_position_size_usd} a market, heat "
                f"{trading.max_portfolio_heat:.0%}, edge from ${trading.min_edge_threshold:g}, "
                f"{trading.max_open_positions} positions, pause after "
                f"{risk.circuit_breaker_consecutive_losses} losses in a row, cool-down "
                f"{risk.cooldown_after_loss_seconds:g} s; weather model's weight {weather.model_weight:g}"
            ),
        }


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
                "baselines": [asdict(baseline) for baseline in report.baselines(section)],
                "sharpe_annual": section.analysis.sharpe_annual,
                "verdict": verdict(section.analysis),
                "does_not_show": caveats(section.analysis, section.result, report.world_kind),
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
