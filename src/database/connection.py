"""Connecting to PostgreSQL: the one place that reads ``DATABASE_URL`` and explains what is wrong with it.

Hot paths use asyncpg directly (measured: see ``store``); migrations and readers use SQLAlchemy's
engine. Both are built from the same URL and see exactly one schema through ``search_path``.
"""

from __future__ import annotations

import re
from typing import Any

import asyncpg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from src.core.errors import ConfigError
from src.database.errors import DatabaseUnreachable

CONNECT_LIMIT_S = 10
COMMAND_LIMIT_S = 5
_SCHEMA_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def parse_url(url: str) -> URL:
    """``postgresql://`` or ``postgresql+asyncpg://`` as a URL for asyncpg. Raises ``ConfigError``."""
    expected = "expected postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(f"DATABASE_URL cannot be read: {expected}") from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigError(f"DATABASE_URL starts with {parsed.drivername}://: {expected}")
    if not parsed.database:
        raise ConfigError(f"DATABASE_URL names no database: {expected}")
    parsed = parsed.set(drivername="postgresql+asyncpg")
    sslmode = parsed.query.get("sslmode")
    if sslmode is not None:  # libpq's name for what asyncpg calls ssl
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": sslmode})
    return parsed


def check_schema(schema: str) -> str:
    """A schema name that needs no quoting and is not PostgreSQL's own. Raises ``ConfigError``."""
    if not _SCHEMA_NAME.fullmatch(schema) or schema == "public" or schema.startswith("pg_"):
        raise ConfigError(
            f"database schema {schema!r}: use the mode's name, letters, digits and _ (not public)"
        )
    return schema


def create_engine(url: str, schema: str) -> AsyncEngine:
    """SQLAlchemy engine whose connections see only ``schema``."""
    return create_async_engine(
        parse_url(url),
        pool_size=2,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"timeout": CONNECT_LIMIT_S, "server_settings": _settings(check_schema(schema))},
    )


async def connect(url: str, schema: str, *, limit_s: float = CONNECT_LIMIT_S) -> asyncpg.Connection[Any]:
    """An asyncpg connection that sees only ``schema``, made within ``limit_s`` seconds.

    Raises ``ConfigError`` naming DATABASE_URL, the server and the mend, never the password;
    ``DatabaseUnreachable`` where waiting may be the mend.
    """
    parsed = parse_url(url)
    _, options = parsed.get_dialect()().create_connect_args(parsed)
    try:
        return await asyncpg.connect(
            **options,
            timeout=limit_s,
            command_timeout=COMMAND_LIMIT_S,
            server_settings=_settings(check_schema(schema)),
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        waiting_may_help = isinstance(error, OSError | TimeoutError | asyncpg.CannotConnectNowError)
        kind = DatabaseUnreachable if waiting_may_help else ConfigError
        raise kind(_explain(parsed, error)) from None


def application_name(schema: str) -> str:
    """What PostgreSQL shows our connections to ``schema`` as."""
    return f"kalshi-trading:{schema}"


def _settings(schema: str) -> dict[str, str]:
    return {
        "search_path": schema,
        "application_name": application_name(schema),
        "timezone": "UTC",
        # A process that froze inside a transaction must not keep its successor from the fence.
        "idle_in_transaction_session_timeout": "10s",
        # A client whose machine died must lose its locks within half a minute, not after two hours.
        "tcp_keepalives_idle": "15",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }


def _explain(url: URL, error: Exception) -> str:
    where = f"DATABASE_URL: PostgreSQL at {url.host or 'localhost'}:{url.port or 5432}"
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return f"{where} refuses user {url.username!r}: correct the user name or password"
        case asyncpg.InvalidCatalogNameError():
            return f"{where} has no database {url.database!r}: create it or name another"
        case asyncpg.TooManyConnectionsError():
            return f"{where} has no free connection: raise max_connections or stop another client"
        case OSError() | TimeoutError():
            return f"{where} cannot be reached ({str(error) or 'no answer'}): start it or correct the address"
        case _:
            return f"{where} cannot be used: {error}"
