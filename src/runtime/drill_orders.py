"""Drills about orders: answers that are lost, late or odd, crashes around a send, and fills in any order."""

from __future__ import annotations

import asyncio

from src.core.actions import OrderStatus
from src.core.units import dollars
from src.runtime.drill_bench import Bench
from src.runtime.drill_stage import DrillFailed
from src.runtime.drill_world import TICKERS
from src.simulator.faults import When

_POST = When(method="POST", path="/portfolio/events/orders", nth=1)


async def lost_answer(bench: Bench) -> str:
    """The exchange has the order, we have no answer."""
    await bench.start()
    bench.fault("lose_response", _POST)
    await bench.enter()
    return f"the records or the feed told: {_last_status(bench)}, one order at the exchange"


async def lost_request(bench: Bench) -> str:
    """The order never arrived, and we cannot know."""
    await bench.start()
    bench.fault("lose_request", _POST)
    await bench.enter()
    if bench.account.orders:
        raise DrillFailed("an order that was lost on its way exists at the exchange")
    await bench.enter(TICKERS[1])
    return "found absent after the grace, reserve released, the next entry traded"


async def server_error(bench: Bench) -> str:
    """An error page that says nothing about the order, which was taken."""
    await bench.start()
    bench.fault("5xx", _POST, status=502, html=True, applied=True)
    await bench.enter()
    return f"not resent: {_last_status(bench)}"


async def server_error_refused(bench: Bench) -> str:
    """An error page, and the order was not taken."""
    await bench.start()
    bench.fault("5xx", _POST, status=503)
    await bench.enter()
    return (
        f"resolved by the records: {_last_status(bench)}, {len(bench.account.orders)} orders at the exchange"
    )


async def read_lag(bench: Bench) -> str:
    """The answer is lost and the records do not show the order yet."""
    await bench.start()
    bench.fault("read_lag", seconds=1.2)
    bench.fault("lose_response", _POST)
    await bench.enter()
    if not bench.account.fills or _last_status(bench) != "executed":
        raise DrillFailed(f"an order hidden by read lag ended as {_last_status(bench)}")
    return "absence was not believed before the lag was over"


async def crash_before_answer(bench: Bench) -> str:
    """Killed between sending and the answer."""
    await bench.start()
    bench.fault("delay", _POST, seconds=2.0, phase="response")
    await bench.say()
    await bench.until(lambda: bool(bench.account.orders), "the order at the exchange")
    await bench.crash()
    await bench.start()
    await bench.until(bench.nothing_live, "the order known again")
    return f"the new start found it at the exchange: {_last_status(bench)}"


async def crash_after_fill(bench: Bench) -> str:
    """Killed at the moment of the fill, before it can be stored."""
    await bench.start()
    await bench.say()
    await bench.until(lambda: bool(bench.account.fills), "the fill at the exchange")
    await bench.crash()
    await bench.start()
    return "positions were rebuilt from the exchange's fills, each once"


async def partial_fill(bench: Bench) -> str:
    """Half of it trades, the rest finds nobody."""
    await bench.start()
    bench.fault("half_fill", When(nth=1))
    await bench.enter()
    (order,) = bench.engine.ledger.orders
    if not 0 < order.filled < order.intent.count:
        raise DrillFailed(f"filled {order.filled} of {order.intent.count}, expected a part")
    return f"{order.filled / 100:g} of {order.intent.count / 100:g} contracts kept, the rest is over"


async def fill_before_answer(bench: Bench) -> str:
    """The fill's frame overtakes the answer to the order."""
    await bench.start()
    bench.fault("delay", _POST, seconds=0.6, phase="response")
    await bench.enter()
    return f"booked once, whichever came first: {_last_status(bench)}"


async def doubled_fills(bench: Bench) -> str:
    """Every private frame comes six times."""
    await bench.start()
    bench.fault("ws.dup", When(channel="fill"), times=5)
    bench.fault("ws.dup", When(channel="user_orders"), times=5)
    await bench.enter()
    return f"{len(bench.account.fills)} fills at the exchange, as many in the ledger"


async def lost_fills(bench: Bench) -> str:
    """Private frames never come."""
    await bench.start()
    bench.fault("ws.drop", When(channel="fill"))
    bench.fault("ws.drop", When(channel="user_orders"))
    await bench.enter()
    return "the exchange's records told what the feed did not"


async def rejected_after_ack(bench: Bench) -> str:
    """Accepted, and then ended by the exchange."""
    await bench.start()
    bench.fault("reject_after_ack", reason="closed")
    for ticker in TICKERS[:3]:
        await bench.enter(ticker)
    if sum(bench.venue_orders().values()) != 3:
        raise DrillFailed(f"{sum(bench.venue_orders().values())} orders were sent for 3 opinions")
    return "three orders ended as canceled, none was tried again"


async def rate_limited(bench: Bench) -> str:
    """Orders and records answer 429 for a while."""
    await bench.start()
    bench.fault("429", When(path="/portfolio/*", times=6))
    verdict = await bench.say()
    await bench.until(bench.nothing_live, "the order's end after the storm")
    return f"first {verdict}, then {_last_status(bench)}; nothing was sent twice"


async def many_at_once(bench: Bench) -> str:
    """Eight opinions before any fill, each order half a second on its way."""
    await bench.start()
    # What the account is worth before: buying at the offer lowers it at once.
    limit = int(bench.limits.max_portfolio_heat * bench.engine.equity())
    bench.fault("delay", When(method="POST", path="/portfolio/events/orders"), seconds=0.5)
    ids = [bench.strategy.say(ticker) for ticker in TICKERS]
    await bench.until(lambda: all(each in bench.watch.verdicts for each in ids), "eight verdicts")
    await bench.until(bench.nothing_live, "the end of all orders")
    engine = bench.engine
    at_risk = engine.ledger.portfolio.at_risk() + engine.ledger.orders.reserved()
    if at_risk > limit:
        raise DrillFailed(f"{dollars(at_risk):.2f} $ at risk, the limit is {dollars(limit):.2f} $")
    approved = sum(1 for each in ids if bench.watch.verdicts[each] == "approved")
    return f"{approved} of 8 approved, {dollars(at_risk):.2f} $ at risk of {dollars(limit):.2f} $"


async def frozen_between_commit_and_send(bench: Bench) -> str:
    """The row is committed, then nothing moves for longer than another instance would wait."""
    await bench.start()
    began = bench.clock.now()
    store, put = bench.store, bench.store.put_intent

    async def late(approved: object) -> None:
        await put(approved)  # type: ignore[arg-type]
        await asyncio.sleep(5.2)

    store.put_intent = late  # type: ignore[method-assign]
    await bench.enter()
    if bench.account.orders:
        raise DrillFailed("an order left long after its commit")
    return f"{(bench.clock.now() - began) / 1e9:.0f} s later it was withdrawn, not sent"


def _last_status(bench: Bench) -> str:
    orders = list(bench.engine.ledger.orders)
    return orders[-1].status.value if orders else OrderStatus.UNKNOWN.value
