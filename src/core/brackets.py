"""The brackets of one event taken together: are they the whole line?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from src.core.market import Market, StrikeKind

_ORDER = {StrikeKind.LESS: 0, StrikeKind.BETWEEN: 1, StrikeKind.GREATER: 2}


def exhaustive_ladder(markets: Sequence[Market]) -> tuple[Market, ...] | None:
    """The markets in strike order if each whole degree pays exactly one of them, else None."""
    rungs: list[tuple[int, float, Market]] = []
    for market in markets:
        strike = market.strike
        if strike is None or strike.kind not in _ORDER:
            return None
        rungs.append((_ORDER[strike.kind], strike.floor if strike.floor is not None else -math.inf, market))
    rungs.sort(key=lambda rung: rung[:2])
    ladder = tuple(rung[2] for rung in rungs)
    strikes = [market.strike for market in ladder if market.strike is not None]
    kinds = [strike.kind for strike in strikes]
    if kinds[:1] != [StrikeKind.LESS] or kinds[-1] is not StrikeKind.GREATER:
        return None
    expected = strikes[0].cap
    for strike in strikes[1:-1]:
        if strike.kind is not StrikeKind.BETWEEN or strike.floor is None or strike.cap is None:
            return None
        if strike.floor != expected or strike.cap < strike.floor or strike.cap % 1.0:
            return None
        expected = strike.cap + 1.0
    closes = expected is not None and expected % 1.0 == 0.0 and strikes[-1].floor == expected - 1.0
    return ladder if closes else None
