"""What every drill must end with: equal books, no order twice, no rule broken."""

from __future__ import annotations

import asyncio
import time

from src.runtime.book_check import ledger_differences
from src.runtime.drill_bench import Bench
from src.runtime.drill_stage import PATIENCE_S, DrillFailed


async def judge(bench: Bench) -> None:
    """Faults off; then ledger and exchange must agree, no order be there twice, no rule be broken."""
    bench.plan.clear()
    if not bench.is_alive:
        await bench.crash()
        await bench.start(until_active=False)
    differences: list[str] = ["never compared"]
    limit = time.monotonic() + PATIENCE_S
    while differences:
        if time.monotonic() > limit:
            raise DrillFailed("ledger and exchange differ: " + "; ".join(differences[:3]))
        await bench.until(bench.nothing_live, "every order at its end")
        await bench.daemon.writer.flushed()
        differences = [
            line
            for line in ledger_differences(await bench.store.ledger(), bench.account)
            if not _is_by_hand(bench, line)
        ]
        if differences:
            await asyncio.sleep(0.1)
    twice = [client_id for client_id, count in bench.venue_orders().items() if count > 1]
    if twice:
        raise DrillFailed(f"orders at the exchange twice: {', '.join(twice)}")
    if bench.watch.broken:
        raise DrillFailed(bench.watch.broken[0])


def _is_by_hand(bench: Bench, line: str) -> bool:
    """An order of the owner's that is over: its fills are in the ledger, the order need not be."""
    return any(
        line == f"order {order_id}: at the exchange, not in the ledger"
        for order_id, order in bench.account.orders.items()
        if order_id not in bench.account.open_orders and order.client_order_id not in bench.watch.own_ids
    )


async def stopped_clean(bench: Bench) -> None:
    """A clean stop leaves nothing resting."""
    bench.daemon.stop()
    await bench.ends()
    left = [
        order.client_order_id
        for order in bench.account.open_orders.values()
        if order.client_order_id in bench.watch.own_ids
    ]
    if left:
        raise DrillFailed(f"orders rest after a clean stop: {', '.join(left)}")
