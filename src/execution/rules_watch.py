"""Entries stop in a series whose rules are worded otherwise than before, until a person has read them.

A market settles by its rules' text: another station, source or rounding makes it another contract. The
wording (``core.rules_text``) of the first market of each kind of strike is the known one and is stored;
what differs waits, stored too, to be acknowledged. The two wordings acknowledged last are known: markets
of the day before still carry the older one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from src.core.actions import Alert, AuditRecord, ControlValue, GateResult, Severity
from src.core.events import RulesAcknowledged
from src.core.market import Market
from src.core.rules_text import difference, digest, shape, wording
from src.core.units import Nanos

KNOWN, PENDING, ACKNOWLEDGED = "rules:", "rules_pending:", "rules_acknowledged:"
"""Beginnings of the stored keys: the first two go on with SERIES:SHAPE, the last with SERIES."""
_KNOWN_AT_ONCE = 2
Output: TypeAlias = list[AuditRecord | Alert]
_Key: TypeAlias = tuple[str, str]


class RulesWatch:
    """The wordings by series and shape. A text that vanishes is a change; one never there is none."""

    def __init__(self) -> None:
        self._known: dict[_Key, list[str]] = {}
        self._pending: dict[_Key, str] = {}
        self._seen: dict[str, str] = {}

    def restore(self, values: Mapping[str, str], now: Nanos) -> Output:
        """Bring wordings back from the store, and what was acknowledged while nothing ran."""
        for name, value in values.items():
            if name.startswith(KNOWN):
                self._known[_key(name)] = json.loads(value)
            elif name.startswith(PENDING) and value:
                self._pending[_key(name)] = value
        out: Output = []
        for name, value in values.items():
            if name.startswith(ACKNOWLEDGED):
                out += self._accept(name.removeprefix(ACKNOWLEDGED), value.split(), now)
        return out

    def described(self, market: Market, now: Nanos) -> Output:
        """Look at a market's rules as described now."""
        if self._seen.get(market.ticker) == market.rules_primary:
            return []
        self._seen[market.ticker] = market.rules_primary
        key, text = (market.series_ticker, shape(market)), wording(market)
        known = self._known.get(key)
        if known is None and not text:
            return []
        if known is None:
            self._known[key] = [text]
            return [ControlValue(f"{KNOWN}{key[0]}:{key[1]}", json.dumps([text]), now)]
        if text in known or self._pending.get(key) == text:
            return []
        is_news = key in self._pending or not self.is_blocked(market.series_ticker)
        self._pending[key] = text
        out: Output = [ControlValue(f"{PENDING}{key[0]}:{key[1]}", text, now)]
        return [*out, self._alert(market, known[0], text, now)] if is_news else out

    def acknowledged(self, event: RulesAcknowledged) -> Output:
        """A person has read these wordings."""
        return self._accept(event.series_ticker, event.digests, event.ts_recv)

    def is_blocked(self, series_ticker: str) -> bool:
        """Whether a wording of the series waits to be acknowledged."""
        return any(series == series_ticker for series, _ in self._pending)

    def gate(self, market: Market | None) -> GateResult:
        """The risk gate's check of an entry in ``market``."""
        series = market.series_ticker if market is not None else ""
        return GateResult("rules_changed", not self.is_blocked(series), {"series": series})

    def _accept(self, series_ticker: str, digests: Iterable[str], ts: Nanos) -> Output:
        read = set(digests)
        out: Output = []
        for key, text in tuple(self._pending.items()):
            if key[0] == series_ticker and digest(text) in read:
                del self._pending[key]
                self._known[key] = [text, *self._known.get(key, ())][:_KNOWN_AT_ONCE]
                name = f"{key[0]}:{key[1]}"
                out += [
                    ControlValue(f"{KNOWN}{name}", json.dumps(self._known[key]), ts),
                    ControlValue(f"{PENDING}{name}", "", ts),
                ]
        return out

    @staticmethod
    def _alert(market: Market, old: str, new: str, now: Nanos) -> Alert:
        series = market.series_ticker
        was, says = difference(old, new)
        text = (
            f'the rules of {series} changed ({market.ticker}). They said: "{was}". They say: "{says}". '
            f"No entries in {series} until a person has read them: python main.py acknowledge-rules {series}"
        )
        return Alert(Severity.CRITICAL, f"rules:{series}", text, now)


def _key(name: str) -> _Key:
    _, series, shape_of = name.split(":", 2)
    return series, shape_of
