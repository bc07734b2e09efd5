"""One signer, one verifier: official vectors, separation of domains, keys that are not let in."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipnet.errors import BadSignature, CertificateError
from gossipnet.identity import signing
from gossipnet.identity.signing import (
    Domain,
    SecretKey,
    check_public_key,
    remember_verified,
    sign,
    verify,
)

KEY = SecretKey.from_seed(b"k" * 32)
MESH = b"m" * 32
IDENTITY_POINT = b"\1" + bytes(31)


@pytest.fixture
def remembering():
    remember_verified(4)
    yield
    remember_verified(0)


def accepts(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        signing._verify_message(public_key, message, signature)
    except BadSignature:
        return False
    return True


def admits(public_key: bytes) -> bool:
    try:
        check_public_key(public_key)
    except CertificateError:
        return False
    return True


def test_wycheproof(vectors) -> None:
    count = 0
    for group in vectors("wycheproof-ed25519_test.json")["testGroups"]:
        public_key = bytes.fromhex(group["publicKey"]["pk"])
        assert admits(public_key)
        for case in group["tests"]:
            good = accepts(public_key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert good == (case["result"] == "valid"), case["tcId"]
            count += 1
    assert count == 151


def test_speccheck_cases_are_all_refused(vectors) -> None:
    """The cases on which verifiers differ: none of them gets past admission and verification."""
    cases = vectors("ed25519-speccheck-cases.json")
    assert len(cases) == 12
    verified = []
    for number, case in enumerate(cases):
        public_key = bytes.fromhex(case["pub_key"])
        good = accepts(public_key, bytes.fromhex(case["message"]), bytes.fromhex(case["signature"]))
        if good:
            verified.append(number)
        assert not (good and admits(public_key)), number
    assert verified == [3], (
        "libsodium's own verdicts have changed: replicas would differ by version"
    )


def test_rfc_8032_test_2() -> None:
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    key = SecretKey.from_seed(seed)
    assert key.public_key == public
    assert key.sign_raw(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_the_signed_bytes_are_what_the_documents_say() -> None:
    signature = sign(KEY, Domain.RECORD, MESH, b"body")
    assert accepts(KEY.public_key, b"gossipnet/v1/record\0" + MESH + b"body", signature)


@pytest.mark.parametrize("domain", Domain)
def test_a_signature_is_good_in_its_domain_and_mesh_only(domain: Domain) -> None:
    signature = sign(KEY, domain, MESH, b"body")
    verify(KEY.public_key, domain, MESH, b"body", signature)
    for other in Domain:
        if other is not domain:
            with pytest.raises(BadSignature):
                verify(KEY.public_key, other, MESH, b"body", signature)
    with pytest.raises(BadSignature):
        verify(KEY.public_key, domain, b"n" * 32, b"body", signature)


def test_no_domain_is_the_beginning_of_another() -> None:
    tags = [domain.prefix for domain in Domain]
    assert len(set(tags)) == len(tags)
    assert not any(a != b and b.startswith(a) for a in tags for b in tags)


@given(st.integers(0, 63), st.integers(0, 7))
def test_any_flipped_bit_of_a_signature_is_noticed(place: int, bit: int) -> None:
    signature = bytearray(sign(KEY, Domain.MEMBER, MESH, b"body"))
    signature[place] ^= 1 << bit
    with pytest.raises(BadSignature):
        verify(KEY.public_key, Domain.MEMBER, MESH, b"body", bytes(signature))


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_keys_of_other_lengths(size: int) -> None:
    signature = sign(KEY, Domain.MEMBER, MESH, b"body")
    with pytest.raises(BadSignature):
        verify(bytes(size), Domain.MEMBER, MESH, b"body", signature)
    assert not admits(bytes(size))
    with pytest.raises(ValueError):
        SecretKey.from_seed(bytes(size))


@pytest.mark.parametrize("size", [0, 63, 65, 128])
def test_signatures_of_other_lengths(size: int) -> None:
    with pytest.raises(BadSignature):
        verify(KEY.public_key, Domain.MEMBER, MESH, b"body", bytes(size))


def test_a_mesh_id_of_another_length_is_our_own_mistake() -> None:
    with pytest.raises(ValueError):
        sign(KEY, Domain.MEMBER, b"short", b"body")


def test_small_order_and_non_canonical_keys_are_not_admitted() -> None:
    p = 2**255 - 19
    small_order = [
        IDENTITY_POINT,
        bytes(32),
        (p - 1).to_bytes(32, "little"),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ]
    not_canonical = [p.to_bytes(32, "little"), (p + 1).to_bytes(32, "little"), b"\xff" * 32]
    for key in (*small_order, *not_canonical):
        assert not admits(key), key.hex()
    assert admits(KEY.public_key)


def test_the_identity_point_signs_nothing() -> None:
    with pytest.raises(BadSignature):
        verify(IDENTITY_POINT, Domain.MEMBER, MESH, b"anything", IDENTITY_POINT + bytes(32))


def test_a_secret_key_does_not_show_itself() -> None:
    seed = b"secret seed of thirty-two bytes!"
    key = SecretKey.from_seed(seed)
    for shown in (repr(key), str(key), f"{key}", f"{[key]}"):
        assert "secret" not in shown
        assert seed.hex() not in shown
    assert key.seed() == seed
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        copy.copy(key)


def test_remembering_changes_no_verdict(remembering) -> None:
    signature = sign(KEY, Domain.RECORD, MESH, b"body")
    for _again in range(2):
        verify(KEY.public_key, Domain.RECORD, MESH, b"body", signature)
        with pytest.raises(BadSignature):
            verify(KEY.public_key, Domain.RECORD, MESH, b"bodY", signature)
        with pytest.raises(BadSignature):
            verify(KEY.public_key, Domain.MEMBER, MESH, b"body", signature)


def test_remembering_reads_its_bytes_in_one_way_only(remembering) -> None:
    """A byte that moves from one field to the next must not make a remembered one of it."""
    signature = sign(KEY, Domain.RECORD, MESH, b"body")
    verify(KEY.public_key, Domain.RECORD, MESH, b"body", signature)
    moved = KEY.public_key + signature[:1], signature[1:]
    with pytest.raises(BadSignature):
        verify(moved[0], Domain.RECORD, MESH, b"body", moved[1])
    with pytest.raises(BadSignature):
        verify(KEY.public_key[:31], Domain.RECORD, MESH, b"body", KEY.public_key[31:] + signature)


def test_what_is_remembered_is_bounded(remembering) -> None:
    for number in range(20):
        body = number.to_bytes(1, "big")
        verify(KEY.public_key, Domain.RECORD, MESH, body, sign(KEY, Domain.RECORD, MESH, body))
    assert signing._verified is not None
    assert len(signing._verified._digests) == 4
