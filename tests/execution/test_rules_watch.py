"""Changed rules stop entries in their series, not exits, until a person has read them; a restart keeps it."""

from __future__ import annotations

from dataclasses import replace

import tests.execution.builders as b
from src.core.actions import Alert, ControlValue, GateResult, Severity, StoredState
from src.core.events import Command, CommandKind, MarketUpdate, RulesAcknowledged, Tick
from src.core.market import Strike, StrikeKind
from src.core.rules_text import digest
from src.core.units import MINUTE
from src.execution.engine import Action, Engine
from src.execution.rules_watch import ACKNOWLEDGED, PENDING

SERIES = "KXHIGHNY"
OLD = "If the maximum at Central Park (CLINYC) on {day} is between {low}-{high}°, the market resolves to Yes."
NEW = OLD.replace("Central Park (CLINYC)", "LaGuardia (CLILGA)")


def described(rules: str, day: int = 24, low: int = 50) -> MarketUpdate:
    ticker = f"{SERIES}-26NOV{day}-B{low}.5"
    text = rules.format(day=f"Nov {day}, 2026", low=low, high=low + 1)
    strike = Strike(StrikeKind.BETWEEN, low, low + 1)
    return MarketUpdate(replace(b.market(ticker), rules_primary=text, strike=strike), b.NOW)


def alerts(actions: list[Action]) -> list[Alert]:
    return [action for action in actions if isinstance(action, Alert)]


def values(actions: list[Action]) -> dict[str, str]:
    return {action.key: action.value for action in actions if isinstance(action, ControlValue)}


def verdict(engine: Engine, strategy: b.Scripted, cause: str) -> str:
    """ "approved", or the gate that refused."""
    strategy.next = [b.signal(cause=cause)]
    out = engine.handle(Tick(b.NOW))
    if b.approvals(out):
        return "approved"
    results = [each.result for each in out if isinstance(getattr(each, "result", None), GateResult)]
    return results[0].gate


def pending_digests(actions: list[Action]) -> tuple[str, ...]:
    return tuple(digest(text) for key, text in values(actions).items() if key.startswith(PENDING))


def ready() -> tuple[Engine, b.Scripted, list[Action]]:
    engine, strategy = b.ready()
    first = engine.handle(described(OLD))
    return engine, strategy, first


def test_the_same_rules_on_other_days_and_strikes_are_no_change() -> None:
    engine, strategy, _ = ready()
    for day in (25, 26, 27):
        assert engine.handle(described(OLD, day, low=40 + day)) == []
    assert verdict(engine, strategy, "c1") == "approved"


def test_changed_rules_block_entries_by_their_own_gate_and_say_what_changed() -> None:
    engine, strategy, _ = ready()
    [alert] = alerts(engine.handle(described(NEW, 25)))
    assert alert.severity is Severity.CRITICAL
    assert "Central Park" in alert.text
    assert "LaGuardia" in alert.text
    assert f"acknowledge-rules {SERIES}" in alert.text
    assert verdict(engine, strategy, "c1") == "rules_changed"
    # The other brackets of the day and repeated descriptions are no further news.
    assert not alerts(engine.handle(described(NEW, 25, low=52)) + engine.handle(described(NEW, 25)))


def test_another_series_trades_on() -> None:
    engine, _, _ = ready()
    engine.handle(described(NEW, 25))
    other = replace(b.market("KXHIGHCHI-26NOV24-B50.5"), series_ticker="KXHIGHCHI")
    assert engine.rules.gate(other).passed


def test_exits_go_on_while_entries_are_blocked() -> None:
    engine, strategy, _ = ready()
    strategy.next = [b.signal()]
    (entry,) = b.approvals(engine.handle(Tick(b.NOW)))
    engine.handle(b.fill_of(entry, entry.intent.count, entry.intent.price))
    engine.handle(described(NEW, 25))
    engine.handle(Command(CommandKind.FLATTEN, "owner", "", b.NOW))
    (leave,) = b.approvals(engine.handle(Tick(b.NOW + MINUTE)))
    assert leave.intent.purpose.value == "exit"


def test_acknowledging_what_was_read_opens_the_series_and_nothing_else_does() -> None:
    """Neither the old wording coming back, nor an acknowledgement of another text."""
    engine, strategy, _ = ready()
    said = engine.handle(described(NEW, 25))
    engine.handle(described(OLD, 26))
    engine.handle(RulesAcknowledged(SERIES, ("0123456789abcdef",), b.NOW))
    engine.handle(RulesAcknowledged("KXHIGHCHI", pending_digests(said), b.NOW))
    assert verdict(engine, strategy, "c1") == "rules_changed"
    stored = values(engine.handle(RulesAcknowledged(SERIES, pending_digests(said), b.NOW)))
    assert verdict(engine, strategy, "c2") == "approved"
    assert stored[f"{PENDING}{SERIES}:between"] == ""
    # Yesterday's markets still carry the older text: known, not news.
    assert engine.handle(described(OLD, 27)) == []
    assert verdict(engine, strategy, "c3") != "rules_changed"


def test_a_second_change_after_the_first_was_read_blocks_again() -> None:
    engine, strategy, _ = ready()
    said = engine.handle(described(NEW, 25))
    newer = NEW.replace("LaGuardia (CLILGA)", "Newark (CLIEWR)")
    assert alerts(engine.handle(described(newer, 26)))
    engine.handle(RulesAcknowledged(SERIES, pending_digests(said), b.NOW))
    assert verdict(engine, strategy, "c1") == "rules_changed"


def test_rules_that_vanish_are_a_change() -> None:
    engine, strategy, _ = ready()
    assert alerts(engine.handle(described("", 25)))
    assert verdict(engine, strategy, "c1") == "rules_changed"


def restarted(stored: dict[str, str]) -> tuple[Engine, b.Scripted]:
    engine, strategy = b.engine()
    engine.start(StoredState(opening_cash=10**9, opening_ts=b.NOW, values=stored), b.NOW)
    return engine, strategy


def test_a_restart_remembers_known_and_pending_rules_and_hears_what_was_read_meanwhile() -> None:
    engine, _, first = ready()
    changed = engine.handle(described(NEW, 25))
    stored = values(first) | values(changed)
    again, _ = restarted(stored)
    assert again.rules.is_blocked(SERIES)
    assert not alerts(again.handle(described(NEW, 25)))
    after = stored | {f"{ACKNOWLEDGED}{SERIES}": " ".join(pending_digests(changed))}
    opened, _ = restarted(after)
    assert not opened.rules.is_blocked(SERIES)
    fresh, _ = restarted(values(first))
    assert alerts(fresh.handle(described(NEW, 25))), "a change during the downtime shows"


def test_an_old_acknowledgement_does_not_cover_a_later_change() -> None:
    engine, _, first = ready()
    changed = engine.handle(described(NEW, 25))
    acknowledged = engine.handle(RulesAcknowledged(SERIES, pending_digests(changed), b.NOW))
    newer = NEW.replace("LaGuardia (CLILGA)", "Newark (CLIEWR)")
    later = engine.handle(described(newer, 26))
    stored = values(first) | values(changed) | values(acknowledged) | values(later)
    stored[f"{ACKNOWLEDGED}{SERIES}"] = " ".join(pending_digests(changed))
    again, _ = restarted(stored)
    assert again.rules.is_blocked(SERIES)
