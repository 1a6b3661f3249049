"""The commands by which a person looks: ``why``, ``tie-out`` and ``drill``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from src.runtime.settings import Settings

Run = Callable[[Coroutine[Any, Any, int]], NoReturn]
ReadSettings = Callable[[Path, Path | None], Settings]

_Config = Annotated[Path, typer.Option("--config", help="YAML configuration file.")]
_Exchange = Annotated[
    Path | None, typer.Option("--exchange", help="Ready file of `simulate`, as given to `run`.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer, run: Run, read_settings: ReadSettings, root: Path, config: Path) -> None:
    """Add the commands to ``app``. ``run`` runs a coroutine to its exit code."""

    @app.command()
    def why(
        name: Annotated[str, typer.Argument(help="A market, an event or a series, e.g. KXHIGHNY.")],
        last: Annotated[int, typer.Option(min=1, max=1_000, help="How many signals, newest first.")] = 10,
        config: _Config = config,
        exchange: _Exchange = None,
        as_json: _Json = False,
    ) -> None:
        """Say why a market was traded or not: the first gate that refused, with its numbers."""
        settings = read_settings(config, exchange)
        from src.runtime.why import why_command

        run(why_command(settings, root, Console(), name, last, as_json=as_json))

    @app.command()
    def drill(
        only: Annotated[
            str, typer.Option(help="Only faults whose area or name contains this, e.g. books.")
        ] = "",
        config: _Config = config,
        as_json: _Json = False,
    ) -> None:
        """Play the fault catalogue against a simulated exchange with your limits; exit code 1 on failure."""
        settings = read_settings(config, None)
        from src.monitoring.logs import configure_logging
        from src.runtime.drill_command import drill_command

        # Faults are what this is about: only the table says what they led to.
        configure_logging("CRITICAL", settings.logging.format, settings.secret_values())
        run(drill_command(settings, root, Console(), only, as_json=as_json))

    @app.command("tie-out")
    def tie_out(config: _Config = config, exchange: _Exchange = None, as_json: _Json = False) -> None:
        """Compare fills, positions and balance to the last centicent; exit code 1 when they differ."""
        settings = read_settings(config, exchange)
        from src.runtime.tie_out import tie_out_command

        run(tie_out_command(settings, root, Console(), as_json=as_json))
