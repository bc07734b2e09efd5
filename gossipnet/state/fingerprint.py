"""A hash over all state, the same on replicas with the same version vector.

For tests, the simulator and the divergence alarm. Dots are written with their log's global id, for
local numbers differ between replicas.
"""

import hashlib
from collections.abc import Iterable

from gossipnet.state.core import Core
from gossipnet.state.logs import Logs
from gossipnet.state.types.entry import Compound, Entry, compound_of
from gossipnet.state.types.fields import FieldEnds
from gossipnet.state.types.members import Members, dots_of
from gossipnet.state.types.number import written
from gossipnet.state.types.register import Register


def of(core: Core, logs: Logs) -> bytes:
    """32 bytes over every key, shown or hidden."""
    digest = hashlib.blake2b(digest_size=32)
    entries: dict[bytes, Entry] = {**core.hidden, **core.entries}
    for key in sorted(entries):
        digest.update(repr((key, _compound(compound_of(entries[key]), logs))).encode())
    return digest.digest()


def of_entry(entry: Entry | None, logs: Logs) -> object:
    """What can be compared of one entry; None if there is nothing."""
    return None if entry is None else _compound(compound_of(entry), logs)


def _compound(compound: Compound, logs: Logs) -> object:
    fields = dict(compound.fields or {})
    if compound.ends is not None:  # what has ended is a matter of the clock
        fields.update(compound.ends.ended)
    members = Members() if compound.members is None else compound.members
    expiry = compound.expiry
    return (
        None if compound.string is None else _register(compound.string, logs),
        [(name, _register(fields[name], logs)) for name in sorted(fields)],
        [] if compound.ends is None else _ends(compound.ends, logs),
        [(name, _dots(dots_of(members[name]), logs)) for name in sorted(members)],
        [
            (kind, part.fingerprint(lambda dot: _dot(dot, logs)))
            for kind, part in sorted((compound.parts or {}).items())
        ],
        None
        if expiry is None
        else (
            sorted((_dot(dot, logs), at) for dot, at in expiry.deadlines.items()),
            _dots(expiry.silent, logs),
        ),
    )


def _ends(ends: FieldEnds, logs: Logs) -> object:
    return [
        (
            name,
            sorted((_dot(dot, logs), at) for dot, at in expiry.deadlines.items()),
            _dots(expiry.silent, logs),
        )
        for name, expiry in sorted(ends.expiries.items())
    ]


def _register(register: Register, logs: Logs) -> object:
    return (
        register.dot and _dot(register.dot, logs),
        register.value,
        sorted((_dot(dot, logs), value) for dot, value in (register.rivals or {}).items()),
        sorted((_dot(cell.dot, logs), written(cell.total)) for cell in register.cells or ()),
    )


def _dots(dots: Iterable[int], logs: Logs) -> list[str]:
    return sorted(_dot(dot, logs) for dot in dots)


def _dot(dot: int, logs: Logs) -> str:
    return f"{logs.by_number[dot >> 56].id.hex()}/{(dot >> 16) & 0xFF_FFFF_FFFF}/{dot & 0xFFFF}"
