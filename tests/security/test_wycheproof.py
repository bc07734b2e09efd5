"""The vectors of Wycheproof for what is not held to them elsewhere: AEAD, HMAC and HKDF.

Ed25519 is in `tests/identity/test_signing.py`, X25519 in `tests/protocol/test_noise.py`, ML-KEM in
`tests/protocol/test_kem.py`. Names and calls are those that the package itself uses.
"""

import hashlib
import hmac
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from gossipnet.identity import token
from gossipnet.protocol import noise

ROOT = Path(__file__).resolve().parent.parent.parent


def cases(vectors, name):
    for group in vectors(name)["testGroups"]:
        for case in group["tests"]:
            yield (
                group,
                {
                    key: bytes.fromhex(value)
                    if key in ("key", "iv", "aad", "msg", "ct", "tag", "ikm", "salt", "info", "okm")
                    else value
                    for key, value in case.items()
                },
            )


def test_chacha20_poly1305(vectors) -> None:
    count = 0
    for group, case in cases(vectors, "wycheproof-chacha20_poly1305_test.json"):
        count += 1
        sealed = case["ct"] + case["tag"]
        if group["ivSize"] != 96:  # our nonces are always of 12 bytes
            assert case["result"] == "invalid"
            continue
        cipher = noise.ChaCha20Poly1305(case["key"])
        if case["result"] == "valid":
            assert cipher.encrypt(case["iv"], case["msg"], case["aad"]) == sealed
            assert cipher.decrypt(case["iv"], sealed, case["aad"]) == case["msg"]
        else:
            with pytest.raises(InvalidTag):
                cipher.decrypt(case["iv"], sealed, case["aad"])
    assert count == 325


def test_hmac_sha256(vectors) -> None:
    count = 0
    for group, case in cases(vectors, "wycheproof-hmac_sha256_test.json"):
        count += 1
        made = hmac.digest(case["key"], case["msg"], "sha256")[: group["tagSize"] // 8]
        assert hmac.compare_digest(made, case["tag"]) == (case["result"] == "valid")
    assert count > 100


def hkdf(ikm: bytes, salt: bytes, info: bytes, size: int, digest: str = "sha256") -> bytes:
    """RFC 5869, of which `token.derive_psk` and Noise's two outputs are special cases."""
    extracted = hmac.digest(salt or bytes(hashlib.new(digest).digest_size), ikm, digest)
    found = block = b""
    for number in range(1, 256):
        if len(found) >= size:
            break
        block = hmac.digest(extracted, block + info + bytes((number,)), digest)
        found += block
    return found[:size]


def test_hkdf_sha256(vectors) -> None:
    count = 0
    for _group, case in cases(vectors, "wycheproof-hkdf_sha256_test.json"):
        count += 1
        if case["result"] == "valid":
            made = hkdf(case["ikm"], case["salt"], case["info"], case["size"])
            assert made == case["okm"]
        else:
            assert case["size"] > 255 * 32
    assert count > 50


def test_what_the_package_derives_is_that_hkdf() -> None:
    secret = bytes(range(32))
    assert token.derive_psk(secret) == hkdf(secret, b"gossipnet/v1", b"gossipnet join psk", 32)


def test_the_floors_carry_the_security_fixes() -> None:
    """CVE-2025-69277 (libsodium's point check) and CVE-2026-26007, and what runs here has them."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    floors = dict(one.split(">=") for one in asked)
    for name, needed in {"pynacl": (1, 6, 2), "cryptography": (50,)}.items():
        for have in (floors[name], version(name)):
            assert tuple(int(part) for part in have.split(".")[:3]) >= needed
