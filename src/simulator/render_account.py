"""An account's records as Kalshi's JSON (REST)."""

from __future__ import annotations

from collections.abc import Sequence

from src.core.sides import BookSide
from src.core.units import (
    CENT_PRICE,
    DOLLAR_CASH,
    DOLLAR_PRICE,
    SECOND,
    Cash,
    format_cash,
    format_count,
    format_price,
)
from src.simulator.exchange import Exchange
from src.simulator.records import Position, SettlementRecord, VenueFill, VenueOrder
from src.simulator.render import Json, no_price, outcome_of, rfc3339
from src.simulator.transfers import Transfer
from src.simulator.views import AccountRecords

_CENT = DOLLAR_CASH // 100


def order(held: VenueOrder) -> Json:
    """``Order``."""
    request = held.request
    expires = request.expiration_ts
    outcome = outcome_of(held.side)
    return {
        "order_id": held.order_id,
        "user_id": held.user_id,
        "client_order_id": held.client_order_id,
        "ticker": held.ticker,
        "outcome_side": outcome,
        "book_side": held.side.value,
        **_deprecated_direction(outcome),
        "type": "limit",
        "status": held.status.value,
        "yes_price_dollars": format_price(held.price),
        "no_price_dollars": no_price(held.price),
        "initial_count_fp": format_count(held.count),
        "fill_count_fp": format_count(held.filled),
        "remaining_count_fp": format_count(held.remaining),
        "taker_fill_cost_dollars": format_cash(held.taker_cost),
        "maker_fill_cost_dollars": format_cash(held.maker_cost),
        "taker_fees_dollars": format_cash(held.taker_fees),
        "maker_fees_dollars": format_cash(held.maker_fees),
        "expiration_time": rfc3339(expires) if expires is not None else None,
        "created_time": rfc3339(held.created_ts),
        "last_update_time": rfc3339(held.updated_ts),
        "self_trade_prevention_type": request.self_trade_prevention.value,
        "order_group_id": request.order_group_id or None,
        "cancel_order_on_pause": request.cancel_on_pause,
        "subaccount_number": 0,
        "exchange_index": held.exchange_index,
    }


def _deprecated_direction(outcome: str) -> Json:
    """The outcome as older clients read it: whatever is done, is the buying of one of the two."""
    return {"side": outcome, "action": "buy"}


def fill(made: VenueFill) -> Json:
    """``Fill`` (REST fills carry no client order id)."""
    outcome = outcome_of(made.side)
    return {
        "fill_id": made.trade_id,
        "trade_id": made.trade_id,
        "order_id": made.order_id,
        "ticker": made.ticker,
        "market_ticker": made.ticker,
        "outcome_side": outcome,
        "book_side": made.side.value,
        **_deprecated_direction(outcome),
        "count_fp": format_count(made.count),
        "yes_price_dollars": format_price(made.price),
        "no_price_dollars": no_price(made.price),
        "is_taker": made.is_taker,
        "created_time": rfc3339(made.ts),
        "fee_cost": format_cash(made.fee),
        "exchange_index": made.exchange_index,
        "subaccount_number": 0,
    }


def position(held: Position) -> Json:
    """``MarketPosition``."""
    return {
        "ticker": held.ticker,
        "exchange_index": held.exchange_index,
        "total_traded_dollars": format_cash(held.traded),
        "position_fp": format_count(held.count),
        "market_exposure_dollars": format_cash(held.cost),
        "realized_pnl_dollars": format_cash(held.realized),
        "fees_paid_dollars": format_cash(held.fees),
        "last_updated_ts": rfc3339(held.updated_ts),
    }


def event_position(event_ticker: str, held: Sequence[Position]) -> Json:
    """``EventPosition``: the sums over an event's market positions."""
    return {
        "event_ticker": event_ticker,
        "total_cost_dollars": format_cash(sum(each.traded for each in held)),
        "total_cost_shares_fp": format_count(sum(each.volume for each in held)),
        "event_exposure_dollars": format_cash(sum(each.cost for each in held)),
        "realized_pnl_dollars": format_cash(sum(each.realized for each in held)),
        "fees_paid_dollars": format_cash(sum(each.fees for each in held)),
    }


def settlement(paid: SettlementRecord) -> Json:
    """``Settlement``: ``revenue`` and ``value`` are whole cents."""
    return {
        "ticker": paid.ticker,
        "event_ticker": paid.event_ticker,
        "exchange_index": paid.exchange_index,
        "market_result": paid.result,
        "yes_count_fp": format_count(paid.yes_count),
        "yes_total_cost_dollars": format_cash(paid.yes_cost),
        "no_count_fp": format_count(paid.no_count),
        "no_total_cost_dollars": format_cash(paid.no_cost),
        "revenue": paid.revenue // _CENT,
        "value": paid.value // CENT_PRICE,
        "settled_time": rfc3339(paid.ts),
        "fee_cost": format_cash(paid.fees),
    }


def portfolio_value(exchange: Exchange, account: AccountRecords, shard: int | None) -> Cash:
    """What the open positions would fetch at the touch (nothing where nobody bids)."""
    total = 0
    for held in account.positions.values():
        if not held.count or shard not in (None, held.exchange_index):
            continue
        book = exchange.book(held.ticker)
        if held.count > 0:
            total += held.count * (book.best(BookSide.BID) or 0)
        else:
            ask = book.best(BookSide.ASK)
            total += -held.count * (DOLLAR_PRICE - ask if ask is not None else 0)
    return total


def balance(exchange: Exchange, account: AccountRecords, shard: int | None) -> Json:
    """``GetBalanceResponse`` of one shard, or (None) of all."""
    deducts = exchange.rules.balance_deducts_resting
    cash = {
        index: wallet.free_cash if deducts else wallet.cash
        for index, wallet in sorted(account.wallets.items())
    }
    total = sum(cash.values()) if shard is None else cash.get(shard, 0)
    return {
        "balance": total // _CENT,
        "balance_dollars": format_cash(total),
        "portfolio_value": portfolio_value(exchange, account, shard) // _CENT,
        "updated_ts": account.updated_ts // SECOND,
        "balance_breakdown": [
            {"exchange_index": index, "balance": format_cash(each)} for index, each in cash.items()
        ],
    }


def subaccount_balances(exchange: Exchange, account: AccountRecords) -> Json:
    """``GetSubaccountBalancesResponse``: the primary account's, shard by shard."""
    return {
        "subaccount_balances": [
            {"subaccount_number": 0, **each, "updated_ts": account.updated_ts // SECOND}
            for each in balance(exchange, account, None)["balance_breakdown"]
        ]
    }


def transfer(made: Transfer) -> Json:
    """``IntraExchangeInstanceTransfer``."""
    request = made.request
    body: Json = {
        "transfer_id": made.transfer_id,
        "source": "event_contract",
        "destination": "event_contract",
        "source_exchange_shard": request.source,
        "destination_exchange_shard": request.destination,
        "amount": format_cash(request.amount),
        "status": "complete",
        "created_ts": made.ts // SECOND,
    }
    if request.client_transfer_id:
        body["client_transfer_id"] = request.client_transfer_id
    return body
