"""Which world catches which planted bug."""

from __future__ import annotations

from tests.simulation.mutants import planted
from tests.simulation.world import run_world

# A seed from 1000 on that catches the bug; after a change of the plan others are tried.
CAUGHT_BY: dict[str, int] = {
    "a timeout is booked as a rejection": 1006,
    "an order is sent before it is stored": 1001,
    "an unknown order is sent again with a fresh client id": 1003,
    "the trade id is not checked": 1000,
    "reports are applied without their fills": 1000,
    "absence is believed at once": 1006,
    "an order that has not left yet is judged absent": 1043,
    "the signal memory is lost at a restart": 1010,
    "the reserve is released on UNKNOWN": 1002,
    "risk counts fills only": 1001,
    "a halt is forgotten on restart": 1070,
    "the sign of NO positions is flipped": 1000,
    "a price stop fires on a wide book": 1011,
    "intents of a crash are treated as never sent": 1002,
    "a halt blocks exits": 1028,
    "a settlement pays twice": 1012,
    "a scalar settlement pays a dollar": 1030,
    "cash is not compared": 1001,
    "a book older than the doubt about it is accepted": 1001,
    "records of the downtime are not read": 1172,
    "fills of stored orders are not restored": 1002,
    "a book in doubt is shown": 1000,
    "what was held locally is forgotten": 1029,
    "an entry leaves although its row was not stored": 1029,
    "records the database did not take are dropped": 1019,
    "the 24-hour loss is forgotten on restart": 1010,
    "the drawdown is forgotten on restart": 1190,
    "orders on their way offset losses": 1031,
    "the group cap is never called": 1044,
    "the city caps let everything through": 1020,
    "the strategy cap looks at one market": 1138,
    "the event cap ignores orders in flight": 1010,
    "the remainder of a partial fill is forgotten": 1084,
    "the time to live is ignored": 1015,
    "a resting exit is twice the position": 1001,
    "amend gets what remains instead of the total": 1406,
    "the target is left resting beside a stop": 1010,
    "more is bought where there is no way out": 1010,
    "a resting exit is not cut down to what is held": 1010,
    "a resting exit may take": 1001,
    "entries go on resting while reducing": 1028,
}
_OTHERS = 40


def first_catch(name: str) -> int | None:
    """The seed that catches the bug: the table's, or one of the next; None when none of them does."""
    first = CAUGHT_BY[name]
    with planted(name):
        return next((seed for seed in range(first, first + _OTHERS) if run_world(seed).violations), None)
