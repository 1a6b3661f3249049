"""Drills about the account, the exchange's own life and its markets' ends."""

from __future__ import annotations

from src.core.events import CommandKind
from src.core.units import SECOND, dollars
from src.runtime.drill_bench import Bench
from src.runtime.drill_stage import DrillFailed
from src.runtime.drill_world import SERIES, TICKERS
from src.simulator.faults import When

_MARKET = TICKERS[0]


async def records_fail_at_start(bench: Bench) -> str:
    """The account cannot be read at the start."""
    bench.fault("positions_fail")
    await bench.start(until_active=False)
    await bench.until(lambda: bench.feed.is_settled, "the market feed up")
    gate = await bench.refused("trading_state", "account_unknown")
    bench.plan.clear()
    await bench.possible_again()
    return f"refused by {gate} until the account was known"


async def positions_fail(bench: Bench) -> str:
    """Positions cannot be read any more: that is not "no positions"."""
    return await _unreadable(bench, "positions_fail")


async def balance_fails(bench: Bench) -> str:
    """The balance cannot be read any more."""
    return await _unreadable(bench, "balance_fail")


async def field_removed(bench: Bench) -> str:
    """A field of the balance is gone."""
    return await _unreadable(
        bench, "deprecate_field", When(path="/portfolio/balance"), field="balance_dollars"
    )


async def endpoint_removed(bench: Bench) -> str:
    """The endpoint of the fills is gone: no waiting mends that."""
    await bench.start()
    bench.fault("deprecate_endpoint", When(path="/portfolio/fills"))
    await bench.until(lambda: bench.watch.halts() == 1, "the halt")
    gate = await bench.refused("trading_state")
    return f"halted; refused by {gate} until a person clears it"


async def broken_pages(bench: Bench) -> str:
    """Lists come one row a page, and the second page fails once."""
    await bench.start()
    bench.fault("page_size", size=1)
    bench.fault("cursor_fail", When(times=1))
    for ticker in TICKERS[:3]:
        await bench.enter(ticker)
    return "every page was read; a list that broke off was no list"


async def key_revoked(bench: Bench) -> str:
    """The key is no longer valid."""
    await bench.start()
    assert bench.service.faults is not None
    seen = bench.service.faults.observations
    bench.fault("key_revoked")
    before = seen.request_count
    await bench.until(lambda: bench.watch.halts() == 1, "the halt")
    asked = seen.request_count - before
    gate = await bench.refused("trading_state")
    return f"halted after {asked} requests; refused by {gate}"


async def exchange_paused(bench: Bench) -> str:
    """The exchange stops trading for a while."""
    await bench.start()
    bench.fault("pause_exchange", scope="trading")
    gate = await bench.refused("exchange_status")
    bench.plan.clear()
    await bench.possible_again()
    return f"refused by {gate}, traded again after the pause"


async def market_paused(bench: Bench) -> str:
    """One market stops trading."""
    await bench.start()
    bench.fault("pause_market", ticker=_MARKET)
    gate = await bench.refused("market_closed", "no_valid_book")
    await bench.enter(TICKERS[1])
    return f"refused by {gate} there, traded elsewhere"


async def closes_early(bench: Bench) -> str:
    """A market closes hours before its time."""
    await bench.start()
    bench.fault("early_close", ticker=_MARKET)
    gate = await bench.refused("market_closed", "closing_soon", "no_valid_book")
    return f"refused by {gate}"


async def voided(bench: Bench) -> str:
    """A market we hold is voided."""
    return await _paid(bench, "void", value="0.2000")


async def scalar(bench: Bench) -> str:
    """A market we hold pays a fraction of a dollar."""
    return await _paid(bench, "scalar", value="0.3700")


async def settled_while_down(bench: Bench) -> str:
    """A market settles while the daemon is not there."""
    await bench.start()
    await bench.enter(_MARKET)
    await bench.daemon.writer.flushed()
    await bench.crash()
    bench.fault("determine", ticker=_MARKET, result="yes")
    await bench.until(lambda: bool(bench.account.settlements), "the payout at the exchange")
    await bench.start(until_active=False)
    await bench.until(lambda: not bench.engine.position(_MARKET), "the payout in the ledger")
    return "booked at the next start, once"


async def wrong_fee(bench: Bench) -> str:
    """The exchange charges more than its terms say."""
    await bench.start()
    bench.fault("fee_scale", factor="1.01")
    await bench.enter()
    return "booked what was charged, to the last centicent"


async def fee_changed(bench: Bench) -> str:
    """Fees double."""
    await bench.start()
    bench.fault("fee_change", series=SERIES, multiplier=2)
    await bench.enter()
    return "booked what was charged, to the last centicent"


async def tick_changed(bench: Bench) -> str:
    """A market's price grid becomes finer."""
    await bench.start()
    bench.fault("tick_change", ticker=_MARKET, structure="deci_cent")
    await bench.until(bench.books_equal, "books equal after the change")
    await bench.enter(_MARKET)
    return "traded on the new grid"


async def owner_trades(bench: Bench) -> str:
    """The owner orders and trades by hand."""
    await bench.start()
    bench.fault("external_order", ticker=_MARKET, side="bid", price="0.1000", count="5.00")
    bench.fault("manual_fill", ticker=TICKERS[1], side="bid", price="0.3000", count="3.00")
    await bench.until(
        lambda: bench.watch.told("external_order") and bench.watch.told("external_fill"), "both told"
    )
    if bench.account.open_orders and not bench.watch.halts():
        bench.command(CommandKind.HALT)
        await bench.until(lambda: bench.watch.halts() == 1, "the halt")
    if not bench.account.open_orders:
        raise DrillFailed("the owner's own order was cancelled")
    return "adopted as external and told; left alone even by a halt"


async def _unreadable(bench: Bench, fault: str, when: When | None = None, **parameters: object) -> str:
    await bench.start()
    bench.fault(fault, when, **parameters)
    await bench.until(lambda: bench.watch.told("report_failed"), "somebody told that it cannot be read")
    await bench.until(bench.account_is_old, "the account too old")
    gate = await bench.refused("account_stale", "trading_state")
    age = bench.limits.max_account_age / SECOND
    bench.plan.clear()
    await bench.possible_again()
    return f"told; refused by {gate} once {age:g} s old; traded again when readable"


async def _paid(bench: Bench, fault: str, value: str) -> str:
    await bench.start()
    await bench.enter(_MARKET)
    bench.fault(fault, ticker=_MARKET, value=value)
    await bench.until(lambda: bool(bench.account.settlements), "the payout at the exchange")
    await bench.until(lambda: not bench.engine.position(_MARKET), "the payout in the ledger")
    paid = sum(each.revenue for each in bench.account.settlements)
    return f"booked {dollars(paid):.4f} $ as the exchange paid it"
