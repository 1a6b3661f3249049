"""What people, feeds, clocks and the store say to the engine.

``ts_recv`` and ``ts_event`` are explained in ``events``, which names everything that is an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from src.core.units import Nanos


class CommandKind(Enum):
    """What a person may ask of the running system."""

    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    CLEAR_HALT = "clear_halt"
    FLATTEN = "flatten"
    STRATEGY_OFF = "strategy_off"
    STRATEGY_ON = "strategy_on"


@dataclass(frozen=True, slots=True)
class Command:
    """A person's order to the system; ``who`` and ``why`` are stored with the state.

    ``target`` names the strategy of STRATEGY_OFF and STRATEGY_ON; the others have none. ``command_id`` is
    its row in the table of commands, which wants an answer; 0 for one that came another way.
    """

    kind: CommandKind
    who: str
    why: str
    ts_recv: Nanos
    target: str = ""
    command_id: int = 0


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """What the kill switch says now: why it is tripped, or empty. Tripped halts; only a person clears it."""

    reason: str
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class RulesAcknowledged:
    """A person has read changed rules of a series: the wordings with these ``core.rules_text.digest``."""

    series_ticker: str
    digests: tuple[str, ...]
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class FeedDown:
    """A source is not to be trusted. ``feed``: "market", "account", "weather", "news:<name>".

    ``fatal``: the exchange refuses it until a person acts.
    """

    feed: str
    reason: str
    ts_recv: Nanos
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class FeedUp:
    """A source is connected and subscribed again."""

    feed: str
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Our clock minus the exchange's, in nanoseconds, as last measured."""

    offset: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Whether the durable store takes writes: ``reason`` says why it does not, and is empty when it does."""

    reason: str
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed. Everything periodic in the engine happens on ticks."""

    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Stop: no new intents, cancel what rests."""

    ts_recv: Nanos
