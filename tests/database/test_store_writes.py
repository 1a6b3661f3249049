"""What is put and appended is committed, once, and comes back from ``load``."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from src.core.actions import (
    AccountMarked,
    AuditRecord,
    ControlValue,
    GateResult,
    LedgerOpened,
    Noted,
    OrderChanged,
    OrderStatus,
    PositionChanged,
    Reconciled,
    Refused,
    SignalRecorded,
    StateChanged,
    StoredOrder,
    StoredState,
    TradingState,
)
from src.core.events import DailyMaximum, Fill, ForecastUpdate
from src.core.sides import BookSide, Outcome
from src.core.signal import Signal
from src.database.connection import connect
from src.database.errors import DuplicateOrder
from src.database.store import PostgresStore
from tests.database.records import (
    EVENT,
    TICKER,
    approved,
    booked,
    changed,
    fill,
    fills,
    intent,
    order_changes,
    paid,
    records,
)


async def _rows(url: str, schema: str, query: str) -> list[asyncpg.Record]:
    connection = await connect(url, schema)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def test_an_intent_is_committed_before_put_returns(
    store: PostgresStore, server_url: str, schema: str
) -> None:
    await store.put_intent(approved("s1", post_only=True, probability=0.5))
    (row,) = await _rows(server_url, schema, "SELECT * FROM orders")
    assert (row["status"], row["order_id"], row["price_e4"], row["count_e2"]) == (
        "pending_new",
        None,
        4_500,
        1_000,
    )
    assert (row["reserved_e6"], row["filled_e2"], row["post_only"]) == (4_500_000, 0, True)


async def test_the_same_order_cannot_be_put_twice(store: PostgresStore) -> None:
    await store.put_intent(approved("s1"))
    with pytest.raises(DuplicateOrder, match="signal s1, attempt 0"):
        await store.put_intent(approved("s1"))


async def test_a_signal_cannot_have_two_orders_of_one_attempt(store: PostgresStore) -> None:
    await store.put_intent(approved("s1"))
    with pytest.raises(DuplicateOrder):
        await store.put_intent(approved("s1", client_order_id="another"))
    await store.put_intent(approved("s1", attempt=1))
    assert len((await store.load()).orders) == 2


async def test_of_many_puts_of_one_order_at_once_exactly_one_wins(store: PostgresStore) -> None:
    answers = await asyncio.gather(
        *(store.put_intent(approved("s1")) for _ in range(10)), return_exceptions=True
    )
    assert answers.count(None) == 1
    assert sum(isinstance(answer, DuplicateOrder) for answer in answers) == 9


async def test_an_order_that_breaks_a_constraint_is_refused(store: PostgresStore) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="price_legal"):
        await store.put_intent(approved("s1", price=10_000))
    with pytest.raises(asyncpg.CheckViolationError, match="count_positive"):
        await store.put_intent(approved("s2", count=0))
    assert (await store.load()).orders == ()


async def test_a_new_order_in_the_journal_does_not_stand_in_for_its_row(store: PostgresStore) -> None:
    order = intent("s1")
    await store.append([changed(order, OrderStatus.PENDING_NEW, 1_000, order_id="")])
    await store.put_intent(approved("s1"))
    assert [entry.record for entry in await store.journal()] == [
        changed(order, OrderStatus.PENDING_NEW, 1_000, order_id="")
    ]


async def test_an_order_follows_what_is_appended_even_when_the_clock_steps_back(store: PostgresStore) -> None:
    order = intent("s1")
    await store.put_intent(approved("s1"))
    await store.append([changed(order, OrderStatus.RESTING, 9_000)])
    await store.append([changed(order, OrderStatus.EXECUTED, 4_000, order_id="", filled=1_000, reserved=0)])
    (stored,) = (await store.load()).orders
    assert (stored.status, stored.order_id, stored.filled) == (OrderStatus.EXECUTED, "venue-1", 1_000)


async def test_a_strangers_order_is_kept_however_odd_it_looks(store: PostgresStore) -> None:
    odd = intent("external:9", price=10_000, count=0, client_order_id="external:9")
    await store.append([changed(odd, OrderStatus.RESTING, 1, external=True, filled=500)])
    state = await store.load()
    assert state.orders[0].external
    assert state.orders[0].intent == odd
    assert state.signal_ids == frozenset()


async def test_a_fill_is_booked_once(store: PostgresStore) -> None:
    first = fill("t1", BookSide.BID, 4_500, 1_000, 100)
    await store.append([booked(first)])
    await store.append([booked(first), booked(fill("t2", BookSide.BID, 4_500, 1_000))])
    assert [one.trade_id for one in (await store.load()).fills] == ["t1", "t2"]


async def test_a_market_may_pay_twice_but_each_payout_counts_once(store: PostgresStore) -> None:
    again = paid(TICKER, 0, 1_000_000, settled_ts=9_000)
    await store.append([paid(TICKER, 10_000, 10_000_000), again, again])
    assert [one.settled_ts for one in (await store.load()).settlements] == [3_000, 9_000]


async def test_trading_state_survives_with_who_why_and_until(store: PostgresStore) -> None:
    await store.append([StateChanged(TradingState.ACTIVE, "system", "reconciled", None, 9)])
    await store.append([StateChanged(TradingState.HALTED, "daily loss", "lost 5 %", 77, 8)])
    state = await store.load()
    assert (state.state, state.state_who, state.state_why, state.state_until) == (
        TradingState.HALTED,
        "daily loss",
        "lost 5 %",
        77,
    )


async def test_the_ledger_opens_only_once(store: PostgresStore) -> None:
    await store.append([LedgerOpened(100_000_000, 5), ControlValue("day_start", "2026-11-22|100", 5)])
    await store.append([LedgerOpened(1, 6), ControlValue("day_start", "2026-11-23|90", 6)])
    state = await store.load()
    assert (state.opening_cash, state.opening_ts) == (100_000_000, 5)
    assert state.values == {"day_start": "2026-11-23|90"}


async def test_the_stores_own_keys_cannot_be_overwritten_by_a_control_value(store: PostgresStore) -> None:
    for key in ("fence", "trading_state", "opening_cash", "opening_ts"):
        with pytest.raises(ValueError, match=key):
            await store.append([ControlValue(key, "0", 1)])


async def test_signals_refusals_and_marks_reach_their_tables(
    store: PostgresStore, server_url: str, schema: str
) -> None:
    signal = Signal(
        "s1", "weather_model", TICKER, EVENT, Outcome.NO, 0.3, 0.05, 0.02, "c", 1, 2, {"mean_f": 51.5}
    )
    refused = Refused("s1", "weather_model", TICKER, GateResult("edge", False, {"edge": 0.01}), 4)
    mark = AccountMarked(90, 10, 5, 1, "2026-11-22", -3, 6)
    await store.append([SignalRecorded(signal, "edge", 0.01, 3), refused, refused, mark])
    await store.append([SignalRecorded(signal, "approved", 0.04, 5)])
    (row,) = await _rows(server_url, schema, "SELECT verdict, edge, details->>'mean_f' AS mean FROM signals")
    assert tuple(row) == ("approved", 0.04, "51.5")
    assert len(await _rows(server_url, schema, "SELECT * FROM refusals WHERE numbers->>'edge' = '0.01'")) == 2
    (row,) = await _rows(server_url, schema, "SELECT cash_e6, day_pnl_e6 FROM account_marks")
    assert tuple(row) == (90, -3)


async def test_forecasts_are_kept_as_first_seen(store: PostgresStore, server_url: str, schema: str) -> None:
    first = ForecastUpdate("KXHIGHNY", "KNYC", "2026-11-24", "nws", 1.5, 51.0, 10, 11, 12)
    again = ForecastUpdate("KXHIGHNY", "KNYC", "2026-11-24", "nws", 1.5, 52.0, 10, 11, 99)
    await store.put_forecasts([first, again])
    await store.put_forecasts([again])
    rows = await _rows(server_url, schema, "SELECT tmax_f, first_seen_ns FROM forecasts")
    assert [tuple(row) for row in rows] == [(51.0, 12)]


async def test_the_journal_keeps_every_record_in_order(store: PostgresStore) -> None:
    batch: list[AuditRecord] = [
        Noted("start", {"version": "1", "n": 3}, 1),
        Reconciled(("a differs",), (), 2),
        booked(fill("t1", BookSide.ASK, 100, 1)),
        Noted("odd", {"text": "nul\0"}, 3, "trace"),
    ]
    await store.append(batch)
    await store.append([PositionChanged(TICKER, EVENT, "w", -5, 1, 2, 3, 4, 5)])
    entries = await store.journal()
    assert [entry.record for entry in entries][:3] == batch[:3]
    assert entries[3].record == Noted("odd", {"text": "nul\N{REPLACEMENT CHARACTER}"}, 3, "trace")
    assert [entry.record for entry in await store.journal(after=entries[3].seq)] == [
        PositionChanged(TICKER, EVENT, "w", -5, 1, 2, 3, 4, 5)
    ]
    assert len(await store.journal(limit=2)) == 2


async def test_a_batch_is_all_or_nothing(store: PostgresStore) -> None:
    good = booked(fill("t1", BookSide.BID, 4_500, 1_000))
    with pytest.raises(asyncpg.CheckViolationError):
        await store.append([good, booked(fill("t2", BookSide.BID, 4_500, 0))])
    assert (await store.load()).fills == ()
    assert await store.journal() == ()


async def test_nothing_to_append_is_no_work(store: PostgresStore) -> None:
    await store.append([])
    await store.put_forecasts([])
    assert await store.load() == StoredState()


@settings(
    max_examples=8,
    phases=[Phase.generate],  # an example costs a schema: do not spend hundreds on shrinking
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(st.lists(order_changes(), max_size=8), st.lists(fills, max_size=8), st.lists(records, max_size=8))
async def test_load_gives_back_exactly_what_was_stored(
    server_url: str, orders: list[OrderChanged], trades: list[Fill], others: list[AuditRecord]
) -> None:
    others = [record for record in others if isinstance(record, SignalRecorded | Reconciled | Noted)]
    batch = [*others, *orders, *map(booked, trades)]
    store = await PostgresStore.open(server_url, f"test_{uuid.uuid4().hex}")
    try:
        await store.append(batch)
        state = await store.load()
        assert [entry.record for entry in await store.journal()] == batch
    finally:
        await store.close()
    assert list(state.fills) == trades
    assert state.signal_ids == {record.intent.signal_id for record in orders}
    assert {order.intent.client_order_id: order for order in state.orders} == {
        record.client_order_id: StoredOrder(
            record.order_id, record.intent, record.status, record.filled, record.reserved, record.external
        )
        for record in orders
    }


async def test_weather_comes_back_in_the_order_it_was_seen_and_only_the_first_version(store):
    """A restart learns its bias from what was known, as it was first known."""
    forecast = ForecastUpdate("KXHIGHNY", "KNYC", "2026-11-23", "nws", 1.0, 51.5, 100, 110, 120)
    early = DailyMaximum("KXHIGHNY", "KNYC", "2026-11-22", 48, False, 90, 95)
    final = DailyMaximum("KXHIGHNY", "KNYC", "2026-11-22", 49, True, 130, 140)
    await store.put_maxima([final, early])
    await store.put_forecasts([forecast, replace(forecast, tmax_f=60.0, ts_recv=500)])
    await store.put_maxima([replace(final, tmax_f=99, ts_recv=600)])
    assert await store.weather(0) == (early, forecast, final)
    assert await store.weather(121) == (final,)
