"""The outputs: complete, self-contained, honest about what they do not show."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from backtest.analysis import analyse
from backtest.backtester import main
from backtest.charts import nice_ticks
from backtest.html_parts import money
from backtest.nulls import null_tests
from backtest.report import Report, Section
from backtest.report_html import render_html
from backtest.report_terminal import show
from backtest.runner import run
from backtest.spec import Spec, fill_model, make_plan, open_world
from backtest.strategies import make_strategy, names_of
from backtest.trades import Trade
from backtest.verdict import caveats, verdict
from src.core.sides import Outcome
from src.core.units import DOLLAR_CASH, HOUR
from src.runtime.settings import Settings
from tests.backtest.conftest import SHARED


@pytest.fixture(scope="module")
def report(settings: Settings) -> Report:
    spec = Spec("generated:7:3", "random:2", settings)
    world = open_world(spec)
    result = run(make_plan(spec, world))
    return Report(spec, world.kind, fill_model(world), (), [Section(result, analyse(result))])


def test_the_page_loads_nothing_and_runs_no_script(report: Report) -> None:
    page = render_html(report)
    assert page.startswith("<!doctype html>")
    assert not re.search(r"<script|<link|https?:|src=|@import|url\(", page)
    assert "What this does not show" in page
    assert page.count("<svg") == page.count("</svg>") >= 5
    assert "NaN" not in page
    assert "nan" not in re.findall(r'(?:x|y|width|cx|cy)="([^"]*)"', page)


def test_names_in_the_page_are_escaped(report: Report) -> None:
    section = report.sections[0]
    evil = replace(section.analysis, strategy="<b>x</b>")
    page = render_html(Report(report.spec, "generated", "<i>", (), [Section(section.result, evil)]))
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_the_terminal_says_why_nothing_was_traded(report: Report) -> None:
    console = Console(file=StringIO(), width=140)
    show(report, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "why no trade (risk gate)" in text
    assert report.sections[0].result.sha256 in text
    assert "made up" in text


def test_few_bets_are_called_too_few(report: Report) -> None:
    section = report.sections[0]
    said = " ".join(caveats(section.analysis, section.result, report.world_kind))
    assert "too few for a conclusion" in said
    assert verdict(section.analysis) == "Too few bets to conclude anything, either way."
    assert all(group.interval is None for groups in section.analysis.groups.values() for group in groups)


def test_the_command_writes_every_output(
    tmp_path: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(
        [
            *("--data", str(small), "--strategy", "buy_favourite", "--audit"),
            *("--output", str(tmp_path / "t.csv"), "--html", str(tmp_path / "r.html")),
            *("--json", str(tmp_path / "r.json"), "--log", str(tmp_path / "log.jsonl")),
        ]
    )
    assert code == 0
    body = json.loads((tmp_path / "r.json").read_text())
    (strategy,) = body["strategies"]
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == strategy["bets"] + strategy["open_bets"] > 0
    assert sum(float(row["pnl"]) for row in rows) == pytest.approx(strategy["pnl"], abs=1e-6)
    assert strategy["ledger_differences"] == []
    assert all(audit["difference"] == "" for audit in strategy["look_ahead"])
    assert "<svg" in (tmp_path / "r.html").read_text()
    assert all(json.loads(line)["ts"] for line in (tmp_path / "log.jsonl").read_text().splitlines())
    assert "written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "nowhere"], "does not exist"),
        ([], "--data"),
        (["--data", "generated:x"], "generated:SEED"),
        (["--data", "generated:1:1", "--strategy", "magic"], "buy_favourite"),
        (["--data", "generated:1:1", "--strategy", "buy_under:7"], "price in dollars"),
        (["--data", "generated:1:1", "--balance", "lots"], "balance"),
        (["--data", "generated:1:1", "--balance", "-5"], "above zero"),
        (["--data", "generated:1:1", "--latency-ms", "-1"], "latency-ms"),
        (["--data", "generated:1:1", "--config", "no.yaml"], "does not exist"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert "Traceback" not in error


def test_the_sample_is_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        assert main(["--make-sample", str(tmp_path / name), "--seed", "4"]) == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_all_means_every_strategy(settings: Settings) -> None:
    assert set(names_of("all")) == {"weather", "buy_favourite", "buy_under", "random", "nothing"}
    for name in names_of("all"):
        strategy, _ = make_strategy(name, settings)
        assert strategy.name


def make_trade(number: int, won: bool, mid: float) -> Trade:
    trade = Trade("s", f"E{number}", f"E{number}", "E", Outcome.YES, 0, mid=mid, closed_ts=HOUR, won=won)
    trade.bought, trade.cost = 100, round(mid * DOLLAR_CASH)
    trade.payout = DOLLAR_CASH if won else 0
    return trade


def test_fair_bets_look_like_luck_and_foreseen_ones_do_not() -> None:
    fair = [make_trade(n, n % 2 == 0, 0.5) for n in range(60)]
    foreseen = [make_trade(n, True, 0.5) for n in range(60)]
    right, _ = null_tests(fair, 1)
    assert right.mean == pytest.approx(0.0, abs=0.3)
    assert 0.3 < right.share_as_good < 0.8
    assert null_tests(foreseen, 1)[0].share_as_good < 0.001


def test_small_things_of_the_page() -> None:
    assert money(-3.2) == "−$3.20"
    assert money(1234.5) == "+$1,234.50"
    assert nice_ticks(0.0, 1.0) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert nice_ticks(5.0, 5.0)


def test_recorded_history_runs_and_balances(settings: Settings) -> None:
    data = SHARED / "data"
    if not (data / "kalshi_trades.parquet").is_file():
        pytest.skip("no recorded data here")
    spec = Spec(str(data), "weather", settings, ("KXHIGHNY",), "2024-10-01", "2024-10-12")
    result = run(make_plan(spec))
    assert result.prints > 1_000
    assert result.differences == []
    assert "ASSUMED" in fill_model(open_world(spec))
