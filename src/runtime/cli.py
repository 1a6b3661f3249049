"""The commands of ``main.py``. Bad input is one clear line and exit code 2."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from src.core.errors import ConfigError, TradingSystemError, WireError
from src.core.units import parse_cash
from src.runtime import data_commands, look_commands, operate_commands, rules_command
from src.runtime.settings import Settings, load_settings
from src.runtime.settings_mode import resolve_mode

EXIT_BAD_INPUT = 2
EXIT_FAILED = 1

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=(
        "Kalshi Automated Trading System. Paper trading is the default; real orders need "
        "trading.enabled, --live and KALSHI_LIVE_CONFIRMATION together."
    ),
)

ConfigOption = Annotated[Path, typer.Option("--config", help="YAML configuration file.")]
DEFAULT_CONFIG = Path("config/config.yaml")
Root = Path(".")


def main() -> None:
    """Entry point: a mistake a person can mend becomes one clear line and exit code 2.

    What the system itself gives up on (a key that was revoked, a database that is gone) is one line too,
    with exit code 1. Anything else is a defect and shows its traceback.
    """
    try:
        app(standalone_mode=True)
    except ConfigError as error:
        _fail(str(error), EXIT_BAD_INPUT)
    except TradingSystemError as error:
        _fail(f"{type(error).__name__}: {error}", EXIT_FAILED)


def _fail(text: str, code: int) -> NoReturn:
    print(f"error: {text}", file=sys.stderr)
    raise SystemExit(code)


def _settings(config: Path, exchange: Path | None = None) -> Settings:
    """The checked configuration; a ready file of ``simulate`` is stronger than the environment."""
    if not config.is_file():
        raise ConfigError(
            f"--config: there is no file {config}; start in the project's folder or name another one"
        )
    environment = dict(os.environ)
    if exchange is not None:
        from src.runtime.simulate import environment_of

        environment |= environment_of(exchange)
    dotenv = Path(".env")
    return load_settings(config, environment, dotenv if dotenv.exists() else None)


def _run(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run on uvloop where it is installed; Ctrl-C ends with the conventional 130."""
    try:
        import uvloop
    except ImportError:  # not available on Windows
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        try:
            raise SystemExit(runner.run(work))
        except KeyboardInterrupt:
            raise SystemExit(130) from None


@app.command()
def run(
    config: ConfigOption = DEFAULT_CONFIG,
    live: Annotated[
        bool,
        typer.Option("--live", help="One of the three deliberate acts that real orders need."),
    ] = False,
    exchange: Annotated[
        Path | None,
        typer.Option(
            "--exchange",
            help="Ready file of `simulate`: trade against that simulated exchange, with its key.",
        ),
    ] = None,
    standby: Annotated[
        bool,
        typer.Option(
            "--standby", help="Wait while another instance runs; take over when it ends or falls silent."
        ),
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record", help="Folder for a tape of the session, to be replayed by the backtester's --data."
        ),
    ] = None,
) -> None:
    """Run the trading daemon until SIGTERM or Ctrl-C. Paper trading unless configured otherwise."""
    settings = _settings(config, exchange)
    mode = resolve_mode(settings, live_flag=live)
    # Imported here: these are heavy, and a mistake in the configuration should show at once.
    from src.monitoring.logs import configure_logging
    from src.runtime.app import run_daemon

    configure_logging(settings.logging.level, settings.logging.format, settings.secret_values())

    _run(run_daemon(settings, mode, Root, standby=standby, record=record))


@app.command()
def demo(
    config: ConfigOption = DEFAULT_CONFIG,
    seed: Annotated[int, typer.Option(help="Same seed, same world, same orders.")] = 7,
    days: Annotated[int, typer.Option(min=1, max=60, help="Days of the generated world.")] = 3,
    seconds: Annotated[
        float, typer.Option(min=0, help="Pace of the generated world; 0 is as fast as the machine allows.")
    ] = 45.0,
    data: Annotated[
        Path | None, typer.Option(help="Folder of recorded tables: replay real history instead.")
    ] = None,
    series: Annotated[str, typer.Option(help="Series of the recorded world, comma separated.")] = "KXHIGHNY",
    date_from: Annotated[str, typer.Option("--from", help="First event day, YYYY-MM-DD.")] = "2024-10-01",
    date_to: Annotated[str, typer.Option("--to", help="Last event day, YYYY-MM-DD.")] = "2024-10-14",
    balance: Annotated[str, typer.Option(help="Starting cash, dollars.")] = "1000",
    report: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("var/demo/report.json"),
) -> None:
    """Watch the whole system work: simulated exchange, daemon and Postgres in one go, no accounts needed."""
    console = Console()
    settings = _settings(config)
    recorded = (data, _series(series), date_from, date_to)
    cash = _cash(balance)
    from src.monitoring.logs import configure_logging
    from src.runtime.demo_command import demo_command

    # What the daemon does is shown live and in the report; only what goes wrong is a line of the log.
    configure_logging("ERROR", settings.logging.format, settings.secret_values())
    _run(demo_command(settings, Root, console, seed, days, seconds, recorded, cash, report))


@app.command()
def simulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the generated world.")] = 7,
    speed: Annotated[float, typer.Option(min=0.001, help="World seconds per real second.")] = 60.0,
    days: Annotated[int, typer.Option(min=1, max=60, help="Days of the generated world.")] = 3,
    data: Annotated[
        Path | None, typer.Option(help="Folder of recorded tables: replay real history instead.")
    ] = None,
    series: Annotated[str, typer.Option(help="Series of the recorded world, comma separated.")] = "KXHIGHNY",
    date_from: Annotated[str, typer.Option("--from", help="First event day, YYYY-MM-DD.")] = "2024-10-01",
    date_to: Annotated[str, typer.Option("--to", help="Last event day, YYYY-MM-DD.")] = "2024-10-14",
    balance: Annotated[str, typer.Option(help="Starting cash of the account, dollars.")] = "1000",
    ready_file: Annotated[
        Path | None, typer.Option(help="Gets the URLs, key id and key path as JSON once connections work.")
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(help="Fault script (YAML, see docs/FAULTS.md): what is to go wrong, and when."),
    ] = None,
    admin: Annotated[
        bool,
        typer.Option("--admin", help="Open /sim/v1/faults and /sim/v1/observations to a token it prints."),
    ] = False,
) -> None:
    """Run the simulated exchange alone until stopped; any Kalshi client can trade against it."""
    cash = _cash(balance)
    from src.runtime.fault_script import load_fault_plan
    from src.runtime.simulate import simulate_command
    from src.runtime.worlds import make_world

    plan = load_fault_plan(faults) if faults is not None else None
    world = make_world(seed, days, (data, _series(series), date_from, date_to))
    work = simulate_command(world, seed, port, speed, cash, ready_file, Root, Console(), plan, admin=admin)
    _run(work)


@app.command()
def status(
    config: ConfigOption = DEFAULT_CONFIG,
    exchange: Annotated[
        Path | None, typer.Option("--exchange", help="Ready file of `simulate`, as given to `run`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Show the trading state, positions, orders and profit from the database."""
    settings = _settings(config, exchange)
    from src.runtime.status import status_command

    _run(status_command(settings, Root, Console(), as_json=as_json))


data_commands.register(app, _run, _settings, DEFAULT_CONFIG)
look_commands.register(app, _run, _settings, Root, DEFAULT_CONFIG)
operate_commands.register(app, _run, _settings, Root, DEFAULT_CONFIG)
rules_command.register(app, _run, _settings, DEFAULT_CONFIG)


def _series(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _cash(text: str) -> int:
    try:
        cash = parse_cash(text.strip(), "--balance")
    except WireError:
        cash = 0
    if cash <= 0:
        raise ConfigError(f"--balance: {text!r} is not an amount above 0; write dollars, e.g. 1000 or 250.50")
    return cash
