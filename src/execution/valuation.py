"""What the account is worth now: cash plus what the open positions would fetch on the bids, after fees."""

from __future__ import annotations

from src.core.actions import AccountMarked
from src.core.units import Cash, Count, Nanos
from src.execution.exits import bids_of_others, liquidation_value
from src.execution.ledger import Ledger
from src.execution.market_state import MarketState
from src.execution.portfolio import Position
from src.execution.trading_state import TradingControl


class Valuation:
    """Marks the open positions; a book in doubt leaves its last mark standing."""

    def __init__(self, ledger: Ledger, markets: MarketState) -> None:
        self._ledger = ledger
        self._markets = markets
        self._last: dict[str, tuple[Count, Cash]] = {}

    def liquidation(self) -> Cash:
        """What selling every open position into the bids now would bring, after fees."""
        return sum([self._value(position) for position in self._ledger.portfolio.open_positions()])

    def equity(self) -> Cash:
        """Cash plus liquidation value."""
        return self._ledger.portfolio.cash + self.liquidation()

    def is_known(self, now: Nanos) -> bool:
        """Whether every position in a market that is open has been valued from a book at least once.

        A market that nobody described (the owner's own, in a series that is not watched) never gets a book:
        such a position is carried at cost.
        """
        for position in self._ledger.portfolio.open_positions():
            ticker = position.ticker
            if ticker in self._last:
                continue
            market = self._markets.market(ticker)
            if market is not None and market.is_open(now) and self._markets.book(ticker) is None:
                return False
        return True

    def mark(self, equity: Cash, control: TradingControl, now: Nanos) -> AccountMarked:
        """The account as a record, at the ``equity`` that the loss limits were held against."""
        portfolio = self._ledger.portfolio
        return AccountMarked(
            cash=portfolio.cash,
            liquidation=equity - portfolio.cash,
            at_risk=portfolio.at_risk() + self._ledger.orders.reserved(),
            open_positions=portfolio.open_count,
            day=control.equity.day,
            day_pnl=control.equity.day_pnl,
            ts=now,
        )

    def _value(self, position: Position) -> Cash:
        ticker = position.ticker
        book = self._markets.book(ticker)
        if book is not None and book.is_sound:
            fees = self._markets.fees(ticker)
            bids = bids_of_others(book, position.outcome, self._ledger.orders)
            value, _ = liquidation_value(bids, position.size, fees)
            self._last[ticker] = (position.count, value)
        count, value = self._last.get(ticker, (0, 0))
        # Without a mark of just this position it is carried at cost: unknown is not worthless.
        return value if count == position.count else position.cost
