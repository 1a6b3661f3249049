"""From a step of an exit to the order it sends."""

from __future__ import annotations

from src.core.book import OrderBook
from src.core.market import Market
from src.core.sides import to_book
from src.core.signal import OrderIntent, Purpose, TimeInForce, make_client_order_id, make_signal_id
from src.core.units import Nanos
from src.execution.exit_ladder import ExitStep
from src.execution.portfolio import Position


def exit_signal_id(position: Position, reason: str) -> str:
    """One identity for each time a position is held and each reason to leave it."""
    cause = f"exit:{position.ticker}:{position.opened_ts}:{reason}"
    return make_signal_id(position.strategy, cause, position.ticker, position.outcome)


def exit_intent(
    position: Position,
    reason: str,
    attempt: int,
    step: ExitStep,
    book: OrderBook,
    market: Market,
    now: Nanos,
    expires: Nanos | None,
) -> OrderIntent:
    """The order of a step. Selling the held outcome at s is buying the other one at 1 - s.

    Only an immediate order may be reduce-only at the venue; one that rests is post-only and ``expires``.
    """
    signal_id = exit_signal_id(position, reason)
    held_side, yes_price = to_book(position.outcome, step.price)
    return OrderIntent(
        client_order_id=make_client_order_id(signal_id, attempt),
        signal_id=signal_id,
        strategy=f"{position.strategy}:{reason}",
        ticker=position.ticker,
        event_ticker=position.event_ticker,
        side=held_side.other,
        price=yes_price,
        count=step.count,
        time_in_force=TimeInForce.GOOD_TILL_CANCELED if step.rests else TimeInForce.IMMEDIATE_OR_CANCEL,
        purpose=Purpose.EXIT,
        created_ts=now,
        trace_id=signal_id,
        attempt=attempt,
        post_only=step.rests,
        reduce_only=not step.rests,
        expiration_ts=expires,
        exchange_index=market.exchange_index,
        book_seq=book.seq,
        book_ts=book.ts,
    )
