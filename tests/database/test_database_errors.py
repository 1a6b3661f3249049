"""A wrong DATABASE_URL is explained in one line that names the mend and never the password."""

from __future__ import annotations

import contextlib
import socket
import traceback

import pytest
from sqlalchemy import make_url

from src.core.errors import ConfigError
from src.database.connection import connect, create_engine, parse_url
from src.database.errors import DatabaseUnavailable
from src.database.store import PostgresStore
from tests.database.records import approved

SECRET = "hunter2-very-secret"


async def _refusal(url: str, schema: str = "live") -> str:
    with pytest.raises(ConfigError) as caught:
        await PostgresStore.open(url, schema)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def _with(server_url: str, **changes: object) -> str:
    return make_url(server_url).set(**changes).render_as_string(hide_password=False)  # type: ignore[arg-type]


async def test_a_wrong_password_is_named_without_showing_it(server_url: str) -> None:
    text = await _refusal(_with(server_url, password=SECRET))
    assert text.startswith("DATABASE_URL: PostgreSQL at 127.0.0.1:")
    assert "refuses user 'kalshi': correct the user name or password" in text


async def test_an_absent_server_is_named_with_its_address(server_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        text = await _refusal(_with(server_url, password=SECRET, port=port))
    assert f"127.0.0.1:{port} cannot be reached" in text
    assert "start it or correct the address" in text


async def test_a_missing_database_is_named(server_url: str) -> None:
    assert "has no database 'nowhere': create it" in await _refusal(_with(server_url, database="nowhere"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"mysql://u:{SECRET}@h/d", "starts with mysql://"),
        (f"postgresql://u:{SECRET}@h", "names no database"),
        (f"postgresql://u:{SECRET}@h:port/d", "cannot be read"),
        (f"not a url {SECRET}", "cannot be read"),
        ("", "cannot be read"),
    ],
)
async def test_an_unreadable_url_says_what_is_expected(url: str, words: str) -> None:
    text = await _refusal(url)
    assert words in text
    assert "postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE" in text


def test_common_spellings_of_the_url_mean_the_same() -> None:
    for start in ("postgres://", "postgresql://", "postgresql+asyncpg://", "postgresql+psycopg://"):
        assert parse_url(f"{start}u:p@h:1/d").drivername == "postgresql+asyncpg"
    assert parse_url("postgresql://u:p@h/d?sslmode=require").query == {"ssl": "require"}


def test_the_engine_does_not_show_the_password() -> None:
    assert SECRET not in repr(create_engine(f"postgresql://u:{SECRET}@h/d", "live"))


async def test_a_user_without_rights_is_told_which_are_missing(server_url: str, store: PostgresStore) -> None:
    admin = await connect(server_url, "test_rights")
    await admin.execute(f"CREATE ROLE guest LOGIN PASSWORD '{SECRET}'")
    try:
        text = await _refusal(_with(server_url, username="guest", password=SECRET), "guest_mode")
        assert "may not create the schema 'guest_mode': GRANT CREATE ON DATABASE" in text
    finally:
        await admin.execute("DROP ROLE guest")
        await admin.close()


async def test_a_dropped_connection_heals_by_the_next_call(
    store: PostgresStore, server_url: str, schema: str
) -> None:
    await store.put_intent(approved("s1"))
    admin = await connect(server_url, schema)
    drop = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = $1 AND pid <> pg_backend_pid()"
    )
    await admin.execute(drop, f"kalshi-trading:{schema}")
    await admin.close()
    with contextlib.suppress(DatabaseUnavailable):  # whether the loss was noticed already is a matter of luck
        await store.put_intent(approved("s2"))
    await store.put_intent(approved("s3"))
    signals = {order.intent.signal_id for order in (await store.load()).orders}
    assert {"s1", "s3"} <= signals
