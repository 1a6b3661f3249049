"""The examples of docs/SIMULATOR.md work as they are printed."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

from src.simulator.answers import API

from .conftest import Serve

DOCUMENT = Path(__file__).parents[2] / "docs" / "SIMULATOR.md"
PRINTED_BASE = "http://127.0.0.1:8099"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


async def test_the_python_client_trades_against_a_running_service(serve: Serve, tmp_path: Path) -> None:
    served = await serve(key_type="rsa")
    service = served.service
    ready = {
        "rest_url": service.rest_url,
        "ws_url": service.ws_url,
        "key_id": service.key_id,
        "private_key_path": str(service.private_key_path),
    }
    (tmp_path / "ready.json").write_text(json.dumps(ready))
    [code] = blocks("python")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        code,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
    assert "rests with 1.00" in output.decode()
    assert output.decode().splitlines()[-1] == "canceled 1.00 balance 1000.000000"
    [order] = served.exchange.account(service.key_id).orders.values()
    assert order.status.value == "canceled"


async def test_the_public_urls_answer_without_a_key(serve: Serve) -> None:
    served = await serve()
    urls = re.findall(r"curl '([^']*)'", "".join(blocks("sh")))
    assert len(urls) == 3
    for url in urls:
        assert url.startswith((f"{PRINTED_BASE}{API}/", f"{PRINTED_BASE}/sim/v1/"))
        answer = await served.client.http.get(url.removeprefix(PRINTED_BASE))
        assert answer.status_code == 200, url
