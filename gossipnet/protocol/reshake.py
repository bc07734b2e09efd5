"""Fresh keys for a link that lives long: a whole handshake once more, inside the session.

The dialling side begins. The same messages as at first travel in records of their own, under the
keys in use, and prove both sides' certificates anew; the prologue holds the old handshake's hash,
so the new keys belong to this session and to no other. Each side changes its sending key right
after the record that concludes the handshake for it (message 3, or the answer to it, which is
empty), and the stream's order tells the other side when: no message is lost, repeated or delayed.

Knows nothing of records; `session` carries the messages.
"""

from enum import Enum, auto
from typing import NamedTuple

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.peer import Peer
from gossipnet.ids import NodeId
from gossipnet.protocol.handshake import LinkHandshake, Transport
from gossipnet.protocol.noise import KEY_BYTES, CipherState
from gossipnet.protocol.preamble import Kind

TOO_SOON = 60.0
"""Seconds between two handshakes of a session that the answering side puts up with: each costs a
third of a millisecond, and an honest peer asks every quarter of an hour."""


class Step(NamedTuple):
    """What is to be done after a message.

    Attributes:
      reply: To be sent; None for nothing.
      sending: Key for everything after the reply.
      receiving: Key for everything that comes after the message.
      peer: The other side, proved anew.
    """

    reply: bytes | None = None
    sending: CipherState | None = None
    receiving: CipherState | None = None
    peer: Peer | None = None


class _Wait(Enum):
    MESSAGE_1 = auto()
    MESSAGE_2 = auto()
    MESSAGE_3 = auto()
    TURN = auto()
    NOTHING = auto()


class Reshake:
    """One side of one such handshake.

    Args:
      transport: This process's.
      initiator: This side dialled the link.
      expected: Who is at the other end, and must still be.
      binding: Hash of the handshake before this one.

    Attributes:
      done: Both directions use, or are about to use, the new keys.
    """

    def __init__(
        self, transport: Transport, *, initiator: bool, expected: NodeId, binding: bytes
    ) -> None:
        self._handshake = LinkHandshake(
            transport, initiator=initiator, expected=expected, binding=binding
        )
        self._wait = _Wait.MESSAGE_2 if initiator else _Wait.MESSAGE_1
        self._receiving: CipherState | None = None
        self.done = False

    @property
    def hash(self) -> bytes:
        """Names the session from now on."""
        return self._handshake.hash

    def first(self) -> bytes:
        """The dialling side's message 1."""
        return self._handshake.first()

    def take(self, message: bytes, wall: float) -> Step:
        """Take the other side's next message.

        Raises:
          RemoteProtocolError: It is illegal, or its sender's certificate does not hold any more.
        """
        wait = self._wait
        if wait is _Wait.MESSAGE_1:
            self._wait = _Wait.MESSAGE_3
            kind = Kind.LINK if len(message) == KEY_BYTES else Kind.HYBRID
            return Step(self._handshake.answer(kind, message, wall))
        if wait is _Wait.MESSAGE_2:
            reply = self._handshake.conclude(message, wall)
            sending, self._receiving = self._handshake.split()
            self._wait = _Wait.TURN
            return Step(reply, sending=sending)
        if wait is _Wait.MESSAGE_3:
            self._handshake.finish(message, wall)
            sending, receiving = self._handshake.split()
            self._end()
            return Step(b"", sending, receiving, self._handshake.peer)
        if wait is _Wait.TURN and not message:
            self._end()
            return Step(receiving=self._receiving, peer=self._handshake.peer)
        raise RemoteProtocolError("unexpected-handshake")

    def _end(self) -> None:
        self._wait = _Wait.NOTHING
        self.done = True
