"""The loop: deterministic, exact, late as it should be, and blind to what comes after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest

from backtest.clockwork import CALL, DELIVERY, TICK, Agenda, Latency
from backtest.filters import Dearer, Truncated
from backtest.plan import Plan, Result
from backtest.reference_strategies import BuyFavourite, BuyUnder, Nothing, RandomSide
from backtest.runner import run
from backtest.spec import Spec, make_plan
from backtest.strategies import HOLD
from src.core.errors import ConfigError
from src.core.events import Event, Tick
from src.core.fees import FeeSchedule
from src.core.grid import LINEAR_CENT
from src.core.market import Market, MarketStatus
from src.core.ports import MarketView, Strategy
from src.core.sides import Outcome
from src.core.signal import Signal
from src.core.units import DOLLAR_CASH, DOLLAR_PRICE, HOUR, MINUTE, SECOND
from src.execution.limits import RiskLimits
from src.runtime.settings import Settings
from src.simulator.generated import GeneratedWorld
from src.simulator.world import CrowdQuote, Determine, ListEvent, WorldEvent

T0 = 1_800_000_000 * SECOND
LOOSE = RiskLimits(consecutive_losses=1_000, cooldown_after_loss=0, max_open_positions=100)


class Script:
    """A world of given events. Each market pays YES, a day after ``T0``, unless ``results`` says no."""

    kind = "script"
    days = 1

    def __init__(self, quotes: Sequence[CrowdQuote], results: dict[str, str] | None = None) -> None:
        self.quotes = quotes
        self.results = results or {"E-A": "yes"}
        self.start, self.end = T0, T0 + 26 * HOUR

    def history(self) -> Iterator[object]:
        return iter(())

    def events(self) -> Iterator[WorldEvent]:
        for ticker in self.results:
            market = Market(
                ticker, ticker, "E", MarketStatus.INITIALIZED, T0, T0 + 20 * HOUR, LINEAR_CENT, FeeSchedule()
            )
            yield ListEvent(T0 + SECOND, ticker, "E", "", (market,))
        yield from self.quotes
        for ticker, result in self.results.items():
            value = DOLLAR_PRICE if result == "yes" else 0
            yield Determine(T0 + 24 * HOUR, ticker, result, value, "")


def quote(after: int, bid: int, ask: int, size: int = 40_000, ticker: str = "E-A") -> CrowdQuote:
    return CrowdQuote(T0 + after, ticker, ((bid * 100, size),), ((ask * 100, size),))


def play(world: object, strategy: Strategy, latency_ms: float = 250) -> Result:
    return run(Plan(world, strategy, LOOSE, HOLD, Latency.of_total(latency_ms)))  # type: ignore[arg-type]


def test_two_runs_write_the_same_bytes(settings: Settings) -> None:
    spec = Spec("generated:5:2", "weather", settings, seed=3)
    first, second = (run(make_plan(spec)) for _ in range(2))
    assert first.sha256 == second.sha256
    assert first.log == second.log != []
    assert first.curve == second.curve


@pytest.mark.parametrize("strategy", [BuyFavourite, BuyUnder, RandomSide])
def test_the_ledger_equals_the_exchange_and_trades_add_up_to_the_profit(strategy: type[Strategy]) -> None:
    result = run(Plan(GeneratedWorld(7, 2), strategy(), LOOSE, HOLD))
    assert result.differences == []
    assert result.trades
    assert all(trade.closed_ts is not None and trade.won is not None for trade in result.trades)
    assert sum(trade.pnl for trade in result.trades) == result.pnl
    assert result.curve[-1][1] == result.closing_equity


def test_nothing_earns_and_loses_nothing() -> None:
    result = run(Plan(GeneratedWorld(7, 1), Nothing(), LOOSE, HOLD))
    assert (result.pnl, result.trades, result.orders.sent) == (0, [], 0)


def test_a_bet_is_paid_exactly_with_fee_and_payout() -> None:
    result = play(Script([quote(HOUR, 17, 18, 4_000)]), BuyUnder(2_000))
    (trade,) = result.trades
    # a quarter of 40 contracts at 18 cents: 0.07 * 10 * 0.18 * 0.82 = 0.10332, rounded up to 0.1034
    assert (trade.bought, trade.cost, trade.fees) == (1_000, 1_800_000, 103_400)
    assert trade.payout == 10 * DOLLAR_CASH
    assert result.pnl == 10 * DOLLAR_CASH - 1_800_000 - 103_400
    assert trade.mid == pytest.approx(0.175)


def test_the_order_meets_the_book_that_stands_when_it_arrives() -> None:
    """Decided at +100 ms on an offer of 18, which is gone 50 ms before the order is there."""
    gone = Script([quote(HOUR, 17, 18), quote(HOUR + 150 * 1_000_000, 29, 30)])
    assert play(gone, BuyUnder(2_000)).orders.unfilled == 1
    stays = Script([quote(HOUR, 17, 18), quote(HOUR + 201 * 1_000_000, 29, 30)])
    assert play(stays, BuyUnder(2_000)).orders.filled == 1
    assert play(gone, BuyUnder(2_000), latency_ms=0).orders.filled == 1


def test_a_better_price_at_arrival_is_taken_at_that_price() -> None:
    result = play(Script([quote(HOUR, 15, 18), quote(HOUR + 150 * 1_000_000, 14, 16)]), BuyUnder(2_000))
    assert result.trades[0].price == pytest.approx(0.16)


def test_dearer_worlds_cost_more() -> None:
    world = Script([quote(HOUR, 17, 18)])
    plain = play(world, BuyUnder(2_000))
    fees = play(Dearer(world, fee_multiplier=2.0), BuyUnder(2_000))  # type: ignore[arg-type]
    wide = play(Dearer(world, worse=100), BuyUnder(2_000))  # type: ignore[arg-type]
    assert fees.trades[0].fees == pytest.approx(
        2 * plain.trades[0].fees * fees.trades[0].bought / plain.trades[0].bought, rel=0.01
    )
    assert wide.trades[0].price == pytest.approx(0.19)


def test_the_agenda_keeps_calls_before_deliveries_before_ticks() -> None:
    agenda = Agenda(SimpleNamespace(position=0))
    tick, heard, called = Tick(5), Tick(5), Tick(5)
    agenda.add(5, TICK, tick)
    agenda.add(5, DELIVERY, heard)
    agenda.add(5, CALL, called)
    agenda.add(4, TICK, Tick(4))
    assert [agenda.pop()[1] for _ in range(4)] == [TICK, CALL, DELIVERY, TICK]
    assert agenda.next_ts() is None


def test_latency_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="latency-ms"):
        Latency.of_total(-1)
    assert Latency.of_total(250).total_ms == 250


def test_a_truncated_world_ends() -> None:
    cut = Truncated(Script([quote(HOUR, 17, 18), quote(3 * HOUR, 17, 18)]), T0 + 2 * HOUR)  # type: ignore[arg-type]
    assert [type(event) for event in cut.events()] == [ListEvent, CrowdQuote]
    assert cut.end == T0 + 2 * HOUR


def test_buy_under_speaks_once_in_a_market() -> None:
    result = play(Script([quote(n * HOUR, 17, 18) for n in range(1, 6)]), BuyUnder(2_000))
    assert result.orders.sent == 1


def test_the_favourite_of_a_lone_market_is_its_likelier_side() -> None:
    result = play(Script([quote(HOUR, 20, 22)], {"E-A": "no"}), BuyFavourite())
    assert result.trades[0].outcome is Outcome.NO
    assert result.trades[0].won is True


def test_a_market_without_both_sides_is_left_alone() -> None:
    one_sided = CrowdQuote(T0 + HOUR, "E-A", (), ((1_800, 4_000),))
    assert play(Script([one_sided]), BuyUnder(2_000)).orders.sent == 0


def test_ticks_follow_the_plan() -> None:
    seen: list[int] = []

    class Watching(Nothing):
        name = "watching"

        def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
            if isinstance(event, Tick):
                seen.append(event.ts_recv)
            return ()

    run(Plan(Script([]), Watching(), LOOSE, HOLD, tick=30 * MINUTE))  # type: ignore[arg-type]
    assert seen[0] == T0 + 30 * MINUTE
    assert len(seen) == 52
