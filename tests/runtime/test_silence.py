"""Silence is explained: gates in words, an alert at most once a day, strategies' answers once per change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

import tests.execution.builders as b
from src.core.actions import Severity
from src.core.units import DAY, HOUR, Nanos
from src.database.explain import Drought
from src.runtime.clocks import ManualClock
from src.runtime.gate_words import explain
from src.runtime.silence import SilenceWatch, drought_text
from tests.runtime.fakes import KeepingNotifier


@pytest.mark.parametrize(
    ("gate", "numbers", "words"),
    [
        ("cash", {"room_dollars": 0.4}, "only 0.40 $ of cash are free [cash]"),
        ("trading_state", {"state": "halted", "why": "storm"}, "trading was halted (storm) [trading_state]"),
        ("cash", {"other": 1.0}, "cash (other 1) [cash]"),
        (
            "moon_phase",
            {"phase": 0.123456, "name": "full"},
            "moon phase (phase 0.1235, name full) [moon_phase]",
        ),
        ("no_offers", {}, "nobody offered this outcome [no_offers]"),
        ("unheard_of", {}, "unheard of [unheard_of]"),
    ],
)
def test_a_gate_is_told_in_words_and_never_without_its_numbers(
    gate: str, numbers: Mapping[str, float | str], words: str
) -> None:
    """Known gates by a sentence; unknown ones, or unknown numbers, as they are."""
    assert explain(gate, numbers) == words


def test_the_alert_names_the_gate_that_refused_most_with_its_numbers() -> None:
    """Shares of all refusals, then the newest refusal of the first gate, then what to do."""
    numbers = {"size_no_edge": {"ticker": b.TICKER, "numbers": {"best_offer": 0.52, "probability": 0.5}}}
    text = drought_text(Drought(0, {"size_no_edge": 93, "feed_lag": 7}, numbers, {}), 24 * HOUR)
    assert text.startswith("zero entries for 24 h: of 100 refusals 93% size_no_edge, 7% feed_lag.")
    assert "best offer 0.52 $ for a probability of 0.500" in text
    assert f"why {b.TICKER}" in text


def test_without_signals_the_alert_says_what_strategies_say() -> None:
    """No refusal at all: the reasons by event, or that nobody looked."""
    text = drought_text(Drought(0, {}, {}, {"no edge": 5, "no forecast": 9}), 24 * HOUR)
    assert text.endswith("no strategy gave a signal. By event: no forecast (9), no edge (5)")
    assert "check the feeds" in drought_text(Drought(0, {}, {}, {}), 24 * HOUR)


class _Store:
    """What the watch needs of the store, in memory."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str, str, Nanos]] = []
        self.values: dict[str, str] = {}
        self.entries = 0

    async def put_answers(self, answers: Sequence[tuple[str, str, str, Nanos]]) -> None:
        """Keep them."""
        self.answers += answers

    async def drought(self, since: Nanos) -> Drought:
        """One gate refused everything."""
        return Drought(self.entries, {"cash": 3}, {"cash": {"ticker": b.TICKER, "numbers": {}}}, {})

    async def kept(self, key: str) -> str | None:
        """A kept value."""
        return self.values.get(key)

    async def keep(self, key: str, value: str, now: Nanos) -> None:
        """Keep a value."""
        self.values[key] = value


class _Explaining(b.Scripted):
    """A strategy that says why it is silent."""

    def __init__(self) -> None:
        super().__init__()
        self.says = {"E1": "no edge"}

    def status(self) -> Mapping[str, str]:
        """By event."""
        return self.says


async def test_long_silence_is_told_once_a_day_restarts_included() -> None:
    """Not in the first hour of a process, not twice a day, not when something was entered."""
    store, notifier, clock = _Store(), KeepingNotifier(), ManualClock(b.NOW)

    def watch() -> SilenceWatch:
        return SilenceWatch([b.Scripted()], store, clock, notifier, hours=24)

    running = watch()
    await running.look_for_drought()
    assert notifier.alerts == []
    clock.set(b.NOW + 2 * HOUR)
    await running.look_for_drought()
    assert [(one.severity, one.key) for one in notifier.alerts] == [(Severity.WARNING, "no_entries")]
    restarted = watch()
    clock.set(b.NOW + 4 * HOUR)
    await restarted.look_for_drought()
    assert len(notifier.alerts) == 1
    clock.set(b.NOW + 2 * HOUR + DAY)
    await restarted.look_for_drought()
    assert len(notifier.alerts) == 2
    store.entries = 1
    clock.set(b.NOW + 4 * HOUR + 2 * DAY)
    await restarted.look_for_drought()
    assert len(notifier.alerts) == 2


async def test_an_answer_is_kept_once_per_change() -> None:
    """A strategy that says the same for hours is one row, written once."""
    store, strategy = _Store(), _Explaining()
    watch = SilenceWatch([strategy, b.Scripted()], store, ManualClock(b.NOW), KeepingNotifier(), hours=24)
    await watch.keep_answers()
    await watch.keep_answers()
    strategy.says = {"E1": "no edge", "E2": "no forecast"}
    await watch.keep_answers()
    assert [answer[:3] for answer in store.answers] == [
        ("scripted", "E1", "no edge"),
        ("scripted", "E2", "no forecast"),
    ]
