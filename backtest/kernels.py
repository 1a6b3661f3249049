"""The loops over rows that numba compiles. Import this module only where it is used: numba is heavy.

Arrays: ``ts`` int64 nanoseconds in order; ``market`` int32 index; ``bid`` and ``ask`` int32 in 1e-4 dollars,
0 for nobody; sizes int64 in 0.01 contract. All indexes are into the arrays of one chunk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

NONE = -1


@njit(cache=True)
def scan(
    cursor: int,
    until: int,
    ts: Any,
    market: Any,
    bid: Any,
    bid_size: Any,
    ask: Any,
    ask_size: Any,
    before: Any,
    newest: Any,
    changed: Any,
    hot: Any,
    watched: Any,
    below: int,
    pause_start: Any,
    pause_end: Any,
) -> int:
    """Absorb rows from ``cursor`` on; returns the first that lies after ``until`` or needs attention.

    A row needs attention in a hot market, and in a watched one when it offers YES below ``below``. Fills
    ``before`` (the market's row before), ``newest`` (each market's last row) and ``changed``. While trading
    pauses the crowd can only withdraw: such rows are rewritten to what is then left of the book.
    """
    pause = 0
    for row in range(cursor, ts.size):
        if ts[row] > until:
            return row
        its = market[row]
        last = newest[its]
        while pause < pause_end.size and ts[row] >= pause_end[pause]:
            pause += 1
        if pause < pause_start.size and ts[row] >= pause_start[pause]:
            if last < 0 or bid[last] != bid[row]:
                bid[row] = bid_size[row] = 0
            else:
                bid_size[row] = min(bid_size[row], bid_size[last])
            if last < 0 or ask[last] != ask[row]:
                ask[row] = ask_size[row] = 0
            else:
                ask_size[row] = min(ask_size[row], ask_size[last])
        before[row] = last
        changed[row] = (
            (bid_size[row] > 0 or ask_size[row] > 0)
            if last < 0
            else (
                bid[row] != bid[last]
                or ask[row] != ask[last]
                or bid_size[row] != bid_size[last]
                or ask_size[row] != ask_size[last]
            )
        )
        if hot[its] or (watched[its] and ask_size[row] > 0 and ask[row] < below):
            return row
        newest[its] = row
    return int(ts.size)


@njit(cache=True)
def changed_markets(start: int, stop: int, market: Any, changed: Any, seen: Any) -> Any:
    """Markets with a changed row in ``[start, stop)``, each once. ``seen`` is scratch, all zeros."""
    found = np.empty(min(stop - start, seen.size), np.int64)
    count = 0
    for row in range(start, stop):
        its = market[row]
        if changed[row] and not seen[its]:
            seen[its] = 1
            found[count] = its
            count += 1
    for place in range(count):
        seen[found[place]] = 0
    return found[:count]


@njit(cache=True)
def last_before(end: int, newest: Any, before: Any) -> Any:
    """Each market's last row below ``end``, in order of rows; markets without one are left out."""
    found = np.empty(newest.size, np.int64)
    count = 0
    for its in range(newest.size):
        row = newest[its]
        while row >= end:
            row = before[row]
        if row >= 0:
            found[count] = row
            count += 1
    return np.sort(found[:count])


@njit(cache=True)
def chain(stop: int, market: Any, before: Any, newest: Any) -> None:
    """Link the rows below ``stop``, which have happened already, as ``scan`` would."""
    newest[:] = NONE
    for row in range(stop):
        its = market[row]
        before[row] = newest[its]
        newest[its] = row


@njit(cache=True)
def gather(code: Any, known: Any, found: Any) -> bool:
    """Put what is known of each code into ``found``; whether something is known of every code."""
    complete = True
    for row in range(code.size):
        its = known[code[row]]
        found[row] = its
        if its < 0:
            complete = False
    return complete


@njit(cache=True)
def first_rows(code: Any, known: Any) -> Any:
    """The first row of each code of which nothing is known yet, in their order."""
    found = np.empty(known.size, np.int64)
    seen = np.zeros(known.size, np.uint8)
    count = 0
    for row in range(code.size):
        its = code[row]
        if known[its] < 0 and not seen[its]:
            seen[its] = 1
            found[count] = row
            count += 1
    return found[:count]


@njit(cache=True)
def spans(ts: Any, code: Any, first: Any, last: Any) -> bool:
    """Widen each code's first and last time by these rows; returns whether they are in order of time."""
    in_order = True
    for row in range(ts.size):
        its = code[row]
        if ts[row] < first[its]:
            first[its] = ts[row]
        if ts[row] > last[its]:
            last[its] = ts[row]
        if row and ts[row] < ts[row - 1]:
            in_order = False
    return in_order


@njit(cache=True)
def gaps(ts: Any, market: Any, seen: Any) -> Any:
    """Times between each row and its market's row before. ``seen`` is scratch, all -1."""
    found = np.empty(ts.size, np.int64)
    count = 0
    for row in range(ts.size):
        its = market[row]
        if seen[its] >= 0:
            found[count] = ts[row] - seen[its]
            count += 1
        seen[its] = ts[row]
    return found[:count]


@njit(cache=True)
def decide(code: Any, yes: Any, results: Any) -> int:
    """Note each code's result (1 yes, 0 no, -1 not said); returns the first row that contradicts, or -1."""
    for row in range(code.size):
        if yes[row] >= 0:
            if results[code[row]] >= 0 and results[code[row]] != yes[row]:
                return row
            results[code[row]] = yes[row]
    return -1
