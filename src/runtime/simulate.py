"""``simulate``: the simulated exchange alone, for any Kalshi client, until stopped."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from pathlib import Path

from rich.console import Console

from src.core.errors import ConfigError
from src.core.units import Cash, dollars
from src.simulator.service import SimulatorService
from src.simulator.world import World

_KEYS = ("rest_url", "ws_url", "key_id", "private_key_path")


async def simulate_command(
    world: World,
    seed: int,
    port: int,
    speed: float,
    balance: Cash,
    ready_file: Path | None,
    root: Path,
    console: Console,
) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = SimulatorService(
        world,
        root / "var/simulate/private-key.pem",
        seed=seed,
        balance=balance,
        speed=speed,
        key_id=str(uuid.uuid4()),
    )
    await service.start(port=port)
    try:
        key_path = service.private_key_path.resolve()
        console.print(
            f"simulated exchange, {world.kind} world of {world.days} days at {speed:g} times real speed"
        )
        for name, value in (
            ("REST", service.rest_url),
            ("WebSocket", service.ws_url),
            ("key id", service.key_id),
            ("private key", str(key_path)),
            ("balance", f"${dollars(balance):,.2f} (simulated)"),
        ):
            console.print(f"{name:>12}  {value}", highlight=False, soft_wrap=True)
        console.print("Ctrl-C stops it.")
        if ready_file is not None:
            _write_ready(ready_file, service, key_path)
        await stop.wait()
    finally:
        await service.stop()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
    return 0


def _write_ready(path: Path, service: SimulatorService, key_path: Path) -> None:
    """Write the ready file in one step: whoever sees it can connect."""
    content = (service.rest_url, service.ws_url, service.key_id, str(key_path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(dict(zip(_KEYS, content, strict=True))) + "\n")
    partial.replace(path)


def environment_of(ready_file: Path) -> dict[str, str]:
    """Environment variables that point the daemon at a standing simulated exchange."""
    try:
        body = json.loads(ready_file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--exchange: {ready_file} cannot be read ({type(error).__name__}); "
            "start `python main.py simulate --ready-file FILE` first"
        ) from error
    missing = [key for key in _KEYS if not isinstance(body, dict) or not isinstance(body.get(key), str)]
    if missing:
        raise ConfigError(f"--exchange: {ready_file} lacks {', '.join(missing)}; it is not a ready file")
    return {
        "KALSHI_BASE_URL": body["rest_url"],
        "KALSHI_WS_URL": body["ws_url"],
        "KALSHI_API_KEY": body["key_id"],
        "KALSHI_API_SECRET": body["private_key_path"],
        "TRADING_ENABLED": "true",
    }
