"""A run described by plain values: it can be sent to another process, varied, and written into a report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from backtest.candle_table import holds_candles
from backtest.candles import CandleWorld
from backtest.clockwork import Latency
from backtest.fee_history import Fees, TradeDateFees
from backtest.file_world import FileWorld
from backtest.filters import Dearer, Truncated
from backtest.news_file import WithNews, read_news
from backtest.plan import Plan, Result
from backtest.recording import RecordingWorld, is_recording
from backtest.runner import run
from backtest.strategies import make_strategy
from src.core.errors import ConfigError
from src.core.units import DOLLAR_CASH, MINUTE, Cash, Nanos, Price
from src.edge_detection.weather_model import WeatherModel
from src.execution.limits import EntryPolicy, RiskLimits
from src.runtime.assemble import risk_limits
from src.runtime.settings import Settings
from src.runtime.strategies import entry_policy
from src.simulator.generated import GeneratedWorld
from src.simulator.recorded import RecordedWorld
from src.simulator.recorded_tables import RecordedTables, holds_tables
from src.simulator.world import World


@dataclass(frozen=True, slots=True)
class Spec:
    """One run. ``data``: a folder, a CSV or Parquet file, or ``generated:SEED[:DAYS]``.

    ``series``, ``date_from``, ``date_to`` may be empty: everything there is. ``size_scale`` multiplies the
    Kelly fraction and the money limits; ``fee_multiplier``,
    ``worse_quotes`` and ``depth_scale`` as in ``filters.Dearer``;
    ``queue_share`` as in ``VenueRules``, for recordings; ``news`` is a file for ``news_file``, or empty;
    ``share``: only this part of the world's time, from its beginning.
    """

    data: str
    strategy: str
    settings: Settings
    series: tuple[str, ...] = ()
    date_from: str = ""
    date_to: str = ""
    latency: Latency = field(default_factory=lambda: Latency.of_total(250))
    balance: Cash = 10_000 * DOLLAR_CASH
    tick: Nanos = 5 * MINUTE
    seed: int = 0
    fees: Fees = Fees.TRADE_DATE
    news: str = ""
    queue_share: float = 0.3
    fee_multiplier: float = 1.0
    worse_quotes: Price = 0
    depth_scale: float = 1.0
    size_scale: float = 1.0
    share: float = 1.0


def open_world(spec: Spec) -> World:
    """The world of a spec. Raises ``ConfigError``."""
    world = _data(spec)
    return WithNews(world, read_news(Path(spec.news))) if spec.news else world


def _data(spec: Spec) -> World:
    if spec.data.startswith("generated:"):
        return _generated(spec.data)
    path = Path(spec.data)
    if path.exists() and holds_candles(path):
        return CandleWorld(path)
    if path.is_file() or (path.is_dir() and not (holds_tables(path) or is_recording(path))):
        return FileWorld.read(path)
    if not path.is_dir():
        raise ConfigError(
            f"data: {spec.data} does not exist; give a folder of tables, a .csv or .parquet file, "
            "or generated:SEED[:DAYS]"
        )
    if is_recording(path):
        return RecordingWorld(path)
    tables = RecordedTables(path)
    series, date_from, date_to = _range(tables, spec)
    return RecordedWorld(path, series, date_from, date_to)


def make_plan(spec: Spec, world: World | None = None) -> Plan:
    """The plan of a spec, on its own world or on a given one."""
    base = world if world is not None else open_world(spec)
    strategy, exits = make_strategy(spec.strategy, spec.settings)
    # Where a row stands for a whole bar, what was decided on it can only trade in the next one.
    bar: Nanos = getattr(base, "bar", 0)
    if spec.fee_multiplier != 1.0 or spec.worse_quotes or spec.depth_scale != 1.0:
        base = Dearer(base, spec.fee_multiplier, spec.worse_quotes, spec.depth_scale)
    if spec.share != 1.0:
        base = Truncated(base, base.start + int((base.end - base.start) * spec.share))
    latency = replace(spec.latency, bar=bar)
    from_recording = base.kind == RecordingWorld.kind
    if from_recording:
        latency = replace(latency, feed=0)  # its times are those of arrival
    if spec.fees is Fees.TRADE_DATE:
        base = TradeDateFees(base)
    return Plan(
        world=base,
        strategy=strategy,
        limits=_scaled(risk_limits(spec.settings), spec.size_scale),
        exits=exits,
        entries=entry_policy(spec.settings) if isinstance(strategy, WeatherModel) else EntryPolicy(),
        latency=latency,
        balance=spec.balance,
        tick=spec.tick,
        seed=spec.seed,
        queue_share=spec.queue_share if from_recording else None,
    )


def run_spec(spec: Spec) -> Result:
    """Open the world and run."""
    return run(make_plan(spec))


def fill_model(world: World) -> str:
    """How orders are filled in this world, for a person to judge."""
    own: str = getattr(world, "fill_model", "")
    if own:
        return own
    if world.kind == "recorded":
        return (
            "trades with taker side: the book is ASSUMED from past trades only (last prices taken on each "
            "side, median trade size at the touch, stale sides retreat by 5 cents, no book after 12 hours); "
            "takers buy at that book after the latency, at most 25 % of the size shown"
        )
    return (
        "generated crowd: takers trade with its displayed quotes after the latency, at most 25 % of the size"
    )


def _generated(text: str) -> World:
    parts = text.split(":")[1:]
    if not 1 <= len(parts) <= 2 or not all(part.isdigit() for part in parts):
        raise ConfigError(f"data: {text} is not generated:SEED or generated:SEED:DAYS, e.g. generated:7:30")
    return GeneratedWorld(int(parts[0]), int(parts[1]) if len(parts) == 2 else 10)


def _range(tables: RecordedTables, spec: Spec) -> tuple[tuple[str, ...], str, str]:
    import polars as pl

    frame = tables.collect("kalshi_trades", pl.lit(True), ["series_ticker", "event_date"])
    present = sorted(frame["series_ticker"].unique().to_list())
    wanted = spec.series or tuple(present)
    unknown = [name for name in wanted if name not in present]
    if unknown:
        raise ConfigError(f"series: {', '.join(unknown)} not traded in {tables.folder}; there are {present}")
    dates = frame.filter(pl.col("series_ticker").is_in(list(wanted)))["event_date"].sort()
    return wanted, spec.date_from or str(dates[0]), spec.date_to or str(dates[-1])


def _scaled(limits: RiskLimits, scale: float) -> RiskLimits:
    if scale == 1.0:
        return limits
    return replace(
        limits,
        kelly_fraction=min(1.0, limits.kelly_fraction * scale),
        max_position=int(limits.max_position * scale),
        max_portfolio_heat=min(1.0, limits.max_portfolio_heat * scale),
        max_daily_loss=int(limits.max_daily_loss * scale),
    )
