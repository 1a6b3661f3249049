"""Who may send real orders: nobody, by omission, typo or mixture."""

from __future__ import annotations

import contextlib
import itertools

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import ConfigError
from src.runtime.settings import load_settings
from src.runtime.settings_mode import LIVE_CONFIRMATION, Mode, resolve_mode
from src.runtime.settings_venues import Environment, classify_url

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"
PRODUCTION = "https://external-api.kalshi.com/trade-api/v2"
DEMO = "https://external-api.demo.kalshi.co/trade-api/v2"
KEYS = {"KALSHI_API_KEY": "id", "KALSHI_API_SECRET": PEM}
LIVE = {
    "KALSHI_BASE_URL": PRODUCTION,
    "TRADING_ENABLED": "true",
    "KALSHI_LIVE_CONFIRMATION": LIVE_CONFIRMATION,
} | KEYS


def mode_of(env: dict[str, str], *, live: bool = False) -> Mode:
    return resolve_mode(load_settings(None, env, None), live_flag=live)


def refusal(env: dict[str, str], *, live: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        mode_of(env, live=live)
    return str(caught.value)


def test_three_deliberate_acts_and_keys_make_it_live() -> None:
    assert mode_of(LIVE, live=True) is Mode.LIVE


@pytest.mark.parametrize("absent", ["KALSHI_LIVE_CONFIRMATION", "flag", "KEYS"])
def test_an_act_left_out_is_refused_by_its_name(absent: str) -> None:
    left_out = set(KEYS) if absent == "KEYS" else {absent}
    env = {name: value for name, value in LIVE.items() if name not in left_out}
    text = refusal(env, live=absent != "flag")
    assert text.startswith("real orders are refused")
    named = {"flag": ["--live"], "KEYS": list(KEYS)}.get(absent, [absent])
    assert [line.partition(":")[0] for line in text.splitlines()[1:]] == named


def test_without_trading_enabled_it_is_paper_whatever_else_is_said() -> None:
    env = {name: value for name, value in LIVE.items() if name != "TRADING_ENABLED"}
    assert mode_of(env, live=True) is Mode.PAPER
    assert mode_of(env | {"TRADING_ENABLED": "false"}, live=True) is Mode.PAPER
    assert mode_of({}) is Mode.PAPER


@pytest.mark.parametrize(
    "phrase", ["i accept real orders", "I accept real orders.", "yes", "true", "I accept"]
)
def test_the_confirmation_is_exact(phrase: str) -> None:
    assert "KALSHI_LIVE_CONFIRMATION" in refusal(LIVE | {"KALSHI_LIVE_CONFIRMATION": phrase}, live=True)


def test_the_demo_needs_keys_and_trading_enabled() -> None:
    env = {"KALSHI_BASE_URL": DEMO, "TRADING_ENABLED": "true"}
    assert mode_of(env | KEYS) is Mode.DEMO
    assert "KALSHI_API_KEY: needed" in refusal(env)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:1", "[::1]:9", "127.9.9.9:80"])
def test_this_machine_is_a_simulated_exchange(host: str) -> None:
    env = {"KALSHI_BASE_URL": f"http://{host}/trade-api/v2", "TRADING_ENABLED": "true"}
    assert mode_of(env) is Mode.SIMULATED
    settings = load_settings(None, env, None)
    assert settings.exchange.effective_ws_url == f"ws://{host}/trade-api/ws/v2"


@pytest.mark.parametrize("url", [DEMO, "http://127.0.0.1:80/trade-api/v2"])
def test_the_live_flag_where_nothing_is_live_is_a_contradiction(url: str) -> None:
    assert "--live was given" in refusal(LIVE | {"KALSHI_BASE_URL": url}, live=True)


@pytest.mark.parametrize("host", ["kalshi.example.com", "external-api.kalshi.com.evil.com", "10.0.0.1",
                                  "evil-external-api.kalshi.com", "external-api.kalshi.co"])  # fmt: skip
def test_unknown_hosts_never_get_orders(host: str) -> None:
    env = LIVE | {
        "KALSHI_BASE_URL": f"https://{host}/trade-api/v2", "KALSHI_WS_URL": f"wss://{host}/trade-api/ws/v2"
    }  # fmt: skip
    assert "not an exchange this version knows" in refusal(env, live=True)
    assert "not an exchange this version knows" in refusal(env, live=False)
    assert mode_of(env | {"TRADING_ENABLED": "false"}) is Mode.PAPER


def test_an_unknown_host_needs_both_addresses() -> None:
    assert "ws_url must be given too" in refusal({"KALSHI_BASE_URL": "https://k.example.com/trade-api/v2"})


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://external-api.kalshi.com/trade-api/v2", "must begin with https://"),
        ("https://external-api.kalshi.com", "must end with /trade-api/v2"),
        ("https://external-api.kalshi.com/trade-api/ws/v2", "must end with /trade-api/v2"),
        ("https://external-api.kalshi.com:8443/trade-api/v2", "must not name a port"),
        ("https://external-api.kalshi.com/trade-api/v2?x=1", "must not hold a query"),
        ("https://trading-api.kalshi.com/trade-api/v2", "retired host"),
        ("https://external-api.kalshi.com\\@localhost/trade-api/v2", "must not hold"),
        ("https://localhost@external-api.kalshi.com/trade-api/v2", "must not hold a user name"),
        ("https:///trade-api/v2", "must be an address"),
        ("https://[::1/trade-api/v2", "must be an address"),
        ("ftp://127.0.0.1/trade-api/v2", "must be an address"),
        ("https://127.0.0.1:99999/trade-api/v2", "must be an address"),
        ("wss://127.0.0.1:9/trade-api/ws/v2", "base_url must begin with https://"),
    ],
)
def test_doubtful_addresses_are_refused(url: str, reason: str) -> None:
    assert reason in refusal({"KALSHI_BASE_URL": url})


def test_rest_and_websocket_must_lead_to_the_same_exchange() -> None:
    text = refusal(
        {"KALSHI_BASE_URL": DEMO, "KALSHI_WS_URL": "wss://external-api-ws.kalshi.com/trade-api/ws/v2"}
    )
    assert "base_url is Kalshi demo but ws_url is Kalshi production" in text
    assert "ws_url must begin with wss://" in refusal({"KALSHI_BASE_URL": DEMO, "KALSHI_WS_URL": DEMO})


@pytest.mark.parametrize(
    ("base", "ws"),
    [
        (PRODUCTION, "wss://external-api-ws.kalshi.com/trade-api/ws/v2"),
        (DEMO + "/", "wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2"),
        ("https://demo-api.kalshi.co/trade-api/v2", "wss://demo-api.kalshi.co/trade-api/ws/v2"),
        ("https://api.elections.kalshi.com/trade-api/v2", "wss://api.elections.kalshi.com/trade-api/ws/v2"),
    ],
)
def test_the_websocket_address_follows_from_a_known_host(base: str, ws: str) -> None:
    exchange = load_settings(None, {"KALSHI_BASE_URL": base}, None).exchange
    assert exchange.effective_ws_url == ws
    assert classify_url(ws) is exchange.environment


def test_of_all_combinations_of_acts_only_the_full_one_is_live() -> None:
    acts = ["TRADING_ENABLED", "KALSHI_LIVE_CONFIRMATION", "KALSHI_BASE_URL", "KEYS", "flag"]
    live = []
    for chosen in itertools.product([False, True], repeat=len(acts)):
        done = {act for act, is_done in zip(acts, chosen, strict=True) if is_done}
        env = {name: LIVE[name] for name in LIVE if name in done or ("KEYS" in done and name in KEYS)}
        with contextlib.suppress(ConfigError):
            if mode_of(env, live="flag" in done) is Mode.LIVE:
                live.append(done)
    assert live == [set(acts)]


def _mutations(value: str) -> st.SearchStrategy[str]:
    """The right value, or something near it: blank, cut, doubled, other case, any text."""
    near = [
        value,
        "",
        " ",
        value[:-1],
        value + value,
        value.upper(),
        value.lower(),
        value.replace("t", "r"),
        "1",
    ]
    return st.sampled_from(near) | st.text(max_size=20)


@given(data=st.data())
def test_never_live_by_omission(data: st.DataObject) -> None:
    """Any mixture of variables, also half right: LIVE only when every act was done exactly."""
    noise = st.sampled_from(["KATS__TRADING__ENABLED", "KATS_TRADING", "KALSHI_LIVE", "TRADING_ENABLE"])
    env = {
        name: data.draw(_mutations(value), label=name)
        for name, value in LIVE.items()
        if data.draw(st.integers(0, 3), label=f"has {name}")
    }
    env |= data.draw(st.dictionaries(noise, st.sampled_from(["true", "false", ""]), max_size=1))
    live = data.draw(st.booleans())
    try:
        mode = mode_of(env, live=live)
    except ConfigError:
        return
    if mode is Mode.LIVE:
        enabled = {
            env.get("TRADING_ENABLED", "").strip().lower(),
            env.get("KATS__TRADING__ENABLED", "").lower(),
        }
        assert live
        assert enabled & {"true", "yes", "on"}
        assert env["KALSHI_LIVE_CONFIRMATION"].strip() == LIVE_CONFIRMATION
        assert env["KALSHI_API_KEY"].strip()
        assert classify_url(env["KALSHI_BASE_URL"].strip()) is Environment.PRODUCTION


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
_SECTIONS = [
    "trading",
    "risk",
    "strategies",
    "exchange",
    "logging",
    "alerts",
    "monitoring",
    "database",
    "secrets",
]
_KEYS = [
    "enabled",
    "base_url",
    "kelly_fraction",
    "max_daily_loss",
    "weather_model",
    "telegram",
    "port",
    "level",
]


@given(
    values=st.dictionaries(
        st.sampled_from(_SECTIONS),
        _VALUES | st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=3),
        max_size=4,
    )
)
def test_any_file_is_either_valid_or_refused_in_one_way(
    values: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No configuration file makes the loader fail with anything but ConfigError, and none makes it live."""
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    try:
        settings = load_settings(path, {}, None)
    except ConfigError:
        return
    with contextlib.suppress(ConfigError):
        assert resolve_mode(settings, live_flag=True) is not Mode.LIVE
