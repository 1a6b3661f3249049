"""How long a source waits before it tries again."""

from __future__ import annotations


def backoff_seconds(failures: int, jitter: float, base: float, cap: float) -> float:
    """Wait after the ``failures``-th failure in a row: doubling from ``base`` up to ``cap`` seconds.

    ``jitter`` (0..1) spreads the upper half, so that many clients do not return together.
    """
    # The exponent is bounded so that a source that is down for days cannot overflow a float.
    full = min(cap, base * 2.0 ** min(failures - 1, 32))
    return full * (0.5 + 0.5 * jitter)
