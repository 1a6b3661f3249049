"""What a person can get wrong: one clear line on standard error that names it and the mend, exit code 2."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .conftest import Start, Venue
from .programs import DATA, Program

ROW = "KXHIGHNY"

pytestmark = pytest.mark.timeout(300)


def refusal(program: Program) -> str:
    """The one line of a program that must refuse its input."""
    code = program.wait()
    assert code == 2, f"exit code {code}: {program.err}"
    assert "Traceback" not in program.err
    lines = [line for line in program.err.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, program.err
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trading: [\n", ["bad.yaml line 2", "not valid YAML"]),
        ("trading:\n  enabeld: true\n", ["trading.enabeld", "line 2", "did you mean enabled"]),
        ("risk:\n  kelly_fraction: 0.1\n  kelly_fraction: 0.2\n", ["given twice", "line 2", "remove one"]),
        ("risk:\n  kelly_fraction: lots\n", ["risk.kelly_fraction", "line 2", "must be a number", "lots"]),
    ],
)
def test_a_configuration_file_that_is_wrong(start: Start, folder: Path, text: str, said: list[str]) -> None:
    """The key, its line and what is expected are named."""
    (folder / "bad.yaml").write_text(text)
    line = refusal(start("run", "--config", "bad.yaml"))
    assert [part for part in said if part not in line] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], ["--config", "config/config.yaml", "name another"]),
        (["run", "--config", "empty.yaml", "--exchange", "nowhere.json"], ["--exchange", "nowhere.json"]),
        (["run", "--config", "empty.yaml", "--exchange", "empty.yaml"], ["--exchange", "not JSON"]),
        (["simulate", "--balance", "abc"], ["--balance", "'abc'", "e.g. 1000"]),
        (["demo", "--config", "empty.yaml", "--balance", "-5"], ["--balance", "'-5'", "above 0"]),
        (["simulate", "--data", "nowhere"], ["nowhere", "does not exist", "kalshi_trades"]),
        (["simulate", "--data", "."], ["kalshi_trades is missing", "put kalshi_trades.parquet"]),
        (["demo", "--config", "empty.yaml", "--report", "empty.yaml/r.json"], ["--report", "empty.yaml"]),
    ],
)
def test_options_that_cannot_be_used(start: Start, arguments: list[str], said: list[str]) -> None:
    """The option, its value and what would work are named."""
    line = refusal(start(*arguments))
    assert [part for part in said if part not in line] == []


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of recorded tables is not there")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--series", "KXNOPE"], ["KXNOPE", "choose from", ROW]),
        (["--from", "2024-10-03", "--to", "2024-10-01"], ["2024-10-01", "before", "2024-10-03"]),
        (["--from", "2024-1x-03"], ["2024-1x-03", "e.g. 2024-10-01"]),
    ],
)
def test_recorded_history_that_is_not_there(start: Start, options: list[str], said: list[str]) -> None:
    """Series and dates are checked against the tables."""
    line = refusal(start("simulate", "--data", str(DATA), *options))
    assert [part for part in said if part not in line] == []


def test_a_port_that_is_taken(start: Start) -> None:
    """The simulated exchange says which port and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refusal(start("simulate", "--port", str(port)))
    assert f"127.0.0.1:{port} (Address already in use)" in line
    assert "choose another port" in line


def test_keys_and_addresses_that_do_not_work(
    start: Start, exchange: Callable[..., Venue], folder: Path
) -> None:
    """Every way in which the exchange or the database cannot be used, each asked at the same time."""
    venue = exchange("--speed", "1", "--days", "1")
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "other.pem").write_bytes(
        other.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    (folder / "torn.pem").write_text(
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\n"
    )
    production = "https://external-api.kalshi.com/trade-api/v2"
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({"KALSHI_API_KEY": "11111111-2222"}, ["401", "NOT_FOUND", "KALSHI_API_KEY"]),
        ({"KALSHI_API_SECRET": "other.pem"}, ["401", "KALSHI_API_SECRET belong together"]),
        ({"KALSHI_API_SECRET": "torn.pem"}, ["KALSHI_API_SECRET", "PEM"]),
        ({"KALSHI_API_SECRET": "nowhere.pem"}, ["KALSHI_API_SECRET", "path of a readable PEM file"]),
        (
            {"KALSHI_BASE_URL": "http://127.0.0.1:9/trade-api/v2"},
            ["exchange.base_url", "127.0.0.1:9", "check the address"],
        ),
        (
            {
                "DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:9/ledger",
                "KATS__DATABASE__START_WAIT_SECONDS": "1",
            },
            ["DATABASE_URL", "127.0.0.1:9", "start it or correct the address"],
        ),
    ]
    programs = [
        start("run", "--config", "empty.yaml", env=venue.variables() | variables) for variables, _ in cases
    ]
    for program, (_, said) in zip(programs, cases, strict=True):
        line = refusal(program)
        assert [part for part in said if part not in line] == []
        assert "hunter2" not in line
    asked = start("run", "--config", "empty.yaml", env=venue.variables() | {"KALSHI_BASE_URL": production})
    assert asked.wait() == 2
    assert "--live: the flag" in asked.err
    assert "KALSHI_LIVE_CONFIRMATION" in asked.err


@pytest.mark.parametrize("command", ["run", "demo", "simulate", "status"])
def test_help_explains_every_option(start: Start, command: str) -> None:
    """No option stands there without a word about it."""
    program = start(command, "--help", env={"COLUMNS": "200"})
    assert program.wait() == 0
    options = [line for line in program.out.splitlines() if line.startswith("  --")]
    assert len(options) > 2
    assert [line for line in options if len(line.split()) < 4 and "--help" not in line] == []
