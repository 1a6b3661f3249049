"""The order in which channels tell of one match, which Kalshi does not promise: any of the six."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from zlib import crc32

from src.simulator.outputs import FillMade, OrderChange, Output, TradePrinted

_TOLD = (TradePrinted, FillMade, OrderChange)
_ORDERS = [{kind: place for place, kind in enumerate(order)} for order in permutations(_TOLD)]


def as_told(outputs: Sequence[Output]) -> Sequence[Output]:
    """The outputs of one operation as the channels bring them.

    Each channel keeps its own order. Where something traded, the first trade's id decides whether trades,
    fills or orders come first, so that the same world is told in the same way again.
    """
    trade = next((each.trade for each in outputs if isinstance(each, TradePrinted)), None)
    if trade is None:
        return outputs
    place_of = _ORDERS[crc32(trade.trade_id.encode()) % len(_ORDERS)]
    told = iter(
        sorted((each for each in outputs if type(each) in place_of), key=lambda each: place_of[type(each)])
    )
    return [next(told) if type(each) in place_of else each for each in outputs]
