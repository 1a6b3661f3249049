"""Reading ahead changes when an item is made, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from backtest.read_ahead import read_ahead


class Made(Iterator[int]):
    """Counts up to ``end``; then it ends, or raises ``error``."""

    def __init__(self, end: int, error: Exception | None = None) -> None:
        self.made, self._end, self._error = 0, end, error
        self.threads: set[str] = set()

    def __next__(self) -> int:
        self.threads.add(threading.current_thread().name)
        if self.made == self._end:
            raise self._error or StopIteration
        self.made += 1
        return self.made


def ahead_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


@pytest.mark.parametrize("end", [0, 1, 2, 50])
def test_all_items_in_their_order(end: int) -> None:
    assert list(read_ahead(Made(end))) == list(range(1, end + 1))


def test_items_are_made_elsewhere_and_never_more_than_one_ahead() -> None:
    source = Made(20)
    for item in read_ahead(source):
        assert source.made <= item + 1
    assert len(source.threads) == 1
    assert threading.current_thread().name not in source.threads


def test_an_error_comes_where_its_item_would_have_come() -> None:
    items = read_ahead(Made(3, ValueError("the fourth")))
    assert [next(items) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="the fourth"):
        next(items)


def test_who_stops_early_leaves_no_thread() -> None:
    source = Made(1_000)
    items = read_ahead(source)
    assert next(items) == 1
    del items  # forgotten, not even closed
    for thread in ahead_threads():
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert source.made <= 2
