"""API keys and request signatures.

Source: Kalshi "API keys": the text ``timestamp_ms + METHOD + path`` (path from the root, without query)
is signed with RSA-PSS (SHA-256, salt of digest length) or, for Ed25519 keys, as it is.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from src.core.errors import ConfigError

# The venue takes timestamps a few seconds old; one made ahead of time must stay far from that.
_OLDEST_PREPARED_MS = 2_000

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_MEND = (
    "Put the private key that Kalshi showed when the API key was created into KALSHI_API_SECRET: "
    "its PEM text (line breaks may be written as \\n) or the path of the .pem file"
)
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


def load_private_key(secret: str) -> PrivateKey:
    """The private key in ``secret``: PEM text, PEM with escaped or lost line breaks, or a file's path.

    RSA as PKCS#1 or PKCS#8, Ed25519 as PKCS#8. Raises ``ConfigError`` saying what is wrong and how to
    mend it; the text never holds any part of the secret.
    """
    text = secret.strip().strip("\"'")
    if not text:
        raise _unusable("is empty")
    if "-----BEGIN" not in text:
        text = _read_file(text)
    if "PUBLIC KEY" in text or "CERTIFICATE" in text:
        raise _unusable("holds a public key or certificate, not the private key")
    if "ENCRYPTED" in text:
        raise _unusable("is protected by a passphrase: decrypt it first (openssl pkey -in key.pem)")
    try:
        key = load_pem_private_key(_restore_lines(text).encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's text may quote the input, and chaining would carry it into a traceback.
        raise _unusable("is not a readable PEM private key (cut off or altered?)") from None
    if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise _unusable(f"is a {type(key).__name__}, but Kalshi uses RSA or Ed25519 keys")
    return key


class Signer:
    """Signs requests as ``key_id``. ``clock`` gives real wall time in milliseconds since the epoch."""

    __slots__ = ("_clock", "_key", "_prepared", "key_id")

    def __init__(self, key_id: str, private_key: PrivateKey, clock: Callable[[], int]) -> None:
        if not key_id.strip() or not key_id.isascii():
            raise ConfigError("KALSHI_API_KEY is empty or malformed: put the API key's id (a UUID) there")
        self.key_id = key_id.strip()
        self._key = private_key
        self._clock = clock
        self._prepared: dict[tuple[str, str], tuple[int, dict[str, str]]] = {}

    def __repr__(self) -> str:
        return f"Signer({type(self._key).__name__})"

    def wall_ms(self) -> int:
        """Real wall time, as it goes into signatures."""
        return self._clock()

    def headers(self, method: str, path: str) -> dict[str, str]:
        """The three authentication headers. A query in ``path`` is not signed.

        Signed now, unless ``prepare`` did it within the last two seconds; each signature is given once.
        """
        call = (method.upper(), path.partition("?")[0])
        now = self._clock()
        prepared = self._prepared.pop(call, None)
        if prepared is not None and 0 <= now - prepared[0] <= _OLDEST_PREPARED_MS:
            return prepared[1]
        return self._sign(call, now)

    def prepare(self, method: str, path: str) -> None:
        """Sign the next request of this kind now, so that it need not wait for its signature."""
        call = (method.upper(), path.partition("?")[0])
        now = self._clock()
        self._prepared[call] = (now, self._sign(call, now))

    def _sign(self, call: tuple[str, str], now: int) -> dict[str, str]:
        timestamp = str(now)
        message = (timestamp + call[0] + call[1]).encode()
        if isinstance(self._key, rsa.RSAPrivateKey):
            signature = self._key.sign(message, _PSS, hashes.SHA256())
        else:
            signature = self._key.sign(message)
        return {
            "KALSHI-ACCESS-KEY": self.key_id,
            "KALSHI-ACCESS-TIMESTAMP": timestamp,
            "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode("ascii"),
        }


def _read_file(path: str) -> str:
    # The value is not shown: somebody may have pasted the key's body without its BEGIN line.
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError):
        raise _unusable("is neither PEM text (no BEGIN line) nor the path of a readable file") from None
    if "-----BEGIN" not in text:
        raise _unusable("names a file that holds no PEM key (no BEGIN line)")
    return text


def _restore_lines(text: str) -> str:
    """PEM with real line breaks, however an environment file or a secret store mangled them."""
    text = text.replace("\\r", "").replace("\\n", "\n").replace("\r", "").strip()
    if "\n" in text:
        return text
    head, _, rest = text.partition("KEY-----")
    body, _, foot = rest.partition("-----END")
    return f"{head}KEY-----\n" + "\n".join(body.split()) + f"\n-----END{foot}"


def _unusable(what: str) -> ConfigError:
    return ConfigError(f"KALSHI_API_SECRET {what}. {_MEND}.")
