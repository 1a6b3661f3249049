"""Faults of the exchange itself: pauses, results, terms, and trades by the owner's own hand."""

from __future__ import annotations

from typing import Any

import pytest

from src.core.market import MarketStatus
from src.core.units import DOLLAR_CASH, HOUR, MINUTE, SECOND, parse_cash
from src.simulator.faults import FaultPlan
from src.simulator.world import CrowdQuote

from .conftest import (
    EVENT,
    OTHER,
    T0,
    TICKER,
    ScriptedWorld,
    Serve,
    Served,
    command,
    listing,
    make_market,
    receive,
)

QUOTE = CrowdQuote(T0, TICKER, ((3500, 2500),), ((4500, 2000),))


def quoted_world() -> ScriptedWorld:
    return ScriptedWorld([listing(make_market(), make_market(OTHER)), QUOTE])


def rule(fault: str, parameters: dict[str, Any] | None = None, **when: Any) -> dict[str, Any]:
    return {"fault": fault, "when": when, "parameters": parameters or {}}


async def scripted(serve: Serve, *rules: dict[str, Any], world: ScriptedWorld | None = None) -> Served:
    plan = FaultPlan.from_document({"rules": list(rules)})
    return await serve(world or quoted_world(), faults=plan)


def problems(served: Served) -> list[str]:
    assert served.service.faults is not None
    return [each.problem for each in served.service.faults.plan.rules]


@pytest.mark.parametrize(
    ("scope", "code", "cancel_status"),
    [("trading", "trading_paused", 200), ("exchange", "exchange_paused", 409)],
)
async def test_pause_exchange_for_a_while(serve: Serve, scope: str, code: str, cancel_status: int) -> None:
    served = await scripted(serve, rule("pause_exchange", {"scope": scope}, from_ts="+1m", to_ts="+2m"))
    order_id = (await served.client.create(price="0.3000")).json()["order_id"]
    served.service.driver.step_until(T0 + MINUTE)
    refused = await served.client.create(price="0.3000")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, code)
    cancel = await served.client.call("DELETE", f"/portfolio/events/orders/{order_id}?market_ticker={TICKER}")
    assert cancel.status_code == cancel_status
    status = await served.client.get("/exchange/status")
    assert (status["exchange_active"], status["trading_active"]) == (scope == "trading", False)
    served.service.driver.step_until(T0 + 2 * MINUTE)
    assert (await served.client.create(price="0.3000")).status_code == 201


async def test_pause_market_refuses_orders_and_its_end_cancels_what_rests(serve: Serve) -> None:
    served = await scripted(serve, rule("pause_market", {"ticker": TICKER}, from_ts="+1m", to_ts="+2m"))
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["market_lifecycle_v2"])
        assert (await receive(socket))["type"] == "subscribed"
        order_id = (await served.client.create(price="0.3000")).json()["order_id"]
        served.service.driver.step_until(T0 + MINUTE)
        assert (await receive(socket))["msg"]["event_type"] == "deactivated"
        assert (await served.client.create(price="0.3000")).status_code == 409
        assert (await served.client.create(ticker=OTHER, price="0.3000")).status_code == 201
        served.service.driver.step_until(T0 + 2 * MINUTE)
        assert (await receive(socket))["msg"]["event_type"] == "activated"
    order = served.exchange.account(served.client.key_id).orders[order_id]
    assert order.reason == "HaltCancel"
    assert (await served.client.create(price="0.3000")).status_code == 201


async def test_early_close(serve: Serve) -> None:
    served = await scripted(serve, rule("early_close", {"ticker": TICKER}, from_ts="+1h"))
    order_id = (await served.client.create(price="0.3000")).json()["order_id"]
    served.service.driver.step_until(T0 + HOUR)
    market = (await served.client.get(f"/markets/{TICKER}"))["market"]
    assert (market["status"], market["close_time"]) == ("closed", "2026-11-23T09:00:00Z")
    assert served.exchange.account(served.client.key_id).orders[order_id].reason == "CloseCancel"
    assert (await served.client.create(price="0.3000")).status_code == 409


async def held(serve: Serve, *rules: dict[str, Any]) -> tuple[Served, int]:
    """An account that bought 10 YES at 0.4500, and its cash afterwards."""
    served = await scripted(serve, *rules)
    taken = await served.client.create(price="0.4500", time_in_force="immediate_or_cancel")
    assert taken.json()["fill_count"] == "10.00"
    return served, served.exchange.account(served.client.key_id).cash


@pytest.mark.parametrize(
    ("rules", "paid"),
    [
        ([rule("determine", {"ticker": TICKER, "result": "yes"}, from_ts="+1h")], 10 * DOLLAR_CASH),
        ([rule("determine", {"ticker": TICKER, "result": "no"}, from_ts="+1h")], 0),
        ([rule("scalar", {"ticker": TICKER, "value": "0.3700"}, from_ts="+1h")], 3_700_000),
        ([rule("void", {"ticker": TICKER}, from_ts="+1h")], 4_500_000),
        ([rule("void", {"ticker": TICKER, "value": "0.5000"}, from_ts="+1h")], 5_000_000),
        (
            [
                rule("determine", {"ticker": TICKER, "result": "yes"}, from_ts="+1h"),
                rule("re_determine", {"ticker": TICKER, "result": "no"}, from_ts="+90m"),
            ],
            0,
        ),
        (
            [
                rule("determine", {"ticker": TICKER, "result": "no"}, from_ts="+1h"),
                rule(
                    "re_determine", {"ticker": TICKER, "result": "scalar", "value": "0.2500"}, from_ts="+90m"
                ),
            ],
            2_500_000,
        ),
    ],
)
async def test_results_pay_to_the_cent(serve: Serve, rules: list[dict[str, Any]], paid: int) -> None:
    served, before = await held(serve, *rules)
    served.service.driver.step_until(T0 + 4 * HOUR)
    assert served.exchange.markets[TICKER].market.status is MarketStatus.FINALIZED
    balance = (await served.client.get("/portfolio/balance"))["balance_dollars"]
    assert parse_cash(balance) - before == paid
    assert problems(served) == [""] * len(rules)


async def test_what_cannot_happen_says_why(serve: Serve) -> None:
    served = await scripted(
        serve,
        rule("re_determine", {"ticker": TICKER, "result": "no"}, from_ts="+1m"),
        rule("void", {"ticker": OTHER}, from_ts="+1m"),
        rule(
            "external_order",
            {"ticker": TICKER, "side": "bid", "price": "0.3050", "count": "1.00"},
            from_ts="+1m",
        ),
        rule("pause_market", {"ticker": "KXHIGHNY-26NOV24-B50.5"}),
    )
    served.service.driver.step_until(T0 + MINUTE)
    not_determined, never_traded, refused, unlisted = problems(served)
    assert not_determined == f"{TICKER} is active"
    assert "never traded" in never_traded
    assert refused.startswith("invalid_price")
    assert unlisted == "waits for KXHIGHNY-26NOV24-B50.5 to be listed"
    assert served.service.faults is not None
    assert [each.fired for each in served.service.faults.plan.rules] == [0, 0, 0, 0]


async def test_a_rule_about_an_unlisted_market_happens_when_it_is_listed(serve: Serve) -> None:
    served = await scripted(serve, rule("tick_change", {"ticker": TICKER, "structure": "deci_cent"}))
    market = (await served.client.get(f"/markets/{TICKER}"))["market"]
    assert market["price_level_structure"] == "deci_cent"


async def test_tick_change_is_announced_and_holds(serve: Serve) -> None:
    change = rule("tick_change", {"ticker": TICKER, "structure": "tapered_deci_cent"}, from_ts="+1m")
    served = await scripted(serve, change)
    assert (await served.client.create(price="0.0950", count="1.00")).status_code == 400
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["market_lifecycle_v2"])
        assert (await receive(socket))["type"] == "subscribed"
        served.service.driver.step_until(T0 + MINUTE)
        told = (await receive(socket))["msg"]
    assert (told["event_type"], told["market_ticker"]) == ("price_level_structure_updated", TICKER)
    assert [each["step"] for each in told["price_ranges"]] == ["0.0010", "0.0100", "0.0010"]
    assert (await served.client.create(price="0.0950", count="1.00")).status_code == 201


async def test_fee_change_of_a_series(serve: Serve) -> None:
    change = rule("fee_change", {"series": "KXHIGHNY", "multiplier": 2}, from_ts="+1m")
    served = await scripted(serve, change)
    served.service.driver.step_until(T0 + MINUTE)
    assert (await served.client.get("/series/KXHIGHNY"))["series"]["fee_multiplier"] == 2
    taken = (await served.client.create(price="0.4500", time_in_force="immediate_or_cancel")).json()
    # 0.07 * 2 * 0.45 * 0.55 per contract, rounded up to 0.0001.
    assert served.exchange.account(served.client.key_id).fills[0].fee == 346_500
    assert taken["fill_count"] == "10.00"


async def test_fee_change_of_an_event_is_announced(serve: Serve) -> None:
    served = await scripted(serve, rule("fee_change", {"event": EVENT, "multiplier": "0.5"}, from_ts="+1m"))
    async with served.client.connect() as socket:
        await command(socket, "subscribe", 1, channels=["market_lifecycle_v2"])
        assert (await receive(socket))["type"] == "subscribed"
        served.service.driver.step_until(T0 + MINUTE)
        told = await receive(socket)
    assert (told["type"], told["msg"]["event_ticker"]) == ("event_fee_update", EVENT)
    assert float(told["msg"]["fee_multiplier_override"]) == 0.5
    assert (await served.client.get(f"/events/{EVENT}"))["event"]["fee_multiplier_override"] == 0.5


async def test_fee_scale_charges_more_than_the_terms_say_until_it_is_cleared(serve: Serve) -> None:
    served = await scripted(serve, rule("fee_scale", {"factor": "1.5"}))
    account = served.exchange.account(served.client.key_id)
    await served.client.create(price="0.4500", count="4.00", time_in_force="immediate_or_cancel")
    assert (await served.client.get("/series/KXHIGHNY"))["series"]["fee_multiplier"] == 1
    assert served.service.faults is not None
    served.service.faults.plan.clear()
    await served.client.create(price="0.4500", count="4.00", time_in_force="immediate_or_cancel")
    # 0.07 * 4 * 0.45 * 0.55 = 0.0693
    assert [each.fee for each in account.fills] == [104_000, 69_300]


async def test_an_external_order_rests_under_a_foreign_id(serve: Serve) -> None:
    order = {"ticker": TICKER, "side": "ask", "price": "0.7000", "count": "3.00"}
    served = await scripted(serve, rule("external_order", order, from_ts="+1m"))
    served.service.driver.step_until(T0 + MINUTE)
    (seen,) = (await served.client.get("/portfolio/orders"))["orders"]
    assert (seen["status"], seen["client_order_id"], seen["book_side"]) == ("resting", "", "ask")
    assert seen["remaining_count_fp"] == "3.00"


@pytest.mark.parametrize(("price", "expected"), [("0.4000", [4000]), ("0.5000", [4500])])
async def test_a_manual_fill_trades_for_certain_and_leaves_no_trace_in_the_book(
    serve: Serve, price: str, expected: list[int]
) -> None:
    trade = {"ticker": TICKER, "side": "bid", "price": price, "count": "3.00"}
    served = await scripted(serve, rule("manual_fill", trade, from_ts="+1m"))
    served.service.driver.step_until(T0 + MINUTE)
    account = served.exchange.account(served.client.key_id)
    assert [each.price for each in account.fills] == expected
    assert sum(each.count for each in account.fills) == 300
    assert account.position_count(TICKER) == 300
    book = (await served.client.get(f"/markets/{TICKER}/orderbook"))["orderbook_fp"]
    assert [level[0] for level in book["no_dollars"]] == ["0.5500"]


async def test_clearing_undoes_a_pause_and_keeps_what_was_planned_from_happening(serve: Serve) -> None:
    served = await scripted(
        serve, rule("pause_exchange"), rule("early_close", {"ticker": TICKER}, from_ts="+1m")
    )
    assert (await served.client.create(price="0.3000")).status_code == 409
    assert served.service.faults is not None
    served.service.faults.plan.clear()
    served.service.driver.step_until(T0 + 2 * MINUTE + SECOND)
    assert (await served.client.create(price="0.3000")).status_code == 201


async def test_rules_change_for_markets_that_are_listed_and_those_listed_later(serve: Serve) -> None:
    """Silently, as a new day's markets come with another text."""
    later = make_market("KXHIGHNY-26NOV23-B52.5")
    world = ScriptedWorld([listing(make_market(), make_market(OTHER)), QUOTE, listing(later, ts=T0 + HOUR)])
    parameters = {"series": "KXHIGHNY", "old": "maximum", "new": "minimum"}
    served = await scripted(serve, rule("rules_change", parameters, from_ts="+1m"), world=world)
    before = (await served.client.get(f"/markets/{TICKER}"))["market"]["rules_primary"]
    served.service.driver.step_until(T0 + 2 * HOUR)
    after = [each["rules_primary"] for each in (await served.client.get("/markets"))["markets"]]
    assert after == [before.replace("maximum", "minimum")] * 3
    assert before not in after
