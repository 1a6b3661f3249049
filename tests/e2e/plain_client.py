"""A Kalshi client written from the public documentation alone: it shares no code with ``src``."""

from __future__ import annotations

import base64
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from websockets.asyncio.client import ClientConnection, connect


class PlainClient:
    """Signed REST calls and the WebSocket, from the four facts of a ready file."""

    def __init__(self, ready: dict[str, str]) -> None:
        self.ready = ready
        pem = Path(ready["private_key_path"]).read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key
        self._path = urlsplit(ready["rest_url"]).path
        self._http = httpx.Client(base_url=ready["rest_url"], trust_env=False, timeout=60.0)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def headers(self, method: str, path: str) -> dict[str, str]:
        """``timestamp + method + path`` signed with RSA-PSS over SHA-256."""
        timestamp = str(time.time_ns() // 1_000_000)
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        signature = self._key.sign(f"{timestamp}{method}{path}".encode(), pss, hashes.SHA256())
        return {
            "KALSHI-ACCESS-KEY": self.ready["key_id"],
            "KALSHI-ACCESS-TIMESTAMP": timestamp,
            "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
        }

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """The JSON of an answer that must be a success."""
        signed = self.headers(method, self._path + path.partition("?")[0])
        answer = self._http.request(method, path, headers=signed, **arguments)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def pages(self, path: str, field: str) -> list[dict[str, Any]]:
        """Every row of a listing."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            joint = "&" if "?" in path else "?"
            body = self.call("GET", f"{path}{joint}limit=200&cursor={cursor}")
            rows += body[field]
            cursor = body.get("cursor", "")
            if not cursor:
                return rows

    def orders(self) -> list[dict[str, Any]]:
        """All orders of the account, ended ones too."""
        return self.pages("/portfolio/orders", "orders")

    def fills(self) -> list[dict[str, Any]]:
        """All fills of the account."""
        return self.pages("/portfolio/fills", "fills")

    def settlements(self) -> list[dict[str, Any]]:
        """All payments to the account."""
        return self.pages("/portfolio/settlements", "settlements")

    def positions(self) -> dict[str, Decimal]:
        """Signed contracts by market, without the flat ones."""
        rows = self.pages("/portfolio/positions", "market_positions")
        counts = {row["ticker"]: Decimal(row["position_fp"]) for row in rows}
        return {ticker: count for ticker, count in counts.items() if count}

    def cash(self) -> Decimal:
        """The balance in dollars."""
        return Decimal(self.call("GET", "/portfolio/balance")["balance_dollars"])

    def world_over(self) -> bool:
        """Whether the simulated world has come to its end."""
        base = self.ready["rest_url"].removesuffix(self._path)
        now: int = httpx.get(f"{base}/sim/v1/clock", trust_env=False).json()["now_ns"]
        end: int = httpx.get(f"{base}/sim/v1/world", trust_env=False).json()["end_ns"]
        return now >= end

    async def socket(self) -> ClientConnection:
        """A signed WebSocket connection."""
        url = self.ready["ws_url"]
        return await connect(url, additional_headers=self.headers("GET", urlsplit(url).path), proxy=None)

    @staticmethod
    async def ask(socket: ClientConnection, cmd: str, **params: Any) -> None:
        """Send a command."""
        await socket.send(json.dumps({"id": 1, "cmd": cmd, "params": params}))
