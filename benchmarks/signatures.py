"""What the cryptography costs: signing, verifying, sealing, opening, and a whole handshake."""

import functools
import os
import time
from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.figures import Row, best_of, run_alone
from gossipnet.identity.founding import found_mesh
from gossipnet.identity.signing import Domain, SecretKey, sign, verify
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.handshake import PostQuantum, Transport
from gossipnet.protocol.session import Message, Session

BODY = bytes(136)
"""As long as a record's header, which is what is signed."""


def measure(quick: bool) -> Iterator[Row]:
    """Best of several rounds on one thread: what it costs when nothing is in the way."""
    rounds = 3 if quick else 10
    mesh_id = bytes(32)
    key = SecretKey.from_seed(bytes(32))
    signature = sign(key, Domain.RECORD, mesh_id, BODY)
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    other_signature = other.sign(BODY)
    public = other.public_key()
    yield Row(
        "sign a record",
        _each(rounds, 1000, lambda: sign(key, Domain.RECORD, mesh_id, BODY)),
        "us",
        "cryptography",
        _each(rounds, 1000, lambda: other.sign(BODY)),
    )
    yield Row(
        "verify a record",
        _each(
            rounds, 1000, lambda: verify(key.public_key, Domain.RECORD, mesh_id, BODY, signature)
        ),
        "us",
        "cryptography",
        _each(rounds, 1000, lambda: public.verify(other_signature, BODY)),
    )
    for size in (256, 12_288):
        seal, through = _link(rounds, size)
        yield Row(f"send a message of {size} bytes", seal, "us", note="queue, frame, seal")
        yield Row(f"send and receive {size} bytes", through, "us", note="and open, both ends")
    for pq, name, target in (
        (PostQuantum.OFF, "handshake, both sides", "<= 800 us"),
        (PostQuantum.PREFER, "handshake with ML-KEM-768, both sides", "<= 1,100 us"),
    ):
        ends = _transports(pq)
        yield Row(
            name,
            _each(rounds, 50, lambda ends=ends: _handshake(*ends)),  # type: ignore[misc]
            "us",
            target=target,
            note="chains already verified once, as on every link but the first",
        )


def _each(rounds: int, count: int, call: Callable[[], object]) -> float:
    def once() -> float:
        started = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - started) / count * 1e6

    return best_of(rounds, once)


@functools.cache
def _transports(pq: PostQuantum) -> tuple[Transport, Transport]:
    one, other = found_mesh(2, wall=time.time()).identities
    return Transport(one, os.urandom, pq=pq), Transport(other, os.urandom, pq=pq)


def _handshake(one: Transport, other: Transport) -> tuple[Session, Session]:
    wall = time.time()
    dialer, answerer = Session.dial(one, expected=None), Session.answer(other)
    for _ in range(3):
        for source, target in ((dialer, answerer), (answerer, dialer)):
            if data := source.data_to_send(65_536):
                for _event in target.receive(data, wall):
                    pass
    return dialer, answerer


def _link(rounds: int, size: int) -> tuple[float, float]:
    dialer, answerer = _handshake(*_transports(PostQuantum.PREFER))
    payload, wall = bytes(size), time.time()

    def send() -> bytes:
        assert dialer.send(Lane.GOSSIP, payload)
        return dialer.data_to_send(65_536)

    def through() -> None:
        events = list(answerer.receive(send(), wall))
        assert isinstance(events[-1], Message)

    both = _each(rounds, 1000, through)
    return _each(rounds, 1000, send), both


if __name__ == "__main__":
    run_alone(measure)
