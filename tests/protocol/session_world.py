"""Meshes for session and join tests: identities from seeds, entropy from seeds, bytes by hand."""

import hashlib
import itertools

from gossipnet.identity.home import NodeIdentity

from gossipnet.identity.capability import EVERYTHING
from gossipnet.identity.certificate import encode_body
from gossipnet.identity.envelope import seal
from gossipnet.identity.root import make_root
from gossipnet.identity.signing import Domain, SecretKey, sign
from gossipnet.identity.trust import Trust
from gossipnet.protocol.handshake import Transport
from gossipnet.protocol.session import Session

WALL = 1_800_000_000.0


def entropy(seed):
    """Endless, reproducible, different for each seed."""
    count = itertools.count()
    return lambda n: hashlib.shake_256(b"%s/%d" % (seed, next(count))).digest(n)


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
        self.root_key = self._key("root")
        self.issuer_key = self._key("issuing")
        self.root = make_root("mesh", self.root_key, int(WALL))
        self.mesh_id = self.root.mesh_id
        self.issuer_certificate = self._issue(
            self.root_key, self.issuer_key, "authority", ["issuer", "member"], None, 3650
        )
        self._identities = {}

    def identity(self, name, *, key_of=None):
        """A member; with ``key_of`` it holds another's key than its certificate says."""
        if (name, key_of) not in self._identities:
            trust = Trust(self.root)
            issuer = trust.verify_issuer_chain([self.issuer_certificate], None)
            subject = self._key(name)
            leaf = self._issue(self.issuer_key, subject, name, ["member"], issuer.fingerprint, 90)
            chain = (leaf, self.issuer_certificate)
            certificate = trust.verify_chain(chain, None)
            self._identities[name, key_of] = NodeIdentity(
                key=self._key(key_of or name), chain=chain, certificate=certificate, trust=trust
            )
        return self._identities[name, key_of]

    def transport(self, name):
        """A fresh process of a member."""
        return Transport(self.identity(name), entropy(self.seed + name.encode()))

    def _key(self, name):
        return SecretKey.from_seed(self._bytes(name, 32))

    def _bytes(self, name, size):
        return hashlib.blake2b(self.seed + name.encode(), digest_size=size).digest()

    def _issue(self, key, subject, name, roles, issuer, days):
        body = encode_body(
            mesh_id=self.mesh_id,
            subject=subject.public_key,
            name=name,
            roles=frozenset(roles),
            capabilities=EVERYTHING,
            not_before=int(WALL) - 30 * 86_400,
            not_after=int(WALL) + days * 86_400,
            serial=self._bytes(name + "serial", 16),
            issuer=issuer,
            path_len=None if issuer else 1,
        )
        return seal([(0, sign(key, Domain.CERTIFICATE, self.mesh_id, body))], body)
