"""``simulate``: the simulated exchange alone, for any Kalshi client, until stopped."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import uuid
from pathlib import Path

from rich.console import Console

from src.core.errors import ConfigError
from src.core.units import SECOND, Cash, dollars
from src.runtime.stop_signals import on_stop_signal
from src.simulator.faults import FaultPlan
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
    faults: FaultPlan | None = None,
    *,
    admin: bool = False,
) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code. ``admin`` opens the faults to a fresh token.

    Raises ``ConfigError`` for a port or file that cannot be used, and whatever goes wrong in the world.
    """
    stop = asyncio.Event()
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)  # one left by a killed run names an exchange that is gone
    key_id = str(uuid.uuid4())
    key_path = (root / "var/simulate" / f"{key_id}.pem").resolve()
    token = secrets.token_urlsafe(24) if admin else None
    service = SimulatorService(
        world,
        key_path,
        seed=seed,
        balance=balance,
        speed=speed,
        key_id=key_id,
        faults=faults,
        admin_token=token,
    )
    with on_stop_signal(stop.set):
        try:
            await _start(service, port)
            if ready_file is not None:
                _write_ready(ready_file, service)
            _introduce(service, world, speed, balance, console)
            _introduce_faults(faults, token, service, console)
            await _until_stopped(service, stop, console)
        finally:
            if ready_file is not None:
                ready_file.unlink(missing_ok=True)
            key_path.unlink(missing_ok=True)
            await service.stop()
    console.print("stopped")
    return 0


async def _start(service: SimulatorService, port: int) -> None:
    try:
        await service.start(port=port)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.filename is not None:
            raise ConfigError(
                f"{error.filename}: the key cannot be written ({reason}); start in a folder you may write to"
            ) from error
        raise ConfigError(
            f"--port: the simulated exchange cannot listen on 127.0.0.1:{port} ({reason}); "
            "choose another port (0 takes any free one)"
        ) from error


def _introduce(
    service: SimulatorService, world: World, speed: float, balance: Cash, console: Console
) -> None:
    lasts = (world.end - world.start) / SECOND / speed
    days = "1 day" if world.days == 1 else f"{world.days} days"
    rows = (
        ("REST", service.rest_url),
        ("WebSocket", service.ws_url),
        ("key id", service.key_id),
        ("private key", str(service.private_key_path)),
        ("balance", f"${dollars(balance):,.2f} (simulated)"),
        ("world", f"{world.kind}, {days} at {speed:g} times real speed: over in {_duration(lasts)}"),
    )
    console.print("Simulated exchange, ready.")
    for name, value in rows:
        console.print(f"{name:>12}  {value}", highlight=False, soft_wrap=True)
    console.print("Ctrl-C stops it.")


def _introduce_faults(
    faults: FaultPlan | None, token: str | None, service: SimulatorService, console: Console
) -> None:
    if faults is not None:
        console.print(f"{'faults':>12}  {len(faults.rules)} rules, seed {faults.seed}", highlight=False)
    if token is not None:
        url = f"{service.base_url}/sim/v1/faults"
        console.print(f"{'admin':>12}  {url}  Authorization: Bearer {token}", highlight=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    """``95`` -> ``1.6 minutes``, for people."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


async def _until_stopped(service: SimulatorService, stop: asyncio.Event, console: Console) -> None:
    """Wait for ``stop``; the world may end before it, or fail, which must not pass in silence."""
    world = asyncio.create_task(service.wait_until_finished())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({world, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if world.done():
            world.result()
            console.print("The world has ended; its last state is served until Ctrl-C.")
            await stopped
    finally:
        world.cancel()
        stopped.cancel()
        await asyncio.gather(world, stopped, return_exceptions=True)


def _write_ready(path: Path, service: SimulatorService) -> None:
    """Write the ready file in one step: whoever sees it can connect."""
    content = (service.rest_url, service.ws_url, service.key_id, str(service.private_key_path))
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(dict(zip(_KEYS, content, strict=True))) + "\n")
        partial.replace(path)
    except OSError as error:
        raise ConfigError(
            f"--ready-file: {path} cannot be written ({error.strerror}); choose another place"
        ) from error


def environment_of(ready_file: Path) -> dict[str, str]:
    """Environment variables that point the daemon at a standing simulated exchange."""
    try:
        body = json.loads(ready_file.read_text())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise ConfigError(
            f"--exchange: {ready_file} is not a ready file ({reason}); "
            "`python main.py simulate --ready-file FILE` writes one while it runs"
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
