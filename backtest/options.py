"""The command's options, and the run they describe."""

from __future__ import annotations

import argparse
import os
from decimal import Decimal, InvalidOperation
from pathlib import Path

from backtest.clockwork import Latency
from backtest.fee_history import Fees
from backtest.spec import Spec
from backtest.strategies import DESCRIPTIONS
from src.core.errors import ConfigError
from src.core.units import MILLISECOND, SECOND, parse_cash
from src.runtime.settings import load_settings


def parser(description: str) -> argparse.ArgumentParser:
    """All options with their help."""
    known = "\n".join(f"  {name:14} {what}" for name, what in DESCRIPTIONS.items())
    options = argparse.ArgumentParser(
        prog="backtester.py",
        description=description,
        epilog=f"strategies:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_data(options.add_argument_group("what is tested, on what"))
    _add_conditions(options.add_argument_group("under which conditions"))
    _add_outputs(options.add_argument_group("what is written"))
    _add_checks(options.add_argument_group("what would fool us"))
    return options


def _add_data(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--data",
        metavar="PATH",
        help="a .csv or .parquet file; a folder of Parquet files, of tables (`main.py download`), of a "
        "recording (`main.py record`) or of a session (`main.py run --record`, replayed when no --strategy "
        "is given); or "
        "generated:SEED[:DAYS]",
    )
    add("--strategy", metavar="NAME", help="name, name,name or all (default); the names are below")
    add("--news", metavar="FILE", help="CSV (.gz) or Parquet of items: ts_utc or first_seen, source, text")
    add("--series", default="", help="series of a folder of tables, comma-separated (default: all)")
    add("--from", dest="date_from", default="", metavar="DATE", help="first event day, e.g. 2024-01-01")
    add("--to", dest="date_to", default="", metavar="DATE", help="last event day")
    add(
        "--make-sample",
        type=Path,
        metavar="FILE",
        help="write a small made-up CSV to try --data with, and end",
    )


def _add_conditions(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--config", type=Path, metavar="FILE", help="settings as config/config.yaml (default: built in)")
    add("--balance", default="10000", help="dollars to start with (default 10000)")
    add(
        "--latency-ms",
        default="250",
        metavar="MS",
        help="in all (40 %% feed, 40 %% order, 20 %% answer), or three: feed,order,answer (default 250)",
    )
    add(
        "--fees",
        choices=[fees.value for fees in Fees],
        default=Fees.TRADE_DATE.value,
        help="schedule of the trade's date (default) or today's for the whole span; both are reported",
    )
    add(
        "--tick-seconds",
        type=float,
        default=300.0,
        metavar="S",
        help="how often the engine decides on its own (default 300; live trading: 1)",
    )
    add("--seed", type=int, default=0, help="for ids and resampling (default 0)")


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--output", type=Path, metavar="FILE", help="CSV, one row per trade")
    add("--html", type=Path, metavar="FILE", help="the report as one self-contained page")
    add("--json", type=Path, metavar="FILE", help="the report as JSON")
    add("--log", type=Path, metavar="FILE", help="the decision log, one JSON object a line")


def _add_checks(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--audit", action="store_true", help="look-ahead audit: rerun with the future cut off or changed")
    add(
        "--sensitivity",
        action="store_true",
        help="rerun with other latency, fees, quotes and sizes (capacity at 1x, 2x, 5x)",
    )
    add(
        "--sweep",
        type=Path,
        metavar="FILE",
        help="YAML grid or search over settings; with walk-forward, purged cross-validation, PBO and DSR",
    )
    add(
        "--baselines",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also run buy_favourite, to compare with (default: yes)",
    )
    add(
        "--workers",
        default=str(os.cpu_count() or 1),
        metavar="N",
        help="processes for several runs (default: all cores), or a Dask cluster, tcp://HOST:PORT",
    )


def spec_of(given: argparse.Namespace) -> Spec:
    """The run that the options describe. Raises ``ConfigError`` naming the option and the mend."""
    if given.config is not None and not given.config.is_file():
        raise ConfigError(f"--config: {given.config} does not exist")
    if given.news and not Path(given.news).is_file():
        raise ConfigError(f"--news: {given.news} does not exist")
    if not 1 <= given.tick_seconds <= 86_400:
        raise ConfigError(f"--tick-seconds: {given.tick_seconds:g} is not from 1 to 86400")
    return Spec(
        data=given.data,
        strategy="",
        settings=load_settings(given.config, {}, None),
        series=tuple(name.strip() for name in given.series.split(",") if name.strip()),
        date_from=given.date_from,
        date_to=given.date_to,
        latency=_latency(given.latency_ms),
        balance=_balance(given.balance),
        tick=int(given.tick_seconds * SECOND),
        seed=given.seed,
        fees=Fees(given.fees),
        news=given.news or "",
    )


def _balance(text: str) -> int:
    try:
        balance = parse_cash(f"{Decimal(text):f}", "balance")
    except (InvalidOperation, ValueError):
        raise ConfigError(f"--balance: {text!r} is not an amount of dollars, e.g. 10000") from None
    if balance <= 0:
        raise ConfigError(f"--balance: {text} must be above zero")
    return balance


def _latency(text: str) -> Latency:
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        parts = []
    if len(parts) == 1:
        return Latency.of_total(parts[0])
    if len(parts) != 3 or not all(0 <= part <= 600_000 for part in parts):
        raise ConfigError(
            f"--latency-ms: {text!r} is neither a number of milliseconds nor three from 0 to 600000, "
            "e.g. 250 or 100,100,50 (feed, order, answer)"
        )
    feed, order, answer = (int(part * MILLISECOND) for part in parts)
    return Latency(feed, order, answer)
