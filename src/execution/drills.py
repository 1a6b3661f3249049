"""Control drills: each risk control gets a synthetic violation through a real engine, and must refuse it.

Three of the known systems of this kind shipped controls that were never called. Here a control that does not
refuse, or that has no drill, stops the start and is named. Nothing a drill approves is ever sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from src.execution import risk
from src.execution.drill_bench import Bench, GateDrill
from src.execution.drill_props import signal
from src.execution.drills_caps import CAP_DRILLS
from src.execution.drills_gates import GATE_DRILLS
from src.execution.drills_reactions import REACTIONS
from src.execution.limits import RiskLimits


@dataclass(frozen=True, slots=True)
class Drilled:
    """One control after its drill. ``problem`` is empty when it did what it is there for."""

    control: str
    problem: str


def run_drills(limits: RiskLimits) -> Iterator[Drilled]:
    """Drill every control of the user's own limits, one at a time.

    First a signal that violates nothing must be approved under all of them: a system that refuses
    everything would pass every drill.
    """
    try:
        told = Bench(limits).say(signal())
    except Exception as error:
        told = f"stopped by {type(error).__name__}: {error}"
    yield Drilled("(none)", "" if told == "approved" else f"a signal that violates nothing was {told}")
    for control in risk.CONTROLS:
        drills = [drill for drill in (*GATE_DRILLS, *CAP_DRILLS) if drill.control == control.name]
        if not drills:
            yield Drilled(control.name, "there is no drill for this control")
        for drill in drills:
            yield Drilled(control.name, _problem(drill, limits))
    for reaction in REACTIONS:
        try:
            problem = reaction.run(limits)
        except Exception as error:  # whatever it is, the control has not reacted
            problem = f"its drill failed: {type(error).__name__}: {error}"
        yield Drilled(reaction.control, problem)


def _problem(drill: GateDrill, limits: RiskLimits) -> str:
    try:
        told, clean = drill.play(limits), drill.clean(limits)
    except Exception as error:
        return f"its drill failed: {type(error).__name__}: {error}"
    if clean != "approved":
        return f"its drill proves nothing: without the violation the signal was {clean or 'not heard'}"
    if told != drill.refusal:
        return f"a violation of {drill.refusal} was {told or 'not heard'}"
    return ""
