"""Which world catches which planted bug."""

from __future__ import annotations

from tests.simulation.mutants import planted
from tests.simulation.world import run_world

# A seed that catches the bug; after a change of the plan others are tried.
CAUGHT_BY: dict[str, int] = {
    "a timeout is booked as a rejection": 1015,
    "an order is sent before it is stored": 1001,
    "an unknown order is sent again with a fresh client id": 1007,
    "the trade id is not checked": 1000,
    "reports are applied without their fills": 1000,
    "absence is believed at once": 1032,
    "an order that has not left yet is judged absent": 1136,
    "the signal memory is lost at a restart and ids are fresh": 1010,
    "the reserve is released on UNKNOWN": 1008,
    "risk counts fills only": 1006,
    "a halt is forgotten on restart": 1007,
    "the sign of NO positions is flipped": 1000,
    "a price stop fires on a wide book": 1142,
    "intents of a crash are treated as never sent": 1008,
    "a halt blocks exits": 1028,
    "a settlement pays twice": 1009,
    "a scalar settlement pays a dollar": 1030,
    "cash is not compared": 1006,
    "a book older than the doubt about it is accepted": 1004,
    "records of the downtime are not read": 1270,
    "fills of stored orders are not restored": 1003,
    "a book in doubt is shown": 1000,
    "no last look before sending": 1007,
    "what was held locally is forgotten": 1029,
    "an entry leaves although its row was not stored": 1029,
    "records the database did not take are dropped": 1029,
    "the event cap ignores orders in flight": 1014,
    "the strategy cap looks at one market": 1026,
    "the city caps let everything through": 1006,
    "the group cap is never called": 1044,
    "orders on their way offset losses": 1031,
    "the drawdown is forgotten on restart": 1104,
    "the 24-hour loss is forgotten on restart": 1024,
    "a strategy switched off is on after a restart": 1014,
    "the remainder of a partial fill is forgotten": 1070,
    "the time to live is ignored": 1015,
    "a resting exit is twice the position": 1003,
    "amend gets what remains instead of the total": 1084,
    "the target is left resting beside a stop": 1003,
    "more is bought where there is no way out": 1010,
    "a resting exit is not cut down to what is held": 5071,
    "a resting exit may take": 1003,
    "entries go on resting while reducing": 1011,
}
_OTHERS = 40


def first_catch(name: str) -> int | None:
    """The seed that catches the bug: the table's, or one of the next; None when none of them does."""
    first = CAUGHT_BY[name]
    with planted(name):
        return next((seed for seed in range(first, first + _OTHERS) if run_world(seed).violations), None)
