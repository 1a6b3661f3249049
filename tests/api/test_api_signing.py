"""Keys and signatures: what the venue verifies, and what a user is told about a bad key."""

from __future__ import annotations

import base64
import traceback

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding

from src.api.hosts import checked_url
from src.api.signing import Signer, load_private_key
from src.core.errors import ConfigError

PKCS1 = serialization.PrivateFormat.TraditionalOpenSSL
PKCS8 = serialization.PrivateFormat.PKCS8


def pem_of(key, form=PKCS8, encryption=None) -> str:
    encryption = encryption or serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


def test_rsa_signature_is_pss_with_digest_salt_over_timestamp_method_and_path(rsa_key):
    headers = Signer("key-id", rsa_key, lambda: 1_795_334_400_123).headers(
        "post", "/trade-api/v2/portfolio/events/orders?subaccount=0"
    )
    assert headers["KALSHI-ACCESS-KEY"] == "key-id"
    assert headers["KALSHI-ACCESS-TIMESTAMP"] == "1795334400123"
    rsa_key.public_key().verify(
        base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"]),
        b"1795334400123POST/trade-api/v2/portfolio/events/orders",
        padding.PSS(padding.MGF1(hashes.SHA256()), 32),
        hashes.SHA256(),
    )


def test_ed25519_signature_is_raw_over_the_same_text():
    key = load_private_key(pem_of(ed25519.Ed25519PrivateKey.generate()))
    headers = Signer("key-id", key, lambda: 7).headers("GET", "/trade-api/ws/v2")
    signature = base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"])
    assert key.public_key().verify(signature, b"7GET/trade-api/ws/v2") is None


@pytest.mark.parametrize("form", [PKCS1, PKCS8], ids=["PKCS#1", "PKCS#8"])
@pytest.mark.parametrize(
    "mangle",
    [
        str,
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: pem.replace("\n", "\\r\\n"),
        lambda pem: pem.replace("\n", " "),
        lambda pem: f'"{pem.strip()}"',
        lambda pem: pem.replace("\n", "\r\n"),
    ],
    ids=["as is", "escaped", "escaped CRLF", "spaces", "quoted", "CRLF"],
)
def test_pem_is_read_however_it_was_stored(rsa_key, form, mangle):
    loaded = load_private_key(mangle(pem_of(rsa_key, form)))
    assert loaded.private_numbers() == rsa_key.private_numbers()


def test_key_is_read_from_a_file(rsa_key, tmp_path):
    path = tmp_path / "kalshi.pem"
    path.write_text(pem_of(rsa_key, PKCS1))
    assert load_private_key(str(path)).private_numbers() == rsa_key.private_numbers()


def test_unusable_key_names_the_setting_and_the_mend_and_never_the_content(rsa_key, tmp_path):
    whole = pem_of(rsa_key)
    public = rsa_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "notes.txt").write_text("hunter2")
    bad = {
        "": "is empty",
        whole[: len(whole) // 2]: "not a readable PEM",
        whole.replace("A", "!"): "not a readable PEM",
        "".join(whole.splitlines()[1:-1]): "neither PEM text",
        "/no/such/key.pem": "neither PEM text",
        str(tmp_path / "notes.txt"): "holds no PEM key",
        public.decode(): "public key",
        pem_of(ec.generate_private_key(ec.SECP256R1())): "RSA or Ed25519",
        pem_of(rsa_key, PKCS8, serialization.BestAvailableEncryption(b"pw")): "passphrase",
    }
    for secret, what in bad.items():
        with pytest.raises(ConfigError) as caught:
            load_private_key(secret)
        shown = "".join(traceback.format_exception(caught.value))
        assert what in shown
        assert "KALSHI_API_SECRET" in shown
        assert "PEM" in str(caught.value)
        for line in secret.splitlines():
            assert len(line) < 20 or line.startswith("-----") or line not in shown


def test_signer_shows_no_secret_and_wants_a_key_id(rsa_key):
    assert "secret-id" not in repr(Signer("secret-id", rsa_key, lambda: 0))
    with pytest.raises(ConfigError, match="KALSHI_API_KEY"):
        Signer(" ", rsa_key, lambda: 0)


@pytest.mark.parametrize(("age_ms", "is_reused"), [(0, True), (2_000, True), (2_001, False), (-1, False)])
def test_a_prepared_signature_is_used_once_and_only_while_it_is_fresh(rsa_key, age_ms, is_reused):
    now = [1_000_000]
    signer = Signer("key-id", rsa_key, lambda: now[0])
    signer.prepare("POST", "/a")
    now[0] += age_ms
    first, second = signer.headers("post", "/a?x=1"), signer.headers("POST", "/a")
    assert first["KALSHI-ACCESS-TIMESTAMP"] == ("1000000" if is_reused else str(now[0]))
    assert second["KALSHI-ACCESS-TIMESTAMP"] == str(now[0])
    assert first["KALSHI-ACCESS-SIGNATURE"] != second["KALSHI-ACCESS-SIGNATURE"]


def test_a_prepared_signature_serves_its_own_call_only(rsa_key):
    times = iter(range(1, 99))
    signer = Signer("key-id", rsa_key, lambda: next(times))
    signer.prepare("POST", "/a")
    assert signer.headers("GET", "/a")["KALSHI-ACCESS-TIMESTAMP"] == "2"
    assert signer.headers("POST", "/b")["KALSHI-ACCESS-TIMESTAMP"] == "3"


@pytest.mark.parametrize(
    "url",
    [
        "https://external-api.kalshi.com/trade-api/v2",
        "https://API.ELECTIONS.KALSHI.COM./trade-api/v2",
        "https://user@kalshi.com/trade-api/v2",
    ],
)
def test_production_hosts_are_refused_unless_allowed(url):
    with pytest.raises(ConfigError, match="production"):
        checked_url(url, ("https",), allow_production=False)
    assert checked_url(url, ("https",), allow_production=True) == url


@pytest.mark.parametrize("url", ["ftp://demo/x", "https:///x", "demo", "https://demo/x?y=1"])
def test_malformed_addresses_are_refused(url):
    with pytest.raises(ConfigError, match="expected https"):
        checked_url(url, ("https",), allow_production=False)


def test_demo_hosts_are_allowed_and_lose_their_trailing_slash():
    url = "https://external-api.demo.kalshi.co/trade-api/v2/"
    assert checked_url(url, ("https",), allow_production=False) == url.rstrip("/")
