"""``kill -9`` at named instants of a real daemon: what was sent was stored, nothing is sent twice or lost.

One ledger lives through all points one after the other: each start is also the recovery from the last crash.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .books import differences, differences_after_stop, read_ledger, repeated_orders
from .conftest import Start, Venue
from .crash_points import INSIDE_COMMIT, POINTS
from .programs import until

pytestmark = pytest.mark.timeout(900)
LAUNCHER = Path(__file__).with_name("crash_points.py")
DURING_STOP = "during the stop"
# `make crash SEEDS=20` runs more.
SEEDS = range(int(os.environ.get("CRASH_SEEDS", "1")))


def _plan(seed: int) -> list[tuple[str, int]]:
    """Every point once, in an order and with a count of passes that the seed says."""
    dice = random.Random(seed)
    points = [*POINTS, INSIDE_COMMIT]
    dice.shuffle(points)
    early = {DURING_STOP, "while the stored state is read", "during the start's reconciliation"}
    return [(point, 1 if point in early else dice.randint(1, 3)) for point in points]


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_every_point_it_sends_nothing_twice_and_loses_nothing(
    start: Start, exchange: Callable[..., Venue], with_database: dict[str, str], database_url: str, seed: int
) -> None:
    """After each crash: every order at the exchange has its row, no intent has two orders; after the last
    start the ledger equals the exchange's records to the last field."""
    venue = exchange("--speed", "5000", "--days", "60", "--seed", str(seed))
    arguments = ("run", "--config", "loose.yaml", "--exchange", str(venue.ready_file))
    for point, nth in _plan(seed):
        daemon = start(point, str(nth), *arguments, env=with_database, script=LAUNCHER)
        if point == DURING_STOP:
            daemon.healthy()
            daemon.process.send_signal(signal.SIGTERM)
        assert daemon.wait() == -signal.SIGKILL, f"{point}: {daemon.err[-2000:]}"
        ledger = read_ledger(database_url, venue.schema)
        rows = {order.intent.client_order_id for order in ledger.orders}
        sent = [order["client_order_id"] for order in venue.client.orders()]
        assert set(sent) <= rows, f"{point}: an order without a row"
        assert repeated_orders(ledger, venue.client) == [], point
    daemon = start(*arguments, env=with_database)
    daemon.healthy()
    until(
        lambda: not differences(read_ledger(database_url, venue.schema), venue.client),
        "the ledger equal to the exchange while running",
    )
    assert daemon.stop() == 0, daemon.err
    assert differences_after_stop(database_url, venue.schema, venue.client) == []
    ledger = read_ledger(database_url, venue.schema)
    assert repeated_orders(ledger, venue.client) == []
    assert len(venue.client.orders()) >= 4


def test_sigterm_in_the_middle_of_a_burst_leaves_no_resting_order(
    start: Start, exchange: Callable[..., Venue], with_database: dict[str, str], database_url: str
) -> None:
    """``docker stop`` while orders are on their way: exit code 0, nothing of ours rests, all is written."""
    venue = exchange("--speed", "5000", "--days", "60")
    arguments = ("run", "--config", "loose.yaml", "--exchange", str(venue.ready_file))
    daemon = start(*arguments, env=with_database)
    daemon.until(lambda: len(venue.client.orders()) >= 5, "a burst of orders")
    assert daemon.stop() == 0, daemon.err
    assert [row["order_id"] for row in venue.client.orders() if row["status"] == "resting"] == []
    assert differences_after_stop(database_url, venue.schema, venue.client) == []
