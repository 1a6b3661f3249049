"""Changes of books on flat arrays, compiled by numba when this module is imported (from its cache, if any).

Import it where compiled books were asked for, and not on the event loop: a first compilation takes seconds.
``src.core.book_arrays`` owns the arrays and says what their columns mean.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Columns of a change, as ``events.BookDeltas`` has them.
MARKET, SIDE, PRICE, DELTA, SEQ, TS_EVENT = range(6)
# Columns of a book's state. An offset, and slots per side, into ``sizes``: bids first, then asks, each worst
# price first. The bests are slots, -1 for an empty side.
OFFSET, SLOTS, GRID, BEST_BID, BEST_ASK, BOOK_SEQ, BOOK_TS, BOOK_TS_EVENT = range(8)

_MOST = np.int64(2**63 - 1)
_CHANGE = "b1(i8, i8, i8, i8, i8, i8, i8, i8[:, ::1], i8[::1], i4[:, ::1])"
_CHANGES = "i8(i8[:, ::1], i8[::1], i8, i8[:, ::1], i8[::1], i4[:, ::1], i8[::1])"


@njit(forceinline=True)
def _change(row, side, price, delta, seq, ts, ts_event, states, sizes, slots):  # type: ignore[no-untyped-def]
    """Apply one change to the book of ``row``; False, and nothing changed, when it does not fit."""
    count = states[row, SLOTS]
    if count == 0 or price < 0 or price >= slots.shape[1] or side < 0 or side > 1:
        return False
    slot = np.int64(slots[states[row, GRID], price])
    if slot < 0 or slot >= count:
        return False
    first = states[row, OFFSET]
    if side == 1:
        slot = count - 1 - slot
        first += count
    before = sizes[first + slot]
    if delta > _MOST - before or before + delta < 0:
        return False
    after = before + delta
    sizes[first + slot] = after
    best = BEST_BID + side
    if after > 0:
        if slot > states[row, best]:
            states[row, best] = slot
    elif slot == states[row, best]:
        while slot >= 0 and sizes[first + slot] == 0:
            slot -= 1
        states[row, best] = slot
    states[row, BOOK_SEQ] = seq
    states[row, BOOK_TS] = ts
    states[row, BOOK_TS_EVENT] = ts_event
    return True


@njit(_CHANGE, cache=True)
def change(row, side, price, delta, seq, ts, ts_event, states, sizes, slots):  # type: ignore[no-untyped-def]
    """Apply one change to the book of ``row``; False, and nothing changed, when it does not fit."""
    return _change(row, side, price, delta, seq, ts, ts_event, states, sizes, slots)


@njit(_CHANGES, cache=True)
def apply_changes(changes, rows, ts, states, sizes, slots, refused):  # type: ignore[no-untyped-def]
    """Apply ``changes`` in order; ``rows`` gives the row of each market of the batch, -1 for one left alone.

    Returns how many changes did not fit; their places are in ``refused``. The first that does not fit ends
    its book's part: its row becomes -1.
    """
    wrong = 0
    for i in range(changes.shape[0]):
        market = changes[i, MARKET]
        row = rows[market]
        if row < 0:
            continue
        if not _change(
            row,
            changes[i, SIDE],
            changes[i, PRICE],
            changes[i, DELTA],
            changes[i, SEQ],
            ts,
            changes[i, TS_EVENT],
            states,
            sizes,
            slots,
        ):
            rows[market] = -1
            refused[wrong] = i
            wrong += 1
    return wrong
