"""Holding the ledger in Postgres against the exchange's own records, as anybody could read both."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from src.core.actions import OrderStatus
from src.core.units import DOLLAR_CASH, DOLLAR_PRICE, ONE_CONTRACT, SECOND
from src.database.ledger import Ledger
from src.database.store import PostgresStore
from src.execution.order_state import LIVE
from tests.e2e.plain_client import PlainClient

# These never reached the exchange, or we cannot know.
_NOT_THERE = {OrderStatus.REJECTED, OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN}


def read_ledger(database_url: str, schema: str) -> Ledger:
    """The ledger from its rows alone."""

    async def read() -> Ledger:
        store = await PostgresStore.open(database_url, schema)
        try:
            return await store.ledger()
        finally:
            await store.close()

    return asyncio.run(read())


def differences_after_stop(database_url: str, schema: str, client: PlainClient) -> list[str]:
    """``differences`` of a daemon that has ended, while the exchange's world goes on at its speed.

    What the exchange paid after the daemon's last look, by the mark it stored, is no difference.
    """

    async def read() -> int:
        store = await PostgresStore.open(database_url, schema)
        try:
            return int((await store.load()).values["records_read_until"])
        finally:
            await store.close()

    mark = datetime.fromtimestamp(asyncio.run(read()) // SECOND, UTC)
    ledger = read_ledger(database_url, schema)
    known = {paid.ticker for paid in ledger.settlements}

    def unread() -> dict[str, Decimal]:
        return {
            row["ticker"]: Decimal(row["revenue"]) / 100
            for row in client.settlements()
            if row["ticker"] not in known and datetime.fromisoformat(row["settled_time"]) >= mark
        }

    paid = unread()
    lines = differences(ledger, client, paid)
    while paid != (now := unread()):  # something was paid between the reads
        paid, lines = now, differences(ledger, client, now)
    return lines


def differences(
    ledger: Ledger, client: PlainClient, unread: Mapping[str, Decimal] | None = None
) -> list[str]:
    """What the two say differently about orders, fills, positions and cash. Empty when they agree.

    ``unread``: dollars that markets paid of which the ledger cannot know.
    """
    unread = unread or {}
    ours = {
        (
            order.order_id,
            order.intent.client_order_id,
            order.intent.ticker,
            order.intent.side.value,
            Decimal(order.intent.price) / DOLLAR_PRICE,
            Decimal(order.intent.count) / ONE_CONTRACT,
            Decimal(order.filled) / ONE_CONTRACT,
            order.status in LIVE,
        )
        for order in ledger.orders
        if order.order_id or order.status not in _NOT_THERE
    }
    theirs = {
        (
            row["order_id"],
            row["client_order_id"],
            row["ticker"],
            row["book_side"],
            Decimal(row["yes_price_dollars"]),
            Decimal(row["initial_count_fp"]),
            Decimal(row["fill_count_fp"]),
            row["status"] == "resting",
        )
        for row in client.orders()
    }
    lines = [f"order in the ledger only: {order}" for order in ours - theirs]
    lines += [f"order at the exchange only: {order}" for order in theirs - ours]
    our_fills = Counter(
        (
            fill.trade_id,
            fill.order_id,
            Decimal(fill.count) / ONE_CONTRACT,
            Decimal(fill.price) / DOLLAR_PRICE,
            Decimal(fill.fee) / DOLLAR_CASH,
        )
        for fill in ledger.fills
    )
    their_fills = Counter(
        (
            row["trade_id"],
            row["order_id"],
            Decimal(row["count_fp"]),
            Decimal(row["yes_price_dollars"]),
            Decimal(row["fee_cost"]),
        )
        for row in client.fills()
    )
    lines += [f"fill in the ledger only: {fill}" for fill in our_fills - their_fills]
    lines += [f"fill at the exchange only: {fill}" for fill in their_fills - our_fills]
    positions = client.positions()
    by_rows = {held.ticker: Decimal(held.count) / ONE_CONTRACT for held in ledger.positions if held.count}
    by_fills = {ticker: Decimal(count) / ONE_CONTRACT for ticker, count in ledger.counts.items() if count}
    if by_rows != by_fills or positions != _without(by_rows, unread):
        lines.append(f"positions: rows {by_rows}, fills {by_fills}, exchange {positions}")
    cash = None if ledger.cash is None else Decimal(ledger.cash) / DOLLAR_CASH + sum(unread.values())
    if cash != client.cash():
        lines.append(f"cash: ledger {cash}, exchange {client.cash()}")
    return lines


def _without(counts: Mapping[str, Decimal], tickers: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {ticker: count for ticker, count in counts.items() if ticker not in tickers}


def repeated_orders(ledger: Ledger, client: PlainClient) -> list[str]:
    """Anything that was sent twice: client order ids at the exchange, signals and attempts in the ledger."""
    seen = Counter(row["client_order_id"] for row in client.orders())
    seen.update(
        f"signal {order.intent.signal_id} attempt {order.intent.attempt}"
        for order in ledger.orders
        if not order.external
    )
    return [name for name, times in seen.items() if times > 1]
