"""Drills about who is in control: halts, the kill switch, a second instance, a clean stop."""

from __future__ import annotations

import time

from src.core.actions import TradingState
from src.core.events import CommandKind
from src.database.errors import FencedOut
from src.database.store import PostgresStore
from src.runtime.assemble import DAEMON_LOCK
from src.runtime.drill_bench import Bench
from src.runtime.drill_judge import stopped_clean
from src.runtime.drill_stage import DrillFailed
from src.simulator.faults import When


async def halt_survives(bench: Bench) -> str:
    """Halted, killed, started again."""
    await bench.start()
    bench.command(CommandKind.HALT, "drill of the halt")
    await bench.until(lambda: bench.watch.halts() == 1, "the halt")
    await bench.daemon.writer.flushed()
    await bench.crash()
    await bench.start(until_active=False)
    await bench.until(lambda: bench.engine.ledger.report_ts is not None, "the account read")
    if bench.engine.control.state is not TradingState.HALTED:
        raise DrillFailed(f"after the restart the state is {bench.engine.control.state.value}")
    bench.command(CommandKind.RESUME)
    gate = await bench.refused("trading_state")
    return f"still halted, resume does not lift it, entries refused by {gate}"


async def kill_file(bench: Bench) -> str:
    """The kill file appears; it is removed again."""
    await bench.start()
    began = time.monotonic()
    bench.kill_file.write_text("drill")
    await bench.until(lambda: bench.watch.halts() == 1, "the halt")
    took = time.monotonic() - began
    await bench.refused("trading_state")
    bench.command(CommandKind.CLEAR_HALT)
    await bench.refused("trading_state")
    bench.kill_file.unlink()
    await bench.until(lambda: not bench.engine.kill_reason, "the file seen gone")
    await bench.refused("trading_state")
    bench.command(CommandKind.CLEAR_HALT)
    await bench.possible_again()
    return f"halted after {took:.1f} s; cleared only by a person, and not while the file was there"


async def kill_switch_fails(bench: Bench) -> str:
    """The kill file cannot be looked at."""
    await bench.start()
    bench.kill_switch = lambda: "the kill file cannot be looked at (drill)"
    await bench.until(lambda: bench.watch.halts() == 1, "the halt")
    return "a guard that cannot see says stop"


async def flapping_kill_file(bench: Bench) -> str:
    """The kill file comes and goes ten times."""
    await bench.start()
    for _ in range(10):
        bench.kill_file.write_text("drill")
        await bench.until(lambda: bool(bench.engine.kill_reason), "the file seen")
        bench.kill_file.unlink()
        await bench.until(lambda: not bench.engine.kill_reason, "the file seen gone")
    told = sum(1 for alert in bench.watch.alerts if alert.key == "state:halted")
    if (bench.watch.halts(), told) != (1, 1):
        raise DrillFailed(f"{bench.watch.halts()} halts and {told} alerts for one cause")
    return "one halt, one alert"


async def halt_in_flight(bench: Bench) -> str:
    """A halt while an order is on its way."""
    await bench.start()
    bench.fault("delay", When(method="POST", path="/portfolio/events/orders"), seconds=0.7, phase="response")
    await bench.say()
    await bench.until(lambda: bool(bench.account.orders), "the order at the exchange")
    bench.command(CommandKind.HALT)
    await bench.until(bench.nothing_live, "the end of the order")
    await bench.refused("trading_state")
    return "its outcome was booked, nothing else left"


async def flattened(bench: Bench) -> str:
    """Everything is sold while halted."""
    await bench.start()
    await bench.enter()
    bench.command(CommandKind.HALT)
    bench.command(CommandKind.FLATTEN)
    await bench.until(
        lambda: not any(True for _ in bench.engine.ledger.portfolio.open_positions()), "no position left"
    )
    return "left while halted; nothing was bought again"


async def second_instance(bench: Bench) -> str:
    """Another instance takes over while this one believes it leads."""
    await bench.start()
    await bench.enter()
    rival = await PostgresStore.open(bench.url, bench.schema)
    try:
        await rival.displace(DAEMON_LOCK, 5.0)
        await rival.lock(DAEMON_LOCK)
        before = len(bench.account.orders)
        bench.strategy.say(bench.other_ticker)
        await bench.until(lambda: bench.ended is not None, "the replaced instance to end", may_end=True)
        if not isinstance(bench.ended, FencedOut) or len(bench.account.orders) != before:
            raise DrillFailed(f"the replaced instance sent an order or ended with {bench.ended!r}")
    finally:
        await rival.close()
    return "the replaced one could commit nothing, sent nothing, and ended itself"


async def clean_stop(bench: Bench) -> str:
    """A stop in the middle of a send."""
    await bench.start()
    bench.fault("delay", When(method="POST", path="/portfolio/events/orders"), seconds=0.5, phase="response")
    await bench.say()
    await stopped_clean(bench)
    return "nothing rests at the exchange"
