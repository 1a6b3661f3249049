"""The commands about market data: ``record``, ``replay`` and ``download``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_args

import typer
from rich.console import Console

from src.core.errors import ConfigError
from src.runtime.settings import Settings

Run = Callable[[Coroutine[Any, Any, int]], NoReturn]
ReadSettings = Callable[[Path, Path | None], Settings]
_Format = Literal["parquet", "csv"]
_Prices = Literal["no-leg", "yes-leg"]
_Minutes = Literal[1, 60, 1440]


def register(app: typer.Typer, run: Run, read_settings: ReadSettings, default_config: Path) -> None:
    """Add the commands to ``app``. ``run`` runs a coroutine to its exit code."""
    _register_record(app, run, read_settings, default_config)
    _register_replay(app)
    _register_download(app, run)


def _register_record(app: typer.Typer, run: Run, read_settings: ReadSettings, default_config: Path) -> None:
    @app.command()
    def record(
        out: Annotated[Path, typer.Option("--out", help="Folder of the recording; an old one is continued.")],
        series: Annotated[
            str, typer.Option(help="Series, comma separated; the configured ones when left out.")
        ] = "",
        hours: Annotated[float | None, typer.Option(min=0.0, help="Stop by itself after so long.")] = None,
        config: Annotated[Path, typer.Option("--config", help="YAML configuration file.")] = default_config,
        exchange: Annotated[
            Path | None, typer.Option("--exchange", help="Ready file of `simulate`: record that exchange.")
        ] = None,
    ) -> None:
        """Record what the exchange says, raw and with arrival times, until Ctrl-C. Sends no orders."""
        from src.runtime.record import record_command

        settings = read_settings(config, exchange)
        names = _series(series) or list(settings.strategies.weather_model.series)
        run(record_command(settings, out, names, hours, Console()))


def _register_replay(app: typer.Typer) -> None:
    @app.command()
    def replay(
        files: Annotated[
            list[Path],
            typer.Argument(help="Recordings (files or their folder), or files of one JSON frame a line."),
        ],
        prices: Annotated[
            str | None,
            typer.Option(
                help="Leg the NO side is priced in: no-leg or yes-leg. Default: what the stream itself "
                "tells; failing that yes-leg for recordings of `record`, no-leg for JSON lines."
            ),
        ] = None,
        json_out: Annotated[
            Path | None, typer.Option("--json", help="Write the whole report there as JSON.")
        ] = None,
    ) -> None:
        """Check recorded streams: what they hold, gaps, negative levels, crossed books, final tops."""
        from src.runtime.replay import replay_command

        raise SystemExit(replay_command(files, _prices(prices), json_out, Console()))


def _register_download(app: typer.Typer, run: Run) -> None:
    @app.command()
    def download(
        out: Annotated[Path, typer.Option("--out", help="Folder of the tables; a second run adds to them.")],
        series: Annotated[str, typer.Option(help="Series, comma separated, e.g. KXHIGHNY,KXHIGHCHI.")],
        date_from: Annotated[str, typer.Option("--from", help="First event day, YYYY-MM-DD.")],
        date_to: Annotated[str, typer.Option("--to", help="Last event day, YYYY-MM-DD.")],
        table_format: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
        candles: Annotated[
            int | None, typer.Option(help="Candlesticks too, of 1, 60 or 1440 minutes.")
        ] = None,
        base_url: Annotated[
            str | None, typer.Option("--base-url", help="Another exchange's REST address.")
        ] = None,
    ) -> None:
        """Download past markets, trades and results as tables. Public data: no key is needed."""
        from src.api.download import Wanted
        from src.runtime.download import PUBLIC_URL, download_command

        wanted = Wanted(
            tuple(_series(series)), date_from, date_to, _minutes(candles), _table_format(table_format)
        )
        run(download_command(base_url or PUBLIC_URL, out, wanted, Console()))


def _series(text: str) -> list[str]:
    return [item.strip().upper() for item in text.split(",") if item.strip()]


def _table_format(text: str) -> _Format:
    for known in get_args(_Format):
        if text == known:
            return known  # type: ignore[no-any-return]
    raise ConfigError(f"--format: {text!r} must be parquet or csv")


def _prices(text: str | None) -> _Prices | None:
    if text is None:
        return None
    for known in get_args(_Prices):
        if text == known:
            return known  # type: ignore[no-any-return]
    raise ConfigError(f"--prices: {text!r} must be no-leg or yes-leg")


def _minutes(number: int | None) -> _Minutes | None:
    if number is None:
        return None
    for known in get_args(_Minutes):
        if number == known:
            return known  # type: ignore[no-any-return]
    raise ConfigError(f"--candles: {number} must be 1, 60 or 1440 (minutes)")
