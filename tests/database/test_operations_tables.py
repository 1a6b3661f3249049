"""Commands happen once, a silent leader is replaced, verdicts can be read back, the tie-out adds up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from src.core.actions import (
    AuditRecord,
    CommandAnswered,
    ControlValue,
    GateResult,
    LedgerOpened,
    OrderStatus,
    PositionChanged,
    Refused,
    SignalRecorded,
    StateChanged,
    TradingState,
)
from src.core.events import AccountReport, CommandKind, VenuePosition
from src.core.sides import BookSide, Outcome
from src.core.signal import Signal
from src.core.units import DOLLAR_CASH
from src.database import one_writer
from src.database.errors import FencedOut
from src.database.models_log import CommandStatus
from src.database.store import PostgresStore
from src.database.tie_out import tie_out
from tests.database.records import EVENT, TICKER, approved, booked, changed, fill, intent

HALT = StateChanged(TradingState.HALTED, "ann@desk", "why", None, 1)


@pytest_asyncio.fixture
async def rival(server_url: str, schema: str, store: PostgresStore) -> AsyncIterator[PostgresStore]:
    """A second instance on the same schema."""
    opened = await PostgresStore.open(server_url, schema)
    yield opened
    await opened.close()


# --- commands ----------------------------------------------------------------------------------------


async def test_a_command_waits_until_it_is_answered_and_is_answered_once(store: PostgresStore) -> None:
    """The answer is stored with what the command changed; a second answer changes nothing."""
    table = store.commands
    first = await table.add(CommandKind.HALT, "ann@desk", "prices \0 look wrong")
    second = await table.add(
        CommandKind.STRATEGY_OFF, "bob", "odd", channel="telegram", target="weather_model"
    )
    waiting = await table.waiting()
    assert [(one.command_id, one.kind, one.target, one.channel) for one in waiting] == [
        (first, CommandKind.HALT, "", "cli"),
        (second, CommandKind.STRATEGY_OFF, "weather_model", "telegram"),
    ]
    assert 0 <= waiting[0].age_s < 60
    assert await table.waiting(after=second) == ()
    await store.append([HALT, CommandAnswered(first, True, "HALTED by ann@desk: why", 1)])
    await store.append([CommandAnswered(first, False, "too late", 2)])
    answer = await table.answer(first)
    assert (answer.status, answer.text) == (CommandStatus.DONE, "HALTED by ann@desk: why")
    assert [one.command_id for one in await table.waiting()] == [second]
    assert not await table.withdraw(first)
    assert await table.withdraw(second)
    assert await table.waiting() == ()


async def test_a_replaced_instance_cannot_answer_a_command(
    store: PostgresStore, rival: PostgresStore
) -> None:
    """What it did in its own memory never happened: the command waits for the new one."""
    await store.lock("trader")
    command = await store.commands.add(CommandKind.HALT, "ann", "why")
    await store._lock_holder.close()  # type: ignore[union-attr]
    await rival.lock("trader")
    with pytest.raises(FencedOut):
        await store.append([HALT, CommandAnswered(command, True, "done", 1)])
    assert [one.command_id for one in await rival.commands.waiting()] == [command]
    assert (await rival.load()).state is None


# --- who leads ---------------------------------------------------------------------------------------


async def test_a_frozen_leader_is_displaced_and_can_do_nothing_when_it_thaws(
    store: PostgresStore, rival: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its connections and stops beating; the successor's number is larger; the old one is out."""
    monkeypatch.setattr(one_writer, "LOCK_WAIT_MS", 50)
    first = await store.try_lock("trader", "old@host")
    assert first is not None
    assert await rival.try_lock("trader", "new@host") is None
    seen = await rival.leadership("trader")
    assert (seen.is_held, seen.fence, seen.who) == (True, first, "old@host")
    assert seen.silent_s is not None
    assert seen.silent_s < 30
    assert await rival.displace("trader", 0.0) >= 1
    second = await rival.try_lock("trader", "new@host")
    assert second is not None
    assert second > first
    for work in (store.beat(), store.put_intent(approved("s1")), store.append([HALT])):
        with pytest.raises(FencedOut, match="another instance"):
            await work
    await rival.beat()
    await rival.put_intent(approved("s2"))
    async with rival._orders.use() as connection:
        fences = await connection.fetch("SELECT signal_id, fence FROM orders")
    assert [tuple(row) for row in fences] == [("s2", second)]
    assert (await rival.leadership("trader")).who == "new@host"


async def test_those_who_wait_are_counted(store: PostgresStore, rival: PostgresStore) -> None:
    """``status`` shows a standby while it waits for the lock."""
    await store.try_lock("trader", "old@host")
    waiting = asyncio.create_task(rival.try_lock("trader", "new@host"))
    async with asyncio.timeout(10):
        while not (await store.leadership("trader")).standing_by:
            assert not waiting.done()
    await store.close()
    assert await waiting is not None


# --- why ---------------------------------------------------------------------------------------------


def _signal(signal_id: str, ticker: str = TICKER) -> Signal:
    return Signal(signal_id, "weather_model", ticker, EVENT, Outcome.YES, 0.6, 0.02, 0.05, "forecast:1", 1, 2)


async def test_verdicts_are_found_by_market_event_and_series_newest_first(store: PostgresStore) -> None:
    """With the numbers of the gate that refused, the orders that followed, and what strategies said."""
    refused = Refused("s1", "weather_model", TICKER, GateResult("cash", False, {"room_dollars": 0.5}), 5)
    await store.put_intent(approved("s2"))
    records: list[AuditRecord] = [
        SignalRecorded(_signal("s1"), "cash", None, 5),
        refused,
        SignalRecorded(_signal("s2"), "approved", 0.07, 9),
        changed(intent("s2"), OrderStatus.EXECUTED, 10, filled=1_000),
        SignalRecorded(replace(_signal("s3"), ticker="OTHER-1", event_ticker="OTHER"), "cash", None, 11),
    ]
    await store.append(records)
    await store.put_answers(
        [("weather_model", EVENT, "no edge", 3), ("weather_model", "KXHIGHNYX-1", "x", 3)]
    )
    for name in (TICKER, EVENT, "KXHIGHNY"):
        found = await store.verdicts(name, 10)
        assert [row["signal_id"] for row in found.signals] == ["s2", "s1"]
        assert found.refusals["s1"]["numbers"] == {"room_dollars": 0.5}
        assert [order["status"] for order in found.orders["s2"]] == ["executed"]
        assert [row["answer"] for row in found.answers] == ["no edge"]
    assert [row["signal_id"] for row in (await store.verdicts(TICKER, 1)).signals] == ["s2"]
    assert (await store.verdicts("KXHIGH%", 10)).signals == ()


async def test_a_drought_names_what_refused_and_what_was_sent(store: PostgresStore) -> None:
    """Counts by gate since a moment, the newest numbers of each, and entries that really left."""
    gates = [("cash", 1.0), ("cash", 2.0), ("feed_lag", 9.0)]
    await store.append(
        [
            Refused(f"s{number}", "weather_model", TICKER, GateResult(gate, False, {"n": n}), 100 + number)
            for number, (gate, n) in enumerate(gates)
        ]
    )
    drought = await store.drought(100)
    assert drought.refused == {"cash": 2, "feed_lag": 1}
    assert drought.numbers["cash"] == {"ticker": TICKER, "numbers": {"n": 2.0}}
    assert drought.entries == 0
    assert (await store.drought(102)).refused == {"feed_lag": 1}
    await store.put_intent(approved("s9"))
    assert (await store.drought(0)).entries == 1


# --- tie-out -----------------------------------------------------------------------------------------


async def _account(store: PostgresStore) -> AccountReport:
    """Ten contracts bought at 45 cents, four sold again at 60, told by rows and by the exchange alike."""
    fee, cash = 175_000, 100 * DOLLAR_CASH - 4_500_000 - 175_000 + 4 * 600_000 - 70_000
    # Cost and profit of four of ten: 40 % of the all-in cost is released.
    cost = 4_500_000 + fee
    released = cost * 400 // 1_000
    position = PositionChanged(
        TICKER,
        EVENT,
        "weather_model",
        600,
        cost - released,
        4 * 600_000 - 70_000 - released,
        fee + 70_000,
        1,
        2,
    )
    await store.append(
        [
            LedgerOpened(100 * DOLLAR_CASH, 1),
            booked(fill("t1", BookSide.BID, 4_500, 1_000, fee)),
            booked(fill("t2", BookSide.ASK, 6_000, 400, 70_000)),
            position,
        ]
    )
    held = VenuePosition(TICKER, 600, 2_700_000, 0, 0)
    return AccountReport((), (), (), (held,), cash, 1, 1, 1)


async def test_three_that_agree_agree_to_the_last_digit(store: PostgresStore) -> None:
    """Fills, positions and balance, ours and the exchange's; the result is kept."""
    report = await _account(store)
    result = tie_out(await store.ledger(), report, 50, "2026-11-23")
    assert result.differences == ()
    assert (result.fills, result.positions, result.cash) == (2, 1, report.balance)
    await store.put_tie_out(result)
    kept = await store.last_tie_out()
    assert kept is not None
    assert (kept["day"], kept["differences"], kept["balance_e6"]) == ("2026-11-23", [], report.balance)


async def test_one_centicent_is_named_with_the_two_that_differ(store: PostgresStore) -> None:
    """In the balance, in a position's books, in its contracts, and hidden in external money."""
    report, centicent = await _account(store), 100
    ledger = await store.ledger()

    def named(**changes: object) -> list[str]:
        found = tie_out(replace(ledger, **changes), report, 1, "d")  # type: ignore[arg-type]
        return [f"{each.between} {each.amount}" for each in found.differences]

    off = replace(report, balance=report.balance - centicent)
    (balance,) = tie_out(ledger, off, 1, "d").differences
    assert (balance.between, balance.amount) == ("fills and balance", "-0.000100 $")
    (row,) = ledger.positions
    assert named(positions=(replace(row, realized=row.realized + centicent),)) == [
        "fills and positions 0.000100 $"
    ]
    assert named(positions=(replace(row, fees=row.fees - centicent),)) == ["fills and positions -0.000100 $"]
    assert named(positions=(replace(row, count=601),)) == ["fills and positions 0.01 contracts"]
    assert named(counts={TICKER: 599}) == ["fills and positions 0.01 contracts"] * 2
    assert named(external_cash=5 * DOLLAR_CASH) == []
    assert named(external_cash=5 * DOLLAR_CASH - centicent) == ["fills and balance -0.000100 $"]


async def test_a_fills_fee_off_by_a_centicent_is_found_without_the_exchange(store: PostgresStore) -> None:
    """The rows alone contradict each other: paper trading is tied out, too."""
    await _account(store)
    ledger = await store.ledger()
    first, second = ledger.fills
    wrong = replace(ledger, fills=(replace(first, fee=first.fee + 100), second))
    assert len(tie_out(wrong, None, 1, "d").differences) == 2
    assert tie_out(ledger, None, 1, "d").agrees


async def test_small_facts_are_kept_across_restarts(store: PostgresStore) -> None:
    """What was told once a day stays told."""
    assert await store.kept("silence_told") is None
    await store.keep("silence_told", "5", 5)
    await store.append([ControlValue("other", "1", 6)])
    assert await store.kept("silence_told") == "5"
