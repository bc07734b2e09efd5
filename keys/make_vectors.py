"""Writes the interoperability vectors: ``python keys/make_vectors.py`` fills ``keys/vectors/``.

Everything grows from published seeds, so another implementation can make the same bytes, and this
one is held to them by `tests/house/test_vectors.py`. The keys are worthless on purpose.

What ML-KEM encapsulates is drawn by the library; the pairs that were drawn once are kept in the
file, and used again.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gossipnet.identity.capability import Capability
from gossipnet.identity.founding import admit, expand, found
from gossipnet.identity.invitations import Invitations
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import SecretKey
from gossipnet.protocol import noise
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.handshake import PostQuantum, Transport
from gossipnet.protocol.joinanswer import JoinAnswer
from gossipnet.protocol.joining import Joiner
from gossipnet.protocol.session import Session
from gossipnet.state.record import parse_untrusted
from gossipnet.state.replica import Replica

FOLDER = Path(__file__).resolve().parent / "vectors"
SEED = b"gossipnet vectors: worthless on purpose"
WALL = 1_767_225_600.0
"""2026-01-01, 00:00 UTC: when everything was signed."""

Vectors = dict[str, Any]
_SENSORS: tuple[Capability, ...] = (("read", b""), ("write", b"sensors:"))


class Tape:
    """Entropy from a seed that remembers what it gave."""

    def __init__(self, name: str) -> None:
        self._entropy = expand(SEED + b" " + name.encode())
        self.given: list[str] = []

    def __call__(self, size: int) -> bytes:
        """The next block."""
        block = self._entropy(size)
        self.given.append(block.hex())
        return block


def identities() -> dict[str, NodeIdentity]:
    """One mesh: a founder, a second issuer, a member, and one whose writes are limited."""
    founder = found("vectors", "ada", expand(SEED), WALL)
    issuer = frozenset({"member", "issuer"})
    return {
        "ada": founder,
        "bob": admit(founder, "bob", expand(SEED + b" bob"), WALL),
        "cal": admit(founder, "cal", expand(SEED + b" cal"), WALL, capabilities=_SENSORS),
        "dan": admit(founder, "dan", expand(SEED + b" dan"), WALL, roles=issuer),
    }


# ---------------------------------------------------------------- certificates


def certificates() -> Vectors:
    """Root record, chains, and chains that must be refused, each with its reason."""
    nodes = identities()
    ada, bob = nodes["ada"], nodes["bob"]
    other = found("another", "eve", expand(SEED + b" another mesh"), WALL)
    leaf = bytearray(bob.chain[0])
    leaf[10] ^= 1
    return {
        "mesh_id": ada.trust.mesh_id.hex(),
        "trust": ada.trust.encode().hex(),
        "nodes": [_node(name, node) for name, node in nodes.items()],
        "refused": [
            _refused("expired", bob.chain, bob.not_after + 301),
            _refused("not-yet-valid", bob.chain, WALL - 301),
            _refused("bad-signature", (bytes(leaf), *bob.chain[1:]), WALL),
            _refused("wrong-issuer", bob.chain[:1], WALL),
            _refused("wrong-mesh", other.chain, WALL),
            _refused("malformed", (bob.chain[0][:-1], *bob.chain[1:]), WALL),
            _refused("not-a-node", bob.chain[1:], WALL),
        ],
    }


def _node(name: str, node: NodeIdentity) -> Vectors:
    certificate = node.certificate
    return {
        "name": name,
        "seed": node.key.seed().hex(),
        "public_key": node.public_key.hex(),
        "node_id": node.node_id.hex(),
        "chain": [one.hex() for one in node.chain],
        "issuer_chain": [] if node.issuer is None else [one.hex() for one in node.issuer.chain],
        "fingerprint": certificate.fingerprint.hex(),
        "roles": sorted(certificate.roles),
        "capabilities": [[verb, prefix.hex()] for verb, prefix in certificate.capabilities],
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
    }


def _refused(reason: str, chain: tuple[bytes, ...], wall: float) -> Vectors:
    return {"reason": reason, "wall": wall, "chain": [one.hex() for one in chain]}


# ---------------------------------------------------------------- records


def records() -> Vectors:
    """Two authors' logs, in the order in which they were written, and what they add up to."""
    nodes = identities()
    first, second = _replica(nodes["bob"]), _replica(nodes["cal"])
    rows: list[Vectors] = []
    keyspace = first.keyspace
    keyspace.set(b"greeting", b"hello")
    keyspace.increment(b"visits", 3)
    _sealed(first, rows)
    keyspace.hash_set(b"profile", [(b"name", b"Ada"), (b"born", b"1815")])
    keyspace.add(b"colours", [b"red", b"green"])
    _sealed(first, rows)
    for row in rows:
        second.ingest(bytes.fromhex(row["record"]), WALL)
    second.keyspace.set(b"sensors:1", b"21.5")
    second.keyspace.set(b"sensors:2", b"19.0", deadline_ms=int(WALL * 1000) + 60_000)
    _sealed(second, rows)
    first.ingest(bytes.fromhex(rows[-1]["record"]), WALL)
    keyspace.increment(b"visits", -1)
    keyspace.remove(b"colours", [b"green"])
    keyspace.delete(b"greeting")
    _sealed(first, rows)
    return {
        "mesh_id": nodes["bob"].trust.mesh_id.hex(),
        "wall": WALL,
        "records": rows,
        "strings": {
            key.hex(): (keyspace.get(key) or b"").hex()
            for key in (b"visits", b"sensors:1", b"sensors:2")
        },
        "hashes": {
            b"profile".hex(): {f.hex(): v.hex() for f, v in keyspace.hash_items(b"profile")}
        },
        "sets": {b"colours".hex(): sorted(one.hex() for one in keyspace.members(b"colours"))},
        "missing": [b"greeting".hex()],
    }


def _replica(node: NodeIdentity) -> Replica:
    return Replica(key=node.key, chain=node.chain, trust=node.trust, epoch=1, wall=WALL)


def _sealed(replica: Replica, rows: list[Vectors]) -> None:
    for applied in replica.seal(WALL):
        record = parse_untrusted(applied.data)
        rows.append(
            {
                "log": record.log.hex(),
                "seq": record.seq,
                "prev": record.prev.hex(),
                "stamp": record.stamp,
                "hash": record.hash.hex(),
                "record": record.data.hex(),
            }
        )


# ---------------------------------------------------------------- handshakes


def handshakes(drawn: dict[str, tuple[str, str]]) -> Vectors:
    """Whole conversations, preamble to CLOSE, byte for byte.

    Args:
      drawn: Ciphertext and secret by encapsulation key, as an earlier run drew them.
    """
    off, prefer = PostQuantum.OFF, PostQuantum.PREFER
    with _encapsulating(drawn) as kem:
        links = [
            _link("plain", off, off, b""),
            _link("hybrid", prefer, prefer, b""),
            _link("hybrid offered, plain chosen", prefer, off, b""),
            _link("plain, with a mesh secret", off, off, b"the secret of the vectors"),
        ]
        joins = {"join": _join(hybrid=False), "join_hybrid": _join(hybrid=True)}
    return {"wall": WALL, "kem": kem, "links": links, **joins}


@contextmanager
def _encapsulating(drawn: dict[str, tuple[str, str]]) -> Iterator[list[Vectors]]:
    """Encapsulation that repeats what was drawn before, and notes what was used."""
    used: list[Vectors] = []
    real = noise.encapsulate

    def encapsulate(public: bytes) -> tuple[bytes, bytes]:
        known = drawn.get(public.hex())
        pair = real(public) if known is None else (bytes.fromhex(known[0]), bytes.fromhex(known[1]))
        used.append({"public": public.hex(), "ciphertext": pair[0].hex(), "secret": pair[1].hex()})
        return pair

    noise.encapsulate = encapsulate
    try:
        yield used
    finally:
        noise.encapsulate = real


def _link(name: str, dialling: PostQuantum, answering: PostQuantum, secret: bytes) -> Vectors:
    nodes = identities()
    tapes = Tape(f"{name} dialler"), Tape(f"{name} answerer")
    near = Transport(nodes["bob"], tapes[0], secret=secret, pq=dialling)
    far = Transport(nodes["cal"], tapes[1], secret=secret, pq=answering)
    dialler = Session.dial(near, expected=nodes["cal"].node_id)
    answerer = Session.answer(far)
    flights: list[Vectors] = []

    def carry(sender: Session, receiver: Session, who: str) -> None:
        data = sender.data_to_send(1 << 16)
        flights.append({"from": who, "bytes": data.hex()})
        for _event in receiver.receive(data, WALL):
            pass

    for _ in range(2):
        carry(dialler, answerer, "dialler")
        carry(answerer, dialler, "answerer")
    dialler.send(Lane.GOSSIP, b"ping")
    carry(dialler, answerer, "dialler")
    answerer.send(Lane.CONTROL, b"pong")
    answerer.close()
    carry(answerer, dialler, "answerer")
    return {
        "name": name,
        "dialler": "bob",
        "answerer": "cal",
        "pq": [str(dialling), str(answering)],
        "mesh_secret": secret.hex(),
        "entropy": {"dialler": tapes[0].given, "answerer": tapes[1].given},
        "handshake_hash": dialler.hash.hex(),
        "flights": flights,
    }


def _join(hybrid: bool) -> Vectors:
    ada = identities()["ada"]
    assert ada.issuer is not None
    invitations = Invitations()
    token = invitations.create(
        ada.issuer,
        node=ada.node_id,
        role="member",
        uses=1,
        ttl=3600.0,
        capabilities=[],
        addresses=("192.0.2.1:7117",),
        wall=WALL,
        entropy=expand(SEED + b" token"),
        hybrid=hybrid,
    )
    sort = " of a hybrid join" if hybrid else ""
    tapes = Tape(f"newcomer{sort}"), Tape(f"issuer{sort}")
    key = SecretKey.from_seed(expand(SEED + b" newcomer's key")(32))
    pq = PostQuantum.PREFER if hybrid else PostQuantum.OFF
    joiner = Joiner(token, key, "eve", entropy=tapes[0], pq=pq)
    answer = JoinAnswer(ada, invitations, tapes[1], ("192.0.2.1:7117",), pq=pq)
    flights: list[Vectors] = []
    while not joiner.finished:
        for who, take, receive in (
            ("newcomer", joiner.data_to_send, answer.receive),
            ("issuer", answer.data_to_send, joiner.receive),
        ):
            _flight(who, take(), receive, flights)
    assert joiner.result is not None
    return {
        "token": token.encode(),
        "psk": token.psk().hex(),
        "newcomer_seed": key.seed().hex(),
        "entropy": {"newcomer": tapes[0].given, "issuer": tapes[1].given},
        "flights": flights,
        "chain": [one.hex() for one in joiner.result.chain],
    }


def _flight(
    who: str, data: bytes, receive: Callable[[bytes, float], None], flights: list[Vectors]
) -> None:
    flights.append({"from": who, "bytes": data.hex()})
    receive(data, WALL)


def drawn_before() -> dict[str, tuple[str, str]]:
    """What the published file says that ML-KEM drew."""
    path = FOLDER / "handshakes.json"
    kem = json.loads(path.read_text())["kem"] if path.exists() else []
    return {one["public"]: (one["ciphertext"], one["secret"]) for one in kem}


def everything() -> dict[str, Vectors]:
    """All files by name."""
    return {
        "certificates.json": certificates(),
        "records.json": records(),
        "handshakes.json": handshakes(drawn_before()),
    }


def main() -> None:
    """Write the files."""
    for name, vectors in everything().items():
        (FOLDER / name).write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
