"""The Compose file, held against the program: what must work when nothing else does is reachable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from src.runtime.kill_switch import KillSwitch

ROOT = Path(__file__).parents[2]


def _app() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    app: dict[str, Any] = services["app"]
    return app


def _outside(inside: Path) -> Path | None:
    """Where a path of the container is on the host; None when it is in no folder that both share."""
    for mount in _app()["volumes"]:
        source, target, *_ = mount.split(":")
        if source.startswith("./") and inside.is_relative_to(target):
            return ROOT / source / inside.relative_to(target)
    return None


def test_the_kill_file_can_be_made_on_the_host() -> None:
    """It is in a folder that both share, one that a fresh clone has and that its owner may write to."""
    inside = Path(_app()["environment"]["KATS__OPERATIONS__KILL_FILE"])
    outside = _outside(inside)
    assert outside is not None
    assert (outside.name, outside.parent) == ("HALT", ROOT / "var" / "switch")
    assert (outside.parent / "README").is_file()
    assert KillSwitch(outside).look() == ""


def test_what_the_daemon_writes_while_the_database_is_away_survives_the_container() -> None:
    """The root is read-only: the fallback journal's folder is a volume."""
    app = _app()
    assert app["read_only"] is True
    assert any(mount.split(":")[1] == "/app/var/fallback" for mount in app["volumes"])
