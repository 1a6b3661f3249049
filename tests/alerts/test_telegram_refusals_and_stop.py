"""The alerter when Telegram refuses, when the process stops, and what it must never say."""

from __future__ import annotations

import asyncio
import logging

import pytest
from structlog.testing import capture_logs

from src.alerts.telegram_bot import TelegramAlerter
from src.core.actions import Severity
from tests.alerts.conftest import MakeAlerter, Running
from tests.alerts.fake_bot_api import TOKEN, FakeBotApi, FakeTime, Heard, alert, page, refusal

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


@pytest.mark.parametrize(
    ("status", "description", "error"),
    [
        (401, "Unauthorized", "InvalidToken: Unauthorized"),
        (404, "Not Found", "InvalidToken: Not Found"),
        (403, "Forbidden: bot was blocked by the user", "Forbidden: Forbidden: bot was blocked by the user"),
    ],
)
async def test_a_final_refusal_is_never_retried_and_everything_goes_to_the_fallback(
    status: int,
    description: str,
    error: str,
    api: FakeBotApi,
    make_alerter: MakeAlerter,
    running: Running,
    heard: Heard,
) -> None:
    api.script.append(refusal(status, description))
    alerter = make_alerter(api.base_url)
    for number in range(3):
        alerter.send(alert("feed down", WARNING, key="feed"))
        alerter.send(alert(f"info {number} " + "x" * 2500))
    with capture_logs() as logs:
        async with running(alerter):
            await api.arrival()
            assert await alerter.flush(10) == 0
            alerter.send(alert("sold"))
    assert len(api.received) == 1
    assert heard.texts[:2] == [f"Telegram is off until the next start: {error}", "feed down (+2 more)"]
    assert [text.split(" x")[0] for text in heard.texts[2:]] == ["info 0", "info 1", "info 2", "sold"]
    assert [(entry["event"], entry["error"]) for entry in logs] == [("telegram_off", error)]


async def test_one_displeasing_message_goes_to_the_fallback_and_the_next_is_sent(
    api: FakeBotApi, make_alerter: MakeAlerter, running: Running, heard: Heard
) -> None:
    """BadRequest is a NetworkError to the library; it must not be retried like one."""
    api.script.append(refusal(400, "Bad Request: message text is empty"))
    alerter = make_alerter(api.base_url)
    async with running(alerter):
        alerter.send(alert("odd"))
        await api.arrival()
        alerter.send(alert("sold"))
        assert "sold" in await api.arrival()
    assert heard.texts == ["odd"]
    assert len(api.received) == 2


async def test_two_messages_refused_in_a_row_turn_it_off(
    api: FakeBotApi, make_alerter: MakeAlerter, running: Running, heard: Heard
) -> None:
    api.script.extend([refusal(400, "Bad Request: chat not found")] * 2)
    alerter = make_alerter(api.base_url)
    with capture_logs() as logs:
        async with running(alerter):
            alerter.send(alert("one"))
            await api.arrival()
            alerter.send(alert("two"))
            await api.arrival()
            await alerter.flush(10)
            alerter.send(alert("three"))
    assert heard.texts == [
        "one",
        "Telegram is off until the next start: BadRequest: Chat not found",
        "two",
        "three",
    ]
    assert [entry["event"] for entry in logs] == ["telegram_refused_message", "telegram_off"]


async def test_a_group_that_moved_is_followed(api: FakeBotApi, make_alerter: MakeAlerter) -> None:
    api.script.append(refusal(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-1001))
    alerter = make_alerter(api.base_url, chat_id=-7)
    alerter.send(alert("bought"))
    assert await alerter.flush(10) == 0
    assert [form["chat_id"] for form in api.received] == ["-7", "-1001"]


async def test_a_message_cut_off_by_the_stop_is_sent_again_marked_and_no_client_is_left_open(
    api: FakeBotApi, make_alerter: MakeAlerter, running: Running
) -> None:
    api.script.append(api.silence)
    alerter = make_alerter(api.base_url)
    async with running(alerter):
        alerter.send(alert("stopping"))
        await api.arrival()
    assert await alerter.flush(10) == 0
    assert api.texts[1] == "ℹ️ INFO · PAPER\nstopping (repeat)\n2026-07-30 14:03:05 UTC"


async def test_flush_waits_for_the_message_that_run_has_under_way(
    api: FakeBotApi, make_alerter: MakeAlerter, running: Running, heard: Heard
) -> None:
    answered = asyncio.Event()

    async def late() -> object:
        await answered.wait()
        return await refusal(500, "Internal")()

    api.script.append(late)  # type: ignore[arg-type]
    alerter = make_alerter(api.base_url)
    async with running(alerter):
        alerter.send(alert("stopping"))
        await api.arrival()
        flushing = asyncio.create_task(alerter.flush(10))
        await asyncio.sleep(0)
        assert not flushing.done()
        answered.set()
        assert await flushing == 0
    assert len(api.received) == 2
    assert heard.texts == []


async def test_flush_gives_up_in_time_and_hands_the_rest_to_the_fallback(
    closed_port: int, make_alerter: MakeAlerter, heard: Heard
) -> None:
    stuck = FakeTime(stop_after=1)
    alerter = make_alerter(f"http://127.0.0.1:{closed_port}/bot", clock=stuck.clock, sleep=stuck.sleep)
    for _ in range(2):
        alerter.send(alert("bought"))
    alerter.send(alert("sold"))
    assert await alerter.flush(0.05) == 3
    alerter.send(alert("after the end"))
    assert heard.texts == ["bought (+1 more)", "sold", "after the end"]


async def test_a_message_under_way_when_flush_gave_up_still_reaches_the_fallback(
    api: FakeBotApi, make_alerter: MakeAlerter, running: Running, heard: Heard
) -> None:
    api.script.append(api.silence)
    alerter = make_alerter(api.base_url)
    async with running(alerter):
        alerter.send(alert("halted", CRITICAL))
        await api.arrival()
        assert await alerter.flush(0.01) == 0
        assert heard.texts == []
    assert heard.texts == ["halted"]


async def test_flush_does_not_sit_out_a_back_off(
    api: FakeBotApi, make_alerter: MakeAlerter, running: Running
) -> None:
    stuck = FakeTime(stop_after=2)
    api.script.extend([refusal(500, "Internal")] * 2)
    alerter = make_alerter(api.base_url, clock=stuck.clock, sleep=stuck.sleep)
    async with running(alerter):
        alerter.send(alert("stopping"))
        await asyncio.wait_for(stuck.stopped.wait(), 10)
        stuck.now += 1.0  # a second later, in a back-off of two that nobody ends
        assert await alerter.flush(10) == 0
    assert len(api.received) == 3


@pytest.mark.parametrize(
    "answer", [refusal(401, f"no bot {TOKEN}"), page(502, f"cannot reach /bot{TOKEN}/sendMessage")]
)
async def test_the_token_is_in_no_log_alert_or_repr(
    answer: object,
    api: FakeBotApi,
    make_alerter: MakeAlerter,
    running: Running,
    heard: Heard,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Even with every debug line on and a server that quotes the address."""
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.WARNING, name)
    # Last, because each call sets the level of the capturing handler as well.
    caplog.set_level(logging.DEBUG, "telegram")
    caplog.set_level(logging.DEBUG)
    api.script.append(answer)  # type: ignore[arg-type]
    alerter = make_alerter(api.base_url)
    with capture_logs() as logs:
        async with running(alerter):
            alerter.send(alert("halted", CRITICAL))
            await api.arrival()
            await alerter.flush(10)
    assert logs
    assert "***" in logs[0]["error"]
    said = [caplog.text, *capsys.readouterr(), repr(logs), repr(heard.alerts), repr(alerter), str(alerter)]
    assert not [text for text in said if "secret_part" in text]


async def test_send_costs_nothing_while_nobody_delivers(
    closed_port: int, make_alerter: MakeAlerter, heard: Heard
) -> None:
    """Ten thousand alerts without a service running: bounded, and none is raised or awaited."""
    alerter: TelegramAlerter = make_alerter(f"http://127.0.0.1:{closed_port}/bot", limit=100)
    for number in range(10_000):
        alerter.send(alert(f"info {number}"))
    assert await alerter.flush(0) == 100
    assert heard.texts[-1] == "info 9999"
