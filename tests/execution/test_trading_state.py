"""States and loss limits: hysteresis, causes that do not lift each other, memory over restarts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.actions import Alert, ControlValue, StateChanged, TradingState
from src.core.units import DAY, DOLLAR_CASH, HOUR, MINUTE, SECOND, Cash, Nanos
from src.execution.equity_history import next_trading_day, trading_day
from src.execution.limits import RiskLimits
from src.execution.trading_state import Output, TradingControl

LIMITS = RiskLimits(
    max_daily_loss=100 * DOLLAR_CASH, soft_loss=0.6, max_loss_24h=0.2, max_drawdown=0.3, consecutive_losses=3
)
EQUITY: Cash = 1_000 * DOLLAR_CASH


def at(text: str) -> Nanos:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


NOON = at("2026-06-15T16:00:00")  # 12:00 in New York


class Life:
    """A control whose records are kept, so that it can be restarted from them."""

    def __init__(self, limits: RiskLimits = LIMITS) -> None:
        self.limits = limits
        self.values: dict[str, str] = {}
        self.state: StateChanged | None = None
        self.alerts: list[Alert] = []
        self.control = self._begin()

    def _begin(self) -> TradingControl:
        control = TradingControl(self.limits)
        control.restore(self.values, [])
        return control

    def keep(self, out: Output) -> Output:
        for record in out:
            if isinstance(record, ControlValue):
                self.values[record.key] = record.value
            elif isinstance(record, StateChanged):
                self.state = record
            elif isinstance(record, Alert):
                self.alerts.append(record)
        return out

    def active(self) -> Life:
        self.keep(self.control.set_state(TradingState.ACTIVE, "system", "reconciled", NOON))
        return self

    def mark(self, dollars: float, ts: Nanos = NOON) -> None:
        self.keep(self.control.mark_equity(round(dollars * DOLLAR_CASH), ts))

    def restart(self, ts: Nanos) -> None:
        self.control = self._begin()
        stored = self.state
        if stored is not None and stored.state in {TradingState.HALTED, TradingState.REDUCING}:
            self.keep(self.control.set_state(stored.state, stored.who, stored.why, ts, stored.until))
        else:
            self.keep(self.control.set_state(TradingState.RECONCILING, "system", "start", ts))
            self.keep(self.control.set_state(TradingState.ACTIVE, "system", "reconciled", ts))

    @property
    def shown(self) -> tuple[TradingState, str]:
        return self.control.state, self.control.who


def test_a_condition_that_flaps_makes_one_halt_and_one_alert() -> None:
    """Twenty times there and gone again: one halt, and recovery does not lift it."""
    life = Life().active()
    life.mark(1_000)
    for n in range(20):
        life.mark(850, NOON + n * MINUTE)
        life.mark(1_000, NOON + n * MINUTE + SECOND)
    assert life.shown == (TradingState.HALTED, "daily_loss")
    assert len([alert for alert in life.alerts if "HALTED" in alert.text]) == 1


@pytest.mark.parametrize("state", [state for state in TradingState if state is not TradingState.HALTED])
def test_nothing_but_a_person_leaves_a_halt(state: TradingState) -> None:
    """Neither a state, a resume, time, nor a good mark."""
    life = Life().active()
    control = life.control
    life.keep(control.set_state(TradingState.HALTED, "owner", "!", NOON))
    life.keep(control.set_state(state, "system", "fine again", NOON))
    life.keep(control.resume("owner", "?", NOON, reconciled=True))
    life.keep(control.on_time(NOON + 30 * DAY))
    life.mark(1_000, NOON + 31 * DAY)
    assert life.shown == (TradingState.HALTED, "owner")
    life.keep(control.clear_halt("owner", "looked at it", NOON + 31 * DAY))
    assert control.state is TradingState.RECONCILING


def test_two_causes_of_reducing_end_by_themselves_and_lift_no_other() -> None:
    """A breaker until tomorrow and a pause until somebody resumes: the end of one leaves the other."""
    life = Life().active()
    control = life.control
    for _ in range(3):
        life.keep(control.on_closed(-1, NOON))
    assert life.shown == (TradingState.REDUCING, "circuit_breaker")
    life.keep(control.set_state(TradingState.REDUCING, "owner", "holiday", NOON))
    assert life.shown == (TradingState.REDUCING, "owner")
    life.keep(control.on_time(next_trading_day(NOON)))
    assert life.shown == (TradingState.REDUCING, "owner")
    assert control.losses_in_a_row == 0
    life.keep(control.resume("owner", "back", NOON + 2 * DAY, reconciled=True))
    assert control.state is TradingState.ACTIVE


def test_the_weaker_cause_comes_first_and_the_stronger_survives_its_end_and_a_restart() -> None:
    """Both causes are stored: after a restart the one that lasts is still there."""
    life = Life().active()
    life.keep(life.control.set_state(TradingState.REDUCING, "owner", "look", NOON, NOON + HOUR))
    for _ in range(3):
        life.keep(life.control.on_closed(-1, NOON))
    life.restart(NOON + MINUTE)
    assert life.shown == (TradingState.REDUCING, "circuit_breaker")
    life.keep(life.control.on_time(NOON + 2 * HOUR))
    assert life.shown == (TradingState.REDUCING, "circuit_breaker")
    life.restart(NOON + 3 * HOUR)
    assert life.shown == (TradingState.REDUCING, "circuit_breaker")
    life.keep(life.control.on_time(next_trading_day(NOON)))
    assert life.control.state is TradingState.ACTIVE


def test_a_pause_outlives_a_halt_that_came_after_it() -> None:
    """Clearing the halt leads back to the pause, not to trading."""
    life = Life().active()
    life.keep(life.control.set_state(TradingState.REDUCING, "owner", "holiday", NOON))
    life.keep(life.control.set_state(TradingState.HALTED, "reconcile", "differs", NOON))
    life.keep(life.control.clear_halt("owner", "mended", NOON))
    life.keep(life.control.set_state(TradingState.ACTIVE, "system", "reconciled", NOON))
    assert life.shown == (TradingState.REDUCING, "owner")


def test_the_soft_level_reduces_once_a_day_and_lifts_no_halt() -> None:
    """REDUCING until the next trading day; who resumes knowingly is not stopped again before the hard one."""
    life = Life().active()
    life.mark(1_000)
    life.mark(935)
    assert life.shown == (TradingState.REDUCING, "soft_daily_loss")
    assert life.control.until == next_trading_day(NOON)
    life.keep(life.control.resume("owner", "I know", NOON + MINUTE, reconciled=True))
    life.mark(930, NOON + 2 * MINUTE)
    life.restart(NOON + 3 * MINUTE)
    life.mark(931, NOON + 4 * MINUTE)
    assert life.control.state is TradingState.ACTIVE
    life.mark(899, NOON + 5 * MINUTE)
    assert life.shown == (TradingState.HALTED, "daily_loss")
    life.mark(935, NOON + DAY)
    assert life.control.state is TradingState.HALTED


def test_losses_survive_restarts_and_the_day_is_new_yorks() -> None:
    """Half the loss before a restart and half after it are one; midnight in New York begins a new day."""
    life = Life().active()
    life.mark(1_000)
    life.mark(950, NOON + HOUR)
    life.restart(NOON + HOUR)
    life.mark(899, NOON + 2 * HOUR)
    assert life.shown == (TradingState.HALTED, "daily_loss")
    fresh = Life(RiskLimits(max_daily_loss=100 * DOLLAR_CASH, max_loss_24h=1.0, max_drawdown=1.0)).active()
    fresh.mark(1_000, at("2026-06-16T03:59:00"))
    fresh.mark(950, at("2026-06-16T03:59:59"))
    fresh.mark(930, at("2026-06-16T04:00:00"))
    fresh.mark(850, at("2026-06-16T05:00:00"))
    assert fresh.control.equity.day_pnl == -80 * DOLLAR_CASH
    assert fresh.control.state is TradingState.REDUCING


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2026-03-08T04:59:59", "2026-03-08T05:00:00"),  # midnight before the clocks go forward
        ("2026-03-09T03:59:59", "2026-03-09T04:00:00"),
        ("2026-11-01T03:59:59", "2026-11-01T04:00:00"),  # midnight before they go back
        ("2026-11-02T04:59:59", "2026-11-02T05:00:00"),
    ],
)
def test_the_trading_day_follows_daylight_time(before: str, after: str) -> None:
    """The day changes at midnight in New York, and that instant is where the day before says it is."""
    assert trading_day(at(before)) != trading_day(at(after))
    assert next_trading_day(at(before)) == at(after)


def test_a_loss_on_both_sides_of_midnight_is_caught_by_the_24_hours() -> None:
    """Neither day loses its limit, the 24 hours do; the height of the day before yesterday is forgotten."""
    limits = RiskLimits(max_daily_loss=150 * DOLLAR_CASH, soft_loss=1.0, max_loss_24h=0.2, max_drawdown=1.0)
    life = Life(limits).active()
    evening, morning = at("2026-06-16T03:00:00"), at("2026-06-16T05:00:00")
    life.mark(1_000, evening)
    life.mark(900, evening + MINUTE)
    life.restart(morning)
    life.mark(890, morning)
    assert life.control.state is TradingState.ACTIVE
    life.mark(795, morning + HOUR)
    assert life.shown == (TradingState.HALTED, "loss_24h")
    life.keep(life.control.clear_halt("owner", "seen", morning + 2 * DAY))
    life.keep(life.control.set_state(TradingState.ACTIVE, "system", "reconciled", morning + 2 * DAY))
    life.mark(795, morning + 2 * DAY)
    assert life.control.state is not TradingState.HALTED


def test_stakes_are_halved_while_the_drawdown_is_beyond_its_soft_level() -> None:
    """Told once a trading day, in force after a restart as well, over when the account has recovered."""
    limits = RiskLimits(
        max_daily_loss=500 * DOLLAR_CASH,
        soft_loss=0.6,
        max_loss_24h=1.0,
        max_drawdown=0.3,
        kelly_fraction=0.2,
    )
    life = Life(limits).active()
    life.mark(1_000, NOON)
    life.mark(821, NOON + MINUTE)
    assert life.control.kelly_fraction == 0.2
    for minute in (2, 3):
        life.mark(819, NOON + minute * MINUTE)
    assert (life.control.state, life.control.kelly_fraction) == (TradingState.ACTIVE, 0.1)
    assert [alert.text for alert in life.alerts] == [
        "drawdown 18.1%: stakes are halved until it is below 18.0%; 30.0% halts"
    ]
    life.restart(NOON + HOUR)
    life.mark(810, NOON + HOUR)
    assert life.control.kelly_fraction == 0.1
    life.mark(830, NOON + 2 * HOUR)
    assert life.control.kelly_fraction == 0.2
    life.mark(800, NOON + DAY)
    assert len(life.alerts) == 2


def test_a_drawdown_survives_restarts_and_a_person_forgives_it() -> None:
    """Weeks of small losses; the peak is remembered; a cleared halt counts anew from where it is."""
    life = Life(RiskLimits(max_daily_loss=500 * DOLLAR_CASH, max_loss_24h=1.0, max_drawdown=0.3)).active()
    for day in range(31):
        life.mark(1_000 - 10 * day, NOON + day * DAY)
        life.restart(NOON + day * DAY)
    assert life.shown == (TradingState.HALTED, "drawdown")
    late = NOON + 31 * DAY
    life.keep(life.control.clear_halt("owner", "new strategy", late))
    life.keep(life.control.set_state(TradingState.ACTIVE, "system", "reconciled", late))
    life.mark(690, late)
    life.restart(late)
    life.mark(680, late + MINUTE)
    assert life.control.state is TradingState.ACTIVE


def test_a_halt_of_another_cause_forgives_no_drawdown() -> None:
    """Clearing a mismatch says nothing about losses."""
    life = Life(RiskLimits(max_daily_loss=500 * DOLLAR_CASH, max_loss_24h=1.0, max_drawdown=0.3)).active()
    life.mark(1_000)
    life.mark(800, NOON + MINUTE)
    life.keep(life.control.set_state(TradingState.HALTED, "reconcile", "differs", NOON + MINUTE))
    life.keep(life.control.clear_halt("owner", "mended", NOON + 2 * MINUTE))
    life.mark(699, NOON + 3 * MINUTE)
    assert life.shown == (TradingState.HALTED, "drawdown")


@given(st.lists(st.tuples(st.integers(-50, 200), st.integers(-20, 20)), min_size=1, max_size=30))
def test_money_moved_by_the_owner_is_no_profit_and_no_loss(steps: list[tuple[int, int]]) -> None:
    """With deposits and withdrawals between them, marks yield the same losses in dollars as without."""
    moved, plain = Life(), Life()
    own, external = 10_000, 0
    for n, (deposit, profit) in enumerate(steps):
        own, external = own + profit, external + deposit
        ts = NOON + n * HOUR // 4
        moved.keep(moved.control.move_cash(deposit * DOLLAR_CASH, ts) if n else [])
        if not n:
            external = 0
        moved.mark(own + external, ts)
        plain.mark(own, ts)
        assert moved.control.equity.day_pnl == plain.control.equity.day_pnl
        if moved.control.equity.peak is not None and plain.control.equity.peak is not None:
            assert moved.control.equity.peak - plain.control.equity.peak == external * DOLLAR_CASH


def test_a_strategy_is_switched_off_for_good_and_on_by_a_person() -> None:
    """The switch is stored, says who turned it, and tells once."""
    life = Life().active()
    for _ in range(3):
        life.keep(life.control.switch_strategy("weather_model", "owner", "odd", NOON, on=False))
    life.restart(NOON)
    assert life.control.strategies_off == {"weather_model": "owner: odd"}
    assert len([alert for alert in life.alerts if alert.key == "strategy:weather_model"]) == 1
    life.keep(life.control.switch_strategy("weather_model", "owner", "mended", NOON, on=True))
    life.restart(NOON)
    assert not life.control.strategies_off


@given(
    before=st.lists(st.integers(0, 3 * DAY), max_size=20),
    steps=st.lists(st.tuples(st.integers(-HOUR, 8 * HOUR), st.booleans()), max_size=60),
)
def test_trades_are_counted_as_if_all_were_looked_at(
    before: list[int], steps: list[tuple[int, bool]]
) -> None:
    """Entries of the last hour and day, restored ones included; a clock that steps back loses none."""
    control = TradingControl(RiskLimits())
    control.restore({}, before)
    known, now = list(before), 3 * DAY
    for step, is_entry in steps:
        now += step
        if is_entry:
            control.count_trade(now)
            known.append(now)
        known = [trade for trade in known if trade > now - DAY]  # what is a day old is forgotten for good
        for span in (HOUR, DAY):
            assert control.trades_since(now, span) == sum(trade > now - span for trade in known)
