"""A small made-up CSV to try ``--data FILE.csv`` with. Nothing in it ever happened."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

from backtest.times import iso
from src.core.units import MINUTE, SECOND

_START = 1_730_000_000 * SECOND
_MARKETS, _ROWS = 40, 240


def write_sample(path: Path, seed: int) -> str:
    """Write 40 markets of 240 quotes, two minutes apart; returns a line to say so. Same seed, same bytes."""
    rng = Random(seed)
    rows: list[tuple[int, str]] = []
    for number in range(_MARKETS):
        ticker = f"SAMPLE-{number:02d}"
        begin = _START + number * 97 * MINUTE
        logit, quotes = rng.gauss(0.0, 1.2), []
        for row in range(_ROWS):
            logit += rng.gauss(0.0, 0.12)
            cents = min(97, max(3, round(100 / (1 + math.exp(-logit)))))
            sizes = f"{rng.randrange(20, 400)},{rng.randrange(20, 400)}"
            quotes.append((begin + row * 2 * MINUTE, f"{cents - 1},{cents + 1},{sizes}"))
        won = "yes" if rng.random() < 1 / (1 + math.exp(-logit)) else "no"
        rows += [(ts, f"{iso(ts)},{ticker},{quote},{won}") for ts, quote in quotes]
    rows.sort()
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "timestamp,ticker,yes_bid,yes_ask,bid_size,ask_size,result"
    path.write_text("\n".join([header, *(text for _, text in rows)]) + "\n")
    return f"written: {path}, {len(rows)} made-up quotes of {_MARKETS} markets (prices in cents)"
