"""The drill passes on a sound daemon, and fails, naming the fault, on one with a bug in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.core.events import OrderUnknown
from src.core.ports import ApprovedOrder
from src.execution.executor import Executor
from src.runtime.drill_catalogue import DRILLS, Drill
from src.runtime.drill_command import DrillResult, run_drills
from src.runtime.settings import load_settings

pytestmark = pytest.mark.timeout(300)


async def _run(database_url: str, *faults: str) -> list[DrillResult]:
    wanted = [drill for drill in DRILLS if drill.fault in faults]
    assert len(wanted) == len(faults)
    settings = load_settings(None, {"DATABASE_URL": database_url}, None)
    done: list[DrillResult] = []
    results = await run_drills(settings, Path("/nowhere"), wanted, done.append)
    assert sorted(done, key=str) == sorted(results, key=str)
    return results


def test_the_catalogue_covers_what_it_promises() -> None:
    """At least 25 faults of exchange, orders, books and account, each once."""
    assert len({drill.fault for drill in DRILLS}) == len(DRILLS) >= 25
    assert {drill.area for drill in DRILLS} == {"orders", "books", "account", "exchange", "control"}
    assert all(isinstance(drill, Drill) and drill.play.__doc__ for drill in DRILLS)


@pytest.mark.asyncio(loop_scope="session")
async def test_a_sound_daemon_passes(database_url: str) -> None:
    """One fault of each area, over real sockets and Postgres."""
    results = await _run(
        database_url,
        "order accepted, its answer lost",
        "sequence skips",
        "the owner trades by hand",
        "market pays a fraction",
        "kill file",
    )
    assert [result.happened for result in results if not result.passed] == []


@pytest.mark.asyncio(loop_scope="session")
async def test_a_daemon_that_sends_again_after_a_lost_answer_fails(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest bug of such systems, planted: the table says FAILED and what happened."""

    async def send_again(self: Executor, approved: ApprovedOrder) -> None:
        await self._store.put_intent(approved)
        answer = await self._gateway.submit(approved)
        if isinstance(answer, OrderUnknown):
            answer = await self._gateway.submit(approved)
        self._deliver(answer)

    monkeypatch.setattr(Executor, "_submit", send_again)
    (result,) = await _run(database_url, "order accepted, its answer lost")
    assert not result.passed
    assert "sent twice" in result.happened
