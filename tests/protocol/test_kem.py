"""ML-KEM-768 through the wrapper that the handshake uses."""

import pytest

from gossipnet.errors import LocalProtocolError, RemoteProtocolError
from gossipnet.identity.founding import expand
from gossipnet.protocol.kem import (
    CIPHERTEXT_BYTES,
    PUBLIC_BYTES,
    SECRET_BYTES,
    KemKey,
    available,
    encapsulate,
)
from gossipnet.protocol.noise import HYBRID, KeyPair, NoiseHandshake
from gossipnet.protocol.patterns import parse


def test_wycheproof(vectors):
    checked = 0
    for group in vectors("wycheproof-mlkem_768_trimmed.json")["testGroups"]:
        for test in group["tests"]:
            if "seed" not in test:
                continue
            seed, ciphertext = bytes.fromhex(test["seed"]), bytes.fromhex(test["c"])
            checked += 1
            if test["result"] == "invalid" and len(seed) != 64:
                with pytest.raises(ValueError):
                    KemKey.make(lambda _size, seed=seed: seed)
                continue
            key = KemKey.make(lambda _size, seed=seed: seed)
            if "ek" in test:
                assert key.public.hex() == test["ek"]
            if test["result"] == "invalid":
                with pytest.raises(RemoteProtocolError, match="bad-kem"):
                    key.decapsulate(ciphertext)
            else:
                assert key.decapsulate(ciphertext).hex() == test["K"]
    assert checked > 10


def test_wycheproof_of_public_keys(vectors):
    for group in vectors("wycheproof-mlkem_768_trimmed.json")["testGroups"]:
        for test in group["tests"]:
            if "seed" not in test and "ek" in test and test["result"] == "invalid":
                with pytest.raises(RemoteProtocolError, match="bad-kem"):
                    encapsulate(bytes.fromhex(test["ek"]))


def test_both_sides_agree_and_nobody_else():
    assert available()
    key, other = KemKey.make(expand(b"a")), KemKey.make(expand(b"b"))
    ciphertext, secret = encapsulate(key.public)
    assert (len(key.public), len(ciphertext)) == (PUBLIC_BYTES, CIPHERTEXT_BYTES)
    assert len(secret) == SECRET_BYTES
    assert key.decapsulate(ciphertext) == secret
    assert other.decapsulate(ciphertext) != secret
    spoiled = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    assert key.decapsulate(spoiled) != secret
    assert key.decapsulate(spoiled) == key.decapsulate(spoiled)


@pytest.mark.parametrize("size", [0, 1, CIPHERTEXT_BYTES - 1, CIPHERTEXT_BYTES + 1])
def test_a_ciphertext_of_another_length(size):
    with pytest.raises(RemoteProtocolError, match="bad-kem"):
        KemKey.make(expand(b"a")).decapsulate(bytes(size))


@pytest.mark.parametrize("public", [b"", bytes(1183), b"\xff" * PUBLIC_BYTES])
def test_what_is_no_public_key(public):
    with pytest.raises(RemoteProtocolError, match="bad-kem"):
        encapsulate(public)


def pair():
    return [
        NoiseHandshake(
            HYBRID,
            initiator=initiator,
            prologue=b"p",
            entropy=expand(bytes([initiator])),
            static=KeyPair.make(expand(b"static" + bytes([initiator]))),
        )
        for initiator in (True, False)
    ]


def test_the_sizes_are_those_of_the_drafts():
    a, b = pair()
    sizes = []
    for number in range(3):
        writer, reader = (a, b) if number % 2 == 0 else (b, a)
        message = writer.write()
        sizes.append(len(message))
        assert reader.read(message) == b""
    assert sizes == [1216, 1200, 64]
    assert a.hash == b.hash
    sending, receiving = a.split()[0], b.split()[1]
    assert receiving.decrypt(sending.encrypt(b"x")) == b"x"


def test_the_encapsulated_secret_is_in_the_keys():
    a, b = pair()
    b.read(a.write())
    honest = b._encapsulate
    b._encapsulate = lambda public: (honest(public)[0], bytes(32))
    with pytest.raises(RemoteProtocolError, match="bad-tag"):
        a.read(b.write())


@pytest.mark.parametrize("cut", [0, 31, 33, 1215])
def test_a_short_first_message(cut):
    a, b = pair()
    with pytest.raises(RemoteProtocolError, match="short-handshake"):
        b.read(a.write()[:cut])


@pytest.mark.parametrize(
    "name",
    [
        "Noise_XXhfs_25519_ChaChaPoly_BLAKE2s",
        "Noise_XX_25519+MLKEM768_ChaChaPoly_BLAKE2s",
        "Noise_NNhfs_25519+MLKEM768_ChaChaPoly_BLAKE2s",
    ],
)
def test_only_the_one_hybrid_protocol_is_spoken(name):
    with pytest.raises(LocalProtocolError):
        parse(name)
