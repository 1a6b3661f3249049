"""What a seed means: limits, latencies, fault rates and events of one world, drawn at random.

Swarm testing: every fault is switched on in about half of the worlds, so that each combination of few
faults occurs somewhere and no fault hides another everywhere.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from src.core.units import DOLLAR_CASH, MINUTE, SECOND, Cash, Nanos
from src.execution.limits import CorrelatedGroup, ExecutionStyle, RiskLimits

SERIES = "KXHIGHNY"

CRASH_POINTS = (
    "intent: before commit",
    "intent: after commit",
    "order: before it leaves",
    "order: on its way",
    "order: answered",
    "records: before commit",
    "records: after commit",
    "report: half read",
    "load: done",
)


@dataclass(frozen=True)
class Plan:
    """One world. Rates are per event (0..1) or per second (``*_every``: mean seconds, 0 = never)."""

    seed: int
    duration: float
    markets: int
    balance: Cash
    limits: RiskLimits
    stop_price: bool
    style: ExecutionStyle
    news_every: float
    latency: tuple[float, float]
    lose_request: float
    lose_response: float
    server_error: float
    rate_limited: float
    late_request: float
    report_fails: float
    read_lag: float
    frame_lost: float
    frame_twice: float
    frame_late: float
    private_lost: float
    private_twice: float
    private_late: float
    disconnect_every: float
    store_slow: float
    store_fails: float
    crash_at: dict[str, float]
    crash_every: float
    takeover_every: float
    downtime: tuple[float, float]
    external_order_every: float
    manual_trade_every: float
    deposit_every: float
    venue_cancel_every: float
    pause_every: float
    market_pause_every: float
    command_every: float
    one_sided_every: float
    close_early: bool
    settle: str
    opening_position: bool
    clock_offset: Nanos
    flatten: bool
    store_away_every: float
    time_to_live: Nanos
    profit_target: float | None
    reprice_after: Nanos
    hand_amend_every: float
    refuse_late_every: float
    exclusive: bool = False
    category: str = ""
    owner_intervenes: float = 0.0
    crash_after_command: float = 0.0


def draw(seed: int) -> Plan:
    """The plan of a seed; the same on every machine."""
    rng = random.Random(f"plan:{seed}")

    def rate(high: float, share: float = 0.5) -> float:
        return rng.random() * high if rng.random() < share else 0.0

    def every(low: float, high: float, share: float = 0.5) -> float:
        return rng.uniform(low, high) if rng.random() < share else 0.0

    limits = _limits(rng)
    low = rng.choice([0.005, 0.05, 0.3])
    plan = Plan(
        seed=seed,
        duration=rng.uniform(60, 150),
        markets=rng.choice([1, 2, 3]),
        balance=rng.choice([300, 1_000]) * DOLLAR_CASH,
        limits=limits,
        stop_price=rng.random() < 0.7,
        style=rng.choice([ExecutionStyle.TAKER, ExecutionStyle.MAKER]),
        news_every=rng.uniform(1.0, 5.0),
        latency=(low, low * rng.uniform(1.5, 6)),
        lose_request=rate(0.2),
        lose_response=rate(0.3),
        server_error=rate(0.3),
        rate_limited=rate(0.2),
        late_request=rate(0.6),
        report_fails=rate(0.4),
        read_lag=rate(3.0),
        frame_lost=rate(0.05),
        frame_twice=rate(0.05),
        frame_late=rate(0.05),
        private_lost=rate(0.5),
        private_twice=rate(0.5),
        private_late=rate(0.5),
        disconnect_every=every(20, 60),
        store_slow=rate(0.2),
        store_fails=rate(0.03, 0.3),
        crash_at={point: rate(0.12, 0.3) for point in CRASH_POINTS},
        crash_every=every(20, 90),
        takeover_every=every(40, 120, 0.25),
        downtime=rng.choice([(0.1, 2.0), (0.5, 5.0), (60.0, 150.0)]),
        external_order_every=every(10, 60, 0.4),
        manual_trade_every=every(10, 60, 0.4),
        deposit_every=every(30, 100, 0.3),
        venue_cancel_every=every(5, 30, 0.3),
        pause_every=every(30, 90, 0.3),
        market_pause_every=every(30, 90, 0.3),
        command_every=every(15, 60, 0.5),
        one_sided_every=every(10, 40),
        close_early=rng.random() < 0.25,
        settle=rng.choice(["", "yes", "no", "scalar", "void"]),
        opening_position=rng.random() < 0.2,
        clock_offset=rng.choice([0, 0, SECOND // 2, -SECOND // 2]),
        flatten=rng.random() < 0.6,
        time_to_live=rng.choice([10, 25, 60]) * SECOND,
        profit_target=rng.choice([None, 0.02, 0.15]),
        reprice_after=rng.choice([8, 20]) * SECOND,
        hand_amend_every=every(8, 40, 0.25),
        refuse_late_every=every(5, 30, 0.3),
        store_away_every=every(20, 60, 0.35),
    )
    return _concentrated(plan)


def _limits(rng: random.Random) -> RiskLimits:
    return RiskLimits(
        max_position=rng.choice([15, 40, 100]) * DOLLAR_CASH,
        max_portfolio_heat=rng.choice([0.04, 0.1, 0.3]),
        min_edge=0.02,
        max_daily_loss=rng.choice([25, 60, 300]) * DOLLAR_CASH,
        max_open_positions=rng.choice([2, 10]),
        position_timeout=rng.choice([1, 60]) * MINUTE,
        kelly_fraction=rng.choice([0.25, 1.0]),
        max_trades_per_hour=1_000,
        max_trades_per_day=1_000,
        cooldown_after_loss=rng.choice([0, 5]) * SECOND,
        consecutive_losses=rng.choice([3, 50]),
        depth_share=rng.choice([0.25, 1.0]),
        max_slippage=0.05,
        longest_expiry=20 * SECOND,
    )


def _concentrated(plan: Plan) -> Plan:
    """Limits on concentration and on losses over time, from dice of their own.

    All markets of a world are one event of one city, so that each cap is the tightest in some worlds.
    """
    rng = random.Random(f"concentration:{plan.seed}")

    def share(*tight: float) -> float:
        return rng.choice([1.0, 1.0, *tight])

    limits = replace(
        plan.limits,
        max_event=share(0.03, 0.08),
        max_city=share(0.04, 0.09),
        max_region=share(0.04, 0.09),
        max_category=share(0.05, 0.1),
        max_strategy=share(0.05, 0.1),
        groups=(CorrelatedGroup("simulated", frozenset({SERIES}), share(0.04, 0.09)),),
        soft_loss=rng.choice([0.3, 0.6, 1.0]),
        max_loss_24h=rng.choice([0.01, 0.04, 0.5]),
        max_drawdown=rng.choice([0.015, 0.05, 0.5]),
    )
    exclusive = plan.markets == 3 and rng.random() < 0.5
    plan = replace(plan, limits=limits, exclusive=exclusive, category=rng.choice(["", "Simulated"]))
    if exclusive and rng.random() > 0.5:
        plan = _many_orders_on_one_event(plan)
    elif plan.markets > 1 and not exclusive and rng.random() < 0.25:
        plan = _one_tight_cap(plan, rng.choice(["event", "city", "region", "category", "strategy", "group"]))
    return _watchful_owner(plan)


def _one_tight_cap(plan: Plan, tight: str) -> Plan:
    """One cap over several markets is by far the tightest."""

    def share(name: str) -> float:
        return 0.05 if name == tight else 1.0

    limits = replace(
        plan.limits,
        max_event=share("event"),
        max_city=share("city"),
        max_region=share("region"),
        max_category=share("category"),
        max_strategy=share("strategy"),
        groups=tuple(replace(group, max_share=share("group")) for group in plan.limits.groups),
        max_position=100 * DOLLAR_CASH,
        max_portfolio_heat=0.3,
        max_open_positions=10,
    )
    return replace(_without_the_owners_hand(plan), limits=limits, category="Simulated", news_every=1.5)


def _without_the_owners_hand(plan: Plan) -> Plan:
    """What is held is ours alone, so that it can be held against the caps."""
    return replace(
        plan,
        opening_position=False,
        external_order_every=0.0,
        manual_trade_every=0.0,
        hand_amend_every=0.0,
    )


def _watchful_owner(plan: Plan) -> Plan:
    """In some worlds the owner steps in between an order's approval and its sending, or before a crash."""
    rng = random.Random(f"owner:{plan.seed}")
    return replace(
        plan,
        owner_intervenes=rng.choice([0.0, 0.0, 0.0, 0.4]),
        crash_after_command=rng.choice([0.0, 0.0, 0.5]),
    )


def _many_orders_on_one_event(plan: Plan) -> Plan:
    """Orders rest in several markets of which only one can win, and the event's cap is the tightest."""
    loose = tuple(replace(group, max_share=1.0) for group in plan.limits.groups)
    limits = replace(
        plan.limits,
        max_event=0.08,
        max_city=1.0,
        max_region=1.0,
        max_category=1.0,
        max_strategy=1.0,
        max_portfolio_heat=0.3,
        groups=loose,
    )
    plan = _without_the_owners_hand(plan)
    return replace(plan, limits=limits, style=ExecutionStyle.MAKER, news_every=1.0)
