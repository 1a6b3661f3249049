"""How much of each bracket of an event to hold, from what a strategy thinks of all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from src.core.sides import Outcome
from src.core.units import DOLLAR_CASH, ONE_CONTRACT
from src.execution.joint_sizing import Holding, Leg, joint_targets
from src.execution.kelly import all_in_cost
from src.execution.limits import EntryPolicy, ExecutionStyle, RiskLimits
from src.execution.maker import maker_price
from src.execution.market_state import MarketState
from src.execution.risk_context import RiskContext

FairYes = Callable[[str, str], float | None]


def event_targets(
    contexts: Sequence[RiskContext],
    markets: MarketState,
    limits: RiskLimits,
    fair_yes: FairYes,
    entries: Mapping[str, EntryPolicy],
) -> dict[str, float]:
    """Contracts to hold in the end, by signal id, for signals of one event that passed the gates.

    A leg costs what its strategy (``entries``) would pay: the best offer, or the price it would rest at.
    Empty where one bracket alone is concerned, or where nobody knows the chances of all brackets: each
    is then sized by itself. Every signal with an edge takes part; holdings and orders in the event count.
    """
    if not contexts:
        return {}
    event_ticker = contexts[0].signal.event_ticker
    ladder = markets.exclusive_ladder(event_ticker) or ()
    legs = {
        c.signal.ticker: (c, leg)
        for c in reversed(contexts)
        if (leg := _leg(c, limits, entries.get(c.signal.strategy, EntryPolicy()))) is not None
    }
    holdings = _holdings(contexts[0], event_ticker, {ticker: leg for ticker, (_, leg) in legs.items()})
    if not legs or len(legs) + len(holdings) < 2:
        return {}
    chances = _chances(contexts, ladder, fair_yes)
    if chances is None:
        return {}
    wealth = contexts[0].control.kelly_fraction * max(0, contexts[0].equity) / DOLLAR_CASH
    wanted = joint_targets(chances, [leg for _, leg in legs.values()], holdings, wealth)
    return {c.signal.signal_id: target for (c, _), target in zip(legs.values(), wanted, strict=True)}


def _leg(c: RiskContext, limits: RiskLimits, policy: EntryPolicy) -> Leg | None:
    """The signal's outcome at the price it would be bought at, if that leaves the edge asked for."""
    if c.market is None or c.book is None:
        return None
    signal, fees = c.signal, c.market.fees
    least, takes = max(limits.min_edge, signal.min_edge), policy.style is ExecutionStyle.TAKER
    if takes:
        offers = c.book.offers(signal.outcome, 1)
        price = offers[0][0] if offers else None
    else:
        price = maker_price(signal.probability, signal.outcome, c.book, fees, least)
    if price is None:
        return None
    cost = all_in_cost(price, fees, is_taker=takes)
    edge = signal.probability - cost
    if not 0.0 < cost < 1.0 or edge <= 0.0 or edge < least:
        return None
    return Leg(signal.ticker, signal.outcome is Outcome.YES, cost, abs(c.held) / ONE_CONTRACT)


def _holdings(c: RiskContext, event_ticker: str, legs: dict[str, Leg]) -> list[Holding]:
    """What is held or ordered in the event beside the legs, at what it cost. Orders count as filled."""
    found = []
    for line in c.exposure.lines:
        if line.place.event_ticker != event_ticker or line.ticker in legs:
            continue
        contracts = (line.count or line.ordered) / ONE_CONTRACT
        if contracts > 0.0:
            found.append(Holding(line.ticker, line.is_yes, contracts, line.cost / DOLLAR_CASH / contracts))
    return found


def _chances(
    contexts: Sequence[RiskContext], ladder: Sequence[str], fair_yes: FairYes
) -> dict[str, float] | None:
    """Probability of each bracket: the signals' own, the strategy's of the others. None if one is missing."""
    said = {
        c.signal.ticker: c.signal.probability
        if c.signal.outcome is Outcome.YES
        else 1.0 - c.signal.probability
        for c in contexts
    }
    chances: dict[str, float] = {}
    for ticker in ladder:
        chance = said.get(ticker)
        if chance is None:
            chance = fair_yes(contexts[0].signal.strategy, ticker)
        if chance is None or not 0.0 <= chance <= 1.0:
            return None
        chances[ticker] = chance
    return chances if sum(chances.values()) > 0.0 else None
