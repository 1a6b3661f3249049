"""What would fool us: peeking in its several forms, costs left out, luck, a run cut short."""

from __future__ import annotations

import heapq
import json
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import StringIO
from operator import attrgetter
from pathlib import Path

import pytest
from rich.console import Console

from backtest.analysis import analyse
from backtest.backtester import main
from backtest.baselines import baselines_of
from backtest.clockwork import Latency
from backtest.fee_history import CENTICENTS_FROM, Fees, TradeDateFees, fees_on, todays
from backtest.filters import OtherFuture
from backtest.honesty import audit_look_ahead, sensitivity
from backtest.plan import Plan
from backtest.progress import Stop, Watch, Watched
from backtest.reference_strategies import BuyFavourite, Nothing, RandomSide, claim
from backtest.runner import run
from backtest.spec import Spec, make_plan, open_world
from backtest.strategies import HOLD
from src.core.events import DailyMaximum, Event, ForecastUpdate, Tick
from src.core.fees import FeeSchedule
from src.core.ports import MarketView
from src.core.sides import Outcome
from src.core.signal import Signal
from src.core.units import DAY, DOLLAR_CASH, HOUR
from src.execution.limits import RiskLimits
from src.runtime.settings import Settings
from src.simulator.world import Determine, ListEvent, WeatherNews, World, WorldEvent
from tests.backtest.test_runner import T0, Script, quote

LOOSE = RiskLimits(consecutive_losses=1_000, cooldown_after_loss=0, max_open_positions=100)


def patient(settings: Settings) -> Settings:
    """Breakers that do not end a made-up run of losses."""
    risk = settings.risk.model_copy(
        update={"circuit_breaker_consecutive_losses": 100, "cooldown_after_loss_seconds": 0.0}
    )
    return settings.model_copy(update={"risk": risk})


class Tiny(Script):
    """Three events quoted every half hour, a forecast ten hours in, results after a day."""

    def __init__(self) -> None:
        names = ("E-A", "E-B", "E-C")
        quotes = [
            quote(n * HOUR // 2, 38 + n % 5, 40 + n % 5, ticker=name) for n in range(1, 38) for name in names
        ]
        super().__init__(quotes, dict(zip(names, ("yes", "no", "yes"), strict=True)))

    def events(self) -> Iterator[WorldEvent]:
        ts = T0 + 10 * HOUR
        forecast = ForecastUpdate("E", "KNYC", "2026-01-01", "nbm", 1.0, 50.0, ts, ts, ts)
        return heapq.merge(super().events(), [WeatherNews(ts, forecast)], key=attrgetter("ts"))


class EarlyReader(Nothing):
    """Knows what is published up to six hours before everybody, from the world it was given."""

    name = "early_reader"

    def __init__(self, world: World) -> None:
        self._news = [(e.ts, e.item) for e in world.events() if isinstance(e, WeatherNews)]
        self._done: set[str] = set()

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        if not isinstance(event, Tick):
            return ()
        out = []
        for ts, item in self._news:
            known_early = view.now < ts <= view.now + 6 * HOUR
            if not known_early or not isinstance(item, ForecastUpdate | DailyMaximum):
                continue
            for name in view.event_tickers(item.series_ticker):
                for market in view.markets_of(name):
                    signal = claim(view, self.name, market, Outcome.YES, 0.1)
                    if signal is not None and market.ticker not in self._done:
                        self._done.add(market.ticker)
                        out.append(signal)
        return out


class ResultReader(Nothing):
    """Buys what the world's results say will win."""

    name = "result_reader"

    def __init__(self, world: World) -> None:
        self._wins = {e.ticker for e in world.events() if isinstance(e, Determine) and e.result == "yes"}
        self._done: set[str] = set()

    def on_event(self, view: MarketView, event: Event) -> Sequence[Signal]:
        if not isinstance(event, Tick):
            return ()
        out = []
        for ticker in sorted(self._wins - self._done):
            market = view.market(ticker)
            signal = claim(view, self.name, market, Outcome.YES, 0.1) if market else None
            if signal is not None:
                self._done.add(ticker)
                out.append(signal)
        return out


@pytest.mark.parametrize(
    ("peeker", "caught_by"),
    [
        (EarlyReader, {"cut off at a decision"}),
        (ResultReader, {"cut off at a decision", "with outcomes turned around"}),
    ],
)
def test_a_planted_peeker_is_named_by_the_audit(peeker: type, caught_by: set[str]) -> None:
    """One reads forecasts hours before they are public, the other the results; both are named."""
    world = Tiny()

    def plan_of(seen: World) -> Plan:
        return Plan(seen, peeker(seen), LOOSE, HOLD, tick=HOUR)

    full = run(plan_of(world))
    assert full.orders.sent
    audits = audit_look_ahead(full, world, plan_of, [0.5])
    failed = {audit.change for audit in audits if not audit.passed}
    assert failed >= caught_by
    assert all(peeker.name in audit.difference for audit in audits if not audit.passed)  # type: ignore[attr-defined]


def test_the_honest_pass_every_audit_news_published_later_included() -> None:
    world = Tiny()

    def plan_of(seen: World) -> Plan:
        return Plan(seen, BuyFavourite(), LOOSE, HOLD, tick=HOUR)

    audits = audit_look_ahead(run(plan_of(world)), world, plan_of, [0.5])
    assert {audit.change for audit in audits} == {
        "cut off",
        "cut off at a decision",
        "published a day later",
        "with outcomes turned around",
    }
    assert all(audit.passed for audit in audits)


def test_another_future_begins_at_the_cut_and_stays_in_order() -> None:
    world = Tiny()
    cut = world.start + (world.end - world.start) // 2
    before = list(world.events())
    later = list(OtherFuture(world, cut, later=DAY).events())
    assert [e for e in later if e.ts <= cut] == [e for e in before if e.ts <= cut]
    assert [e.ts for e in later] == sorted(e.ts for e in later)
    turned = OtherFuture(world, world.start, turned=True).events()
    results = {e.ticker: e.result for e in before if isinstance(e, Determine)}
    assert all(e.result != results[e.ticker] for e in turned if isinstance(e, Determine))


def test_shuffled_outcomes_and_fair_prices_give_no_profit(small: Path, settings: Settings) -> None:
    """Bets without knowledge, payouts drawn again: the mean is minus the costs, never above zero."""
    spec = Spec(str(small), "random:3", settings)
    world = open_world(spec)
    result = run(replace(make_plan(spec, world), limits=LOOSE))
    analysis = analyse(result)
    right = analysis.nulls[0]
    spread = sum((t.price - t.mid) * t.contracts for t in result.trades if t.mid is not None)
    costs = spread + analysis.fees
    assert costs > 0
    assert right.mean == pytest.approx(-costs, abs=(right.high - right.low) / 40)
    assert right.mean < 0


def test_sensitivity_shows_costs_and_capacity(small: Path, settings: Settings) -> None:
    # A small account, so that its limits bind and not the depth of the books.
    spec = Spec(str(small), "buy_favourite", patient(settings), balance=200 * DOLLAR_CASH)
    found = {v.name: v for v in sensitivity(spec, Watch(Console(file=StringIO()), 1))}
    assert found["no fees"].pnl > found["double fees"].pnl
    assert found["every quote 2 cents worse"].pnl < found["as run"].pnl
    assert found["fees of today"].pnl >= found["as run"].pnl
    assert found["size 5x"].staked > found["size 2x"].staked > found["as run"].staked
    assert [v.size for v in found.values() if v.size != 1.0] == [2.0, 5.0]


def test_fees_follow_the_date_of_the_trade() -> None:
    """One contract at 50 cents: two cents before July 2026, 1.75 since; the file's vectors F1 and F8."""
    plain = FeeSchedule()
    then, now = fees_on(CENTICENTS_FROM - 1, plain), fees_on(CENTICENTS_FROM, plain)
    assert then.trade_fee(5_000, 100, True) == 20_000
    assert now.trade_fee(5_000, 100, True) == 17_500
    assert then.trade_fee(9_900, 100, True) == 10_000
    assert todays(then) == now == plain
    assert then.worst_taker_cost(5_000, 300) >= 3 * (500_000 + 20_000)


def test_a_world_of_2024_charges_what_was_charged_then(small: Path, settings: Settings) -> None:
    spec = Spec(str(small), "buy_favourite", settings)
    world = open_world(spec)
    listed = [e for e in TradeDateFees(world).events() if isinstance(e, ListEvent)]
    assert all(market.fees.rounding == 10_000 for event in listed for market in event.markets)
    then = analyse(run(make_plan(spec, world)))
    now = analyse(run(make_plan(replace(spec, fees=Fees.TODAY), world)))
    assert then.fees == pytest.approx(then.fees_trade_date)
    assert now.fees == pytest.approx(now.fees_today)
    assert then.fees > then.fees_today
    assert now.fees < then.fees


def test_baselines_stand_beside_a_result(small: Path, settings: Settings) -> None:
    spec = Spec(str(small), "random:3", settings)
    world = open_world(spec)
    random, favourite = (
        analyse(run(make_plan(replace(spec, strategy=name), world))) for name in ("random:3", "buy_favourite")
    )
    found = {one.name: one for one in baselines_of(random, [random, favourite])}
    assert found["do nothing"].pnl == 0.0
    assert found["the market's own price"].pnl < 0
    assert found["random side"].pnl < 0.5 * random.staked
    assert found["buy the favourite"].pnl == favourite.pnl
    assert "buy the favourite" not in {one.name for one in baselines_of(favourite, [favourite])}


def test_an_interrupted_run_leaves_what_is_done() -> None:
    stop, seen = Stop(), []
    world = Tiny()

    def on_progress(share: float) -> None:
        seen.append(share)
        stop.is_set = share > 0.4

    result = run(Plan(Watched(world, on_progress, stop), RandomSide(), LOOSE, HOLD, tick=HOUR))
    assert result.orders.sent
    assert result.differences == []
    assert seen == sorted(seen)
    assert 0.0 < seen[-1] < 1.0


def test_ctrl_c_writes_the_report_of_what_was_done(
    tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first SIGINT ends the run early; the outputs are there, and the exit code says it."""
    signalled: list[bool] = []

    def interrupting(self: Watch, specs: Sequence[Spec], title: str, world: World | None = None) -> object:
        if not signalled:
            signalled.append(True)
            original = Watched.events

            def events(watched: Watched) -> object:
                for number, event in enumerate(original(watched)):
                    if number == 2_000:
                        os.kill(os.getpid(), signal.SIGINT)
                    yield event

            monkeypatch.setattr(Watched, "events", events)
        return play(self, specs, title, world)

    play = Watch.run
    monkeypatch.setattr(Watch, "run", interrupting)
    before = signal.getsignal(signal.SIGINT)
    out = tmp_path / "r.json"
    code = main(
        [
            "--data",
            "generated:7:2",
            "--strategy",
            "random",
            "--no-baselines",
            "--workers",
            "1",
            "--json",
            str(out),
        ]
    )
    assert code == 130
    assert json.loads(out.read_text())["strategies"][0]["strategy"] == "random"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_sweep_is_judged_and_written(tmp_path: Path, small: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("risk.kelly_fraction: [0.1, 0.25]\ntrading.max_open_positions: [5, 20]\n")
    config = tmp_path / "config.yaml"
    config.write_text("risk: {circuit_breaker_consecutive_losses: 100, cooldown_after_loss_seconds: 0}\n")
    outputs = {name: tmp_path / f"s.{name}" for name in ("html", "json", "csv")}
    arguments = ["--data", str(small), "--strategy", "buy_favourite", "--sweep", str(grid), "--workers", "1"]
    arguments += ["--config", str(config)]
    arguments += [
        "--html",
        str(outputs["html"]),
        "--json",
        str(outputs["json"]),
        "--output",
        str(outputs["csv"]),
    ]
    assert main(arguments) == 0
    body = json.loads(outputs["json"].read_text())
    assert len(body["runs"]) == 4
    selection = body["selection"]
    assert selection["trials"] == 4
    assert 1 <= selection["independent"] <= 4
    assert (selection["crossed"]["splits"], len(selection["crossed"]["paths"])) == (45, 9)
    assert "365 days or 500 events" in selection["walk"]["missing"]
    assert "<svg" in outputs["html"].read_text()
    assert len(outputs["csv"].read_text().splitlines()) == 5


def test_three_latencies_can_be_given(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("1,2", "a", "1,2,-3"):
        assert main(["--data", str(small), "--latency-ms", text]) == 2
        assert "feed, order, answer" in capsys.readouterr().err
    assert Latency(1, 2, 3).total_ms == pytest.approx(6e-6)
