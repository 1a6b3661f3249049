"""Make the next item of an iterator while the present one is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")
_END = object()


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items in their order, each made in a thread of its own while the one before is used.

    Never more than one is waiting. An error comes where its item would have come. When no more items are
    wanted (the iterator is closed, or forgotten) the thread ends with the item it is at, which is dropped.
    """
    thread = ThreadPoolExecutor(1, "read-ahead")
    try:
        coming = thread.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, items, _END)
            yield cast("Item", item)
    finally:
        # Without waiting: the last reference may be dropped anywhere, in that very thread as well.
        thread.shutdown(wait=False, cancel_futures=True)
