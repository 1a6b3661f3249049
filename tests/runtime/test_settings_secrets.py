"""Secrets: where they may come from, that they are checked, and that nothing ever shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.core.errors import ConfigError
from src.runtime.settings import load_settings

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"
SECRET = "s3cr3t-hunter2"


def refusal(env: dict[str, str], dotenv: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, env, dotenv)
    return str(caught.value)


def private_key(raw: str) -> str:
    settings = load_settings(None, {"KALSHI_API_KEY": "id", "KALSHI_API_SECRET": raw}, None)
    assert settings.secrets.kalshi_api_secret is not None
    return settings.secrets.kalshi_api_secret.get_secret_value()


def test_the_private_key_may_be_text_escaped_text_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("a comment before\n" + PEM)
    assert private_key(PEM) == private_key(PEM.replace("\n", "\\n")) == private_key(str(path)) == PEM


@pytest.mark.parametrize("name", [".env", "quoted"])
def test_the_private_key_may_stand_in_the_dotenv_file(tmp_path: Path, name: str) -> None:
    dotenv = tmp_path / name
    value = PEM.strip().replace("\n", "\\n") if name == ".env" else f'"{PEM}"'
    dotenv.write_text(f"KALSHI_API_KEY=id\nKALSHI_API_SECRET={value}\n")
    secret = load_settings(None, {}, dotenv).secrets.kalshi_api_secret
    assert secret is not None
    assert secret.get_secret_value() == PEM


@pytest.mark.parametrize(
    "raw",
    [
        SECRET,
        "/no/such/" + SECRET,
        "-----BEGIN PRIVATE KEY-----" + SECRET,
        SECRET * 2_000,
        "~nobody/" + SECRET,
    ],
)
def test_an_unusable_private_key_is_refused_without_showing_it(raw: str) -> None:
    text = refusal({"KALSHI_API_KEY": "id", "KALSHI_API_SECRET": raw})
    assert "environment KALSHI_API_SECRET: " in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"KALSHI_API_KEY": "id"}, "KALSHI_API_SECRET: is missing"),
        ({"KALSHI_API_SECRET": PEM}, "KALSHI_API_KEY: is missing"),
        ({"TELEGRAM_BOT_TOKEN": "1:" + SECRET}, "TELEGRAM_CHAT_ID: is missing"),
        ({"TELEGRAM_CHAT_ID": "5"}, "TELEGRAM_BOT_TOKEN: is missing"),
        (
            {"KATS__ALERTS__TELEGRAM__ENABLED": "true"},
            "TELEGRAM_BOT_TOKEN, TELEGRAM_CHAT_ID: is missing",
        ),
    ],
)
def test_half_of_a_pair_is_refused(env: dict[str, str], named: str) -> None:
    text = refusal(env)
    assert text.startswith(named)
    assert SECRET not in text


def test_telegram_is_on_by_itself_when_both_parts_are_there() -> None:
    both = {"TELEGRAM_BOT_TOKEN": "1:" + SECRET, "TELEGRAM_CHAT_ID": "-100123"}
    assert load_settings(None, both, None).telegram_on
    assert load_settings(None, both, None).secrets.telegram_chat_id == -100123
    assert not load_settings(None, {}, None).telegram_on
    assert not load_settings(None, both | {"KATS__ALERTS__TELEGRAM__ENABLED": "false"}, None).telegram_on


def test_secrets_show_in_no_repr() -> None:
    env = {
        "KALSHI_API_KEY": SECRET + "a", "KALSHI_API_SECRET": PEM, "TELEGRAM_BOT_TOKEN": SECRET + "b",
        "TELEGRAM_CHAT_ID": "1", "DB_PASSWORD": SECRET + "c", "NEWSAPI_KEY": SECRET + "d",
        "DATABASE_URL": f"postgresql://u:{SECRET}e@h/d",
    }  # fmt: skip
    settings = load_settings(None, env, None)
    assert SECRET not in repr(settings)
    assert "MIIEvQ" not in repr(settings) + str(settings)
    expected = {SECRET + letter for letter in "abcde"} | {PEM, env["DATABASE_URL"]}
    assert set(settings.secret_values()) == expected


@pytest.mark.parametrize(
    ("url", "password", "expected"),
    [
        ("postgres://u@h:5433/d", "p w/@:", "postgresql+asyncpg://u:p%20w%2F%40%3A@h:5433/d"),
        ("postgresql://u:own@h/d", "other", "postgresql+asyncpg://u:own@h/d"),
        ("postgresql+asyncpg://u@h/d", "", "postgresql+asyncpg://u@h/d"),
        ("postgresql://u@h/d?sslmode=require&x=1", "p", "postgresql+asyncpg://u:p@h/d?ssl=require&x=1"),
        ("postgresql://u@[::1]:5432/d", "p", "postgresql+asyncpg://u:p@[::1]:5432/d"),
    ],
)
def test_the_database_address_gets_driver_and_password(url: str, password: str, expected: str) -> None:
    assert load_settings(None, {"DATABASE_URL": url, "DB_PASSWORD": password}, None).database_url == expected


def test_without_a_database_address_the_embedded_server_is_meant() -> None:
    assert load_settings(None, {"DB_PASSWORD": "p"}, None).database_url is None


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{SECRET}@h/d", f"postgresql://u:{SECRET}@h", f"postgresql://u:{SECRET}@/d",
        f"postgresql://u:{SECRET}@h:port/d", SECRET, f"postgresql://u:{SECRET}@h:0/d", f"postgresql://[{SECRET}/d",
    ],
)  # fmt: skip
def test_an_unusable_database_address_is_refused_without_showing_it(url: str) -> None:
    text = refusal({"DATABASE_URL": url})
    assert text.startswith("DATABASE_URL: must")
    assert SECRET not in text


def test_a_database_password_without_a_user_is_refused() -> None:
    assert "DATABASE_URL: must name the user" in refusal(
        {"DATABASE_URL": "postgresql://h/d", "DB_PASSWORD": SECRET}
    )


def test_broken_dotenv_lines_are_refused_without_showing_them(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(f'NEWSAPI_KEY="{SECRET}\nDB_PASSWORD=a\nDB_PASSWORD=b\n')
    text = refusal({}, dotenv)
    assert f"{dotenv} line 1: must be NAME=value" in text
    assert f"{dotenv} line 3: DB_PASSWORD is given twice" in text
    assert SECRET not in text


def test_nothing_in_the_dotenv_file_is_expanded(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("DB_PASSWORD=a${HOME}$b\n")
    password = load_settings(None, {}, dotenv).secrets.db_password
    assert password is not None
    assert password.get_secret_value() == "a${HOME}$b"


def test_a_password_inside_an_exchange_address_is_refused_without_showing_it() -> None:
    text = refusal({"KALSHI_BASE_URL": f"https://me:{SECRET}@external-api.kalshi.com/trade-api/v2"})
    assert "must not hold a user name or password" in text
    assert SECRET not in text
