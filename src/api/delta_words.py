"""Text eight bytes at a time: the compiled tools of ``delta_kernel``, each taking the word at an address.

Words are little-endian: the first byte of the text is the lowest. Callers keep eight readable bytes behind
the last one they ask about.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


def _load(_typing: Any, address: Any) -> Any:
    """The eight bytes at ``address`` (an unsigned integer) as one word."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(types.uint64), generate


# For code that is compiled: it is called with the address alone.
load: Any = intrinsic(_load)


def word(text: str) -> np.uint64:
    """``text`` of up to eight bytes as a word, zeros behind it."""
    return np.uint64(int.from_bytes(text.encode(), "little"))


def mask(count: int) -> np.uint64:
    """The bits of the first ``count`` bytes of a word."""
    return np.uint64(2 ** (8 * count) - 1)


def _all(byte: int) -> np.uint64:
    return np.uint64(int.from_bytes(bytes([byte]) * 8, "little"))


_ONES, _TOPS, _ZEROS = _all(0x01), _all(0x80), _all(0x30)
_TO_TOP, _QUOTES, _BACKSLASHES, _BLANKS = _all(0x76), _all(0x22), _all(0x5C), _all(0x20)
_ONE, _EIGHT, _56, _64 = np.uint64(1), np.uint64(8), np.uint64(56), np.uint64(64)
_M1, _M2 = np.uint64(0x000000FF000000FF), np.uint64(0x000F424000000064)
_M3, _S16, _S32 = np.uint64(0x0000271000000001), np.uint64(16), np.uint64(32)
_TEN = np.uint64(10)


@njit(forceinline=True)
def first(flags):  # type: ignore[no-untyped-def]
    """The place of the lowest byte whose top bit is set in ``flags`` (only top bits may be); 8 for none."""
    if flags == np.uint64(0):
        return _EIGHT
    below = (flags & (~flags + _ONE)) - _ONE
    return (((below & _ONES) * _ONES) >> _56) - _ONE


@njit(forceinline=True)
def digits(text):  # type: ignore[no-untyped-def]
    """How many of the word's first bytes are decimal digits."""
    values = text ^ _ZEROS
    return first((((values & ~_TOPS) + _TO_TOP) | values) & _TOPS)


@njit(forceinline=True)
def number(text, count):  # type: ignore[no-untyped-def]
    """The value of the word's first ``count`` (1 to 8) bytes, all of them digits."""
    values = (text ^ _ZEROS) << (_64 - count * _EIGHT)
    values = values * _TEN + (values >> _EIGHT)
    return ((values & _M1) * _M2 + ((values >> _S16) & _M1) * _M3) >> _S32


@njit(forceinline=True)
def special(text):  # type: ignore[no-untyped-def]
    """The place of the first byte that is a quote, a backslash, a control or not ASCII; 8 for none."""
    quotes, slashes = text ^ _QUOTES, text ^ _BACKSLASHES
    return first(
        (((quotes - _ONES) & ~quotes) | ((slashes - _ONES) & ~slashes) | ((text - _BLANKS) & ~text) | text)
        & _TOPS
    )
