"""Commands of a person and the kill switch: what they do, what they refuse, and what a restart remembers."""

from __future__ import annotations

import tests.execution.builders as b
from src.core.actions import CommandAnswered, ControlValue, StateChanged, StoredState, TradingState
from src.core.events import Command, CommandKind, KillSwitch
from src.core.units import SECOND
from src.execution.engine import Engine
from src.execution.limits import ReconcilePolicy, RiskLimits


def _engine() -> Engine:
    """An engine that may trade."""
    engine = Engine([b.Scripted()], RiskLimits(), ReconcilePolicy(), {})
    engine.start(StoredState(), b.NOW)
    engine.handle(b.report())
    assert engine.control.state is TradingState.ACTIVE
    return engine


def _say(engine: Engine, kind: CommandKind, why: str = "why", target: str = "") -> CommandAnswered:
    """Give a command as the table does; its answer."""
    command = Command(kind, "ann@desk", why, b.NOW + SECOND, target, 7)
    (answer,) = [one for one in engine.handle(command) if isinstance(one, CommandAnswered)]
    assert answer.command_id == 7
    return answer


def test_a_halt_keeps_its_first_reason() -> None:
    """The second halt is answered with the first one's reason: that is what a person needs to see."""
    engine = _engine()
    assert (
        _say(engine, CommandKind.HALT, "prices look wrong").answer == "HALTED by ann@desk: prices look wrong"
    )
    again = _say(engine, CommandKind.HALT, "me too")
    assert (again.done, again.answer) == (True, "HALTED by ann@desk: prices look wrong")


def test_nothing_but_clear_halt_lifts_a_halt() -> None:
    """Resume, pause and flatten leave it; what is refused says what to do instead."""
    engine = _engine()
    _say(engine, CommandKind.HALT)
    assert "clear-halt" in _say(engine, CommandKind.RESUME).answer
    assert not _say(engine, CommandKind.PAUSE).done
    _say(engine, CommandKind.FLATTEN)
    assert engine.control.state is TradingState.HALTED
    assert _say(engine, CommandKind.CLEAR_HALT).done
    assert engine.control.state is TradingState.RECONCILING


def test_the_answer_to_clear_halt_says_what_stops_entries_all_the_same() -> None:
    """A flatten and a losing streak outlive the halt; without any of them trading goes on by itself."""
    engine = _engine()
    _say(engine, CommandKind.HALT)
    assert "until clear-halt and resume" in _say(engine, CommandKind.FLATTEN, "storm").answer
    for _ in range(3):
        engine.control.on_closed(-1, b.NOW)
    answer = _say(engine, CommandKind.CLEAR_HALT).answer
    assert (
        "no new positions until resume: ann@desk: flatten: storm; circuit_breaker: 3 losses in a row"
        in answer
    )
    assert "(until 2026-11-24 05:00 UTC at the latest)" in answer
    engine.handle(b.report(ts=b.NOW + 2 * SECOND))
    assert engine.control.state is TradingState.REDUCING
    assert (
        "once trading is active (REDUCING" in _say(engine, CommandKind.STRATEGY_ON, target="scripted").answer
    )
    _say(engine, CommandKind.RESUME)
    assert engine.control.state is TradingState.ACTIVE
    assert _say(engine, CommandKind.STRATEGY_ON, target="scripted").answer == "scripted may trade again"
    _say(engine, CommandKind.HALT)
    assert "resumes once" in _say(engine, CommandKind.CLEAR_HALT).answer


def test_a_tripped_kill_switch_halts_and_cannot_be_cleared_away() -> None:
    """While the file is there the halt stays; its going clears nothing; then a person may."""
    engine = _engine()
    engine.handle(KillSwitch("the file /x exists", b.NOW + SECOND))
    assert (engine.control.state, engine.control.who) == (TradingState.HALTED, "kill switch")
    refused = _say(engine, CommandKind.CLEAR_HALT)
    assert not refused.done
    assert "the file /x exists" in refused.answer
    engine.handle(KillSwitch("", b.NOW + 2 * SECOND))
    assert engine.control.state is TradingState.HALTED
    assert _say(engine, CommandKind.CLEAR_HALT).done


def test_a_kill_switch_that_flaps_makes_one_halt() -> None:
    """Twenty times there and gone: one change of state."""
    engine, changes = _engine(), 0
    for turn in range(20):
        for reason in ("the file /x exists", ""):
            out = engine.handle(KillSwitch(reason, b.NOW + turn * SECOND))
            changes += sum(isinstance(one, StateChanged) for one in out)
    assert changes == 1


def test_a_flatten_stops_entries_and_survives_a_restart_until_resume() -> None:
    """What was left must not be bought back, and a crash in the middle goes on leaving."""
    engine = _engine()
    out = engine.handle(Command(CommandKind.FLATTEN, "ann", "storm", b.NOW + SECOND))
    assert (engine.control.state, engine.control.why) == (TradingState.REDUCING, "flatten: storm")
    values = {one.key: one.value for one in out if isinstance(one, ControlValue)}
    assert values["flatten"] == "on"
    again = Engine([b.Scripted()], RiskLimits(), ReconcilePolicy(), {})
    stored = StoredState(state=TradingState.REDUCING, state_who="ann", state_why="storm", values=values)
    again.start(stored, b.NOW + 2 * SECOND)
    again.handle(b.report(ts=b.NOW + 3 * SECOND))
    out = again.handle(Command(CommandKind.RESUME, "ann", "over", b.NOW + 4 * SECOND))
    assert again.control.state is TradingState.ACTIVE
    assert [one.value for one in out if isinstance(one, ControlValue) and one.key == "flatten"] == ["off"]


def test_commands_that_make_no_sense_are_refused_with_the_state_or_the_names() -> None:
    """Clearing no halt, resuming nothing, and a strategy nobody runs."""
    engine = _engine()
    assert "ACTIVE" in _say(engine, CommandKind.CLEAR_HALT).answer
    assert "ACTIVE" in _say(engine, CommandKind.RESUME).answer
    unknown = _say(engine, CommandKind.STRATEGY_OFF, target="wether_model")
    assert not unknown.done
    assert "scripted" in unknown.answer
