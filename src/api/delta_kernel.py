"""Reads the text of plain ``orderbook_delta`` messages, compiled by numba when this module is imported.

Plain means: no white space, no escapes, every key at most once, numbers in the form the venue sends them, and
a market whose changes are taken without further questions. Whatever is not plain is left to the decoder of
``frames``, which alone says what is wrong with a message. Import this off the event loop: a first compilation
takes seconds.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from src.api.delta_words import digits, load, mask, number, special, word
from src.core.events import NO_TIME

PADDING = 64
"""Bytes that must be readable behind the text."""
# Where a scan stands: the next byte, changes kept, the subscription's sequence, markets touched.
AT, KEPT, SEQ, TOUCHED = range(4)

_MILLISECOND = np.int64(1_000_000)
_MOST_MS = np.int64(9_000_000_000_000)  # as nanoseconds it still fits 64 bits
_BAD = np.int64(-1)
_PRIME, _BASIS, _FOLD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xCBF29CE484222325), np.uint64(29)
_QUOTE, _COMMA, _COLON, _OPEN, _CLOSE = (np.uint8(ord(char)) for char in '",:{}')
_ZERO, _MINUS, _POINT, _NEWLINE = (np.uint8(ord(char)) for char in "0-.\n")
_EIGHT = np.uint64(8)
_POWERS = np.array([10**n for n in range(9)], np.int64)

# Bits of what has been read of a message.
_TYPE, _SID, _SEQ, _MSG = 1, 2, 4, 8
_TICKER, _PRICE, _DELTA, _LEG, _CLOCK, _TS = 1, 2, 4, 8, 16, 32
_OUTER, _INNER = _TYPE | _SID | _SEQ | _MSG, _TICKER | _PRICE | _DELTA | _LEG

_2, _3, _4, _5, _6, _7 = (mask(count) for count in range(2, 8))
_TYPE_1, _TYPE_2, _TYPE_3 = word('"type":"'), word("orderboo"), word('k_delta"')
_SID_1, _SEQ_1, _MSG_1 = word('"sid":'), word('"seq":'), word('"msg":{')
_MARKET_1, _TICKER_2, _ID_2 = word('"market_'), word('ticker":'), word('id":"')
_PRICE_1, _PRICE_2, _DELTA_1, _DELTA_2 = word('"price_d'), word('ollars":'), word('"delta_f'), word('p":"')
_SIDE_1, _CLOCK_1, _TS_1 = word('"side":"'), word('"clock":'), word('"ts_ms":')
_YES, _NO, _CENTS = word('yes"'), word('no"'), word("0.")


@njit(forceinline=True)
def _mixed(value, text):  # type: ignore[no-untyped-def]
    value = (value ^ text) * _PRIME
    return value ^ (value >> _FOLD)


@njit("i8(u8[::1], i8, i8, i8)", cache=True)
def slot_of(words, first, count, size):  # type: ignore[no-untyped-def]
    """Where a name of ``count`` words belongs in a table of ``size`` (a power of two) places."""
    value = _BASIS
    for i in range(count):
        value = _mixed(value, words[first + i])
    return np.int64(value & np.uint64(size - 1))


@njit(forceinline=True)
def _string_end(base, at, end):  # type: ignore[no-untyped-def]
    """Where the closing quote of the plain string that begins at ``at`` is; -1 if it is not plain."""
    while at < end:
        text = load(base + np.uint64(at))
        place = special(text)
        if place < _EIGHT:
            at += np.int64(place)
            return at if at < end and (text >> (place * _EIGHT)) & np.uint64(255) == _QUOTE else _BAD
        at += 8
    return _BAD


@njit(forceinline=True)
def _integer(base, at):  # type: ignore[no-untyped-def]
    """(value, end) of the JSON integer of 1 to 18 digits at ``at``; the end is -1 for anything else."""
    text = load(base + np.uint64(at))
    count = digits(text)
    if count == 0 or (count > np.uint64(1) and text & np.uint64(255) == _ZERO):
        return np.int64(0), _BAD
    value = np.int64(number(text, count))
    at += np.int64(count)
    if count == _EIGHT:
        text = load(base + np.uint64(at))
        count = digits(text)
        if count > 0:
            value = value * _POWERS[count] + np.int64(number(text, count))
            at += np.int64(count)
        if count == _EIGHT:
            text = load(base + np.uint64(at))
            count = digits(text)
            if count > np.uint64(2):
                return np.int64(0), _BAD
            if count > 0:
                value = value * _POWERS[count] + np.int64(number(text, count))
                at += np.int64(count)
    return value, at


@njit(forceinline=True)
def _price(base, at):  # type: ignore[no-untyped-def]
    """(price, closing quote) of ``0.d`` to ``0.dddd``; the quote is -1 for anything else and for nothing."""
    text = load(base + np.uint64(at))
    if text & _2 != _CENTS:
        return np.int64(0), _BAD
    text >>= np.uint64(16)
    count = digits(text)
    if count == 0 or count > np.uint64(4) or (text >> (count * _EIGHT)) & np.uint64(255) != _QUOTE:
        return np.int64(0), _BAD
    price = np.int64(number(text, count)) * _POWERS[np.uint64(4) - count]
    return price, at + 2 + np.int64(count) if price > 0 else _BAD


@njit(forceinline=True)
def _count(base, at):  # type: ignore[no-untyped-def]
    """(count, closing quote) of ``-?d{1,15}.dd`` in 0.01 contract; the quote is -1 for anything else."""
    text = load(base + np.uint64(at))
    is_negative = text & np.uint64(255) == _MINUS
    if is_negative:
        at += 1
        text = load(base + np.uint64(at))
    count = digits(text)
    if count == 0:
        return np.int64(0), _BAD
    value = np.int64(number(text, count))
    at += np.int64(count)
    text = load(base + np.uint64(at))
    if count == _EIGHT:
        count = digits(text)
        if count == _EIGHT:
            return np.int64(0), _BAD
        if count > 0:
            value = value * _POWERS[count] + np.int64(number(text, count))
            at += np.int64(count)
            text = load(base + np.uint64(at))
    if text & np.uint64(255) != _POINT or digits(text >> _EIGHT) != np.uint64(2):
        return np.int64(0), _BAD
    if (text >> np.uint64(24)) & np.uint64(255) != _QUOTE:
        return np.int64(0), _BAD
    value = value * 100 + np.int64(number(text >> _EIGHT, np.uint64(2)))
    return -value if is_negative else value, at + 3


@njit(forceinline=True)
def _market(base, at, end, table, spans, names):  # type: ignore[no-untyped-def]
    """(market, closing quote) of the name at ``at``; the quote is -1 for one that is not in the table."""
    start, value = at, _BASIS
    while True:
        if at >= end:
            return _BAD, _BAD
        text = load(base + np.uint64(at))
        place = special(text)
        if place < _EIGHT:
            break
        value = _mixed(value, text)
        at += 8
    if (text >> (place * _EIGHT)) & np.uint64(255) != _QUOTE:
        return _BAD, _BAD
    close = at + np.int64(place)
    last = text & ((np.uint64(1) << (place * _EIGHT)) - np.uint64(1))
    count = (at - start) // 8
    if place > 0:
        value = _mixed(value, last)
    slot = np.int64(value & np.uint64(table.shape[0] - 1))
    while table[slot] >= 0:
        market = table[slot]
        first = spans[market]
        if spans[market + 1] - first == count + (1 if place > 0 else 0):
            differs = names[first + count] ^ last if place > 0 else np.uint64(0)
            for i in range(count):
                differs |= names[first + i] ^ load(base + np.uint64(start + 8 * i))
            if differs == 0:
                return market, close
        slot = (slot + 1) & (table.shape[0] - 1)
    return _BAD, _BAD


@njit(forceinline=True)
def _skipped(base, at, end):  # type: ignore[no-untyped-def]
    """Skip the key at ``at``, which means nothing to a book, and its value; -1 unless both are plain."""
    if load(base + np.uint64(at)) & np.uint64(255) != _QUOTE:
        return _BAD
    close = _string_end(base, at + 1, end)
    if close < 0 or (load(base + np.uint64(close)) >> _EIGHT) & np.uint64(255) != _COLON:
        return _BAD
    at = close + 2
    if load(base + np.uint64(at)) & np.uint64(255) != _QUOTE:
        return _integer(base, at)[1]
    close = _string_end(base, at + 1, end)
    return close + 1 if close >= 0 else _BAD


@njit(forceinline=True)
def _means_something(key, more):  # type: ignore[no-untyped-def]
    """Whether this is a key of ``msg`` that matters, so that its value must not be skipped."""
    return (
        (key == _MARKET_1 and more & _7 == _TICKER_2 & _7)
        or (key == _PRICE_1 and more & _7 == _PRICE_2 & _7)
        or (key == _DELTA_1 and more & _2 == _DELTA_2 & _2)
        or key & _6 == _SIDE_1 & _6
        or key & _7 == _CLOCK_1 & _7
        or key & _7 == _TS_1 & _7
    )


@njit(forceinline=True)
def _body(base, at, end, table, spans, names, found):  # type: ignore[no-untyped-def]
    """Read ``msg`` from its brace at ``at`` into ``found``; where it ends, -1 if it is not plain."""
    seen = 0
    found[5] = NO_TIME
    while True:
        at += 1
        key = load(base + np.uint64(at))
        more = load(base + np.uint64(at + 8))
        bit = 0
        if key == _MARKET_1 and more == _TICKER_2:
            if load(base + np.uint64(at + 16)) & np.uint64(255) != _QUOTE:
                return _BAD
            bit = _TICKER
            found[0], at = _market(base, at + 17, end, table, spans, names)
        elif key == _PRICE_1 and more == _PRICE_2:
            if load(base + np.uint64(at + 16)) & np.uint64(255) != _QUOTE:
                return _BAD
            bit = _PRICE
            found[2], at = _price(base, at + 17)
        elif key == _DELTA_1 and more & _4 == _DELTA_2:
            bit = _DELTA
            found[3], at = _count(base, at + 12)
        elif key == _SIDE_1 and more & _4 == _YES:
            bit = _LEG
            found[1] = 0
            at += 11
        elif key == _SIDE_1 and more & _3 == _NO:
            bit = _LEG
            found[1] = 1
            at += 10
        elif key == _CLOCK_1:
            bit = _CLOCK
            at = _integer(base, at + 8)[1] - 1
        elif key == _TS_1:
            bit = _TS
            value, at = _integer(base, at + 8)
            if value > _MOST_MS:
                return _BAD
            found[5] = value * _MILLISECOND
            at -= 1
        elif _means_something(key, more):
            return _BAD
        else:
            at = _skipped(base, at, end) - 1
        if at < 0 or seen & bit:
            return _BAD
        seen |= bit
        at += 1  # behind the value
        after = load(base + np.uint64(at)) & np.uint64(255)
        if after == _CLOSE:
            return at + 1 if seen & _INNER == _INNER else _BAD
        if after != _COMMA:
            return _BAD


@njit(forceinline=True)
def _message(base, at, end, sid, seq, table, spans, names, found):  # type: ignore[no-untyped-def]
    """Read the message at ``at`` into ``found``; where it ends, -1 unless plain and next in sequence."""
    seen = 0
    if load(base + np.uint64(at)) & np.uint64(255) != _OPEN:
        return _BAD
    while True:
        at += 1
        key = load(base + np.uint64(at))
        bit = 0
        if key == _TYPE_1:
            if load(base + np.uint64(at + 8)) != _TYPE_2 or load(base + np.uint64(at + 16)) != _TYPE_3:
                return _BAD
            bit = _TYPE
            at += 24
        elif key & _6 == _SID_1:
            bit = _SID
            value, at = _integer(base, at + 6)
            if value != sid:
                return _BAD
        elif key & _6 == _SEQ_1:
            bit = _SEQ
            value, at = _integer(base, at + 6)
            if value != seq:
                return _BAD
        elif key & _7 == _MSG_1:
            bit = _MSG
            at = _body(base, at + 6, end, table, spans, names, found)
        elif (
            key & _5 == _SID_1 & _5
            or key & _5 == _SEQ_1 & _5
            or key & _5 == _MSG_1 & _5
            or key & _6 == _TYPE_1 & _6
        ):
            return _BAD
        else:
            at = _skipped(base, at, end)
        if at < 0 or seen & bit:
            return _BAD
        seen |= bit
        after = load(base + np.uint64(at)) & np.uint64(255)
        if after == _CLOSE:
            return at + 1 if seen == _OUTER else _BAD
        if after != _COMMA:
            return _BAD


_TEXT, _LONGS = "Array(u1, 1, 'C', readonly=True)", "i8[::1]"
_SCAN = f"void({_TEXT}, i8, {_LONGS}, {_LONGS}, u8[::1], u1[::1], {_LONGS}, i8[:, ::1], {_LONGS})"


@njit(_SCAN, cache=True)
def scan(text, sid, table, spans, names, ready, place, changes, state):  # type: ignore[no-untyped-def]
    """Read messages, each ended by a line feed, until one is not plain or the text ends.

    ``text`` has ``PADDING`` zeros behind the messages. ``state`` says where to begin, then where it ended.
    ``changes`` gets a row a message (the columns of ``events.BookDeltas``), whose market is its place among
    those touched: ``place`` says it by market, -1 for none, and in its second half the market by place.
    """
    base = np.uint64(text.ctypes.data)
    end = np.int64(text.shape[0] - PADDING)
    half = place.shape[0] // 2
    found = np.empty(6, np.int64)
    while state[AT] < end and state[KEPT] < changes.shape[0]:
        seq = state[SEQ] + 1
        after = _message(base, state[AT], end, sid, seq, table, spans, names, found)
        if after < 0 or text[after] != _NEWLINE or ready[found[0]] == 0:
            return
        market = found[0]
        if place[market] < 0:
            place[market] = state[TOUCHED]
            place[half + state[TOUCHED]] = market
            state[TOUCHED] += 1
        kept = state[KEPT]
        changes[kept, 0] = place[market]
        changes[kept, 1] = found[1]
        changes[kept, 2] = found[2]
        changes[kept, 3] = found[3]
        changes[kept, 4] = seq
        changes[kept, 5] = found[5]
        state[SEQ] = seq
        state[KEPT] = kept + 1
        state[AT] = after + 1
