"""How likely the best of several configurations is only the luckiest: PBO by CSCV.

Bailey, Borwein, Lopez de Prado and Zhu (2017), "The probability of backtest overfitting". The periods are
cut into ``blocks`` contiguous blocks; for every choice of half of them the configuration with the best
Sharpe ratio there is ranked among all on the other half.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

BLOCKS = 16
_Floats = npt.NDArray[np.float64]
_CHUNK = 1_024


@dataclass(frozen=True, slots=True)
class Overfitting:
    """``pbo``: share of splits in which the best in sample is in the lower half out of sample.

    ``loss``: share of splits in which it loses money out of sample. ``logits``: median over the splits of
    ln(w / (1 - w)), ``w`` the relative rank out of sample.
    """

    pbo: float
    loss: float
    logits: float
    splits: int
    blocks: int


def probability_of_overfitting(returns: _Floats, blocks: int = BLOCKS) -> Overfitting | None:
    """PBO of a matrix of shape (periods, configurations).

    None where there is nothing to choose between: fewer than two configurations that differ, or fewer than
    two periods a block. Raises ``ValueError`` for an odd or too small number of blocks.
    """
    if blocks < 2 or blocks % 2:
        raise ValueError(f"blocks: {blocks} must be even and at least 2")
    periods, configurations = returns.shape
    if periods < 2 * blocks or configurations < 2 or bool(np.all(returns == returns[:, :1])):
        return None
    parts = np.array_split(returns, blocks)
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([(part**2).sum(axis=0) for part in parts])
    logits: list[float] = []
    losses = 0
    for inside in _halves(blocks):
        best, rows = _best(inside, counts, sums, squares)
        outside = 1.0 - inside
        ratios = _sharpe(outside, counts, sums, squares)
        own = ratios[rows, best][:, None]
        below, equal = (ratios < own - 1e-12).sum(axis=1), (np.abs(ratios - own) <= 1e-12).sum(axis=1)
        shares = (below + (equal + 1) / 2) / (configurations + 1)
        logits += [math.log(share / (1 - share)) for share in shares.tolist()]
        losses += int(((outside @ sums)[rows, best] < 0).sum())
    n = len(logits)
    return Overfitting(
        pbo=sum(logit <= 0 for logit in logits) / n,
        loss=losses / n,
        logits=float(np.median(logits)),
        splits=n,
        blocks=blocks,
    )


def _halves(blocks: int) -> Iterator[_Floats]:
    """All choices of half the blocks as rows of 0 and 1, some at a time."""
    rows: list[_Floats] = []
    for chosen in combinations(range(blocks), blocks // 2):
        row = np.zeros(blocks)
        row[list(chosen)] = 1.0
        rows.append(row)
        if len(rows) == _CHUNK:
            yield np.array(rows)
            rows = []
    if rows:
        yield np.array(rows)


def _best(
    inside: _Floats, counts: _Floats, sums: _Floats, squares: _Floats
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    ratios = _sharpe(inside, counts, sums, squares)
    return np.argmax(ratios, axis=1), np.arange(len(ratios))


def _sharpe(chosen: _Floats, counts: _Floats, sums: _Floats, squares: _Floats) -> _Floats:
    """Sharpe ratios per period, shape (splits, configurations); 0 without variation."""
    n = (chosen @ counts)[:, None]
    mean = chosen @ sums / n
    variance = chosen @ squares / n - mean**2
    scale = np.where(variance > 1e-18, np.sqrt(np.maximum(variance, 1e-18)), np.inf)
    return np.asarray(mean / scale, dtype=np.float64)
