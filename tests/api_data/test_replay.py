"""A recording yields the very events that were yielded live."""

from __future__ import annotations

import pytest

from src.api.polling import PollingFeed
from src.api.recorder import Recorder
from src.api.recorder_format import read_records, recording_files
from src.api.replay import replay
from src.core.errors import ConfigError
from src.core.events import (
    BookDelta,
    BookInvalid,
    BookSnapshot,
    FeedDown,
    FeedUp,
    MarketLifecycle,
    MarketUpdate,
    PublicTrade,
)
from src.core.units import HOUR, MINUTE

from .conftest import SteppingClock, turn_until


async def quiet(service, collected) -> None:
    feed, sent = collected.feed, service.server
    await turn_until(
        lambda: feed.is_settled and feed.frames_handled == sent.frames_sent, "the feed to be quiet"
    )


async def play(service, collected, hours: float) -> None:
    """Let the world live, waiting at each step until the feed has heard everything."""
    driver = service.driver
    until = service.exchange.now + int(hours * HOUR)
    while service.exchange.now < until:
        driver.step_until(min(service.exchange.now + 10 * MINUTE, until))
        await quiet(service, collected)


async def test_replay_of_a_simulated_day_equals_the_live_events(service, live, make_recorder, tmp_path):
    """Every event, field for field, in order: markets, snapshots, changes, trades, lives, resyncs, losses."""
    recorder = make_recorder(rotate_bytes=20_000)
    collected = await live(recorder)
    await play(service, collected, 20)
    tickers = sorted(service.exchange.markets)[:3]
    await collected.feed.resync(tickers, "a test's doubt")
    await collected.feed.unwatch(tickers[:1])
    await quiet(service, collected)
    await play(service, collected, 30)
    await recorder.aclose()

    assert len(recording_files(tmp_path / "recording")) > 1
    seen = list(replay(tmp_path / "recording"))
    assert seen == collected.events
    assert list(map(repr, seen)) == list(map(repr, collected.events))
    for kind in (BookSnapshot, BookDelta, PublicTrade, MarketUpdate, MarketLifecycle, BookInvalid, FeedUp):
        assert collected.count(kind) > 0, kind
    arrivals = {r.ts for path in recording_files(tmp_path / "recording") for r in read_records(path)}
    for event in seen:  # doubt stands a nanosecond behind the message that raised it
        assert event.ts_recv in arrivals or (isinstance(event, BookInvalid) and event.ts_recv - 1 in arrivals)


async def test_replay_over_a_lost_connection(service, live, make_recorder, tmp_path):
    """A connection that ended and the one after it come back as FeedDown, FeedUp and new snapshots."""
    recorder = make_recorder()
    collected = await live(recorder)
    await play(service, collected, 2)
    await collected.feed._socket.close()
    await turn_until(lambda: collected.count(FeedUp) == 2, "the feed to be up again")
    await turn_until(lambda: collected.feed.is_settled, "the feed to be settled")
    service.driver.step_until(service.exchange.now + HOUR)
    books = len(service.exchange.markets)
    await turn_until(lambda: collected.count(BookSnapshot) >= 2 * books, "new books")
    before = collected.feed.frames_handled
    service.driver.step_until(service.exchange.now + HOUR)
    await turn_until(lambda: collected.feed.frames_handled > before, "changes on the new connection")
    await turn_until(lambda: collected.feed.frames_received == collected.feed.frames_handled, "quiet")
    await collected.feed.aclose()
    await recorder.aclose()
    assert collected.count(FeedDown) == 1
    assert list(replay(tmp_path / "recording")) == collected.events


async def test_replay_with_further_channels(service, live, make_recorder, tmp_path):
    """Channels the engine does not need change when the feed is up, so they are on the tape as well."""
    recorder = make_recorder()
    extra = []
    collected = await live(recorder, extras=["ticker"], on_message=extra.append)
    await play(service, collected, 6)
    await recorder.aclose()
    assert extra
    assert list(replay(tmp_path / "recording")) == collected.events


async def test_every_rest_body_is_recorded(service, live, make_recorder, tmp_path):
    """REST answers are on the tape with status, method, path and query, and the body as it came."""
    recorder = make_recorder()
    await live(recorder)
    await recorder.aclose()
    records = [r for path in recording_files(tmp_path / "recording") for r in read_records(path)]
    rest = [r for r in records if r.kind.startswith("rest ")]
    series = sorted(service.exchange.series)[0]
    assert any(r.kind == f"rest 200 GET /trade-api/v2/series/{series}" for r in rest)
    assert all(r.payload.startswith(b"{") for r in rest)


async def test_a_recording_without_a_key_yields_markets_and_books(service, make_client, tmp_path):
    """Polled answers go through the same parsers: the books equal those the polling feed yielded."""
    clock = SteppingClock()
    recorder = Recorder(tmp_path / "polled", clock, {"feed": "polling"})
    recorder.start()
    client = make_client(on_body=recorder.on_body)
    service.driver.step_until(service.exchange.now + 6 * HOUR)
    series = sorted(service.exchange.series)[:1]
    feed = PollingFeed(client, clock, series=series, on_bad=lambda source, field: None)
    live = []
    async for event in feed.stream():
        live.append(event)
        if isinstance(event, BookSnapshot) and sum(isinstance(e, BookSnapshot) for e in live) == 3:
            break
    await recorder.aclose()
    seen = list(replay(tmp_path / "polled"))

    def books(events):
        return [(e.ticker, e.bids, e.asks) for e in events if isinstance(e, BookSnapshot)]

    assert sorted(books(live)) == sorted(books(seen))[:3]
    described = [e.market for e in seen if isinstance(e, MarketUpdate)]
    assert described == [e.market for e in live if isinstance(e, MarketUpdate)]


async def test_files_from_the_middle_are_refused(service, live, make_recorder, tmp_path):
    """Without the beginning the state is unknown: that is said, not guessed."""
    recorder = make_recorder(rotate_bytes=1)
    collected = await live(recorder)
    await play(service, collected, 12)
    await recorder.aclose()
    files = recording_files(tmp_path / "recording")
    with pytest.raises(ConfigError, match="give its earlier files too"):
        list(replay(files[1:]))
    with pytest.raises(ConfigError, match="holds no recording"):
        list(replay(tmp_path / "empty"))
