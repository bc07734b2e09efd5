"""Key files say what they are, and what is wrong with them."""

import re
import tracemalloc

import pytest
from chains import key_of
from hypothesis import given
from hypothesis import strategies as st

from gossipnet.errors import IdentityError
from gossipnet.identity import keyfile
from gossipnet.identity.founding import expand
from gossipnet.identity.keyfile import is_encrypted, read_root, read_seed, write_root, write_seed

KEY = key_of("kept")
PLAIN = write_seed("node", KEY)
PASSPHRASE = "correct horse"


@pytest.fixture(scope="module")
def sealed() -> bytes:
    return write_root(KEY, PASSPHRASE, expand(b"sealing"))


def rewritten(data: bytes, name: str, value: str) -> bytes:
    """The file with one line changed, and a check line that fits."""
    text = re.sub(rf"(?m)^{name}: .*$", f"{name}: {value}", data.decode())
    body = text[: text.index("check: ")]
    return f"{body}check: {keyfile._check(body)}\n".encode()


def test_plain() -> None:
    assert read_seed("node", PLAIN, "here").seed() == KEY.seed()
    assert PLAIN.startswith(b"gossipnet node key, version 1\n")
    assert PLAIN.isascii()


def test_sealed(sealed: bytes) -> None:
    assert read_root(sealed, PASSPHRASE, "here").seed() == KEY.seed()
    assert is_encrypted(sealed, "here")
    assert write_root(KEY, PASSPHRASE, expand(b"another salt")) != sealed
    for form in (KEY.seed().hex().encode(), KEY.seed(), keyfile._text(KEY.seed()).encode()):
        assert form not in sealed


def test_unprotected_root_says_so() -> None:
    plain = write_root(KEY, None, expand(b""))
    assert b"NOT ENCRYPTED" in plain
    assert not is_encrypted(plain, "here")
    assert read_root(plain, None, "here").seed() == KEY.seed()
    assert read_root(plain, "ignored", "here").seed() == KEY.seed()


def test_a_wrong_passphrase_is_one_sentence(sealed: bytes) -> None:
    told = set()
    for wrong in ("wrong horse", PASSPHRASE + " ", "x"):
        with pytest.raises(IdentityError) as caught:
            read_root(sealed, wrong, "/home/root.key")
        assert caught.value.__suppress_context__
        told.add(str(caught.value))
    assert told == {"the passphrase does not open /home/root.key"}
    with pytest.raises(IdentityError, match="none was given"):
        read_root(sealed, None, "here")


def test_passphrases_are_text_and_not_code_points() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    data = write_root(KEY, composed, expand(b"nfc"))
    assert read_root(data, decomposed, "here").seed() == KEY.seed()


@pytest.mark.parametrize("passphrase", ["", "x" * 1025])
def test_passphrases_that_do_not_do(passphrase: str) -> None:
    with pytest.raises(IdentityError, match="passphrase"):
        write_root(KEY, passphrase, expand(b""))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory", str(1 << 31)),
        ("memory", str(512 * 1024 * 1024 + 1)),
        ("memory", "0"),
        ("memory", "-1"),
        ("memory", "8191"),
        ("memory", "9" * 400),
        ("memory", ""),
        ("ops", "17"),
        ("ops", "0"),
        ("ops", "4294967295"),
        ("kdf", "argon2i"),
        ("kdf", "none"),
    ],
)
def test_a_file_cannot_ask_for_more_than_we_give(sealed: bytes, name: str, value: str) -> None:
    """Refused before anything is derived: the file may come from anywhere."""
    data = rewritten(sealed, name, value)
    tracemalloc.start()
    try:
        with pytest.raises(IdentityError, match="refuses"):
            read_root(data, PASSPHRASE, "here")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("name", "value"), [("salt", "aaaa"), ("salt", "!"), ("box", "aaaa")])
def test_sealed_parts_of_other_lengths(sealed: bytes, name: str, value: str) -> None:
    with pytest.raises(IdentityError, match="damaged"):
        read_root(rewritten(sealed, name, value), PASSPHRASE, "here")


def test_a_changed_salt_is_a_wrong_key(sealed: bytes) -> None:
    data = rewritten(sealed, "salt", keyfile._text(bytes(16)))
    with pytest.raises(IdentityError, match="does not open"):
        read_root(data, PASSPHRASE, "here")


@pytest.mark.parametrize("seed", ["aaaa", "", "not base32!", "a" * 60])
def test_seeds_of_other_lengths(seed: str) -> None:
    with pytest.raises(IdentityError, match="damaged"):
        read_seed("node", rewritten(PLAIN, "seed", seed), "here")


def test_damage_is_told_from_a_wrong_passphrase(sealed: bytes) -> None:
    for place in range(0, len(sealed), 7):
        broken = bytearray(sealed)
        broken[place] ^= 1
        with pytest.raises(IdentityError) as caught:
            read_root(bytes(broken), PASSPHRASE, "here")
        assert "does not open" not in str(caught.value)
    for size in range(0, len(sealed), 7):
        with pytest.raises(IdentityError, match="here is damaged"):
            read_root(sealed[:size], PASSPHRASE, "here")


@given(st.integers(0, len(PLAIN) - 1), st.integers(0, 7))
def test_no_flipped_bit_makes_another_key(place: int, bit: int) -> None:
    broken = bytearray(PLAIN)
    broken[place] ^= 1 << bit
    with pytest.raises(IdentityError, match="here"):
        read_seed("node", bytes(broken), "here")


@given(st.binary(max_size=200))
def test_reading_is_total(data: bytes) -> None:
    with pytest.raises(IdentityError):
        read_seed("node", data, "here")
    with pytest.raises(IdentityError):
        read_root(data, PASSPHRASE, "here")


def test_keys_in_each_others_place(sealed: bytes) -> None:
    for data in (write_seed("issuer", KEY), sealed, PLAIN.replace(b"version 1", b"version 2")):
        with pytest.raises(IdentityError, match="another kind of key, or a newer"):
            read_seed("node", data, "here")
