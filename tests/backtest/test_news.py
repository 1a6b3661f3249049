"""News as point-in-time items: delivered when first seen, later by the feed's latency, never earlier."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from backtest.clockwork import Latency
from backtest.news_file import WithNews, read_news
from backtest.plan import Plan
from backtest.reference_strategies import Nothing
from backtest.runner import run
from backtest.spec import Spec, open_world
from backtest.strategies import HOLD
from src.core.errors import ConfigError
from src.core.events import Event, NewsItem
from src.core.ports import MarketView
from src.core.signal import Signal
from src.core.units import MILLISECOND, SECOND
from src.execution.limits import RiskLimits
from src.runtime.settings import Settings
from tests.backtest.conftest import SHARED


class Listening(Nothing):
    """Keeps what it hears."""

    name = "listening"

    def __init__(self) -> None:
        self.heard: list[tuple[int, NewsItem]] = []

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        if isinstance(event, NewsItem):
            self.heard.append((view.now, event))
        return ()


def news(tmp_path: Path, *lines: str, name: str = "news.csv") -> Path:
    path = tmp_path / name
    text = "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    return path


def test_items_reach_the_strategy_when_first_seen_and_the_rest_is_counted(
    tmp_path: Path, sample: Path, settings: Settings
) -> None:
    """Published at three, first seen at nine: known from nine on, plus 40 % of the latency."""
    path = news(
        tmp_path,
        "first_seen,published,source,text",
        "2024-10-27T09:00:00Z,2024-10-27T03:00:00Z,wire,late",
        "2024-10-27T08:00:00+00:00,,wire,early",
        "2031-01-01T00:00:00Z,,wire,outside",
    )
    world = open_world(Spec(str(sample), "nothing", settings, news=str(path)))
    assert any("2 news items, 1 before or after" in note for note in world.notes)  # type: ignore[attr-defined]
    strategy = Listening()
    run(Plan(world, strategy, RiskLimits(), HOLD, Latency.of_total(250)))
    assert [item.text for _, item in strategy.heard] == ["early", "late"]
    seen = 1_730_019_600 * SECOND
    assert strategy.heard[1][0] == strategy.heard[1][1].ts_recv == seen + 100 * MILLISECOND
    assert strategy.heard[1][1].ts_event == 1_729_998_000 * SECOND


def test_two_columns_of_the_shared_shape_are_enough(tmp_path: Path) -> None:
    path = news(tmp_path, "ts_utc,source,text", '2024-05-23T03:04:00Z,s,"a, b"', name="n.csv.gz")
    (item,) = read_news(path)
    assert (item.source, item.text, item.ts_event) == ("s", "a, b", item.ts_recv)
    assert item.cause_id.startswith("news:s:")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["ts_utc,text", "2024-05-23 03:04,x"], ["line 2", "'ts_utc'", "with a zone"]),
        (["ts_utc,text", "2024-05-23T03:04:00Z,x", ",y"], ["line 3", "'ts_utc'"]),
        (["ts_utc,body", "2024-05-23T03:04:00Z,x"], ["lacks the column(s) text", "headline"]),
        (["first_seen,published,text", "2024-05-23T03:04:00Z,2024-05-24T00:00:00Z,x"], ["line 2", "swap"]),
        (["ts_utc,text"], ["no rows"]),
    ],
)
def test_mistakes_are_named(tmp_path: Path, lines: list[str], said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_news(news(tmp_path, *lines))
    for text in said:
        assert text in str(caught.value)


def test_the_real_file_is_read() -> None:
    path = SHARED / "data" / "news.csv.gz"
    if not path.is_file():
        pytest.skip("no recorded news here")
    items = read_news(path)
    assert len(items) == 6_135
    assert [item.ts_recv for item in items] == sorted(item.ts_recv for item in items)


def test_nothing_else_changes_when_news_are_added(tmp_path: Path, sample: Path, settings: Settings) -> None:
    path = news(tmp_path, "ts_utc,text", "2024-10-27T09:00:00Z,x")
    bare = open_world(Spec(str(sample), "nothing", settings))
    with_news = WithNews(bare, read_news(path))
    assert sum(1 for _ in with_news.events()) == sum(1 for _ in bare.events()) + 1
