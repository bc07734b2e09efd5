"""What the vectors do not cover: counters, errors, keys that must not be taken."""

import struct
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st
from session_world import entropy

from gossipnet.errors import LocalProtocolError, RemoteProtocolError
from gossipnet.protocol.noise import JOIN, LINK, CipherState, KeyPair, NoiseHandshake

KEY = bytes(range(32))


def side(initiator, protocol=LINK, **more):
    seed = b"initiator" if initiator else b"responder"
    return NoiseHandshake(
        protocol,
        initiator=initiator,
        prologue=more.pop("prologue", b"prologue"),
        entropy=entropy(seed),
        static=KeyPair.make(entropy(b"static of " + seed)),
        **more,
    )


def reason_of(call, *args):
    with pytest.raises(RemoteProtocolError) as caught:
        call(*args)
    return caught.value.reason


@given(st.integers(0, 40), st.integers(0, 7))
def test_a_forged_message_moves_no_counter(position, bit):
    """The order that flynn/noise and snow once had wrong."""
    sender, receiver = CipherState(KEY), CipherState(KEY)
    receiver.decrypt(sender.encrypt(b"first"))
    sealed = sender.encrypt(b"twenty-five bytes of text")
    forged = bytearray(sealed)
    forged[position] ^= 1 << bit
    assert reason_of(receiver.decrypt, bytes(forged)) == "bad-tag"
    assert receiver.nonce == 1
    assert receiver.decrypt(sealed) == b"twenty-five bytes of text"
    assert receiver.nonce == 2


@pytest.mark.parametrize("sealed", [b"", bytes(15), bytes(16)])
def test_messages_that_cannot_hold_a_tag(sealed):
    assert reason_of(CipherState(KEY).decrypt, sealed) == "bad-tag"


def test_a_message_is_good_once_and_in_its_place():
    sender, receiver = CipherState(KEY), CipherState(KEY)
    first, second = sender.encrypt(b"1"), sender.encrypt(b"2")
    assert reason_of(receiver.decrypt, second) == "bad-tag"
    assert receiver.decrypt(first) == b"1"
    assert reason_of(receiver.decrypt, first) == "bad-tag"
    assert receiver.decrypt(second) == b"2"


def test_the_last_nonce_is_never_used_for_a_message():
    cipher = CipherState(KEY)
    cipher.nonce = (1 << 64) - 2
    sealed = cipher.encrypt(b"x")
    with pytest.raises(LocalProtocolError):
        cipher.encrypt(b"x")
    other = CipherState(KEY)
    other.nonce = (1 << 64) - 2
    assert other.decrypt(sealed) == b"x"
    assert reason_of(other.decrypt, sealed) == "nonces-used-up"


def test_rekey_is_that_of_the_specification():
    """Section 4.2: ENCRYPT(k, 2^64 - 1, empty, 32 zeros), first 32 bytes; the counter goes on."""
    nonce = bytes(4) + struct.pack("<Q", (1 << 64) - 1)
    expected = ChaCha20Poly1305(KEY).encrypt(nonce, bytes(32), None)[:32]
    cipher = CipherState(KEY)
    cipher.encrypt(b"one")
    cipher.rekey()
    assert cipher.nonce == 1
    assert (
        ChaCha20Poly1305(expected).decrypt(
            bytes(4) + struct.pack("<Q", 1), cipher.encrypt(b"two"), None
        )
        == b"two"
    )
    with pytest.raises(LocalProtocolError):
        CipherState().rekey()


def test_different_prologues_do_not_meet():
    a, b = side(True), side(False, prologue=b"another")
    b.read(a.write())
    assert reason_of(a.read, b.write()) == "bad-tag"


def test_different_pre_shared_keys_do_not_meet():
    a = side(True, JOIN, psks=(bytes(32),))
    b = side(False, JOIN, psks=(KEY,))
    b.read(a.write())
    a.read(b.write())
    assert reason_of(b.read, a.write()) == "bad-tag"


def test_turns_are_kept():
    a, b = side(True), side(False)
    with pytest.raises(LocalProtocolError):
        a.read(bytes(32))
    with pytest.raises(LocalProtocolError):
        b.write()
    first = a.write()
    with pytest.raises(LocalProtocolError):
        a.write()
    with pytest.raises(LocalProtocolError):
        a.split()
    b.read(first)
    with pytest.raises(LocalProtocolError):
        b.read(first)
    a.read(b.write())
    b.read(a.write())
    assert a.finished
    assert b.finished
    with pytest.raises(LocalProtocolError):
        a.write()


@given(st.binary(max_size=120), st.booleans())
def test_arbitrary_messages_are_errors_of_the_peer(message, first):
    """A first message may be anything that is a point; nothing else passes."""
    if first:
        b = side(False)
        if len(message) < 32:
            assert reason_of(b.read, message) == "short-handshake"
        else:
            assert b.read(message) == message[32:]
        return
    a = side(True)
    a.write()
    with pytest.raises(RemoteProtocolError):
        a.read(message)


def test_low_order_static_keys(vectors):
    """The long-term key is decrypted first, and is as hostile as any other."""
    low = {
        bytes.fromhex(test["public"])
        for group in vectors("wycheproof-x25519_test.json")["testGroups"]
        for test in group["tests"]
        if "ZeroSharedSecret" in test["flags"]
    }
    assert low
    for public in low:
        a, b = side(True), side(False)
        a._static = KeyPair(a._static.private, public)
        b.read(a.write())
        a.read(b.write())
        assert reason_of(b.read, a.write()) == "low-order-key"


def test_x25519_as_wycheproof_wants_it(vectors):
    """The library's answers, through the one call that this package makes."""
    ran = 0
    for group in vectors("wycheproof-x25519_test.json")["testGroups"]:
        for test in group["tests"]:
            public = bytes.fromhex(test["public"])
            pair = KeyPair.from_bytes(bytes.fromhex(test["private"]))
            handshake = side(False)
            handshake._ephemeral = pair
            handshake._remote_ephemeral = public
            seen = []
            handshake._symmetric = SimpleNamespace(mix_key=seen.append)
            if "ZeroSharedSecret" in test["flags"]:
                assert reason_of(handshake._mix_secret, "ee") == "low-order-key"
            else:
                handshake._mix_secret("ee")
                assert seen == [bytes.fromhex(test["shared"])]
            ran += 1
    assert ran == 518


@pytest.mark.parametrize(
    "name",
    [
        "Noise_XX_448_ChaChaPoly_BLAKE2s",
        "Noise_XX_25519_AESGCM_BLAKE2s",
        "Noise_XX_25519_ChaChaPoly_SHA512",
        "Noise_ZZ_25519_ChaChaPoly_BLAKE2s",
        "Noise_XXpsk9_25519_ChaChaPoly_BLAKE2s",
        "Noise_XXpsk_25519_ChaChaPoly_BLAKE2s",
        "TLS",
    ],
)
def test_other_protocols_are_refused(name):
    with pytest.raises(LocalProtocolError):
        side(True, name)


def test_no_secret_shows_in_a_text_form():
    pair = KeyPair.from_bytes(KEY)
    for thing in (pair, side(True, JOIN, psks=(KEY,)), CipherState(KEY)):
        assert KEY.hex() not in repr(thing)
        assert repr(KEY)[2:-1] not in repr(thing)
