"""The alerter against a Bot API server on loopback: what arrives, in what order, at what pace."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from src.core.actions import Severity
from tests.alerts.conftest import MakeAlerter, Running
from tests.alerts.fake_bot_api import FakeBotApi, FakeTime, Heard, alert, page, refusal

CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO


async def test_an_alert_arrives_as_plain_text_with_sign_mode_words_and_time(
    api: FakeBotApi, make_alerter: MakeAlerter, running: Running
) -> None:
    alerter = make_alerter(api.base_url)
    async with running(alerter):
        alerter.send(alert("HALTED by risk: *daily_loss* <b> & [x](y", CRITICAL))
        await api.arrival()
    form = api.received[0]
    assert form["text"] == (
        "🚨 CRITICAL · PAPER\nHALTED by risk: *daily_loss* <b> & [x](y\n2026-07-30 14:03:05 UTC"
    )
    assert form["chat_id"] == "42"
    assert "parse_mode" not in form


async def test_information_arrives_silently_and_bad_news_rings(
    api: FakeBotApi, make_alerter: MakeAlerter
) -> None:
    alerter = make_alerter(api.base_url)
    alerter.send(alert("bought"))
    await alerter.flush(10)
    second = make_alerter(api.base_url)
    second.send(alert("bought"))
    second.send(alert("feed down", WARNING))
    await second.flush(10)
    assert [form.get("disable_notification") for form in api.received] == ["true", "false"]


async def test_a_burst_becomes_digests_most_urgent_first_one_a_second(
    api: FakeBotApi, make_alerter: MakeAlerter, world_time: FakeTime
) -> None:
    alerter = make_alerter(api.base_url)
    for number in range(30):
        alerter.send(alert(f"info {number} " + "x" * 180))
    for _ in range(3):
        alerter.send(alert("feed down", WARNING))
    alerter.send(alert("halted", CRITICAL))
    assert await alerter.flush(10) == 0
    assert len(api.texts) == 2
    assert api.texts[0].startswith("🚨 ")
    told = "".join(api.texts)
    places = [
        told.index(text) for text in ("halted", "feed down (+2 more)", *(f"info {n} " for n in range(30)))
    ]
    assert places == sorted(places)
    assert world_time.sleeps == [1.0]


async def test_a_group_gets_at_most_twenty_messages_a_minute(
    api: FakeBotApi, make_alerter: MakeAlerter, world_time: FakeTime
) -> None:
    alerter = make_alerter(api.base_url, chat_id=-100)
    for number in range(30):
        alerter.send(alert(f"info {number} " + "x" * 180))
    await alerter.flush(10)
    assert world_time.sleeps == [3.0]


async def test_below_the_wanted_severity_nothing_is_sent(api: FakeBotApi, make_alerter: MakeAlerter) -> None:
    alerter = make_alerter(api.base_url, min_severity=WARNING)
    for severity in Severity:
        alerter.send(alert(severity.value, severity))
    await alerter.flush(10)
    assert "critical" in api.texts[0]
    assert "warning" in api.texts[0]
    assert "info" not in api.texts[0]


async def test_a_flood_answer_is_waited_out_for_as_long_as_it_says(
    api: FakeBotApi, make_alerter: MakeAlerter, running: Running, world_time: FakeTime
) -> None:
    api.script.append(refusal(429, "Too Many Requests: retry after 7", retry_after=7))
    alerter = make_alerter(api.base_url)
    async with running(alerter):
        alerter.send(alert("bought"))
        texts = [await api.arrival(), await api.arrival()]
    assert texts[0] == texts[1]
    assert world_time.sleeps == [7.0]


@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
async def test_a_flood_answer_is_understood_as_a_number_too(
    api: FakeBotApi, make_alerter: MakeAlerter, world_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without PTB_TIMEDELTA, as in production, the library gives whole seconds."""
    monkeypatch.delenv("PTB_TIMEDELTA")
    api.script.append(refusal(429, "Too Many Requests: retry after 7", retry_after=7))
    alerter = make_alerter(api.base_url)
    alerter.send(alert("bought"))
    assert await alerter.flush(10) == 0
    assert world_time.sleeps == [7.0]


@pytest.mark.parametrize(
    "answer", [refusal(500, "Internal"), page(502, "<h1>Bad Gateway</h1>"), page(200, "log in")]
)
async def test_a_server_error_is_retried_with_growing_waits_and_told_once_in_the_log(
    answer: object, api: FakeBotApi, make_alerter: MakeAlerter, running: Running, world_time: FakeTime
) -> None:
    api.script.extend([answer] * 4)  # type: ignore[list-item]
    alerter = make_alerter(api.base_url)
    with capture_logs() as logs:
        async with running(alerter):
            alerter.send(alert("bought"))
            for _ in range(5):
                last = await api.arrival()
            alerter.send(alert("sold"))
            after = await api.arrival()
    assert last == "ℹ️ INFO · PAPER\nbought\n2026-07-30 14:03:05 UTC"
    assert "sold" in after
    assert world_time.sleeps == [1.0, 2.0, 4.0, 8.0, 1.0]
    assert [entry["event"] for entry in logs] == ["telegram_unreachable", "telegram_reachable_again"]


async def test_an_absent_server_stops_nothing_and_waits_are_jittered_and_capped(
    closed_port: int, make_alerter: MakeAlerter, running: Running, heard: Heard
) -> None:
    """Emergencies are told by the fallback while Telegram cannot be reached: once each."""
    patient = FakeTime(stop_after=10)
    alerter = make_alerter(
        f"http://127.0.0.1:{closed_port}/bot", clock=patient.clock, sleep=patient.sleep, rng=lambda: 0.0
    )
    async with running(alerter):
        alerter.send(alert("bought"))
        alerter.send(alert("halted", CRITICAL))
        await asyncio.wait_for(patient.stopped.wait(), 10)
        alerter.send(alert("loss", CRITICAL))
    waits = [wait for wait in patient.sleeps if wait > 1.0]
    assert patient.sleeps[:2] == [1.0, 1.0]
    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    assert heard.texts == ["halted", "loss"]


async def test_no_answer_repeats_what_matters_marked_and_gives_up_information_but_says_so(
    api: FakeBotApi, make_alerter: MakeAlerter
) -> None:
    api.script.append(api.silence)
    alerter = make_alerter(api.base_url, request_timeout=0.05)
    for text, severity in (("bought", INFO), ("feed down", WARNING), ("halted", CRITICAL)):
        alerter.send(alert(text, severity))
    assert await alerter.flush(10) == 0
    assert "bought" in api.texts[0]
    assert api.texts[1] == (
        "🚨 2 alerts · PAPER\n\n🚨 halted (repeat)\n2026-07-30 14:03:05 UTC\n\n"
        "⚠️ feed down (repeat)\n2026-07-30 14:03:05 UTC\n\nPerhaps not delivered: 1 info"
    )


async def test_what_was_dropped_is_said_once_it_can_be(api: FakeBotApi, make_alerter: MakeAlerter) -> None:
    api.script.append(refusal(500, "Internal"))
    alerter = make_alerter(api.base_url, limit=2)
    for number in range(4):
        alerter.send(alert(f"info {number}"))
    alerter.send(alert("halted", CRITICAL))
    await alerter.flush(10)
    assert api.texts[0] == api.texts[1]
    assert api.texts[1].startswith("🚨 2 alerts · PAPER\n\n🚨 halted\n")
    assert "info 3" in api.texts[1]
    assert api.texts[1].endswith("Dropped, too many waited: 3 info")


async def test_a_drop_is_not_said_twice(api: FakeBotApi, make_alerter: MakeAlerter, running: Running) -> None:
    alerter = make_alerter(api.base_url, limit=1)
    alerter.send(alert("info 0"))
    alerter.send(alert("info 1"))
    async with running(alerter):
        assert "Dropped, too many waited: 1 info" in await api.arrival()
        alerter.send(alert("info 2"))
        assert "Dropped" not in await api.arrival()


async def test_a_doubt_about_delivery_is_not_said_twice(
    api: FakeBotApi, make_alerter: MakeAlerter, running: Running
) -> None:
    api.script.append(api.silence)
    alerter = make_alerter(api.base_url, request_timeout=0.05)
    alerter.send(alert("bought"))
    alerter.send(alert("feed down", WARNING))
    async with running(alerter):
        await api.arrival()
        assert "Perhaps not delivered: 1 info" in await api.arrival()
        alerter.send(alert("sold"))
        assert "Perhaps" not in await api.arrival()
