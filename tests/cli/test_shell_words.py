"""Words at the prompt, quoted as redis-cli quotes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipnet.cli.shellwords import BadQuotes, split_words
from gossipnet.cli.terminal import quoted


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  \t ", []),
        ("GET a", [b"GET", b"a"]),
        ('SET a "hello world"', [b"SET", b"a", b"hello world"]),
        (r'"\n\r\t\a\b\\\"\q"', [b'\n\r\t\x07\x08\\"q']),
        (r'"\x00\xfF"', [b"\x00\xff"]),
        (r'"\xzz"', [b"xzz"]),
        (r"'it\'s \n'", [rb"it's \n"]),
        ("''", [b""]),
        ("naïve", ["naïve".encode()]),
        ('a"b c', [b'a"b', b"c"]),  # a quote inside a word is a letter
    ],
)
def test_words(line: str, words: list[bytes]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("line", ['"open', "'open", '"a"b', "'a'b", '"ends in \\'])
def test_quotes_that_do_not_match(line: str) -> None:
    with pytest.raises(BadQuotes):
        split_words(line)


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_what_the_terminal_shows_can_be_typed_again(words: list[bytes]) -> None:
    assert split_words(" ".join(quoted(word) for word in words)) == words
