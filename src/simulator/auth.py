"""Verification of Kalshi's request signatures.

The timestamp is compared with the REAL wall clock, because clients sign with theirs: the world's clock
is accelerated, separate, and plays no part here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding

from src.core.errors import TradingSystemError
from src.core.units import MILLISECOND, SECOND, Nanos
from src.simulator.keys import ApiKey, PublicKey

KEY_HEADER = "KALSHI-ACCESS-KEY"
TIMESTAMP_HEADER = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER = "KALSHI-ACCESS-SIGNATURE"
ALLOWED_SKEW: Nanos = 10 * SECOND
_MOST_TIMESTAMP_DIGITS = 20
# Kalshi documents a salt as long as the digest. Clients that trade there send longer ones, and Go's
# verification, which Kalshi's errors show, takes any unless told otherwise.
_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)


class NotAuthenticated(TradingSystemError):
    """A request without a valid signature; ``body`` is Kalshi's answer, of status 401."""

    def __init__(self, code: str, message: str, details: str = "") -> None:
        super().__init__(details or code)
        error = {"code": code, "message": message}
        if details:
            error["details"] = details
        self.body = {"error": error}


class Authenticator:
    """Knows the keys and tells who signed a request."""

    def __init__(self, wall_clock: Callable[[], Nanos]) -> None:
        self._wall_clock = wall_clock
        self._keys: dict[str, PublicKey] = {}

    def add(self, key: ApiKey) -> None:
        """Accept signatures of this key."""
        self._keys[key.key_id] = key.public_key

    def key_id(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        """The key that signed ``timestamp + method + path`` (path without query).

        Raises ``NotAuthenticated``.
        """
        key_id, timestamp, signature = (
            headers.get(name, "") for name in (KEY_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
        )
        if not (key_id and timestamp and signature):
            code = "signature_is_missing_from_headers"
            raise NotAuthenticated(code, code.replace("_", " "))
        if not self._is_now(timestamp):
            raise NotAuthenticated("header_timestamp_expired", "header timestamp expired")
        public_key = self._keys.get(key_id)
        if public_key is None:
            raise NotAuthenticated("authentication_error", "authentication_error", "NOT_FOUND")
        if not _is_valid(public_key, signature, f"{timestamp}{method}{path}".encode()):
            raise NotAuthenticated(
                "authentication_error", "authentication_error", "INCORRECT_API_KEY_SIGNATURE"
            )
        return key_id

    def _is_now(self, timestamp: str) -> bool:
        # Python refuses to convert thousands of digits, and no time of day has twenty.
        if not timestamp.isdecimal() or len(timestamp) > _MOST_TIMESTAMP_DIGITS:
            return False
        return abs(int(timestamp) * MILLISECOND - self._wall_clock()) <= ALLOWED_SKEW


def _is_valid(public_key: PublicKey, signature: str, message: bytes) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(public_key, ed25519.Ed25519PublicKey):
            public_key.verify(raw, message)
        else:
            public_key.verify(raw, message, _PSS, hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
