"""Tokens survive being copied, and tell what went wrong when they were not."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipnet.errors import TokenError
from gossipnet.identity.token import JoinToken, decode_token
from gossipnet.ids import MeshId, NodeId

TOKEN = JoinToken(
    MeshId(b"m" * 32),
    NodeId(b"i" * 32),
    b"t" * 16,
    b"S" * 32,
    1_800_000_000,
    ("10.0.0.1:7117", "[fd00::1]:7117", "host.example:7117"),
)
TEXT = TOKEN.encode()
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def told(text: str) -> str:
    with pytest.raises(TokenError) as caught:
        decode_token(text)
    assert "token" in str(caught.value)
    return str(caught.value)


def test_there_and_back() -> None:
    token = decode_token(TEXT)
    assert token == TOKEN
    assert token.secret == TOKEN.secret
    assert TEXT.startswith("gn1")
    assert TEXT.isalnum()
    assert TEXT.islower()
    assert token.encode() == TEXT


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(0, (1 << 40) - 1),
    st.lists(st.text(alphabet="abc.:[]%0123456789", min_size=1, max_size=260), max_size=8),
)
def test_any_token_there_and_back(secret: bytes, not_after: int, addresses: list[str]) -> None:
    token = JoinToken(
        TOKEN.mesh_id, TOKEN.issuer, TOKEN.token_id, secret, not_after, tuple(addresses)
    )
    again = decode_token(token.encode())
    assert again == token
    assert again.secret == secret


def test_copied_with_line_breaks_and_in_capitals() -> None:
    broken = "\n  ".join(TEXT[at : at + 40] for at in range(0, len(TEXT), 40))
    assert decode_token(f"  {broken}\r\n") == TOKEN
    assert decode_token(TEXT.upper()) == TOKEN


def test_cut_short_at_any_letter() -> None:
    for size in range(3, len(TEXT)):
        assert "cut short" in told(TEXT[:size]), size


def test_anything_after_its_end() -> None:
    for more in ("aa", "a" * 100, TEXT[3:]):
        assert "after its end" in told(TEXT + more)
    # One letter too many may complete no byte.
    assert told(TEXT + "a")


@given(st.integers(3, len(TEXT) - 1), st.sampled_from(LETTERS))
def test_any_mistyped_letter_is_noticed(place: int, letter: str) -> None:
    if TEXT[place] == letter:
        return
    said = told(TEXT[:place] + letter + TEXT[place + 1 :])
    if place > 7:  # before that stands the length
        assert "mistyped" in said


@pytest.mark.parametrize("letter", ["0", "1", "8", "9", "-", "=", "ß", "\0", "!"])
def test_letters_that_are_in_no_token(letter: str) -> None:
    assert "mistyped" in told(TEXT[:50] + letter + TEXT[51:])


def test_swapped_letters() -> None:
    place = next(n for n in range(40, 80) if TEXT[n] != TEXT[n + 1])
    swapped = TEXT[:place] + TEXT[place + 1] + TEXT[place] + TEXT[place + 2 :]
    assert "mistyped" in told(swapped)


@pytest.mark.parametrize(
    "foreign", ["hello", "abcdef.0123456789abcdef", "tskey-auth-k123", "g", "gn", "1gn", "{}"]
)
def test_tokens_of_other_programs(foreign: str) -> None:
    assert "not a join token of gossipnet" in told(foreign)


def test_newer_and_empty_and_endless() -> None:
    assert "newer" in told("gn2" + TEXT[3:])
    assert "empty" in told(" \n")
    assert "too long" in told("gn1" + "a" * 100_000)
    assert told("gn1" + "a" * 4000)


@pytest.mark.parametrize("address", ["", "a b", "\x1b[2J:1", "é:1", "x" * 261, "a\n:1"])
def test_addresses_that_would_not_do_in_a_terminal(address: str) -> None:
    crafted = JoinToken(
        TOKEN.mesh_id, TOKEN.issuer, TOKEN.token_id, TOKEN.secret, 1, (address,)
    ).encode()
    assert "version" in told(crafted)


@given(st.text(max_size=300))
def test_decoding_is_total(text: str) -> None:
    for written in (text, "gn1" + text):
        with pytest.raises(TokenError):
            decode_token(written)


def test_the_secret_is_not_shown() -> None:
    for shown in (repr(TOKEN), str(TOKEN), f"{[TOKEN]}"):
        assert "SSSS" not in shown
        assert TOKEN.secret.hex() not in shown


def test_psk_is_hkdf() -> None:
    """RFC 5869, written out: extract with a salt, expand to one block."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    other = HKDF(SHA256(), 32, salt=b"gossipnet/v1", info=b"gossipnet join psk")
    assert TOKEN.psk() == other.derive(TOKEN.secret)
    assert TOKEN.psk() != TOKEN.secret
    assert hmac.compare_digest(TOKEN.psk(), decode_token(TEXT).psk())
    assert hashlib.sha256(TOKEN.secret).digest() != TOKEN.psk()
