"""Moving an account's cash between shards. It arrives at once; Kalshi's own takes a moment."""

from __future__ import annotations

from dataclasses import dataclass

from src.core.units import Cash, Nanos
from src.simulator import refusals
from src.simulator.account import Account
from src.simulator.outputs import CashMoved
from src.simulator.venue import Venue


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """``amount`` in 1e-6 dollars, positive. An empty client id is none."""

    amount: Cash
    source: int
    destination: int
    client_transfer_id: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer that was made."""

    ordinal: int
    transfer_id: str
    request: TransferRequest
    ts: Nanos


class Transfers:
    """Makes transfers and remembers them."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._made: dict[str, list[Transfer]] = {}

    def of(self, key_id: str) -> list[Transfer]:
        """An account's transfers, oldest first."""
        return self._made.get(key_id, [])

    def make(self, account: Account, request: TransferRequest) -> Transfer:
        """Move cash that no resting order may need. Raises ``OrderRefused``."""
        made = self._made.setdefault(account.key_id, [])
        if not self._venue.exchange_active:
            raise refusals.exchange_paused()
        if request.amount <= 0 or request.source == request.destination:
            raise refusals.invalid_order("a transfer needs a positive amount and two shards")
        known = {each.request.client_transfer_id for each in made} - {""}
        if request.client_transfer_id in known:
            raise refusals.duplicate_transfer_id()
        if not account.has_wallet(request.source):
            raise refusals.user_not_found()
        if account.wallet(request.source).free_cash < request.amount:
            raise refusals.insufficient_balance()
        account.wallet(request.source).cash -= request.amount
        account.wallet(request.destination).cash += request.amount
        account.updated_ts = self._venue.now
        transfer_id = self._venue.make_id(f"transfer|{account.key_id}|{len(made)}")
        transfer = Transfer(len(made), transfer_id, request, self._venue.now)
        made.append(transfer)
        self._venue.emit(CashMoved(account.key_id))
        return transfer
