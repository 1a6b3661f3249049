"""Recorded production streams of every kind pass ``replay``: nothing unparsed, negative or crossed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.api.replay_report import ReplayReport

from .production_streams import GRIDS, Leg, Life, Subscription, stream, write_stream

TICKER = "KXHIGHNY-26NOV23-B50.5"
ASYNCAPI = Path(__file__).resolve().parents[3] / "shared/kalshi/asyncapi.yaml"
CLEAN = {"unparsed": 0, "negative_levels": 0, "crossed_books": 0}


def read(path: Path) -> dict[str, Any]:
    report = ReplayReport()
    report.read(path)
    return report.document()


def findings(document: dict[str, Any]) -> dict[str, int]:
    return {name: document[name]["count"] for name in CLEAN}


def check(document: dict[str, Any], life: Life, leg: Leg) -> None:
    first = {name: document[name]["first"] for name in CLEAN}
    assert findings(document) == CLEAN, first
    [book] = document["books"]
    assert (book["bid"], book["ask"]) == life.top()
    assert book["prices"] == leg
    assert book["levels"] == [len(life.bids), len(life.asks)]
    assert document["unknown_types"] == {}


def subscription(life: Life, seq: int, leg: Leg, busy: int, seed: int) -> Subscription:
    return Subscription(life, 1, seq, leg, busy, random.Random(seed))


@pytest.mark.parametrize("leg", ["no-leg", "yes-leg"])
@pytest.mark.parametrize("grid", sorted(GRIDS))
@pytest.mark.parametrize("has_clock", [True, False])
def test_one_market_cut_out_of_a_shared_subscription(
    tmp_path: Path, leg: Leg, grid: str, has_clock: bool
) -> None:
    """On every grid, in either leg, with snapshots in the middle and sides that vanish, in every form."""
    for seed, form in enumerate(("bare", "wrapped", "text")):
        life = Life(TICKER, grid, random.Random(f"{seed}{leg}{grid}{form}"), has_clock)
        frames = stream(life, [subscription(life, 40, leg, 60, seed)], 400, snapshots=0.01)
        path = write_stream(tmp_path / f"{seed}.ndjson{'.gz' * (seed % 2)}", frames, form)
        check(read(path), life, leg)


@pytest.mark.parametrize("has_clock", [True, False])
@pytest.mark.parametrize("lag", [0, 40])
@pytest.mark.parametrize("offset", [0, 1, 9, 50, 100_000])
def test_two_connections_with_the_same_subscription_ids_interleaved(
    tmp_path: Path, has_clock: bool, lag: int, offset: int
) -> None:
    """The same market twice under the same numbers, however their sequences and delays lie to each other.

    Without clocks it cannot be told which of the other connection's changes a later snapshot holds.
    """
    for seed, busy in enumerate((0, 3, 60)):
        life = Life(TICKER, "tapered_deci_cent", random.Random(f"{seed}{lag}{offset}"), has_clock)
        both = [subscription(life, 7 + offset * at, "no-leg", busy, seed + at * (busy != 3)) for at in (0, 1)]
        frames = stream(life, both, 300, snapshots=0.003 if has_clock else 0.0, lag=lag)
        document = read(write_stream(tmp_path / f"{seed}.ndjson", frames, "wrapped"))
        first = {name: document[name]["first"] for name in CLEAN}
        assert findings(document) == CLEAN, (busy, first)


def test_a_connection_that_is_replaced_by_another_with_the_same_ids(tmp_path: Path) -> None:
    """The new one counts from the start, passes where the old one ended, and ends in the right book."""
    life = Life(TICKER, "linear_cent", random.Random(3))
    frames = stream(life, [subscription(life, 9_000, "no-leg", 20, 1)], 200)
    frames += stream(life, [subscription(life, 0, "no-leg", 20, 2)], 1_500)
    assert frames[-1]["seq"] > 9_000
    check(read(write_stream(tmp_path / "two.ndjson", frames, "bare")), life, "no-leg")


def test_messages_of_other_types_between_the_books(tmp_path: Path) -> None:
    """Every example of the venue's own description of its messages is read, or known to be of no concern."""
    if not ASYNCAPI.exists():
        pytest.skip(f"{ASYNCAPI} is not there")
    found: list[Any] = []

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            if (
                isinstance(node.get("type"), str)
                and ({"msg", "sid"} & node.keys())
                and "properties" not in node
            ):
                found.append(node)
            for value in node.values():
                collect(value)
        elif isinstance(node, list):
            for value in node:
                collect(value)

    collect(yaml.safe_load(ASYNCAPI.read_text()))
    frames = [json.loads(json.dumps(each, default=str)) for each in found]
    assert len(frames) > 40
    document = read(write_stream(tmp_path / "examples.ndjson", frames, "wrapped"))
    assert document["unparsed"] == {"count": 0, "first": []}
    assert {"orderbook_snapshot", "orderbook_delta", "trade", "ticker", "fill"} <= document["messages"].keys()
    assert not document["unknown_types"].keys() & {"orderbook_snapshot", "trade", "user_order", "ok", "error"}


def test_older_streams_name_keys_and_times_otherwise(tmp_path: Path) -> None:
    """Books without ``_fp``, a taker by outcome, seconds instead of milliseconds, tickers without sizes."""
    frames: list[Any] = [
        {
            "type": "orderbook_snapshot",
            "sid": 1,
            "seq": 1,
            "msg": {"market_ticker": TICKER, "yes_dollars": [["0.4000", "3.37"]]},
        },
        {
            "type": "trade",
            "sid": 2,
            "seq": 1,
            "msg": {
                "trade_id": "t",
                "market_ticker": TICKER,
                "yes_price_dollars": "0.40",
                "count_fp": "1.37",
                "taker_side": "no",
                "ts": 1_795_420_801,
            },
        },
        {
            "type": "ticker",
            "sid": 3,
            "msg": {
                "market_ticker": TICKER,
                "price_dollars": "0.4000",
                "yes_bid_dollars": "0.4000",
                "yes_ask_dollars": "1.0000",
                "volume_fp": "1.37",
                "open_interest_fp": "0.50",
                "ts": 1_795_420_801,
            },
        },
    ]
    document = read(write_stream(tmp_path / "old.ndjson", frames, "bare"))
    assert findings(document) == CLEAN, document["unparsed"]
    [book] = document["books"]
    assert (book["bid"], book["bid_size"], book["ask"]) == ("0.4000", "3.37", None)
