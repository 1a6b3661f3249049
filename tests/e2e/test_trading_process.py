"""The daemon as its own process against a standing simulated exchange: it trades, is killed, comes back."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import httpx
import pytest

from .books import differences, differences_after_stop, read_ledger, repeated_orders
from .conftest import Start, Venue
from .programs import Program, until

# A start alone takes half a minute on a machine that is busy with other things.
pytestmark = pytest.mark.timeout(400)
METRICS = ("kalshi_orders_total", "kalshi_trades_total", "kalshi_cash_dollars", "kalshi_trading_state")


def _status(start: Start, venue: Venue, env: dict[str, str]) -> dict[str, object]:
    asked = start("status", "--config", "empty.yaml", "--exchange", str(venue.ready_file), "--json", env=env)
    assert asked.wait() == 0, asked.err
    facts: dict[str, object] = json.loads(asked.out)
    return facts


def _orders_reach(venue: Venue, daemon: Program, wanted: int) -> int:
    """Wait until the exchange has ``wanted`` orders in all."""

    def seen() -> int | None:
        count = len(venue.client.orders())
        return count if count >= wanted else None

    return daemon.until(seen, f"{wanted} orders at the exchange")


def test_it_trades_by_environment_alone_tells_the_truth_and_stops_clean(
    start: Start, exchange: Callable[..., Venue], with_database: dict[str, str], database_url: str
) -> None:
    """Orders reach the exchange; health, metrics and status agree; a second instance is refused;
    SIGTERM leaves nothing resting and a ledger that equals the exchange's records."""
    venue = exchange("--speed", "5000", "--days", "40")
    env = with_database | venue.variables()
    daemon = start("run", "--config", "loose.yaml", env=env)
    health = daemon.healthy()
    assert set(health["checks"].values()) == {"ok"}
    second = start("run", "--config", "loose.yaml", env=env)
    _orders_reach(venue, daemon, 2)
    metrics = httpx.get(f"{daemon.metrics_url()}/metrics", trust_env=False).text
    assert [name for name in METRICS if name not in metrics] == []
    facts = _status(start, venue, with_database)
    assert (facts["mode"], facts["running"], facts["state"]) == ("simulated", True, "active")
    assert second.wait() == 2
    assert second.err.splitlines()[-1].startswith("error: another instance is running")
    assert daemon.stop() == 0, daemon.err
    assert [row["order_id"] for row in venue.client.orders() if row["status"] == "resting"] == []
    assert differences_after_stop(database_url, venue.schema, venue.client) == []
    after = _status(start, venue, with_database)
    assert after["running"] is False
    assert after["fills"] == len(venue.client.fills())


def test_killed_again_and_again_it_never_sends_twice_and_loses_nothing(
    start: Start, exchange: Callable[..., Venue], with_database: dict[str, str], database_url: str
) -> None:
    """``kill -9`` at the instant an order shows at the exchange, three times: each start reconciles before
    it trades, no order is sent twice, and the ledger ends equal to the exchange's records."""
    venue = exchange("--speed", "5000", "--days", "40")

    def run() -> Program:
        return start("run", "--config", "loose.yaml", "--exchange", str(venue.ready_file), env=with_database)

    killed_at = 0
    for _ in range(3):
        daemon = run()
        killed_at = _orders_reach(venue, daemon, killed_at + 1)
        assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
    daemon = run()
    daemon.healthy()
    states = [line["state"] for line in daemon.log if line.get("event") == "state"]
    assert states[:2] == ["reconciling", "active"]

    def equal() -> bool:
        return not differences(read_ledger(database_url, venue.schema), venue.client)

    until(equal, "the ledger equal to the exchange while running")
    assert daemon.stop() == 0, daemon.err
    assert differences_after_stop(database_url, venue.schema, venue.client) == []
    ledger = read_ledger(database_url, venue.schema)
    assert repeated_orders(ledger, venue.client) == []
    assert len(ledger.orders) >= 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_during_the_start_is_a_clean_stop(
    start: Start, exchange: Callable[..., Venue], with_database: dict[str, str], number: signal.Signals
) -> None:
    """A container that is stopped while it starts ends with exit code 0 as well."""
    venue = exchange("--speed", "1", "--days", "1")
    daemon = start("run", "--config", "empty.yaml", "--exchange", str(venue.ready_file), env=with_database)
    daemon.until_logged("database")
    assert daemon.stop(number) == 0, daemon.err
    assert "Traceback" not in daemon.err
