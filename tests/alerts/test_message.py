from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from src.alerts.message import MAX_UNITS, compose, plain, units
from src.alerts.outbox import Pending
from src.core.actions import Severity
from tests.alerts.fake_bot_api import T0, alert


def test_a_single_alert_reads_severity_mode_text_time() -> None:
    text, batch = compose("PAPER", [Pending(alert("HALTED by risk: daily loss", Severity.CRITICAL))], "")
    assert text == "🚨 CRITICAL · PAPER\nHALTED by risk: daily loss\n2026-07-30 14:03:05 UTC"
    assert len(batch) == 1


def test_a_digest_tells_how_many_and_each_with_its_own_sign_and_time() -> None:
    waiting = [
        Pending(alert("feed down", Severity.WARNING), count=13, repeat=True),
        Pending(alert("bought 3 YES", ts=T0 + 60_000_000_000)),
    ]
    text, batch = compose("LIVE", waiting, "Dropped, too many waited: 2 info")
    assert batch == waiting
    assert text == (
        "⚠️ 2 alerts · LIVE\n\n"
        "⚠️ feed down (+12 more) (repeat)\n2026-07-30 14:03:05 UTC\n\n"
        "ℹ️ bought 3 YES\n2026-07-30 14:04:05 UTC\n\n"
        "Dropped, too many waited: 2 info"
    )


def test_text_from_outside_cannot_steer_a_terminal_or_break_the_encoding() -> None:
    assert plain("a\x1b[31m\x07 b\u202ec\ud800\u00a0d\ne\tf\n") == "a?[31m? b?c? d\ne f"
    assert plain("Höchstwert 21 °F – *_`[") == "Höchstwert 21 °F – *_`["


texts = st.one_of(st.text(max_size=100), st.integers(900, 4000).map(lambda length: "😀" * length))


@given(
    st.lists(st.tuples(texts, st.sampled_from(list(Severity))), min_size=1, max_size=20),
    st.text("n", max_size=150),
)
def test_any_message_fits_holds_whole_alerts_in_order_and_at_least_one(
    said: list[tuple[str, Severity]], note: str
) -> None:
    waiting = [Pending(alert(text, severity, key="k")) for text, severity in said]
    text, batch = compose("SIMULATED", waiting, note)
    assert 1 <= units(text) <= MAX_UNITS
    assert batch == waiting[: len(batch)] != []
    assert text.count(" UTC") >= len(batch)


def test_a_text_that_is_too_long_is_cut_between_characters() -> None:
    text, _ = compose("DEMO", [Pending(alert("😀" * 4000))], "")
    assert "😀…\n2026-07-30 14:03:05 UTC" in text
    assert 3000 <= units(text) <= 3100
