from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.alerts.outbox import Outbox, Pending
from src.core.actions import Alert, Severity
from tests.alerts.fake_bot_api import alert

severities = st.sampled_from(list(Severity))


def texts(outbox: Outbox) -> list[str]:
    return [pending.alert.text for pending in outbox.waiting()]


def test_most_urgent_comes_first_and_then_the_oldest() -> None:
    outbox = Outbox(10)
    for text, severity in (
        ("i1", Severity.INFO),
        ("w1", Severity.WARNING),
        ("c1", Severity.CRITICAL),
        ("i2", Severity.INFO),
        ("c2", Severity.CRITICAL),
    ):
        outbox.put(Pending(alert(text, severity)))
    assert texts(outbox) == ["c1", "c2", "w1", "i1", "i2"]


def test_at_the_limit_the_oldest_info_goes_first_then_the_oldest_warning_never_a_critical() -> None:
    outbox = Outbox(2)
    for text, severity in (("i1", Severity.INFO), ("w1", Severity.WARNING), ("w2", Severity.WARNING)):
        outbox.put(Pending(alert(text, severity)))
    assert texts(outbox) == ["w1", "w2"]
    outbox.put(Pending(alert("i2")))
    assert texts(outbox) == ["w1", "w2"]
    for text in ("c1", "c2", "c3"):
        outbox.put(Pending(alert(text, Severity.CRITICAL)))
    assert texts(outbox) == ["c1", "c2", "c3"]
    assert outbox.dropped == {Severity.INFO: 2, Severity.WARNING: 2}


def test_criticals_of_one_key_are_counted_together_when_nothing_else_can_make_room() -> None:
    outbox = Outbox(2)
    for number in range(5):
        outbox.put(Pending(alert(f"loss {number}", Severity.CRITICAL, key="loss")))
    assert [(pending.alert.text, pending.count) for pending in outbox.waiting()] == [
        ("loss 0", 4),
        ("loss 1", 1),
    ]
    for pending in list(outbox.waiting()):
        outbox.take(pending)
    assert len(outbox) == 0


def test_repetitions_join_but_criticals_only_when_they_say_the_same() -> None:
    outbox = Outbox(10)
    for text in ("feed down 1", "feed down 2"):
        outbox.put(Pending(alert(text, Severity.WARNING, key="feed")))
        outbox.put(Pending(alert(text, Severity.CRITICAL, key="feed")))
    outbox.put(Pending(alert("feed down 2", Severity.CRITICAL, key="feed")))
    assert [pending.as_alert().text for pending in outbox.waiting()] == [
        "feed down 1",
        "feed down 2 (+1 more)",
        "feed down 2 (+1 more)",
    ]


def test_what_is_put_back_keeps_its_place_and_joins_what_arrived_meanwhile() -> None:
    outbox = Outbox(10)
    outbox.put(Pending(alert("old", key="a")))
    outbox.put(Pending(alert("other", key="b")))
    taken = outbox.take_all()
    outbox.put(Pending(alert("new", key="c")))
    outbox.put(Pending(alert("newer", key="a")))
    outbox.restore(taken)
    assert [(pending.alert.text, pending.count) for pending in outbox.waiting()] == [
        ("newer", 2),
        ("other", 1),
        ("new", 1),
    ]


@pytest.mark.parametrize("limit", [0, -1])
def test_an_outbox_without_room_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"limit of {limit} entries"):
        Outbox(limit)


def counts(entries: Iterable[Pending]) -> Counter[Severity]:
    total: Counter[Severity] = Counter()
    for pending in entries:
        total[pending.alert.severity] += pending.count
    return total


attempts = st.tuples(
    st.lists(st.builds(alert, st.sampled_from("abc"), severities, key=st.sampled_from("xyz"))), st.booleans()
)


@given(st.lists(st.tuples(st.integers(0, 4), attempts), max_size=12), st.integers(1, 5))
def test_every_alert_is_told_waiting_or_counted_as_dropped(
    rounds: list[tuple[int, tuple[list[Alert], bool]]], limit: int
) -> None:
    """Whatever arrives while a batch is under way, nothing is lost silently, and no critical at all."""
    outbox, put, told = Outbox(limit), Counter[Severity](), Counter[Severity]()
    for size, (arriving, delivered) in rounds:
        batch = list(outbox.waiting())[:size]
        for pending in batch:
            outbox.take(pending)
        for new in arriving:
            outbox.put(Pending(new))
            put[new.severity] += 1
        if delivered:
            told += counts(batch)
        else:
            outbox.restore(batch)
        waiting = list(outbox.waiting())
        assert len(waiting) == len(outbox)
        if len(outbox) > limit:
            assert {pending.alert.severity for pending in waiting} == {Severity.CRITICAL}
            assert len(outbox) <= len({pending.alert.key for pending in waiting})
    assert told + counts(outbox.waiting()) + outbox.dropped == put
    assert outbox.dropped[Severity.CRITICAL] == 0
