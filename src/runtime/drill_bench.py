"""What a drill does on its stage: speak, wait for verdicts, look at the exchange's own books."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from src.core.events import Command, CommandKind
from src.core.sides import BookSide
from src.runtime.drill_stage import PATIENCE_S, POLL_S, DrillFailed, Stage
from src.runtime.drill_world import TICKERS
from src.simulator.account import Account
from src.simulator.faults import FaultRule, When

# Gates that close because of a fault, not because of what the user allows.
_OF_FAULTS = frozenset(
    {
        "trading_state",
        "account_unknown",
        "account_stale",
        "exchange_status",
        "exchange_status_unknown",
        "clock_unknown",
        "equity_unknown",
        "no_valid_book",
        "book_one_sided",
        "feed_lag",
        "market_closed",
    }
)


class Bench(Stage):
    """A stage on which the strategy speaks on command."""

    @property
    def other_ticker(self) -> str:
        """A market that no drill holds before it asks for one."""
        return TICKERS[-1]

    def fault(self, name: str, when: When | None = None, **parameters: object) -> None:
        """From now on this goes wrong."""
        self.plan.add(FaultRule(name, when or When(), parameters))

    def command(self, kind: CommandKind, why: str = "drill") -> None:
        """Say something to the daemon."""
        self.daemon.inject(Command(kind, "drill", why, self.clock.now()))

    async def say(self, ticker: str = TICKERS[0]) -> str:
        """Let the strategy speak once; returns the verdict: "approved" or the gate that refused."""
        signal_id = self.strategy.say(ticker)
        await self.until(lambda: signal_id in self.watch.verdicts, f"a verdict on {ticker}")
        return self.watch.verdicts[signal_id]

    async def enter(self, ticker: str = TICKERS[0]) -> None:
        """An entry that must be approved (once a slow machine lets it), and wait until its order is over."""
        verdict = await self._not_by_faults(ticker)
        if verdict != "approved":
            raise DrillFailed(f"your limits refuse the drill's entry in {ticker}: {verdict}")
        await self.until(self.nothing_live, f"the end of the order in {ticker}")

    async def possible_again(self) -> None:
        """Speak until nothing of the fault refuses any more; the user's own limits still may."""
        await self._not_by_faults(self.other_ticker)
        await self.until(self.nothing_live, "the end of the order")

    async def _not_by_faults(self, ticker: str) -> str:
        limit = time.monotonic() + PATIENCE_S
        while (verdict := await self.say(ticker)) in _OF_FAULTS:
            if time.monotonic() > limit:
                raise DrillFailed(f"entries do not come back: {verdict}")
            await asyncio.sleep(POLL_S)
        return verdict

    def account_is_old(self) -> bool:
        """Whether the account was last read longer ago than the limits allow."""
        read = self.engine.ledger.report_ts
        return read is None or self.clock.now() - read > self.limits.max_account_age

    async def refused(self, *gates: str, ticker: str = TICKERS[0]) -> str:
        """Speak until one of ``gates`` refuses; nothing may be approved for long. Returns the gate."""
        limit = time.monotonic() + PATIENCE_S
        verdict = ""
        while verdict not in gates:
            if time.monotonic() > limit:
                raise DrillFailed(f"entries were {verdict}, expected a refusal by {' or '.join(gates)}")
            verdict = await self.say(ticker)
            await asyncio.sleep(POLL_S)
        return verdict

    def nothing_live(self) -> bool:
        """No order of ours whose end or fills are still to come."""
        live = self.engine.ledger.orders.live()
        return not self.daemon.executor.in_flight and all(order.external for order in live)

    @property
    def account(self) -> Account:
        """The exchange's own books of our account."""
        return self.service.exchange.account(self.service.key_id)

    def venue_orders(self) -> Counter[str]:
        """How many orders the exchange has under each client order id of ours."""
        return Counter(
            order.client_order_id
            for order in self.account.orders.values()
            if order.client_order_id in self.watch.own_ids
        )

    def books_equal(self) -> bool:
        """Whether every book we vouch for is the exchange's."""
        return all(self._book_equal(ticker) for ticker in TICKERS)

    def _book_equal(self, ticker: str) -> bool:
        ours, theirs = self.engine.book(ticker), self.service.exchange.book(ticker)
        return ours is not None and all(
            sorted(ours.levels(side)) == sorted(theirs.levels(side)) for side in BookSide
        )
