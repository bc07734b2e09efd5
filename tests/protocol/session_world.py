"""Meshes for session and join tests: identities from seeds, entropy from seeds, bytes by hand."""

import functools
from dataclasses import replace

from gossipnet.identity.founding import admit, expand, found
from gossipnet.protocol import noise
from gossipnet.protocol.handshake import PostQuantum, Transport
from gossipnet.protocol.session import Session

WALL = 1_800_000_000.0
FOUNDED = WALL - 30 * 86_400

entropy = expand

# The library draws what ML-KEM encapsulates; the same for the same key, so that conversations from
# one seed can be replayed byte for byte.
noise.encapsulate = functools.cache(noise.encapsulate)


def pump(session, limit=1 << 16):
    """Everything that waits."""
    return b"".join(iter(lambda: session.data_to_send(limit), b""))


def carry(sender, receiver, wall=WALL):
    """Everything that waits, and what it means to the receiver."""
    return list(receiver.receive(pump(sender), wall))


def connect(dialling, answering, expected=None):
    """(dialling session, answering session, events of each)."""
    a = Session.dial(dialling, expected=expected)
    b = Session.answer(answering)
    carry(a, b)
    carry(b, a)
    seen_by_b = carry(a, b)
    return a, b, carry(b, a), seen_by_b


class World:
    """One mesh; the same seed gives the same mesh, byte for byte."""

    def __init__(self, seed):
        self.seed = seed
        self.founder = found("mesh", "founder", expand(seed), FOUNDED)
        self.mesh_id = self.founder.trust.mesh_id
        self._identities = {}

    def identity(self, name, *, key_of=None):
        """A member; with ``key_of`` it holds another's key than its certificate says."""
        if key_of is not None:
            return replace(self.identity(name), key=self.identity(key_of).key)
        if name not in self._identities:
            seed = expand(self.seed + name.encode())
            self._identities[name] = admit(self.founder, name, seed, FOUNDED)
        return self._identities[name]

    def transport(self, name, pq=PostQuantum.PREFER):
        """A fresh process of a member."""
        process = expand(self.seed + b"process of " + name.encode())
        return Transport(self.identity(name), process, pq=pq)
