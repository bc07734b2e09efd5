"""What a certificate lets its subject do: (verb, key prefix) pairs, and how they compare.

Bytes are compared as they are, with no normalisation: every node must decide alike.
"""

from collections.abc import Iterable

VERBS = ("relay", "read", "write", "manage")
"""Each verb includes those before it."""

MAX_CAPABILITIES = 32
MAX_PREFIX_BYTES = 255

Capability = tuple[str, bytes]

EVERYTHING: tuple[Capability, ...] = (("manage", b""),)
READ_AND_WRITE: tuple[Capability, ...] = (("write", b""),)
READ_ONLY: tuple[Capability, ...] = (("read", b""),)

_RANK = {verb: rank for rank, verb in enumerate(VERBS)}
_SEPARATORS = b":/"


def matches(prefix: bytes, key: bytes) -> bool:
    """Whether ``key`` lies under ``prefix``, by whole segments.

    Segments end at ``:`` or ``/``: ``a`` covers ``a``, ``a:b`` and ``a/b``, but not ``ab``; ``a:``
    covers ``a:b`` but not ``a``; the empty prefix covers everything.
    """
    if not prefix or key == prefix:
        return True
    if not key.startswith(prefix):
        return False
    return prefix[-1] in _SEPARATORS or key[len(prefix)] in _SEPARATORS


def allows(granted: Iterable[Capability], verb: str, key: bytes) -> bool:
    """Whether one of the capabilities lets its holder ``verb`` this key."""
    rank = _RANK[verb]
    return any(_RANK[held] >= rank and matches(prefix, key) for held, prefix in granted)


def within(asked: Iterable[Capability], granted: Iterable[Capability]) -> bool:
    """Whether each of ``asked`` lies inside one of ``granted``.

    A prefix that matches as a key also covers all keys under it: they begin with it.
    """
    held = tuple(granted)
    return all(allows(held, verb, prefix) for verb, prefix in asked)
