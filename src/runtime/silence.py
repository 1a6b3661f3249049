"""Explaining silence: what strategies say about each event, and an alert when nothing is entered for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import structlog

from src.core.actions import Alert, Severity
from src.core.ports import Clock, Notifier, Strategy
from src.core.units import DAY, HOUR, SECOND, Nanos
from src.database.errors import DatabaseUnavailable
from src.database.explain import Drought, count_by_share
from src.runtime.gate_words import explain

log = structlog.get_logger("silence")
_LOOK_S = 5.0
_KEPT_VALUE = "silence_told"
_SHOWN_GATES = 3


@runtime_checkable
class Explains(Protocol):
    """A strategy that can say why it is silent."""

    def status(self) -> Mapping[str, str]:
        """The last answer about each event, by event ticker."""


class KeepsSilence(Protocol):
    """What the watch needs of the store."""

    async def put_answers(self, answers: Sequence[tuple[str, str, str, Nanos]]) -> None:
        """Keep what strategies say."""

    async def drought(self, since: Nanos) -> Drought:
        """What kept entries from happening since then."""

    async def keep(self, key: str, value: str, now: Nanos) -> None:
        """Keep a small fact across restarts."""

    async def kept(self, key: str) -> str | None:
        """What ``keep`` kept."""


class SilenceWatch:
    """Keeps strategies' answers in the store, once per change, and tells a person of long silence.

    ``hours`` of the clock without an entry make one alert, at most one a day, restarts included; 0: never.
    """

    def __init__(
        self,
        strategies: Sequence[Strategy],
        store: KeepsSilence,
        clock: Clock,
        notifier: Notifier,
        hours: float,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._explaining = [(each.name, each) for each in strategies if isinstance(each, Explains)]
        self._store = store
        self._clock = clock
        self._notifier = notifier
        self._span: Nanos = int(hours * HOUR)
        self._sleep = sleep
        self._stored: dict[tuple[str, str], str] = {}
        self._next_look: Nanos = 0
        self._started = clock.now()

    async def run(self) -> None:
        """Look until cancelled. A database that is away is waited for."""
        while True:
            try:
                await self.keep_answers()
                if self._span and self._clock.now() >= self._next_look:
                    await self.look_for_drought()
            except (DatabaseUnavailable, OSError) as error:
                log.warning("silence_not_kept", error=str(error))
            await self._sleep(_LOOK_S)

    async def keep_answers(self) -> None:
        """Store the answers that changed since they were last stored."""
        changed = {
            (name, event): answer
            for name, strategy in self._explaining
            for event, answer in strategy.status().items()
            if self._stored.get((name, event)) != answer
        }
        if changed:
            now = self._clock.now()
            await self._store.put_answers([(*key, answer, now) for key, answer in changed.items()])
            self._stored |= changed

    async def look_for_drought(self) -> None:
        """Tell a person when nothing was entered for the whole span, and which gate refused most."""
        now = self._clock.now()
        self._next_look = now + max(self._span // 24, 60 * SECOND)
        drought = await self._store.drought(now - self._span)
        just_started = now - self._started < min(self._span, HOUR)
        if drought.entries or just_started:
            return
        told = await self._store.kept(_KEPT_VALUE)
        if told is not None and now - int(told) < DAY:
            return
        await self._store.keep(_KEPT_VALUE, str(now), now)
        self._notifier.send(Alert(Severity.WARNING, "no_entries", drought_text(drought, self._span), now))


def drought_text(drought: Drought, span: Nanos) -> str:
    """``zero entries for 24 h: 93 % size_no_edge ...``, with the numbers of the gate that refused most."""
    hours = f"zero entries for {span / HOUR:g} h"
    if drought.refused:
        shares = count_by_share(drought.refused)
        gates = ", ".join(f"{share:.0%} {gate}" for gate, share in shares[:_SHOWN_GATES])
        worst = drought.numbers[shares[0][0]]
        return (
            f"{hours}: of {sum(drought.refused.values())} refusals {gates}. Last: {worst['ticker']}: "
            f"{explain(shares[0][0], worst['numbers'])}. `python main.py why {worst['ticker']}` shows more"
        )
    if drought.answers:
        said = sorted(drought.answers.items(), key=lambda pair: (-pair[1], pair[0]))
        reasons = ", ".join(f"{text} ({count})" for text, count in said[:_SHOWN_GATES])
        return f"{hours}: no strategy gave a signal. By event: {reasons}"
    return f"{hours}: no strategy has looked at any event; check the feeds with `python main.py status`"
