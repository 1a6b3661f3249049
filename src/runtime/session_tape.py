"""A trading session on tape: everything the engine was told, in order, and every decision it took.

The records go into the recorder's files (``src.api.recorder``). The backtester leads a fresh engine through
the same events and compares the decisions byte by byte. Of the settings only the sections that decide are
kept; secrets are not among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias, get_args

import msgspec

from src.api.decoding import UNREADABLE, decode
from src.api.recorder import Recorder
from src.api.recorder_format import read_records, recording_files
from src.core.actions import AuditRecord, StoredState
from src.core.errors import ConfigError
from src.core.events import Event
from src.core.ports import ApprovedOrder, Clock
from src.core.units import Nanos
from src.monitoring.decision_log import DecisionLog
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode

FEED = "session"
_SECTIONS = ("trading", "risk", "strategies")
_EVENT, _BEGIN, _DECISION, _SETTINGS = "event", "begin", "decision", "settings"
_TYPES: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}


class _Start(msgspec.Struct):
    feed: str = ""


class _Kept(msgspec.Struct):
    mode: str
    speed: float
    sections: dict[str, Any]


class SessionTape:
    """Writes a session into ``folder``. Never waits, never raises; what is dropped shows on the tape."""

    def __init__(self, folder: Path, clock: Clock, settings: Settings, mode: Mode, speed: float) -> None:
        self._recorder = Recorder(folder, clock, {"feed": FEED, "mode": mode.value})
        self._kept = _Kept(
            mode.value,
            speed,
            {name: _plain(getattr(settings, name).model_dump()) for name in _SECTIONS},
        )
        self._clock = clock
        self._log = DecisionLog(self._decided)

    def start(self) -> None:
        """Begin. Raises ``ConfigError`` when the folder cannot be used or holds something else."""
        self._recorder.start()
        self._recorder.on_raw(_SETTINGS, msgspec.json.encode(self._kept), self._clock.now())

    def begin(self, stored: StoredState, now: Nanos) -> None:
        """The engine starts from this state."""
        self._recorder.on_raw(_BEGIN, msgspec.json.encode(stored), now)

    def event(self, event: Event) -> None:
        """The engine is about to be told this."""
        self._recorder.on_raw(
            f"{_EVENT} {type(event).__name__}", msgspec.json.encode(event), max(0, event.ts_recv)
        )

    def approved(self, approved: ApprovedOrder, now: Nanos) -> None:
        """An order left the engine."""
        self._log.approved(approved, now)

    def observe(self, record: AuditRecord) -> None:
        """The engine said what it did."""
        self._log.observe(record)

    async def aclose(self) -> None:
        """Write what is queued and finish the files."""
        await self._recorder.aclose()

    def _decided(self, ts: Nanos, line: str) -> None:
        self._recorder.on_raw(_DECISION, line.encode(), ts)


def _plain(value: Any) -> Any:
    """As a YAML file has it: amounts are numbers (of at most two decimals, so a float keeps them)."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


@dataclass(frozen=True, slots=True)
class Begin:
    """The engine was started from ``stored``."""

    stored: StoredState
    now: Nanos


@dataclass(frozen=True, slots=True)
class Decision:
    """A line of the decision log, as it was written then."""

    line: str


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the engine was built from. ``sections``: trading, risk and strategies of the settings."""

    mode: Mode
    speed: float
    sections: dict[str, Any]

    def applied_to(self, settings: Settings) -> Settings:
        """Settings with the recorded sections in place of their own."""
        update = {
            name: type(getattr(settings, name)).model_validate(body) for name, body in self.sections.items()
        }
        return settings.model_copy(update=update)


Step: TypeAlias = Conditions | Begin | Decision | Event


def is_session(folder: Path) -> bool:
    """Whether a folder's recording is a session's rather than a feed's."""
    files = recording_files(folder)
    first = next(iter(read_records(files[0])), None) if files else None
    if first is None or first.kind != "start":
        return False
    try:
        return msgspec.json.decode(first.payload, type=_Start).feed == FEED
    except UNREADABLE:
        return False


def read_session(folder: Path) -> Iterator[Step]:
    """The steps of a session, in order.

    Raises ``ConfigError`` for a folder without one or with a gap, ``WireError`` for a damaged record.
    """
    files = recording_files(folder)
    if not files:
        raise ConfigError(f"{folder}: holds no recording (*.rec.gz); give the folder `run --record` wrote")
    for path in files:
        for record in read_records(path):
            kind, _, name = record.kind.partition(" ")
            if kind == _EVENT:
                if name not in _TYPES:
                    raise ConfigError(f"{path}: event {name!r} is from another version")
                yield decode(record.payload, _TYPES[name], record.kind)
            elif kind == _DECISION:
                yield Decision(record.payload.decode())
            elif kind == _BEGIN:
                yield Begin(decode(record.payload, StoredState, kind), record.ts)
            elif kind == _SETTINGS:
                kept = decode(record.payload, _Kept, kind)
                yield Conditions(Mode(kept.mode), kept.speed, kept.sections)
            elif kind == "dropped":
                raise ConfigError(
                    f"{path}: {record.payload.decode()} record(s) were dropped here (the disk did not keep "
                    "up), so what follows cannot be repeated"
                )
