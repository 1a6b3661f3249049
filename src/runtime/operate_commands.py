"""The commands by which a person steers a running daemon, from ``halt`` to ``strategy-on``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from src.core.errors import ConfigError
from src.core.events import CommandKind
from src.runtime.settings import Settings

Run = Callable[[Coroutine[Any, Any, int]], NoReturn]
ReadSettings = Callable[[Path, Path | None], Settings]

_Config = Annotated[Path, typer.Option("--config", help="YAML configuration file.")]
_Exchange = Annotated[
    Path | None, typer.Option("--exchange", help="Ready file of `simulate`, as given to `run`.")
]
_Why = Annotated[str, typer.Option("--why", help="The reason; it is stored and shown with the state.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
_Timeout = Annotated[float, typer.Option(min=1.0, help="Seconds to wait for the daemon's answer.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Strategy = Annotated[str, typer.Argument(help="The strategy's name, e.g. weather_model.")]


def register(app: typer.Typer, run: Run, read_settings: ReadSettings, root: Path, config: Path) -> None:
    """Add the commands to ``app``. ``run`` runs a coroutine to its exit code."""
    give = _Giver(run, read_settings, root)

    @app.command()
    def halt(
        why: _Why,
        config: _Config = config,
        exchange: _Exchange = None,
        timeout: _Timeout = 10.0,
        as_json: _Json = False,
    ) -> None:
        """Stop trading now: cancel what rests, enter nothing. Exits go on. Works with the daemon down too."""
        give(CommandKind.HALT, why, config, exchange, timeout, as_json=as_json)

    @app.command()
    def pause(
        why: _Why,
        config: _Config = config,
        exchange: _Exchange = None,
        timeout: _Timeout = 10.0,
        as_json: _Json = False,
    ) -> None:
        """Enter nothing new until resume. Positions are kept and managed."""
        give(CommandKind.PAUSE, why, config, exchange, timeout, as_json=as_json)

    @app.command()
    def resume(
        why: _Why,
        config: _Config = config,
        exchange: _Exchange = None,
        yes: _Yes = False,
        timeout: _Timeout = 10.0,
        as_json: _Json = False,
    ) -> None:
        """End a pause, a flatten or the circuit breaker. A halt needs clear-halt."""
        _confirm("Let the daemon enter new positions again?", yes=yes)
        give(CommandKind.RESUME, why, config, exchange, timeout, as_json=as_json)

    @app.command("clear-halt")
    def clear_halt(
        why: _Why,
        config: _Config = config,
        exchange: _Exchange = None,
        yes: _Yes = False,
        timeout: _Timeout = 10.0,
        as_json: _Json = False,
    ) -> None:
        """Clear a halt after looking into its reason (`status`). Nothing else ever clears one."""
        _confirm("Clear the halt and let the daemon trade again?", yes=yes)
        give(CommandKind.CLEAR_HALT, why, config, exchange, timeout, as_json=as_json)

    @app.command()
    def flatten(
        why: _Why,
        config: _Config = config,
        exchange: _Exchange = None,
        yes: _Yes = False,
        timeout: _Timeout = 10.0,
        as_json: _Json = False,
    ) -> None:
        """Sell every open position at the market, enter nothing, and show what is left until it is flat."""
        _confirm("Sell every open position at the market?", yes=yes)
        give(CommandKind.FLATTEN, why, config, exchange, timeout, as_json=as_json)

    @app.command("strategy-off")
    def strategy_off(
        name: _Strategy,
        why: _Why,
        config: _Config = config,
        exchange: _Exchange = None,
        timeout: _Timeout = 10.0,
        as_json: _Json = False,
    ) -> None:
        """Switch one strategy's entries off, across restarts. Its positions are still managed."""
        give(CommandKind.STRATEGY_OFF, why, config, exchange, timeout, name, as_json=as_json)

    @app.command("strategy-on")
    def strategy_on(
        name: _Strategy,
        why: _Why,
        config: _Config = config,
        exchange: _Exchange = None,
        yes: _Yes = False,
        timeout: _Timeout = 10.0,
        as_json: _Json = False,
    ) -> None:
        """Let a strategy that was switched off enter again."""
        _confirm(f"Let {name} enter new positions again?", yes=yes)
        give(CommandKind.STRATEGY_ON, why, config, exchange, timeout, name, as_json=as_json)


class _Giver:
    """Reads the settings and gives one command."""

    def __init__(self, run: Run, read_settings: ReadSettings, root: Path) -> None:
        self._run = run
        self._read_settings = read_settings
        self._root = root

    def __call__(
        self,
        kind: CommandKind,
        why: str,
        config: Path,
        exchange: Path | None,
        timeout: float,
        target: str = "",
        *,
        as_json: bool,
    ) -> NoReturn:
        if not why.strip():
            raise ConfigError(
                "--why: say in a few words why; it is shown with the state to whoever looks next"
            )
        from src.runtime.operate import Order, Talk, operate_command, trip
        from src.runtime.operator import operator

        order = Order(kind, why.strip(), operator(), target)
        try:
            settings = self._read_settings(config, exchange)
        except ConfigError as error:
            if kind is not CommandKind.HALT:
                raise
            # A configuration with a mistake in it must not stand between a person and a halt.
            talk = Talk(Console(), as_json=as_json)
            raise SystemExit(
                trip(Settings(), order, talk, f"the configuration cannot be read ({error})")
            ) from None
        self._run(operate_command(settings, self._root, Console(), order, timeout, as_json=as_json))


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("nobody is here to confirm this: add --yes")
    if not typer.confirm(question):
        raise ConfigError("not confirmed, nothing was done")
