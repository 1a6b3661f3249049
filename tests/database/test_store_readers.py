"""The ledger and the status summary come from the tables alone."""

from __future__ import annotations

import json

from src.core.actions import (
    AccountMarked,
    ControlValue,
    LedgerOpened,
    OrderStatus,
    PositionChanged,
    StateChanged,
    TradingState,
)
from src.core.sides import BookSide
from src.core.units import DOLLAR_CASH
from src.database.store import PostgresStore
from tests.database.records import EVENT, TICKER, approved, booked, changed, fill, intent, paid


async def test_the_ledgers_cash_follows_from_the_rows(store: PostgresStore) -> None:
    position = PositionChanged(TICKER, EVENT, "weather_model", 600, 2_700_000, 0, 0, 1, 2)
    await store.append(
        [
            LedgerOpened(100 * DOLLAR_CASH, 1),
            booked(fill("t1", BookSide.BID, 4_500, 1_000, 175_000)),
            booked(fill("t2", BookSide.ASK, 6_000, 400, 70_000)),
            booked(fill("t3", BookSide.ASK, 2_000, 100, ticker="OTHER")),
            paid("OTHER", 0, 1_000_000),
            ControlValue("external_cash", "-5000000", 3),
            position,
        ]
    )
    ledger = await store.ledger()
    spent = 4_500_000 + 175_000 + 1_600_000 + 70_000 + 800_000
    assert ledger.cash == 100 * DOLLAR_CASH - spent + 4 * DOLLAR_CASH + 1_000_000 - 5 * DOLLAR_CASH
    assert ledger.counts == {TICKER: 600}
    assert ledger.positions == (position,)
    assert [one.trade_id for one in ledger.fills] == ["t1", "t2", "t3"]


async def test_cash_is_not_known_before_the_ledger_opened(store: PostgresStore) -> None:
    assert (await store.ledger()).cash is None


async def test_status_of_an_empty_store_says_nothing_is_known(store: PostgresStore) -> None:
    status = await store.status()
    assert status["state"] is None
    assert status["mark"] is None
    assert status["journal_ns"] is None
    assert (status["open_positions"], status["live_orders"], status["fills"]) == ([], [], 0)


async def test_status_sums_up_state_positions_orders_and_the_day(store: PostgresStore) -> None:
    await store.put_intent(approved("s1"))
    await store.put_intent(approved("s2"))
    await store.append(
        [
            StateChanged(TradingState.REDUCING, "telegram:ann", "lunch", 99, 1),
            changed(intent("s2"), OrderStatus.CANCELED, 2),
            booked(fill("t1", BookSide.BID, 4_500, 1_000)),
            PositionChanged(TICKER, EVENT, "weather_model", 1_000, 4_500_000, 0, 0, 1, 2),
            PositionChanged("FLAT", EVENT, "weather_model", 0, 0, 7, 0, 1, 2),
            AccountMarked(1, 2, 3, 1, "2026-11-21", 4, 5),
            AccountMarked(6, 7, 8, 1, "2026-11-22", -9, 10),
        ]
    )
    status = await store.status()
    assert (status["state"], status["who"], status["why"], status["until_ns"]) == (
        "reducing",
        "telegram:ann",
        "lunch",
        99,
    )
    assert [row["ticker"] for row in status["open_positions"]] == [TICKER]
    assert [(row["status"], row["count_e2"]) for row in status["live_orders"]] == [("pending_new", 1_000)]
    assert (status["day"], status["day_pnl_e6"], status["journal_ns"], status["fills"]) == (
        "2026-11-22",
        -9,
        10,
        1,
    )
    assert json.loads(json.dumps(status)) == status
