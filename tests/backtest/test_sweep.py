"""Sweeps: what is tried, that where it runs changes nothing, and that a stop leaves what is done."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rich.console import Console

from backtest import progress, workers
from backtest.backtester import main
from backtest.progress import Watch
from backtest.search import Range, read_search, survivors
from backtest.spec import Spec
from backtest.sweep import EXIT_INTERRUPTED, run_sweep, with_value
from backtest.sweep_report import Outputs
from backtest.workers import Workers, on_cluster, parse_workers
from src.core.errors import ConfigError
from src.runtime.settings import Settings

GRID = "risk.kelly_fraction: [0.1, 0.25]\ntrading.max_open_positions: [5, 10]\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return path


def fail(number: int) -> int:
    raise ConfigError(f"job {number} is bad")


def test_a_grid_is_every_combination_and_a_value_is_checked(tmp_path: Path, settings: Settings) -> None:
    search = read_search(write(tmp_path, GRID))
    assert search.points(0) == [(0.1, 5), (0.1, 10), (0.25, 5), (0.25, 10)]
    changed = with_value(settings, "strategies.weather_model.model_weight", 0.5)
    assert changed.strategies.weather_model.model_weight == 0.5
    assert settings.strategies.weather_model.model_weight == 0.3
    with pytest.raises(ConfigError, match="model_weight"):
        with_value(settings, "strategies.weather_model.model_weight", 7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trading.nonsense: [1]", "nonsense"),
        ("search: {random: 3}", "must map"),
        ("search: {guess: 3}\nrisk.kelly_fraction: [0.1]", "random: N"),
        ("search: {random: 0}\nrisk.kelly_fraction: [0.1]", "N from 1"),
        ("risk.kelly_fraction: {low: 0.1, high: 0.3}", "is a range"),
        ("search: {random: 3}\nrisk.kelly_fraction: {low: 0.3, high: 0.1}", "kelly_fraction"),
        ("risk.kelly_fraction: 0.1", "list of values"),
        ("search: {random: 5000}\nrisk.kelly_fraction: [0.1]", "2000 is the most"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_search(write(tmp_path, text))


def test_draws_are_distinct_within_their_range_and_repeatable(tmp_path: Path) -> None:
    text = "search: {random: 20}\nrisk.kelly_fraction: {low: 0.1, high: 0.3}\n"
    text += "trading.max_open_positions: [5, 10]\n"
    search = read_search(write(tmp_path, text))
    points = search.points(7)
    assert points == search.points(7) != search.points(8)
    assert len({repr(point) for point in points}) == 20
    assert all(0.1 <= fraction <= 0.3 and count in {5, 10} for fraction, count in points)
    assert isinstance(Range(1, 3).draw(Random(1)), int)


def test_few_combinations_are_all_that_is_drawn(tmp_path: Path) -> None:
    search = read_search(write(tmp_path, "search: {random: 50}\nrisk.kelly_fraction: [0.1, 0.2]\n"))
    assert sorted(search.points(0)) == [(0.1,), (0.2,)]


def test_a_third_survives_but_never_none() -> None:
    assert [survivors(n) for n in (1, 3, 4, 27)] == [1, 1, 2, 9]


def test_a_sweep_counts_its_trials(tmp_path: Path, sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, GRID)
    arguments = [
        "--data",
        str(sample),
        "--strategy",
        "buy_under:0.35",
        "--sweep",
        str(path),
        "--workers",
        "1",
    ]
    assert main(arguments) == 0
    assert "4 configurations" in capsys.readouterr().out


def swept(spec: Spec, path: Path, where: Workers, output: Path) -> bytes:
    console = Console(quiet=True)
    outputs = Outputs(console, json=output)
    assert run_sweep(spec, ["buy_under:0.35"], path, Watch(console, where), outputs) == 0
    return output.read_bytes()


@pytest.fixture
def cluster() -> Iterator[str]:
    """A Dask cluster of threads of this process, on the loopback."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address=None,
    ) as local:
        yield local.scheduler_address


def test_a_search_gives_the_same_bytes_here_and_on_a_cluster(
    tmp_path: Path, sample: Path, settings: Settings, cluster: str
) -> None:
    text = "search: {halving: 2}\nrisk.kelly_fraction: {low: 0.1, high: 0.3}\n"
    path, spec = write(tmp_path, text), Spec(str(sample), "", settings)
    alone = swept(spec, path, 1, tmp_path / "alone.json")
    assert swept(spec, path, cluster, tmp_path / "cluster.json") == alone
    report = json.loads(alone)
    assert len(report["runs"]) == 1, "one of two goes on to all of the data"
    assert report["selection"]["trials"] == 2, "and the other was tried all the same"


def test_a_grid_gives_the_same_bytes_here_and_on_processes(
    tmp_path: Path, sample: Path, settings: Settings
) -> None:
    path, spec = write(tmp_path, "risk.kelly_fraction: [0.1, 0.2]\n"), Spec(str(sample), "", settings)
    alone = swept(spec, path, 1, tmp_path / "alone.json")
    assert swept(spec, path, 2, tmp_path / "processes.json") == alone


def test_what_a_job_on_a_cluster_raises_comes_back(cluster: str) -> None:
    with pytest.raises(ConfigError, match="is bad"):
        dict(on_cluster(fail, [1, 2], cluster))


def test_ctrl_c_leaves_what_a_cluster_has_done(
    tmp_path: Path, sample: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(
        function: Callable[[Any], Any], jobs: Sequence[Any], address: str
    ) -> Iterator[tuple[int, Any]]:
        yield 0, function(jobs[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "on_cluster", interrupted)
    console = Console(record=True, width=160, file=StringIO())
    output = tmp_path / "trials.json"
    spec, watch = Spec(str(sample), "", settings), Watch(console, "tcp://nowhere:1")
    code = run_sweep(spec, ["nothing"], write(tmp_path, GRID), watch, Outputs(console, json=output))
    assert code == EXIT_INTERRUPTED
    assert "4 configurations were drawn, 1 of them" in console.export_text()
    report = json.loads(output.read_text())
    assert len(report["runs"]) == 1
    assert report["selection"]["trials"] == 4


@pytest.mark.parametrize("text", ["0", "-1", "many", ""])
def test_workers_are_a_number_or_an_address(text: str) -> None:
    with pytest.raises(ConfigError, match="--workers"):
        parse_workers(text)


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "_CONNECT_SECONDS", 0.2)
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        dict(on_cluster(fail, [1], "tcp://127.0.0.1:9"))


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match="extra `cluster`"):
        dict(on_cluster(fail, [1], "tcp://127.0.0.1:9"))
