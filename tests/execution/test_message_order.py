"""However the exchange's messages are ordered, doubled or lost, the account ends in the same state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import tests.execution.builders as b
from src.core.actions import OrderStatus, StoredState, TradingState
from src.core.events import (
    AccountReport,
    Event,
    FeedUp,
    MarketUpdate,
    OrderAccepted,
    OrderUnknown,
    Tick,
    VenuePosition,
)
from src.core.sides import BookSide
from src.core.signal import OrderIntent, TimeInForce
from src.core.units import DAY, DOLLAR_CASH, MINUTE, SECOND, Nanos
from src.execution.engine import Engine
from src.execution.limits import ReconcilePolicy, RiskLimits
from src.simulator.exchange import Exchange
from src.simulator.outputs import FillMade, OrderChange, Output
from src.simulator.paper_records import fill_event, order_update, settlement_event
from src.simulator.records import order_from
from src.simulator.world import CrowdQuote, CrowdTake, ListEvent

KEY = "account"
CASH = 1_000 * DOLLAR_CASH
TICKERS = tuple(f"{b.EVENT}-B{50 + 2 * n}.5" for n in range(3))
LATER: Nanos = b.NOW + 5 * MINUTE


@dataclass(frozen=True)
class Trace:
    """What one run of the exchange said, and the account it left."""

    intents: tuple[OrderIntent, ...]
    answers: tuple[OrderAccepted, ...]
    frames: tuple[Event, ...]
    report: AccountReport


def _engine(seed: int) -> tuple[Engine, tuple[OrderIntent, ...]]:
    """An engine that has just approved an order in each market; half of them rest."""
    strategy = b.Scripted()
    strategy.fair = 0.99  # stands behind what rests, so that only the exchange ends orders
    limits = RiskLimits(min_edge=0.02, max_portfolio_heat=1.0, depth_share=1.0)
    engine = Engine([strategy], limits, ReconcilePolicy(), {})
    dice, make = Random(seed), engine.entry_desk._entry

    def entry(*args: Any) -> OrderIntent:
        kind = dice.choice((TimeInForce.GOOD_TILL_CANCELED, TimeInForce.IMMEDIATE_OR_CANCEL))
        until = b.NOW + DAY if kind is TimeInForce.GOOD_TILL_CANCELED else None
        return replace(make(*args), time_in_force=kind, expiration_ts=until)

    engine.entry_desk._entry = entry  # type: ignore[method-assign]
    engine.start(StoredState(), b.NOW)
    engine.handle(FeedUp("market", b.NOW))
    engine.handle(b.report(balance=CASH))
    approved = []
    for ticker in TICKERS:
        engine.handle(MarketUpdate(b.market(ticker), b.NOW))
        engine.handle(b.snapshot(5_000, 5_200, ticker=ticker))
    for ticker in TICKERS:
        strategy.next = [b.signal(ticker=ticker, cause=f"{seed}")]
        approved += b.approvals(engine.handle(Tick(b.NOW)))
    return engine, tuple(order.intent for order in approved)


@cache
def _trace(seed: int) -> Trace:
    """The exchange gets the orders, the crowd trades with what rests, some of it is cancelled."""
    _, intents = _engine(seed)
    dice = Random(f"trace:{seed}")
    exchange = Exchange(seed=seed, start=b.NOW)
    account = exchange.add_account(KEY, CASH)
    frames: list[Event] = []

    def listen(outputs: Sequence[Output]) -> None:
        for output in outputs:
            match output:
                case FillMade(fill=fill):
                    frames.append(fill_event(fill, b.NOW + SECOND))
                case OrderChange(order=order):
                    frames.append(order_update(order, b.NOW + SECOND))

    exchange.subscribe(listen)
    exchange.apply(ListEvent(b.NOW, b.EVENT, "KXHIGHNY", "trace", tuple(map(b.market, TICKERS))))
    answers = []
    for number, intent in enumerate(intents):
        exchange.advance(b.NOW + (number + 1) * SECOND)
        size = dice.randint(1, 2 * intent.count)
        exchange.apply(CrowdQuote(exchange.now, intent.ticker, ((5_000, 900),), ((5_200, size),)))
        order = exchange.create(KEY, order_from(intent))
        answers.append(
            OrderAccepted(
                intent.client_order_id, order.order_id, order.filled, order.remaining, exchange.now, b.NOW
            )
        )
    for step in range(6):
        exchange.advance(b.NOW + (10 + step) * SECOND)
        resting = list(account.open_orders.values())
        if not resting:
            break
        order = dice.choice(resting)
        if dice.random() < 0.3:
            exchange.cancel(KEY, order.order_id)
        else:
            take = CrowdTake(exchange.now, order.ticker, BookSide.ASK, 100, dice.randint(1, order.remaining))
            exchange.apply(take)
    positions = [
        VenuePosition(held.ticker, held.count, held.cost, held.realized, held.fees)
        for held in account.positions.values()
    ]
    report = AccountReport(
        orders=tuple(order_update(order, LATER) for order in account.orders.values()),
        fills=tuple(fill_event(fill, LATER) for fill in account.fills),
        settlements=tuple(settlement_event(paid, LATER) for paid in account.settlements),
        positions=tuple(positions),
        balance=account.cash,
        started_ts=LATER,
        as_of=LATER,
        ts_recv=LATER,
        at_once=True,
    )
    return Trace(intents, tuple(answers), tuple(frames), report)


def _state(engine: Engine) -> object:
    """Everything about money and orders that later decisions depend on."""
    orders = {
        order.intent.client_order_id: (order.status, order.filled, order.reserved, order.order_id)
        for order in engine.ledger.orders
    }
    portfolio = engine.ledger.portfolio
    held = {ticker: portfolio.count(ticker) for ticker in TICKERS}
    cost = {position.ticker: position.cost for position in portfolio.open_positions()}
    return orders, held, cost, portfolio.cash, engine.ledger.external_cash, engine.control.state


def _after(seed: int, messages: Sequence[Event]) -> object:
    """The state after these messages and two whole reports, as the daemon would read them."""
    engine, intents = _engine(seed)
    assert intents == _trace(seed).intents
    for message in messages:
        engine.handle(message)
    for wait in range(2):
        ts = LATER + wait * MINUTE
        engine.handle(replace(_trace(seed).report, started_ts=ts, as_of=ts, ts_recv=ts))
    return _state(engine)


seeds = st.integers(0, 30)


@st.composite
def scrambled(draw: Callable[..., Any]) -> tuple[int, list[Event]]:
    """A trace's messages in any order: each frame none to three times, each answer once or never."""
    seed = draw(seeds)
    trace = _trace(seed)
    answers: list[Event] = [
        OrderUnknown(answer.client_order_id, "timeout", b.NOW) if draw(st.booleans()) else answer
        for answer in trace.answers
    ]
    copies = draw(st.lists(st.integers(0, 3), min_size=len(trace.frames), max_size=len(trace.frames)))
    frames = [frame for frame, times in zip(trace.frames, copies, strict=True) for _ in range(times)]
    return seed, draw(st.permutations([*answers, *frames]))


@given(scrambled())
@settings(max_examples=300)
def test_any_order_doubling_and_loss_of_messages_ends_in_the_same_state(
    case: tuple[int, list[Event]],
) -> None:
    """Orders, reserves, positions, cost, cash and the trading state are those of the undisturbed run."""
    seed, messages = case
    trace = _trace(seed)
    undisturbed = _after(seed, [*trace.answers, *trace.frames])
    assert _after(seed, messages) == undisturbed


@given(seeds)
@settings(max_examples=31)
def test_the_undisturbed_run_is_the_exchanges_account(seed: int) -> None:
    """What the property above compares with is right: cash, positions and ends are the exchange's, ACTIVE."""
    trace = _trace(seed)
    orders, held, _, cash, external, state = _after(seed, [*trace.answers, *trace.frames])  # type: ignore[misc]
    assert cash == trace.report.balance
    assert external == 0
    assert state is TradingState.ACTIVE
    theirs = {position.ticker: position.count for position in trace.report.positions}
    assert held == {ticker: theirs.get(ticker, 0) for ticker in TICKERS}
    live = {update.client_order_id for update in trace.report.orders if update.remaining}
    at_rest = {OrderStatus.RESTING, OrderStatus.PARTIALLY_FILLED}
    assert {cid for cid, (status, *_) in orders.items() if status in at_rest} == live
