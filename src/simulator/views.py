"""Accounts as the portfolio's REST views show them: as they are, or as they were a read lag ago."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from copy import copy
from typing import Protocol, TypeAlias

from src.core.units import Nanos
from src.simulator.account import Account
from src.simulator.exchange import Exchange
from src.simulator.outputs import (
    CashMoved,
    FillMade,
    OrderChange,
    Output,
    PositionChange,
    SettlementPaid,
)
from src.simulator.records import Position, SettlementRecord, VenueFill, VenueOrder
from src.simulator.wallets import Wallet


class AccountRecords(Protocol):
    """What the views read of an account."""

    orders: dict[str, VenueOrder]
    open_orders: dict[str, VenueOrder]
    fills: list[VenueFill]
    positions: dict[str, Position]
    settlements: list[SettlementRecord]
    wallets: dict[int, Wallet]
    updated_ts: Nanos


_Change: TypeAlias = VenueOrder | VenueFill | Position | SettlementRecord | dict[int, Wallet]


class _PastAccount:
    """An account as it was: changes wait until they may be seen."""

    def __init__(self, account: Account) -> None:
        self.orders: dict[str, VenueOrder] = {key: copy(each) for key, each in account.orders.items()}
        self.open_orders = {key: self.orders[key] for key in account.open_orders}
        self.fills = list(account.fills)
        self.positions = {key: copy(each) for key, each in account.positions.items()}
        self.settlements = list(account.settlements)
        self.wallets = _snapshot(account)
        self.updated_ts = account.updated_ts
        self._waiting: deque[tuple[Nanos, _Change]] = deque()

    def note(self, ts: Nanos, change: _Change) -> None:
        """Remember a change made at ``ts``; it must not change any more itself."""
        self._waiting.append((ts, change))

    def reach(self, ts: Nanos) -> None:
        """Let what happened by ``ts`` be seen."""
        while self._waiting and self._waiting[0][0] <= ts:
            self.updated_ts, change = self._waiting.popleft()
            if isinstance(change, VenueOrder):
                self.orders[change.order_id] = change
                if change.remaining:
                    self.open_orders[change.order_id] = change
                else:
                    self.open_orders.pop(change.order_id, None)
            elif isinstance(change, VenueFill):
                self.fills.append(change)
            elif isinstance(change, Position):
                self.positions[change.ticker] = change
            elif isinstance(change, SettlementRecord):
                self.settlements.append(change)
            else:
                self.wallets = change


class AccountViews:
    """All accounts, ``VenueRules.read_lag`` late (world time)."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._lag = exchange.rules.read_lag
        self._past: dict[str, _PastAccount] = {}
        if self._lag:
            self._past = {key_id: _PastAccount(each) for key_id, each in exchange.accounts.items()}
            exchange.subscribe(self._on_outputs)

    @property
    def as_of(self) -> Nanos:
        """How far the views have come."""
        return self._exchange.now - self._lag

    def of(self, key_id: str) -> AccountRecords:
        """An account's records as of ``as_of``. Raises ``KeyError``."""
        account = self._exchange.account(key_id)
        if not self._lag:
            return account
        past = self._past_of(account)
        past.reach(self.as_of)
        return past

    def _past_of(self, account: Account) -> _PastAccount:
        past = self._past.get(account.key_id)
        if past is None:
            past = self._past[account.key_id] = _PastAccount(account)
        return past

    def _on_outputs(self, outputs: Sequence[Output]) -> None:
        now, moved = self._exchange.now, set()
        for output in outputs:
            change: _Change | None = None
            if isinstance(output, FillMade):
                change = output.fill
            elif isinstance(output, OrderChange):
                change = copy(output.order)
            elif isinstance(output, PositionChange):
                change = copy(output.position)
            elif isinstance(output, SettlementPaid):
                change = output.settlement
            elif not isinstance(output, CashMoved):
                continue
            past = self._past_of(self._exchange.account(output.key_id))
            moved.add(output.key_id)
            if change is not None:
                past.note(now, change)
        for key_id in sorted(moved):
            self._past[key_id].note(now, _snapshot(self._exchange.account(key_id)))


def _snapshot(account: Account) -> dict[int, Wallet]:
    made = {index: Wallet(each.cash) for index, each in account.wallets.items()}
    for index, each in account.wallets.items():
        made[index].collateral.total = each.collateral.total
    return made
