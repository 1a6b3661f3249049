"""The file behind ``simulate --faults``: read strictly, and what is wrong is said with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from src.core.errors import ConfigError
from src.runtime.fault_script import load_fault_plan
from src.simulator.faults_spec import FAULTS

MANUAL = Path(__file__).parents[2] / "docs/FAULTS.md"


def test_a_script_becomes_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(
        """
seed: 5
rules:
  - fault: "429"
    when: {path: /markets, from_ts: 2026-11-23T08:00:00Z, to_ts: "+2h"}
  - fault: manual_fill
    when: {from_ts: "+1h"}
    parameters: {ticker: A, side: bid, price: "0.4000", count: "3.00"}
"""
    )
    plan = load_fault_plan(path)
    assert plan.seed == 5
    storm, trade = plan.rules
    assert str(storm.rule.when.from_ts) == "2026-11-23T08:00:00Z"
    assert str(storm.rule.when.to_ts) == "+7200s"
    assert trade.args == {"ticker": "A", "side": "bid", "price": 4_000, "count": 300}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("rules:\n  - fault: delay\n    fault: 429\n", "given twice"),
        ("rules: [", "not valid YAML"),
        ("- fault: delay\n", "sections of"),
        ("", "rules: expected a list"),
        ("rules:\n  - fault: delai\n", r"rules\[0\]: unknown fault 'delai'"),
    ],
)
def test_a_bad_script_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=said) as refused:
        load_fault_plan(path)
    assert "faults.yaml" in str(refused.value)


def test_a_missing_script_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_fault_plan(tmp_path / "none.yaml")


def test_the_manual_names_every_fault_and_its_scripts_are_valid(tmp_path: Path) -> None:
    text = MANUAL.read_text()
    assert {name for name in FAULTS if f"`{name}`" not in text} == set()
    scripts = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert scripts
    for content in scripts:
        path = tmp_path / "faults.yaml"
        path.write_text(content)
        assert load_fault_plan(path).rules
