"""A fresh API key pair for a server: the private half goes to a file only its owner can read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

PublicKey: TypeAlias = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The server's half of a key: its id and the public key."""

    key_id: str
    public_key: PublicKey


def generate_key(key_id: str, path: Path, key_type: str = "rsa") -> ApiKey:
    """Make a key pair and write the private half as PEM to ``path`` (mode 0600, replacing a file there).

    ``key_type`` is ``"rsa"`` (2048 bit, PKCS#1, as Kalshi's own) or ``"ed25519"`` (PKCS#8).
    """
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if key_type == "rsa":
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.TraditionalOpenSSL
    elif key_type == "ed25519":
        private = ed25519.Ed25519PrivateKey.generate()
        form = serialization.PrivateFormat.PKCS8
    else:
        raise ValueError(f"key_type: expected 'rsa' or 'ed25519', got {key_type!r}")
    pem = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return ApiKey(key_id, private.public_key())
