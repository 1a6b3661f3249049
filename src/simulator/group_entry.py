"""What accounts do with their order groups."""

from __future__ import annotations

from src.core.units import ONE_CONTRACT, Count
from src.simulator import refusals
from src.simulator.account import Account
from src.simulator.groups import OrderGroup
from src.simulator.outputs import GroupChange, GroupStep
from src.simulator.trading import Trading
from src.simulator.venue import Venue

MOST_CONTRACTS: Count = 1_000_000 * ONE_CONTRACT


class GroupEntry:
    """Creates, resets, triggers, limits and deletes order groups. Raises ``OrderRefused``."""

    def __init__(self, venue: Venue, trading: Trading) -> None:
        self._venue = venue
        self._trading = trading

    def create(self, account: Account, limit: Count, exchange_index: int) -> OrderGroup:
        """Open a group on a shard."""
        _check_limit(limit)
        venue = self._venue
        group = OrderGroup(venue.make_id(f"group|{venue.group_count}"), limit, exchange_index)
        venue.group_count += 1
        account.groups[group.group_id] = group
        self._announce(account, group, GroupStep.CREATED)
        return group

    def reset(self, account: Account, group_id: str) -> None:
        """Start counting again and accept orders again."""
        group = self._group(account, group_id)
        group.reset()
        self._announce(account, group, GroupStep.RESET)

    def trigger(self, account: Account, group_id: str) -> None:
        """Cancel the group's orders and refuse new ones until a reset."""
        self._trading.trigger(account, self._group(account, group_id))

    def set_limit(self, account: Account, group_id: str, limit: Count) -> None:
        """Change the limit; the group triggers when what is matched reaches it already."""
        _check_limit(limit)
        group = self._group(account, group_id)
        group.limit = limit
        self._announce(account, group, GroupStep.LIMIT_UPDATED)
        if not group.is_triggered and group.is_over(self._venue.now):
            self._trading.trigger(account, group)

    def delete(self, account: Account, group_id: str) -> None:
        """Cancel the group's orders and forget the group."""
        group = self._group(account, group_id)
        self._trading.cancel_group(account, group)
        del account.groups[group_id]
        self._announce(account, group, GroupStep.DELETED)

    def _group(self, account: Account, group_id: str) -> OrderGroup:
        if not self._venue.exchange_active:
            raise refusals.exchange_paused()
        group = account.groups.get(group_id)
        if group is None:
            raise refusals.group_not_found()
        return group

    def _announce(self, account: Account, group: OrderGroup, step: GroupStep) -> None:
        self._venue.emit(GroupChange(account.key_id, group.group_id, step, group.limit, self._venue.now))


def _check_limit(limit: Count) -> None:
    if not ONE_CONTRACT <= limit <= MOST_CONTRACTS:
        raise refusals.invalid_size("contracts_limit must be from 1 to 1,000,000")
