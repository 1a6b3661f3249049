"""I3 for every cap and I5 for losses over time, computed from the venue's truth by rules of their own."""

from __future__ import annotations

from collections.abc import Sequence

from src.core.actions import AccountMarked, AuditRecord, ControlValue
from src.core.signal import OrderIntent
from src.core.units import DOLLAR_PRICE, Cash
from tests.simulation.sim_venue import SimVenue
from tests.simulation.stage import Stage


class Concentration:
    """All markets of a world are one event of one city, category, strategy and group: each cap binds all."""

    def __init__(self, stage: Stage, venue: SimVenue) -> None:
        self._stage = stage
        self._venue = venue
        self._caps: dict[str, tuple[dict[str, Cash], int]] = {}
        self.exits = 0

    def approved(self, intent: OrderIntent, equity: Cash) -> None:
        """Remember what the caps were worth when the order was approved."""
        limits = self._stage.plan.limits
        shares = {
            "event": limits.max_event,
            "city": limits.max_city,
            "region": limits.max_region,
            "category": limits.max_category,
            "strategy": limits.max_strategy,
            "group": limits.groups[0].max_share,
            "heat": limits.max_portfolio_heat,
        }
        caps = {name: int(share * equity) for name, share in shares.items()}
        self._caps[intent.client_order_id] = caps, self.exits

    def entry_leaves(self, intent: OrderIntent, working: Sequence[tuple[OrderIntent, Cash]]) -> None:
        """What the venue holds for us and what may still trade stays within every cap."""
        stage, limits = self._stage, self._stage.plan.limits
        positions = self._venue.account.positions
        cost = sum(held.cost for held in positions.values()) + sum(reserve for _, reserve in working)
        held_here = positions.get(intent.ticker)
        here = held_here.cost if held_here is not None else 0
        here += sum(reserve for other, reserve in working if other.ticker == intent.ticker)
        if here > limits.max_position:
            stage.violated(f"I3: {here} at risk in {intent.ticker}, limit {limits.max_position}")
        if cost > limits.max_daily_loss:
            stage.violated(f"I3: {cost} at risk, daily loss limit {limits.max_daily_loss}")
        caps, exits = self._caps.get(intent.client_order_id, ({}, -1))
        total = self._worst_case(working) if stage.plan.exclusive else cost
        if stage.plan.exclusive and exits != self.exits:
            return  # an exit since the approval may have sold what offset a loss: exits are never blocked
        for name, cap in caps.items():
            if total > cap:
                stage.violated(f"I3: {total} at risk, {name} limit {cap}")
        if caps and min(caps.values()) < cost:
            stage.saw("brackets offset each other")

    def _worst_case(self, working: Sequence[tuple[OrderIntent, Cash]]) -> Cash:
        """The worst of all outcomes in which one market pays; an order fills where that makes it worse."""
        losses = []
        for winner in self._venue.tickers:
            loss = 0
            for ticker, held in self._venue.account.positions.items():
                is_yes = held.count > 0
                wins = (ticker == winner) is is_yes
                loss += held.cost - (abs(held.count) * DOLLAR_PRICE if wins else 0)
            for intent, reserve in working:
                if (intent.ticker == winner) is not (intent.side.sign > 0):
                    loss += reserve
            losses.append(loss)
        return max(losses)


class Losses:
    """The highest committed mark, as it has to be known after any number of restarts.

    Marks are kept without the cash that the owner moved, and compared with what was moved until now added.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._external: Cash = 0
        self._high: Cash | None = None
        self._peak: Cash | None = None
        self._mark: Cash | None = None

    def marked(self, mark: AccountMarked, external: Cash) -> None:
        """What the account was last found to be worth, committed or not."""
        self._mark = mark.cash + mark.liquidation - external

    def stored(self, record: AuditRecord) -> None:
        """Committed records decide what a later process has to know."""
        if isinstance(record, AccountMarked):
            own = record.cash + record.liquidation - self._external
            self._high = own if self._high is None else max(self._high, own)
            self._peak = own if self._peak is None else max(self._peak, own)
        elif isinstance(record, ControlValue) and record.key == "external_cash":
            self._external = int(record.value)

    def forgiven(self) -> None:
        """A person cleared a halt: the drawdown may be counted anew, the loss of 24 hours may not."""
        self._peak = self._mark

    def entry_leaves(self, cid: str, external: Cash) -> None:
        """No entry leaves while the last mark is beyond a loss limit."""
        limits = self._stage.plan.limits
        for name, best, share in (
            ("24-hour loss", self._high, limits.max_loss_24h),
            ("drawdown", self._peak, limits.max_drawdown),
        ):
            if best is None or self._mark is None:
                continue
            lost, height = best - self._mark, best + external
            if lost >= share * height > 0:
                self._stage.violated(
                    f"I5: entry {cid} leaves after losing {lost} of {height}: {name} {share}"
                )
