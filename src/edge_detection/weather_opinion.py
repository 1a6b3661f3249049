"""One complete look at a daily-high event, and what can be bought below its worth according to it."""

from __future__ import annotations

from dataclasses import dataclass

from src.core.events import ForecastUpdate
from src.core.market import Market
from src.core.ports import MarketView
from src.core.sides import Outcome
from src.core.signal import Signal, make_signal_id
from src.core.stations import Station
from src.core.units import DOLLAR_PRICE, Nanos, Price
from src.edge_detection.ladder import MarketConsensus, PooledLadder
from src.edge_detection.weather_estimator import Estimate

NAME = "weather_model"
_LEAST_EDGE = 0.03
_EDGE_STD_ERRORS = 1.5


@dataclass(frozen=True, slots=True)
class Opinion:
    """Everything a signal needs, and what exits may ask later. ``ladder`` and ``pool`` share their order."""

    event_ticker: str
    station: Station
    day: str
    day_start: Nanos
    forecast: ForecastUpdate
    estimate: Estimate
    ladder: tuple[Market, ...]
    consensus: MarketConsensus
    pool: PooledLadder

    def probability(self, ticker: str) -> float | None:
        """Pooled probability of YES of a market of the event."""
        for market, probability in zip(self.ladder, self.pool.pooled, strict=True):
            if market.ticker == ticker:
                return probability
        return None


def edges(view: MarketView, opinion: Opinion, min_edge: float) -> list[tuple[float, Signal]]:
    """(edge, signal) of each outcome on offer for less than its worth, best first.

    The edge is dollars per contract at the best offer after the limit taker fee; it must reach
    ``min_edge``, 3 cents, and 1.5 standard errors of the pooled probability. Only markets with a
    two-sided book take part: where one side is empty the market's own probability is a guess.
    """
    found: list[tuple[float, Signal]] = []
    for index, market in enumerate(opinion.ladder):
        book = view.book(market.ticker)
        if book is None or not book.is_two_sided:
            continue
        fee = market.fees.coefficient(is_taker=True)
        required = max(min_edge, _LEAST_EDGE, _EDGE_STD_ERRORS * opinion.pool.std_error[index])
        for outcome in Outcome:
            pooled = opinion.pool.pooled[index]
            probability = pooled if outcome is Outcome.YES else 1.0 - pooled
            offer = book.offers(outcome, 1)[0][0]
            price = offer / DOLLAR_PRICE
            edge = probability - price - fee * price * (1.0 - price)
            if edge >= required:
                found.append((edge, _signal(view.now, opinion, index, outcome, required, offer)))
    return sorted(found, key=lambda pair: (-pair[0], pair[1].ticker, pair[1].outcome.value))


def _signal(
    now: Nanos, opinion: Opinion, index: int, outcome: Outcome, required: float, offer: Price
) -> Signal:
    market, forecast, estimate, pool = opinion.ladder[index], opinion.forecast, opinion.estimate, opinion.pool
    pooled = pool.pooled[index]
    return Signal(
        signal_id=make_signal_id(NAME, forecast.cause_id, market.ticker, outcome),
        strategy=NAME,
        ticker=market.ticker,
        event_ticker=opinion.event_ticker,
        outcome=outcome,
        probability=pooled if outcome is Outcome.YES else 1.0 - pooled,
        std_error=pool.std_error[index],
        min_edge=required,
        cause_id=forecast.cause_id,
        cause_ts=forecast.ts_recv,
        ts=now,
        details={
            "forecast_f": forecast.tmax_f,
            "bias": estimate.bias,
            "mu": estimate.mu,
            "sigma": estimate.sigma,
            "n_history": float(estimate.n_history),
            "mu_market": opinion.consensus.mu,
            "sigma_market": opinion.consensus.sigma,
            "p_model": pool.model[index],
            "q_market": pool.market[index],
            "pooled": pooled,
            "offer": offer / DOLLAR_PRICE,
        },
        quoted=offer,
        is_pooled=True,
    )
