"""The three-way tie-out: fills <-> positions <-> balance, to the last 1e-6 dollar. Pure.

It adds up the rows by arithmetic of its own, not the engine's, so that an error in either shows:

* fills and positions: signed contracts per market, ours and the exchange's, and per market the identity
  *cash that moved = profit realised - cost of what is open*, which holds exactly because costs are all-in;
* fills and balance: opening cash, fills, fees, payouts and external money add up to the exchange's balance;
* external money: deposits and interest are whole cents. Anything finer, booked as external because no fill
  explained it, is an error of somebody's arithmetic, and is named here although the sums agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.core.events import AccountReport
from src.core.units import CENT_PRICE, Cash, Count, Nanos, format_cash, format_count
from src.database.ledger import Ledger, trading_cash

CENT_CASH: Cash = CENT_PRICE * 100


@dataclass(frozen=True, slots=True)
class Difference:
    """Two of the three that differ. ``between``: e.g. ``"fills and balance"``; ``amount`` as text."""

    between: str
    what: str
    amount: str

    def __str__(self) -> str:
        return f"{self.between} differ: {self.what} by {self.amount}"


@dataclass(frozen=True, slots=True)
class TieOut:
    """The comparison of a moment. ``balance`` is None where there was no exchange to ask."""

    ts: Nanos
    day: str
    differences: tuple[Difference, ...]
    fills: int
    positions: int
    cash: Cash | None
    balance: Cash | None
    external_cash: Cash

    @property
    def agrees(self) -> bool:
        """Whether all that was compared agrees."""
        return not self.differences


def tie_out(ledger: Ledger, report: AccountReport | None, ts: Nanos, day: str) -> TieOut:
    """Compare the rows with each other and, given a report, with the exchange. ``day``: the trading day."""
    rows = {row.ticker: row.count for row in ledger.positions if row.count}
    differences = _contracts(dict(ledger.counts), rows, "fills and positions", "our rows")
    differences += _costs(ledger)
    if report is not None:
        theirs = {held.ticker: held.count for held in report.positions if held.count}
        differences += _contracts(dict(ledger.counts), theirs, "fills and positions", "the exchange")
        differences += _balance(ledger.cash, report.balance)
    finer = ledger.external_cash % CENT_CASH
    if finer:
        # The nearer of the two whole cents: an error of -1 centicent is not one of +99.
        finer = finer if finer * 2 <= CENT_CASH else finer - CENT_CASH
        what = "money no fill explains was booked as external, and no deposit or interest is that fine:"
        differences.append(Difference("fills and balance", what, f"{format_cash(finer)} $"))
    return TieOut(
        ts,
        day,
        tuple(differences),
        len(ledger.fills),
        len(rows),
        ledger.cash,
        None if report is None else report.balance,
        ledger.external_cash,
    )


def _contracts(
    fills: Mapping[str, Count], other: Mapping[str, Count], between: str, whose: str
) -> list[Difference]:
    return [
        Difference(
            between,
            f"{ticker}: fills leave {format_count(fills.get(ticker, 0))}, "
            f"{whose} say {format_count(other.get(ticker, 0))},",
            f"{format_count(other.get(ticker, 0) - fills.get(ticker, 0))} contracts",
        )
        for ticker in sorted(fills.keys() | other.keys())
        if fills.get(ticker, 0) != other.get(ticker, 0)
    ]


def _costs(ledger: Ledger) -> list[Difference]:
    """Per market: what moved in cash is what was realised less what is still bound."""
    differences = []
    for row in ledger.positions:
        if row.ticker in ledger.opened_with:
            continue  # its cost before the ledger began is the exchange's figure, not the sum of fills
        fills = [fill for fill in ledger.fills if fill.ticker == row.ticker]
        paid = [settlement for settlement in ledger.settlements if settlement.ticker == row.ticker]
        moved, booked = trading_cash(fills, paid, {}), row.realized - row.cost
        if moved != booked:
            what = (
                f"{row.ticker}: fills moved {format_cash(moved)} $, "
                f"the position's books say {format_cash(booked)} $,"
            )
            differences.append(Difference("fills and positions", what, f"{format_cash(booked - moved)} $"))
        fees = sum(fill.fee for fill in fills)
        if fees != row.fees:
            what = (
                f"{row.ticker}: fees of the fills {format_cash(fees)} $, "
                f"of the position {format_cash(row.fees)} $,"
            )
            differences.append(Difference("fills and positions", what, f"{format_cash(row.fees - fees)} $"))
    return differences


def _balance(cash: Cash | None, balance: Cash) -> list[Difference]:
    if cash is None or cash == balance:
        return []
    what = f"fills come to {format_cash(cash)} $, the exchange's balance is {format_cash(balance)} $,"
    return [Difference("fills and balance", what, f"{format_cash(balance - cash)} $")]


def tie_out_row(result: TieOut) -> dict[str, Any]:
    """A row of ``tie_outs``."""
    lines = [
        {"between": each.between, "what": each.what, "amount": each.amount} for each in result.differences
    ]
    return {
        "ts_ns": result.ts,
        "day": result.day,
        "differences": json.dumps(lines),
        "fills": result.fills,
        "positions": result.positions,
        "cash_e6": result.cash,
        "balance_e6": result.balance,
        "external_e6": result.external_cash,
    }
