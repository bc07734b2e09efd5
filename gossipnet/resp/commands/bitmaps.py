"""Bits of strings. A string is one value: of concurrent changes to its bits the latest stays."""

import re
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_, xor
from typing import TYPE_CHECKING

from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import CommandError, Reply
from gossipnet.resp.table import HEAVY, KEY, Command
from gossipnet.state.writer import VALUE_MAX

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_TOO_LONG = f"ERR string exceeds maximum allowed size ({VALUE_MAX} bytes)"
_NO_OFFSET = "ERR bit offset is not an integer or out of range"
_NO_TYPE = (
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 "
    "is."
)
_OFFSETS = 1 << 32
_TYPE = re.compile(rb"([ui])([1-9][0-9]?)")


def _offset(written: bytes, bits: int = 0) -> int:
    """A bit's number; with ``bits``, ``#3`` means the third field of so many."""
    factor = 1
    if bits and written.startswith(b"#"):
        written, factor = written[1:], bits
    offset = integer(written, error=_NO_OFFSET) * factor
    if not 0 <= offset < _OFFSETS:
        raise CommandError(_NO_OFFSET)
    return offset


def _grown(session: "Session", key: bytes, bit: int) -> bytearray:
    """The value, long enough to have this bit."""
    value = session.keyspace.get(key) or b""
    size = max(len(value), bit // 8 + 1)
    if size > VALUE_MAX:
        raise CommandError(_TOO_LONG)
    if size > len(value):
        session.service.pressure.check_growth(size)
    return bytearray(value.ljust(size, b"\0"))


def _setbit(session: "Session", args: list[bytes]) -> Reply:
    offset = _offset(args[2])
    bit = integer(args[3], 0, 1, "ERR bit is not an integer or out of range")
    value = _grown(session, args[1], offset)
    mask = 0x80 >> offset % 8
    before = value[offset // 8]
    value[offset // 8] = before | mask if bit else before & ~mask
    session.keyspace.set(args[1], bytes(value), keep_ttl=True)
    return int(before & mask != 0)


def _getbit(session: "Session", args: list[bytes]) -> Reply:
    offset = _offset(args[2])
    value = session.keyspace.get(args[1]) or b""
    return value[offset // 8] >> (7 - offset % 8) & 1 if offset // 8 < len(value) else 0


def _in_bits(word: bytes) -> bool:
    if word.upper() not in (b"BIT", b"BYTE"):
        raise CommandError(SYNTAX)
    return word.upper() == b"BIT"


def _bits(value: bytes, low: int, high: int) -> int:
    """The bits from ``low`` up to, not including, ``high`` as one number, the first the highest."""
    piece = int.from_bytes(value[low // 8 : (high + 7) // 8], "big")
    return piece >> (-high % 8) & ((1 << (high - low)) - 1)


def _bitcount(session: "Session", args: list[bytes]) -> Reply:
    value = session.keyspace.get(args[1])
    if value is None:
        return 0
    if len(args) == 2:
        return int.from_bytes(value, "big").bit_count()
    if len(args) not in (4, 5):
        raise CommandError(SYNTAX)
    first, last = integer(args[2]), integer(args[3])
    unit = 1 if len(args) == 5 and _in_bits(args[4]) else 8
    count = len(value) * 8 // unit
    if first < 0 and last < 0 and first > last:
        return 0
    first = max(first + count, 0) if first < 0 else first
    last = max(last + count, 0) if last < 0 else last
    last = min(last, count - 1)
    return _bits(value, first * unit, (last + 1) * unit).bit_count() if first <= last else 0


def _bitpos(session: "Session", args: list[bytes]) -> Reply:
    bit = integer(args[2])
    if bit not in (0, 1):
        raise CommandError("ERR The bit argument must be 1 or 0.")
    value = session.keyspace.get(args[1])
    if value is None:
        return -bit
    if len(args) > 6:
        raise CommandError(SYNTAX)
    first = integer(args[3]) if len(args) > 3 else 0
    unit = 1 if len(args) == 6 and _in_bits(args[5]) else 8
    count = len(value) * 8 // unit
    last = integer(args[4]) if len(args) > 4 else count - 1
    first = max(first + count, 0) if first < 0 else first
    last = max(last + count, 0) if last < 0 else last
    last = min(last, count - 1)
    if first > last:
        return -1
    low, high = first * unit, (last + 1) * unit
    bits = _bits(value, low, high)
    if not bit:
        bits ^= (1 << (high - low)) - 1
    if bits:
        return high - bits.bit_length()
    # What is behind the end counts as zeros, unless an end was said.
    return high if not bit and len(args) < 5 else -1


_OPERATIONS = {b"AND": and_, b"OR": or_, b"XOR": xor}


def _bitop(session: "Session", args: list[bytes]) -> Reply:
    keyspace, word, target, keys = session.keyspace, args[1].upper(), args[2], args[3:]
    if word not in _OPERATIONS and word != b"NOT":
        raise CommandError(SYNTAX)
    if word == b"NOT" and len(keys) != 1:
        raise CommandError("ERR BITOP NOT must be called with a single source key.")
    values = [keyspace.get(key) or b"" for key in keys]
    size = max(map(len, values))
    numbers = [int.from_bytes(value.ljust(size, b"\0"), "big") for value in values]
    if word == b"NOT":
        made = numbers[0] ^ ((1 << 8 * size) - 1)
    else:
        made = reduce(_OPERATIONS[word], numbers)
    if size:
        keyspace.set(target, made.to_bytes(size, "big"))
    else:
        keyspace.delete(target)
    return size


# ---------------------------------------------------------------- BITFIELD


@dataclass(frozen=True)
class _Field:
    """One thing to do.

    Attributes:
      word: GET, SET or INCRBY.
      signed: Its type.
      bits: And width.
      offset: Of its first bit.
      number: What is assigned or added.
      overflow: WRAP, SAT or FAIL.
    """

    word: bytes
    signed: bool
    bits: int
    offset: int
    number: int = 0
    overflow: bytes = b"WRAP"

    def read(self, value: bytes | bytearray) -> int:
        end = self.offset + self.bits
        piece = bytes(value[self.offset // 8 : (end + 7) // 8])
        piece = piece.ljust((end + 7) // 8 - self.offset // 8, b"\0")
        found = int.from_bytes(piece, "big") >> (-end % 8) & ((1 << self.bits) - 1)
        return found - (1 << self.bits) if self.signed and found >> (self.bits - 1) else found

    def write(self, value: bytearray, number: int) -> None:
        end = self.offset + self.bits
        place = slice(self.offset // 8, (end + 7) // 8)
        shift, mask = -end % 8, (1 << self.bits) - 1
        held = int.from_bytes(value[place], "big") & ~(mask << shift)
        value[place] = (held | (number & mask) << shift).to_bytes(place.stop - place.start, "big")

    def run(self, value: bytearray) -> int | None:
        """Do it; its reply."""
        before = self.read(value)
        if self.word == b"GET":
            return before
        least = -(1 << (self.bits - 1)) if self.signed else 0
        most = least + (1 << self.bits) - 1
        if self.word == b"INCRBY":
            wanted = before + self.number
        else:
            wanted = self.number if self.signed else self.number % (1 << 64)
        number = wanted
        if not least <= wanted <= most:
            if self.overflow == b"FAIL":
                return None
            number = (wanted - least) % (1 << self.bits) + least
            if self.overflow == b"SAT":
                number = most if wanted > most else least
        self.write(value, number)
        return number if self.word == b"INCRBY" else before


def _fields(args: list[bytes]) -> list[_Field]:
    fields: list[_Field] = []
    overflow = b"WRAP"
    at = 2
    while at < len(args):
        word, left = args[at].upper(), len(args) - at - 1
        if word == b"OVERFLOW" and left >= 1:
            overflow = args[at + 1].upper()
            if overflow not in (b"WRAP", b"SAT", b"FAIL"):
                raise CommandError("ERR Invalid OVERFLOW type specified")
            at += 2
            continue
        if not (word == b"GET" and left >= 2) and not (word in (b"SET", b"INCRBY") and left >= 3):
            raise CommandError(SYNTAX)
        kind = _TYPE.fullmatch(args[at + 1])
        bits = int(kind[2]) if kind is not None else 0
        if kind is None or bits > (64 if kind[1] == b"i" else 63):
            raise CommandError(_NO_TYPE)
        offset = _offset(args[at + 2], bits)
        number = 0 if word == b"GET" else integer(args[at + 3])
        fields.append(_Field(word, kind[1] == b"i", bits, offset, number, overflow))
        at += 3 if word == b"GET" else 4
    return fields


def _bitfield(session: "Session", args: list[bytes]) -> Reply:
    fields = _fields(args)
    written = [field.offset + field.bits - 1 for field in fields if field.word != b"GET"]
    if not written:
        value = session.keyspace.get(args[1]) or b""
        return [field.read(value) for field in fields]
    grown = _grown(session, args[1], max(written))
    replies = [field.run(grown) for field in fields]
    session.keyspace.set(args[1], bytes(grown), keep_ttl=True)
    return replies


def _bitfield_ro(session: "Session", args: list[bytes]) -> Reply:
    fields = _fields(args)
    if any(field.word != b"GET" for field in fields):
        raise CommandError("ERR BITFIELD_RO only supports the GET subcommand")
    value = session.keyspace.get(args[1]) or b""
    return [field.read(value) for field in fields]


_READ, _WRITE, _SLOW = "readonly fast", "write denyoom", "readonly"
_RANGE = "start end [BYTE | BIT]"
_FIELD = (
    "key [GET encoding offset | [OVERFLOW WRAP | SAT | FAIL] SET encoding offset value | "
    "INCRBY encoding offset increment ...]"
)

# fmt: off
ROWS = [
    Command("setbit", _setbit, 4, "key offset value", "Assigns the value with one bit changed.",
            "2.2.0", _WRITE, KEY),
    Command("getbit", _getbit, 3, "key offset", "One bit of a value.", "2.2.0", _READ, KEY),
    Command("bitcount", _bitcount, -2, f"key [{_RANGE}]", "How many bits are set.", "2.6.0", _SLOW,
            KEY, HEAVY // 16),
    Command("bitpos", _bitpos, -3, "key bit [start [end [BYTE | BIT]]]",
            "Where the first bit of a kind is.", "2.8.7", _SLOW, KEY, HEAVY // 16),
    Command("bitop", _bitop, -4, "AND | OR | XOR | NOT destkey key [key ...]",
            "Assigns what values give bit by bit, as this node sees them.", "2.6.0", _WRITE,
            (2, -1, 1), HEAVY // 4),
    Command("bitfield", _bitfield, -2, _FIELD,
            "Reads numbers of some bits; assigns the value with some of them changed.", "3.2.0",
            _WRITE, KEY),
    Command("bitfield_ro", _bitfield_ro, -2, "key [GET encoding offset ...]",
            "Reads numbers of some bits.", "6.0.0", _READ, KEY),
]
# fmt: on
