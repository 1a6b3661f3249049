"""The command ``acknowledge-rules``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from src.runtime.data_commands import ReadSettings, Run


def register(
    app: typer.Typer,
    run: Run,
    read_settings: ReadSettings,
    default_config: Path,
) -> None:
    """Add ``acknowledge-rules`` to ``app``."""

    @app.command("acknowledge-rules")
    def acknowledge_rules(
        series: Annotated[str, typer.Argument(help="Series whose entries are blocked, e.g. KXHIGHNY.")],
        config: Annotated[Path, typer.Option("--config", help="YAML configuration file.")] = default_config,
        exchange: Annotated[
            Path | None, typer.Option("--exchange", help="Ready file of `simulate`, as given to `run`.")
        ] = None,
        is_sure: Annotated[
            bool, typer.Option("--yes", help="Do not ask; for use without a terminal.")
        ] = False,
    ) -> None:
        """Show how the rules of a series changed and, once you agree, allow new entries in it again."""
        settings = read_settings(config, exchange)
        # Imported here: a mistake in the configuration should show at once.
        from src.runtime.rules import acknowledge_command

        run(acknowledge_command(settings, Path("."), series.strip(), Console(), is_sure=is_sure))
