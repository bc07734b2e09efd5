"""From received bytes to commands: hiredis where it is sure to be right, our own parser otherwise.

hiredis parses five times as fast as Python can, but it is a parser of *replies*: it takes nested
arrays, statuses, numbers and nulls for arguments, refuses inline commands, and reserves memory for
whatever an array header announces. So it gets only pieces in which no header can announce much, and
what it gives is believed only if it accounts for every byte. Everything else goes to
`RequestParser`. The tests hold both against each other, at every split point.
"""

import re
from array import array
from itertools import chain
from typing import Any

import hiredis

from gossipnet.resp.limits import COMMAND_BYTES, RECEIVE_BYTES
from gossipnet.resp.parser import ProtocolError, RequestParser

# Four digits make hiredis reserve 80 kB at most, at each of the nine levels it can nest.
_MANY = re.compile(rb"\*[0-9]{5}").search
_MANY_OF_OTHERS = re.compile(rb"[~>%|][0-9]{5}").search


def _sizes(extra: int, most: int, *, content: bool) -> "array[int]":
    """For each length up to ``most``: its digits, ``extra`` bytes, and what it counts.

    Machine integers, for as Python's they take 2.5 MiB.
    """
    sizes = array("I")
    low = 0
    for digits in range(1, len(str(most)) + 1):
        high = min(10**digits, most + 1)
        first = digits + extra
        sizes.extend(range(first + low, first + high) if content else [first] * (high - low))
        low = high
    return sizes


_ARGUMENT_BYTES = _sizes(len("$") + 2 * len("\r\n"), RECEIVE_BYTES, content=True).__getitem__
_HEADER_BYTES = _sizes(len("*") + len("\r\n"), 9_999, content=False).__getitem__

Commands = list[list[bytes]]


class GuardedHiredis:
    """hiredis behind its guard. Keeps nothing from one call to the next: all clients share one."""

    def __init__(self) -> None:
        self._reader: Any = None

    def parse(self, data: bytes) -> tuple[Commands, bytes]:
        """The whole commands at the beginning of ``data``, and the rest: what is not sure.

        Args:
          data: Begins where a command begins; `RECEIVE_BYTES` at most, or nothing is parsed.
        """
        if not data.startswith(b"*") or len(data) > RECEIVE_BYTES or _MANY(data):
            return [], data
        # Only with one of these can something else than a request be as long as one: sets, pushes
        # and maps look like arrays, a verbatim string is four bytes longer than what it gives.
        odd = b"=" in data or b"~" in data or b">" in data or b"%" in data or b"|" in data
        if odd and _MANY_OF_OTHERS(data):
            return [], data
        reader, self._reader = self._reader or hiredis.Reader(notEnoughData=False), None
        try:
            reader.feed(data)
            commands: Commands = list(iter(reader.gets, False))
            arguments = list(chain.from_iterable(commands))
            b"".join(arguments)  # raises TypeError unless all are bytes
            length = sum(map(_ARGUMENT_BYTES, map(len, arguments)))
            length += sum(map(_HEADER_BYTES, map(len, commands)))
        except (hiredis.HiredisError, TypeError):
            return [], data
        if reader.has_data():  # the beginning of one more; this reader is of no more use
            odd = True
        else:
            self._reader = reader
            if length != len(data):
                return [], data
        if odd and not data.startswith(b"".join(map(_written, commands))):
            return [], data
        if not all(commands):
            commands = [command for command in commands if command]  # *0 asks for nothing
        return commands, data[length:]


def _written(command: list[bytes]) -> bytes:
    packed: bytes = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]  # any length
    return packed


class RequestReader:
    """One client's stream of requests.

    Attributes:
      error: Why the stream ended for good, or None. The commands before that place still count.
    """

    __slots__ = ("_fast", "_parser", "error")

    def __init__(self, fast: GuardedHiredis, most: int = COMMAND_BYTES) -> None:
        self.error: ProtocolError | None = None
        self._fast = fast
        self._parser = RequestParser(most)

    @property
    def buffered(self) -> int:
        """Bytes held for a command that is not complete."""
        return self._parser.buffered

    def feed(self, data: bytes) -> Commands:
        """Take what was received; the commands that are complete now, none of them empty."""
        parser = self._parser
        commands: Commands = []
        try:
            if not parser.idle:
                parser.feed(data)
                first = parser.next_command()
                if first is None:
                    return commands
                commands.append(first)
                if not parser.between:
                    return commands
                data = parser.take_rest()
            sure, rest = self._fast.parse(data)
            if not rest:
                return commands + sure if commands else sure
            commands += sure
            parser.feed(rest)
            while (command := parser.next_command()) is not None:
                commands.append(command)
        except ProtocolError as error:
            self.error = error
        return commands
