"""The commands by which a person steers a running daemon, from ``halt`` to ``strategy-on``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Command:
    """``question``: what is asked before it is given (empty: nothing is); may name the strategy."""

    name: str
    kind: CommandKind
    help: str
    question: str = ""
    names_strategy: bool = False


_COMMANDS = (
    _Command(
        "halt",
        CommandKind.HALT,
        "Stop trading now: cancel what rests, enter nothing. Exits go on. Works with the daemon down too.",
    ),
    _Command("pause", CommandKind.PAUSE, "Enter nothing new until resume. Positions are kept and managed."),
    _Command(
        "resume",
        CommandKind.RESUME,
        "End a pause, a flatten or the circuit breaker. A halt needs clear-halt.",
        "Let the daemon enter new positions again?",
    ),
    _Command(
        "clear-halt",
        CommandKind.CLEAR_HALT,
        "Clear a halt after looking into its reason (`status`). Nothing else ever clears one.",
        "Clear the halt and let the daemon trade again?",
    ),
    _Command(
        "flatten",
        CommandKind.FLATTEN,
        "Sell every open position at the market, enter nothing, and show what is left until it is flat.",
        "Sell every open position at the market?",
    ),
    _Command(
        "strategy-off",
        CommandKind.STRATEGY_OFF,
        "Switch one strategy's entries off, across restarts. Its positions are still managed.",
        names_strategy=True,
    ),
    _Command(
        "strategy-on",
        CommandKind.STRATEGY_ON,
        "Let a strategy that was switched off enter again.",
        "Let {strategy} enter new positions again?",
        names_strategy=True,
    ),
)


def register(app: typer.Typer, run: Run, read_settings: ReadSettings, root: Path, config: Path) -> None:
    """Add the commands to ``app``. ``run`` runs a coroutine to its exit code."""
    give = _Giver(run, read_settings, root)
    for command in _COMMANDS:
        app.command(command.name, help=command.help)(_with_options(command, give, config))


def _with_options(command: _Command, give: _Giver, default_config: Path) -> Callable[..., None]:
    """The command as a function whose signature is the options it has; all of them are stated here."""

    def call(
        *,
        name: _Strategy = "",
        why: _Why,
        config: _Config = default_config,
        exchange: _Exchange = None,
        yes: _Yes = False,
        timeout: _Timeout = 10.0,
        as_json: _Json = False,
    ) -> None:
        if command.question:
            _confirm(command.question.format(strategy=name), yes=yes)
        give(command.kind, why, config, exchange, timeout, name, as_json=as_json)

    signature = inspect.signature(call, eval_str=True)
    options = dict(signature.parameters)
    if command.names_strategy:
        options["name"] = options["name"].replace(default=inspect.Parameter.empty)
    else:
        del options["name"]
    if not command.question:
        del options["yes"]
    call.__signature__ = signature.replace(parameters=tuple(options.values()))  # type: ignore[attr-defined]
    return call


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
        target: str,
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
