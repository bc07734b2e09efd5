"""Keyspace notifications: every change of a key, made here or afar, told on two channels.

``__keyspace@0__:KEY`` carries the event and ``__keyevent@0__:EVENT`` the key, if the flags ask for
the kind of event, as in Redis. Every node tells its own clients only: what changes at all nodes is
noticed by each of them. Events are those of the operations that records carry, so that APPEND is
``set`` and INCRBYFLOAT ``incrby`` everywhere.
"""

from gossipnet.resp.channels import KEYEVENT, KEYSPACE, Channels
from gossipnet.resp.replies import CommandError
from gossipnet.state.keyspace import Keyspace

_CLASSES = "g$lshzxetdn"
"""Kinds of events in the order in which Redis shows them."""
_ALL = frozenset("g$lshzxetd")
_KNOWN = frozenset(_CLASSES + "KEmA")

_KINDS = {
    "del": "g",
    "expire": "g",
    "persist": "g",
    "expired": "x",
    "set": "$",
    "incrby": "$",
    "pfadd": "$",
}
_KINDS_BY_LETTER = {"h": "h", "s": "s", "z": "z", "l": "l", "r": "l", "b": "l", "x": "t"}
_COLLECTIONS = frozenset("hszl")


def kind_of(event: str) -> str:
    """The class letter of an event."""
    return _KINDS.get(event) or _KINDS_BY_LETTER.get(event[:1], "g")


class Notifications:
    """Which events are told, and the telling."""

    def __init__(self, keyspace: Keyspace, channels: Channels) -> None:
        self._keyspace = keyspace
        self._channels = channels
        self._flags: frozenset[str] = frozenset()

    @property
    def wanted(self) -> bool:
        """Whether any event is told on any channel."""
        return bool(self._flags & {"K", "E"}) and bool(self._flags & frozenset(_CLASSES))

    @property
    def flags(self) -> str:
        """As CONFIG GET shows them."""
        flags = self._flags
        shown = "A" if flags >= _ALL else "".join(flag for flag in _CLASSES if flag in flags)
        return shown + "".join(flag for flag in "KEm" if flag in flags)

    def choose(self, written: str) -> None:
        """Take flags: ``K`` and ``E`` for the channels, and letters of kinds, ``A`` for all.

        Raises:
          CommandError: One is none; the text is Redis's.
        """
        if not set(written) <= _KNOWN:
            raise CommandError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        self._flags = frozenset(written) | (_ALL if "A" in written else frozenset())

    def changed(self, key: bytes, event: str, _log: int, _stamp: int) -> None:
        """Tell of one change of a key that clients may read."""
        kind = kind_of(event)
        if kind in self._flags:
            self._tell(key, event)
        # A collection that lost its last element is gone, which Redis tells as well.
        if kind in _COLLECTIONS and "g" in self._flags and not self._keyspace.exists(key):
            self._tell(key, "del")

    def _tell(self, key: bytes, event: str) -> None:
        if "K" in self._flags:
            self._channels.tell(KEYSPACE + key, event.encode())
        if "E" in self._flags:
            self._channels.tell(KEYEVENT + event.encode(), key)
