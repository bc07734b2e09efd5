"""HyperLogLog as Redis computes it: which register an element hits, and what registers amount to.

Hash (MurmurHash64A), rank, estimator (Ertl, "New cardinality estimation algorithms for HyperLogLog
sketches", arXiv 1702.01284) and the layout of ``HYLL`` strings are those of Redis's hyperloglog.c,
so that the same elements give the same count, and strings can be taken over either way.
"""

from collections.abc import Iterable, Mapping
from math import inf, sqrt

P = 14
REGISTERS = 1 << P
Q = 64 - P
RANK_MAX = Q + 1

HIT_BYTES = 3
"""A register's number and rank in an operation: 14 and 6 bits."""

_ALPHA_INF = 0.721347520444481703680
_M = 0xC6A4A7935BD1E995
_SEED = 0xADC83B19
_MASK = (1 << 64) - 1
_HEADER_BYTES = 16
_DENSE_BYTES = REGISTERS * 6 // 8
_STALE = bytes(7) + b"\x80"
"""The cached count of a ``HYLL`` string, marked as out of date."""


def hash_of(element: bytes) -> int:
    """MurmurHash64A (Appleby) with Redis's seed."""
    m = _M
    size = len(element)
    h = _SEED ^ (size * m & _MASK)
    whole = size & ~7
    for at in range(0, whole, 8):
        k = int.from_bytes(element[at : at + 8], "little") * m & _MASK
        k = (k ^ k >> 47) * m & _MASK
        h = (h ^ k) * m & _MASK
    if size != whole:
        h = (h ^ int.from_bytes(element[whole:], "little")) * m & _MASK
    h = (h ^ h >> 47) * m & _MASK
    return h ^ h >> 47


def register_of(element: bytes) -> tuple[int, int]:
    """(register, rank) that an element hits; ranks are 1 to `RANK_MAX`."""
    hashed = hash_of(element)
    rest = hashed >> P | 1 << Q
    return hashed & REGISTERS - 1, (rest & -rest).bit_length()


def estimate(ranks: Iterable[int]) -> int:
    """How many different elements there were, from the ranks of all registers that were hit."""
    histogram = [0] * (Q + 2)
    hit = 0
    for rank in ranks:
        histogram[rank] += 1
        hit += 1
    histogram[0] = REGISTERS - hit
    m = float(REGISTERS)
    z = m * _tau((m - histogram[Q + 1]) / m)
    for rank in range(Q, 0, -1):
        z = (z + histogram[rank]) * 0.5
    z += m * _sigma(histogram[0] / m)
    return int(_ALPHA_INF * m * m / z + 0.5)


def _sigma(x: float) -> float:
    if x == 1.0:
        return inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z == before:
            return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x = sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
        if z == before:
            return z / 3.0


# ---------------------------------------------------------------- in operations


def packed(ranks: Mapping[int, int]) -> bytes:
    """Registers and ranks as bytes."""
    return b"".join((r << 6 | rank).to_bytes(HIT_BYTES, "big") for r, rank in ranks.items())


def unpacked(data: bytes) -> list[tuple[int, int]]:
    """(register, rank) of each; only of what is `sound`."""
    found = (int.from_bytes(data[at : at + 3], "big") for at in range(0, len(data), HIT_BYTES))
    return [(hit >> 6, hit & 63) for hit in found]


def sound(data: bytes) -> bool:
    """Whether these are registers and ranks that there are."""
    return len(data) % HIT_BYTES == 0 and all(
        register < REGISTERS and 1 <= rank <= RANK_MAX for register, rank in unpacked(data)
    )


# ---------------------------------------------------------------- HYLL strings


def written(ranks: Mapping[int, int]) -> bytes:
    """A dense ``HYLL`` string."""
    bits = 0
    for register, rank in ranks.items():
        bits |= rank << 6 * register
    return b"HYLL\0\0\0\0" + _STALE + bits.to_bytes(_DENSE_BYTES, "little")


def read(text: bytes) -> dict[int, int] | None:
    """Rank by register from a dense or sparse ``HYLL`` string; None if it is none."""
    if len(text) < _HEADER_BYTES or text[:4] != b"HYLL" or text[4] > 1:
        return None
    if text[4] == 1:
        return _read_sparse(text[_HEADER_BYTES:])
    if len(text) != _HEADER_BYTES + _DENSE_BYTES:
        return None
    ranks: dict[int, int] = {}
    for at in range(_DENSE_BYTES // 3):  # four registers in three bytes
        start = _HEADER_BYTES + 3 * at
        bits = int.from_bytes(text[start : start + 3], "little")
        for offset in range(4):
            if rank := bits >> 6 * offset & 63:
                if rank > RANK_MAX:
                    return None
                ranks[4 * at + offset] = rank
    return ranks


def _read_sparse(text: bytes) -> dict[int, int] | None:
    ranks: dict[int, int] = {}
    register = at = 0
    while at < len(text):
        code = text[at]
        at += 1
        if code & 0x80:  # VAL
            length, rank = (code & 3) + 1, (code >> 2 & 31) + 1
            ranks.update((place, rank) for place in range(register, register + length))
        elif code & 0x40:  # XZERO
            if at == len(text):
                return None
            length = ((code & 63) << 8 | text[at]) + 1
            at += 1
        else:  # ZERO
            length = (code & 63) + 1
        register += length
        if register > REGISTERS:
            return None
    return ranks if register == REGISTERS else None
