r"""Words of a prompt's line, quoted as redis-cli quotes them.

Blanks part words; double quotes take ``\n \r \t \a \b \\ \"`` and ``\xHH``; single quotes take
only ``\'``. Knows nothing of commands.
"""

_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b"}
_HEX = frozenset("0123456789abcdefABCDEF")


class BadQuotes(ValueError):
    """The quotes of a line do not match; the text says so to a person."""


def split_words(line: str) -> list[bytes]:
    """The words of a line, as bytes.

    Raises:
      BadQuotes: A quote is not closed, or something other than a blank follows one.
    """
    words: list[bytes] = []
    at, line = 0, line.strip()
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        word = bytearray()
        if line[at] in "\"'":
            at = _quoted(line, at, word)
            if at < len(line) and not line[at].isspace():
                raise BadQuotes("put a blank behind the closing quote")
        else:
            end = at
            while end < len(line) and not line[end].isspace():
                end += 1
            word += line[at:end].encode("utf-8", "surrogateescape")
            at = end
        words.append(bytes(word))
    return words


def _quoted(line: str, at: int, word: bytearray) -> int:
    """Collect what stands between the quotes; where the line goes on after them."""
    mark = line[at]
    at += 1
    while at < len(line):
        if line[at] == mark:
            return at + 1
        if line[at] == "\\" and at + 1 < len(line):
            at = _escaped(line, at + 1, mark, word)
            continue
        word += line[at].encode("utf-8", "surrogateescape")
        at += 1
    raise BadQuotes(f"a closing {mark} is missing")


def _escaped(line: str, at: int, mark: str, word: bytearray) -> int:
    letter = line[at]
    if mark == "'":
        word += b"'" if letter == "'" else b"\\" + letter.encode("utf-8", "surrogateescape")
    elif letter == "x" and len(pair := line[at + 1 : at + 3]) == 2 and _HEX.issuperset(pair):
        word.append(int(pair, 16))
        return at + 3
    else:
        word += _PLAIN.get(letter, letter).encode("utf-8", "surrogateescape")
    return at + 1
