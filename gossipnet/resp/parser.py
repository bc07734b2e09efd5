"""The capped parser of RESP requests: the rules of Redis 7's networking.c, one command at a time.

It judges what `gossipnet.resp.guard` is not sure of: inline commands, large and partial ones, and
everything malformed. Where Redis forgives (``*0``, ``*-1``, an empty line, any two bytes after an
argument) it forgives too. What is announced is checked before anything is kept, and a command over
`COMMAND_BYTES` is read past without being kept at all.
"""

import re

from gossipnet.resp.limits import ARGUMENTS, BULK_BYTES, COMMAND_BYTES, INLINE_BYTES

_INTEGER = re.compile(rb"(?:-?[1-9][0-9]{0,18}|0)")
_SMALLEST = len(b"$0\r\n\r\n")


class ProtocolError(Exception):
    """The stream cannot be understood from here on; the text follows ``-ERR Protocol error: ``."""


class Oversized(list[bytes]):
    """Stands for a command that was too large to keep: an empty word, then its name if known."""


class RequestParser:
    """Takes bytes in any pieces, gives one command after the other.

    Args:
      most: Bytes of one command; a larger one is read past.

    Attributes:
      buffered: Bytes held for a command that is not complete.
    """

    __slots__ = (
        "_arguments",
        "_buffer",
        "_left",
        "_most",
        "_need",
        "_position",
        "_size",
        "_skip",
        "_toobig",
    )

    def __init__(self, most: int = COMMAND_BYTES) -> None:
        self._most = most
        self._buffer = bytearray()
        self._position = 0  # parsed up to here
        self._need = 1  # no use to look before the buffer is this long
        self._arguments: list[bytes] = []
        self._left = 0  # arguments still to come
        self._size = 0  # of this command so far, as written
        self._skip = 0  # bytes to read past
        self._toobig = False

    @property
    def buffered(self) -> int:
        """Bytes held for a command that is not complete."""
        return len(self._buffer) - self._position + sum(map(len, self._arguments))

    @property
    def idle(self) -> bool:
        """Whether nothing is held: the next byte begins a command."""
        return not (self._left or self._skip or self._position < len(self._buffer))

    @property
    def between(self) -> bool:
        """Whether no command is half done, though bytes of the next one may be held."""
        return not (self._left or self._skip)

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        if self._skip:
            passed = min(self._skip, len(data))
            self._skip -= passed
            data = data[passed:]
        self._buffer += data

    def take_rest(self) -> bytes:
        """Everything that `next_command` has not looked at; only while no command is half done."""
        rest = bytes(self._buffer[self._position :])
        self._forget()
        return rest

    def next_command(self) -> list[bytes] | None:
        """The next whole command, never empty; None when more bytes are needed.

        Raises:
          ProtocolError: The client must go.
        """
        while True:
            if len(self._buffer) - self._position < self._need or self._skip:
                return None
            if self._left:
                command = self._next_argument()
            elif self._buffer[self._position] == 42:  # *
                command = self._begin()
            else:
                command = self._inline()
            if command is None:
                return None
            if command:
                return command

    # An empty list means "go on": the command was void, or has arguments to come.

    def _begin(self) -> list[bytes] | None:
        line = self._line("too big mbulk count string")
        if line is None:
            return None
        count = _integer(line[1:])
        if count is None or count > ARGUMENTS:
            raise ProtocolError("invalid multibulk length")
        if count > 0:
            self._left = count
            self._size = len(line) + 2
            self._toobig = self._size + count * _SMALLEST > self._most
        return []

    def _next_argument(self) -> list[bytes] | None:
        start = self._position
        line = self._line("too big bulk count string")
        if line is None:
            return None
        if line[:1] != b"$":
            raise ProtocolError(f"expected '$', got '{_shown(line[:1])}'")
        length = _integer(line[1:])
        if length is None or not 0 <= length <= BULK_BYTES:
            raise ProtocolError("invalid bulk length")
        self._size += len(line) + length + 4
        if self._size > self._most:
            self._toobig = True
        end = self._position + length + 2
        if self._toobig:
            if not self._arguments and end <= len(self._buffer):
                self._arguments.append(bytes(self._buffer[self._position : end - 2][:64]))
            self._arguments = self._arguments[:1] or [b""]
            self._pass(end)
        elif end > len(self._buffer):
            self._size -= len(line) + length + 4
            self._position = start  # its header is read again when all of it is there
            self._compact()
            self._need = end - start
            return None
        else:
            self._arguments.append(bytes(self._buffer[self._position : end - 2]))
            self._position = end
        self._left -= 1
        if self._left:
            return []
        command, self._arguments = self._arguments, []
        if self._toobig:
            self._toobig = False
            return Oversized([b"", *command])
        return command

    def _pass(self, end: int) -> None:
        beyond = end - len(self._buffer)
        if beyond > 0:
            self._skip = beyond
            self._forget()
        else:
            self._position = end

    def _inline(self) -> list[bytes] | None:
        end = self._buffer.find(b"\n", self._position)
        if end < 0:
            if len(self._buffer) - self._position > INLINE_BYTES:
                raise ProtocolError("too big inline request")
            self._wait()
            return None
        line = bytes(self._buffer[self._position : end])
        self._position = end + 1
        self._need = 1
        return split_words(line.removesuffix(b"\r"))

    def _line(self, too_big: str) -> bytes | None:
        """A header line without its end; None while that has not come."""
        end = self._buffer.find(b"\r", self._position, self._position + INLINE_BYTES + 1)
        if end < 0 or end + 1 >= len(self._buffer):
            if len(self._buffer) - self._position > INLINE_BYTES:
                raise ProtocolError(too_big)
            self._wait()
            return None
        line = bytes(self._buffer[self._position : end])
        self._position = end + 2
        self._need = 1
        return line

    def _wait(self) -> None:
        """Wait for any byte more, and keep no bytes that are done with."""
        self._compact()
        self._need = len(self._buffer) + 1

    def _compact(self) -> None:
        if self._position:
            del self._buffer[: self._position]
            self._position = 0

    def _forget(self) -> None:
        self._buffer = bytearray()
        self._position = 0
        self._need = 1


def _integer(digits: bytes) -> int | None:
    """As Redis's string2ll reads it: no plus, no spaces, no leading zeros."""
    return int(digits) if _INTEGER.fullmatch(digits) else None


def _shown(byte: bytes) -> str:
    return repr(byte or b"\r")[2:-1]


# ---------------------------------------------------------------- inline commands

_SPACE = b" \t\n\v\f\r"
_ENDS = b" \t\n\r"
_HEX = b"0123456789abcdefABCDEF"
_ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}


def split_words(line: bytes) -> list[bytes]:
    """The words of an inline command, as Redis's sdssplitargs takes them apart.

    Args:
      line: Without its end; like C, nothing is seen behind a zero byte.

    Raises:
      ProtocolError: Quotes are not balanced.
    """
    line = line.partition(b"\0")[0]
    if not any(byte in line for byte in (b'"', b"'", b"\v", b"\f")):
        return line.split()
    words: list[bytes] = []
    at = 0
    while True:
        while at < len(line) and line[at] in _SPACE:
            at += 1
        if at == len(line):
            return words
        word = bytearray()
        while at < len(line) and line[at] not in _ENDS:
            if line[at] in b"\"'":
                at = _quoted(line, at, word)
            else:
                word.append(line[at])
                at += 1
        words.append(bytes(word))


def _quoted(line: bytes, at: int, word: bytearray) -> int:
    """Append what the quotes at ``at`` hold; where to go on."""
    quote = line[at]
    at += 1
    while at < len(line):
        byte = line[at]
        following = line[at + 1] if at + 1 < len(line) else None
        if byte == quote:
            if following is not None and following not in _SPACE:
                break
            return at + 1
        if byte != 92 or following is None or (quote == 39 and following != 39):
            word.append(byte)
            at += 1
        elif quote == 34 and following == 120 and _is_hex(line[at + 2 : at + 4]):
            word.append(int(line[at + 2 : at + 4], 16))
            at += 4
        else:
            word.append(_ESCAPES.get(following, following) if quote == 34 else following)
            at += 2
    raise ProtocolError("unbalanced quotes in request")


def _is_hex(digits: bytes) -> bool:
    return len(digits) == 2 and all(digit in _HEX for digit in digits)
