"""Loading the configuration: precedence, refusal of everything doubtful, and silence about secrets."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from pathlib import Path

import pytest
from pydantic import ValidationError

from src.core.errors import ConfigError
from src.runtime.settings import KNOWN_KEYS, Settings, load_settings
from src.runtime.settings_env import NAMED_KEYS, SECRET_NAMES, variable_of
from src.runtime.settings_models import usd_to_cash

ROOT = Path(__file__).resolve().parents[2]


def problems_of(tmp_path: Path, text: str = "", **env: str) -> list[str]:
    """The lines of the ConfigError for a configuration text; paths cut to the file's name."""
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(path, env, None)
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def load(tmp_path: Path, text: str = "", **env: str) -> Settings:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, env, None)


def test_the_shipped_file_says_exactly_the_defaults() -> None:
    assert load_settings(ROOT / "config/config.yaml", {}, None) == Settings()


def test_the_example_environment_is_valid_and_changes_nothing() -> None:
    assert load_settings(None, {}, ROOT / ".env.example") == Settings()


def test_the_example_environment_names_every_variable_users_know() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    absent = [name for name in (*SECRET_NAMES, *NAMED_KEYS) if f"{name}=" not in text]
    assert not absent


def test_trading_is_off_unless_somebody_turns_it_on(tmp_path: Path) -> None:
    assert not load_settings(None, {}, None).trading.enabled
    assert not load(tmp_path, "risk: {kelly_fraction: 0.1}").trading.enabled


def test_environment_beats_dotenv_beats_file_beats_default(tmp_path: Path) -> None:
    config, dotenv = tmp_path / "config.yaml", tmp_path / ".env"
    config.write_text("risk: {kelly_fraction: 0.1, max_trades_per_hour: 5, max_trades_per_day: 6}\n")
    dotenv.write_text("KATS__RISK__MAX_TRADES_PER_HOUR=7\nKATS__RISK__MAX_TRADES_PER_DAY=8\n")
    settings = load_settings(config, {"KATS__RISK__MAX_TRADES_PER_DAY": "9"}, dotenv)
    risk = settings.risk
    assert (risk.kelly_fraction, risk.max_trades_per_hour, risk.max_trades_per_day) == (0.1, 7, 9)
    assert risk.stop_loss_percentage == 30


def test_blank_variables_count_as_unset(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "trading: {enabled: true}",
        TRADING_ENABLED="",
        KALSHI_API_KEY="  ",
        KATS__RISK__KELLY_FRACTION="",
    )
    assert settings.trading.enabled
    assert settings.secrets.kalshi_api_key is None


def test_an_absent_dotenv_file_is_skipped_but_an_absent_config_file_is_not(tmp_path: Path) -> None:
    assert load_settings(None, {}, tmp_path / ".env") == Settings()
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read: No such file"):
        load_settings(tmp_path / "absent.yaml", {}, None)


@pytest.mark.parametrize("key", sorted(KNOWN_KEYS), ids=".".join)
def test_every_key_can_be_given_in_the_environment(key: tuple[str, ...]) -> None:
    """The default written as a variable is accepted, and gives the same configuration."""
    value: object = Settings()
    for part in key:
        value = getattr(value, part)
    if value is None:
        raw = "null"
    elif isinstance(value, tuple):
        raw = f"[{', '.join(str(item) for item in value)}]"
    else:
        raw = str(value.value if isinstance(value, Enum) else value)
    assert load_settings(None, {variable_of(key): raw}, None) == Settings()


def test_unknown_keys_are_refused_with_the_likely_one(tmp_path: Path) -> None:
    lines = problems_of(tmp_path, "risk:\n  kely_fraction: 0.1\nfoo: 1\n")
    assert "risk.kely_fraction (config.yaml line 2): no such key; did you mean kelly_fraction?" in lines
    assert any(line.startswith("foo (config.yaml line 3): no such key; it knows alerts,") for line in lines)


def test_duplicate_keys_are_refused_with_both_lines(tmp_path: Path) -> None:
    lines = problems_of(tmp_path, "trading:\n  enabled: false\n  enabled: true\nrisk: {}\nrisk: {}\n")
    assert lines == [
        "config.yaml line 3: trading.enabled is given twice (first on line 2); remove one of them",
        "config.yaml line 5: risk is given twice (first on line 4); remove one of them",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("risk: [", "config.yaml line 1, column 8: not valid YAML"),
        ("risk:\n\tkelly_fraction: 1", "config.yaml line 2, column 1: not valid YAML"),
        ("- a\n- b\n", "config.yaml line 1: must be sections of `key: value` lines"),
        ("just text", "config.yaml line 1: must be sections of `key: value` lines"),
        ("1: {a: 2}", "config.yaml line 1: a key must be text"),
        ("on: {a: 2}", "config.yaml line 1: a key must be text"),
        ("a: &x {b: 1}\nrisk: {<<: *x}", "config.yaml line 2: merge keys are not supported"),
        (
            "risk: !!python/object:os.system {}",
            "config.yaml line 1: tags such as tag:yaml.org,2002:python/object:os.system",
        ),
        (
            "risk: {kelly_fraction: !!python/name:os.system 1}",
            "config.yaml line 1, column 24: not valid YAML",
        ),
        ("risk: \x00", "config.yaml: not valid YAML"),
        ("[" * 5000, "config.yaml"),
        ("a: 2026-99-99", "config.yaml: not valid YAML"),
    ],
)
def test_malformed_files_are_refused_with_the_place(tmp_path: Path, text: str, expected: str) -> None:
    lines = problems_of(tmp_path, text)
    assert any(line.startswith(expected) for line in lines), lines


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"risk: \xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_settings(path, {}, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "trading: {enabled: 'true'}",
            "trading.enabled (config.yaml line 1): must be true or false, got 'true'",
        ),
        ("trading: {enabled: 1}", "trading.enabled (config.yaml line 1): must be true or false, got 1"),
        (
            "trading: {max_daily_loss: -1}",
            "trading.max_daily_loss (config.yaml line 1): must be at least 1 and at most 1000000, got -1",
        ),
        ("trading: {max_daily_loss: .nan}", "must be an amount in dollars"),
        ("trading: {max_daily_loss: .inf}", "must be an amount in dollars"),
        ("trading: {max_daily_loss: true}", "must be an amount in dollars"),
        ("trading: {max_daily_loss: 10.001}", "at most two decimals, got 10.001"),
        ("trading: {max_daily_loss: 1" + "0" * 400 + "}", "at most 1000000"),
        (
            "risk: {kelly_fraction: 25}",
            "risk.kelly_fraction (config.yaml line 1): must be more than 0 and at most 1",
        ),
        ("risk: {kelly_fraction: .nan}", "finite number"),
        (
            "risk: {kelly_fraction: }",
            "risk.kelly_fraction (config.yaml line 1): must be a number, got nothing",
        ),
        ("risk: {kelly_fraction: 1" + "0" * 400 + "}", "risk.kelly_fraction"),
        ("risk: {max_trades_per_hour: 2.5}", "must be a whole number, got 2.5"),
        ("risk:", "risk (config.yaml line 1): must be a section with keys under it, got nothing"),
        ("risk: 3", "risk (config.yaml line 1): must be a section with keys under it, got 3"),
        ("strategies: {weather_model: {series: KXHIGHNY}}", "must be a list, got 'KXHIGHNY'"),
        ("strategies: {weather_model: {series: []}}", "strategies.weather_model.series"),
        ("strategies: {weather_model: {series: [KXHIGHNY, kx]}}", "strategies.weather_model.series[1]"),
        ("strategies: {weather_model: {sources: [nbm, nbm]}}", "must not repeat nbm"),
        ("strategies: {weather_model: {min_history_days: 200}}", "min_history_days must not be more than"),
        ("strategies: {speed_arbitrage: {enabled: true}}", "this version has no such strategy"),
        ("strategies: {pattern_detection: {enabled: true}}", "this version has no such strategy"),
        ("alerts: {telegram: {min_severity: loud}}", "must be 'info', 'warning' or 'critical', got 'loud'"),
        ("alerts: {telegram: {enabled: perhaps}}", "must be 'auto' or must be true or false, got 'perhaps'"),
        ("monitoring: {port: 65536}", "must be at least 0 and at most 65535, got 65536"),
        ("logging: {level: LOUD}", "logging.level"),
        ("news_monitoring: {enabled: true}", "this version reads no news"),
        ("news_monitoring: {rss: {enabled: true}}", "needs at least one address in feeds"),
        ("secrets: {kalshi_api_key: hunter2}", "belong in the environment"),
    ],
)
def test_wrong_values_are_refused_with_key_place_and_allowance(
    tmp_path: Path, text: str, expected: str
) -> None:
    lines = problems_of(tmp_path, text)
    assert len(lines) == 1
    assert expected in lines[0]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    lines = problems_of(
        tmp_path,
        "risk: {kelly_fraction: 2, kelly_fraction: 3}\ntrading: {enabled: maybe}\nfoo: 1\n",
        KATS__RISK__KELY_FRACTION="1",
        LOG_LEVEL="loud",
        TELEGRAM_CHAT_ID="me",
    )
    wanted = (
        "given twice",
        "KATS__RISK__KELY_FRACTION",
        "TELEGRAM_CHAT_ID",
        "trading.enabled",
        "foo",
        "LOG_LEVEL",
    )
    assert len(lines) == 7
    assert all(any(word in line for line in lines) for word in wanted)


@pytest.mark.parametrize(
    "name",
    [
        "KATS__RISK__KELY",
        "KATS_RISK_KELLY_FRACTION",
        "kats__risk__kelly_fraction",
        "KATS__RISK",
        "KATS__",
        "KATS__SECRETS__KALSHI_API_KEY",
    ],
)
def test_variables_that_look_like_ours_but_are_not_are_refused(tmp_path: Path, name: str) -> None:
    lines = problems_of(tmp_path, **{name: "0.2"})
    assert len(lines) == 1
    assert lines[0].startswith(f"environment {name}: no such setting")


def test_two_names_for_one_key_are_refused(tmp_path: Path) -> None:
    lines = problems_of(tmp_path, TRADING_ENABLED="false", KATS__TRADING__ENABLED="true")
    assert lines == [
        "environment KATS__TRADING__ENABLED and TRADING_ENABLED both set trading.enabled; remove one of them"
    ]


def test_a_variable_over_a_broken_section_does_not_hide_the_break(tmp_path: Path) -> None:
    assert any("risk" in line for line in problems_of(tmp_path, "risk: 3", KATS__RISK__KELLY_FRACTION="0.1"))


def test_other_peoples_variables_are_ignored(tmp_path: Path) -> None:
    assert load(tmp_path, "", PATH="/bin", KALSHI_SOMETHING="x", TRADING="1", HOME="/root") == Settings()


def test_amounts_are_exact() -> None:
    settings = load_settings(None, {"KATS__TRADING__MAX_DAILY_LOSS": "99.9"}, None)
    assert settings.trading.max_daily_loss == Decimal("99.9")
    assert usd_to_cash(settings.trading.max_daily_loss) == 99_900_000
    assert usd_to_cash(Settings().trading.max_position_size_usd) == 500_000_000


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.trading.enabled = True


def test_log_level_is_accepted_in_any_case(tmp_path: Path) -> None:
    assert load(tmp_path, LOG_LEVEL="debug").logging.level == "DEBUG"
    assert load(tmp_path, "logging: {level: warning}").logging.level == "WARNING"
