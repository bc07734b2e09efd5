"""Members with good certificates that sign whatever can be decoded: their logs, wild operations."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from math import inf

from sites import WALL, mesh

from gossipnet import ids
from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.node import NodeIdentity
from gossipnet.ids import LogId
from gossipnet.state import record
from gossipnet.state.body import (
    Body,
    decode_body_untrusted,
    encode_body,
)
from gossipnet.state.check import check_operations
from gossipnet.state.operations import (
    AnyOperation,
    Delete,
    Expire,
    GroupAck,
    GroupCreate,
    GroupDestroy,
    HashDelete,
    HashExpire,
    HashIncrement,
    HashSet,
    Increment,
    ListInsert,
    ListRemove,
    ListSet,
    OpenLog,
    ScoreIncrement,
    ScoreRemove,
    ScoreSet,
    Set,
    SetAdd,
    SetRemove,
    SketchAdd,
    StreamAdd,
    StreamDelete,
    StreamTop,
    StreamTrim,
)
from gossipnet.state.record import Record

KEYS = [b"k", b"l"]
NAMES = [b"x", b"y"]


class Log:
    """A log of whatever operations; every record can be decoded and passes the checks."""

    def __init__(self, identity: NodeIdentity, epoch: int = 7) -> None:
        self.identity = identity
        self.epoch = epoch
        self.id = ids.log_id(identity.public_key, epoch)
        self.prev = record.GENESIS
        self.seq = 0
        self.records = [self.write([])]

    def write(
        self, operations: Sequence[AnyOperation], logs: Sequence[tuple[bytes, int]] = ()
    ) -> bytes:
        one = self.identity
        first: list[AnyOperation] = []
        if self.seq == 0:
            first.append(OpenLog(one.public_key, self.epoch, list(one.chain)))
        body = Body(list(logs), [*first, *operations])
        made = record.write(
            one.key,
            one.trust.mesh_id,
            self.id,
            self.seq + 1,
            self.prev,
            (int(WALL * 1000) << 16) + self.seq + 1,
            encode_body(body),
        )
        check_operations(decode_body_untrusted(made.body), made)
        self.seq, self.prev = made.seq, made.hash
        if self.seq > 1:
            self.records.append(made.data)
        return made.data


class Wild:
    """Operations with whatever fields, about few keys, that name dots of few records."""

    def __init__(self, rng: random.Random, heads: Sequence[int]) -> None:
        self.rng = rng
        self.heads = heads
        """Of the record's own log, then of those that it names."""

    def seen(self) -> list[tuple[int, int]]:
        refs = [ref for ref in range(1, len(self.heads)) if self.rng.random() < 0.7]
        return [(ref, self.seq(ref)) for ref in refs]

    def dots(self) -> list[tuple[int, int, int]]:
        refs = [self.rng.randrange(len(self.heads)) for _ in range(self.rng.randrange(5))]
        return [(ref, self.seq(ref), self.place()) for ref in refs]

    def seq(self, ref: int) -> int:
        head = self.heads[ref]
        return head if self.rng.random() < 0.5 else self.rng.randint(1, head)

    def place(self) -> int:
        return self.rng.choice([0, 1, 2, 3, 0xFFFF])

    def path(self, own: bool) -> list[tuple[int, int, int]]:
        steps = [
            (self.rng.randrange(-2, 3), self.rng.randrange(len(self.heads)), self.rng.randrange(3))
            for _ in range(self.rng.choice([0, 0, 1, 2]))
        ]
        ref = 0 if own else self.rng.randrange(len(self.heads))
        return [*steps, (self.rng.randrange(-2, 3), ref, self.rng.randrange(3))]

    def element(self) -> tuple[list[tuple[int, int, int]], int, int]:
        path = self.path(own=False)
        return path, self.seq(path[-1][1]), self.place()

    def id(self) -> tuple[int, int]:
        return self.rng.choice([(0, 0), (1, 1), (1, 2), (2, 1), (2**64 - 1, 2**64 - 1)])

    def ids(self) -> list[tuple[int, int]]:
        return list(dict.fromkeys(self.id() for _ in range(self.rng.randrange(4))))

    def hits(self) -> bytes:
        return b"".join(
            (self.rng.randrange(4) << 6 | self.rng.randint(1, 50)).to_bytes(3, "big")
            for _ in range(self.rng.randrange(3))
        )

    def number(self) -> int | str:
        return self.rng.choice([1, 1, -1, 1 << 62, -(1 << 62), "0.5", "-1e17", "1.0", "-0"])

    def score(self) -> float:
        return self.rng.choice([0.0, -0.0, 1.0, 0.1, 5e-324, 1.7e308, -1.7e308, inf, -inf])

    def value(self) -> bytes:
        return self.rng.choice([b"", b"5", b"text", b"-0.5"])

    def operation(self) -> AnyOperation:
        rng, key = self.rng, self.rng.choice(KEYS)
        name = rng.choice(NAMES)
        names = [rng.choice(NAMES) for _ in range(rng.randrange(4))]
        deadline = rng.choice([None, 0, int(WALL * 1000) + 5000, 1 << 49])
        makers: list[Callable[[], AnyOperation]] = [
            lambda: Set(key, self.value(), rng.random() < 0.3, self.seen()),
            lambda: Increment(key, self.number()),
            lambda: Delete(key, self.seen()),
            lambda: HashSet(key, [(n, self.value()) for n in names], self.seen()),
            lambda: HashIncrement(key, name, self.number()),
            lambda: HashDelete(key, names, self.seen()),
            lambda: HashExpire(key, names, deadline, self.seen()),
            lambda: SetAdd(key, names, self.seen()),
            lambda: SetRemove(key, names, self.seen()),
            lambda: Expire(key, deadline, self.seen()),
            lambda: ScoreSet(key, [(n, self.score()) for n in names], self.seen()),
            lambda: ScoreIncrement(key, name, self.score()),
            lambda: ScoreRemove(key, names, self.seen()),
            lambda: ListInsert(key, self.path(own=True), [b"v"] * rng.randint(1, 3)),
            lambda: ListRemove(
                key,
                [(self.element(), rng.choice([None, self.element()])) for _ in range(2)],
                self.seen(),
            ),
            lambda: ListSet(key, self.element(), self.value(), self.seen()),
            lambda: SketchAdd(key, self.hits(), self.dots()),
            lambda: StreamAdd(
                key, [(*i, [b"f", self.value()]) for i in self.ids()], rng.random() < 0.5
            ),
            lambda: StreamDelete(key, [self.id(), self.id()], self.seen()),
            lambda: StreamTrim(key, self.id(), self.seen()),
            lambda: StreamTop(key, self.id()),
            lambda: GroupCreate(key, name, self.id(), self.seen(), self.dots()),
            lambda: GroupDestroy(key, name, self.seen()),
            lambda: GroupAck(key, name, self.id(), self.dots()),
        ]
        return rng.choice(makers)()


def wild_record(rng: random.Random, log: Log, others: Sequence[Log]) -> bytes:
    """A record of up to four wild operations that names what others have written so far."""
    named = [(other.id, rng.randint(1, other.seq)) for other in others if rng.random() < 0.6]
    wild = Wild(rng, [log.seq + 1, *(head for _log, head in named)])
    for _try in count():
        operations = [wild.operation() for _ in range(rng.randrange(1, 5))]
        try:
            return log.write(operations, named)
        except RemoteProtocolError:
            continue
    raise AssertionError


def swarm(rng: random.Random, records: int) -> list[Log]:
    """Logs of several liars, one of whom has two."""
    identities = mesh().identities
    logs = [Log(identities[0]), Log(identities[1]), Log(identities[2]), Log(identities[2], 8)]
    for _ in range(records):
        log = rng.choice(logs)
        wild_record(rng, log, [other for other in logs if other is not log])
    return logs


def shuffled(rng: random.Random, logs: Sequence[Log]) -> Iterator[bytes]:
    """All records in an order in which nothing waits: each after what it names."""
    left = {log.id: list(log.records) for log in logs}
    done: dict[LogId, int] = dict.fromkeys(left, 0)
    while left:
        log = rng.choice(list(left))
        taken: Record = record.parse_untrusted(left[log][0])
        named = decode_body_untrusted(taken.body).logs
        if any(done[LogId(other)] < seq for other, seq in named):
            continue
        done[log] = taken.seq
        del left[log][0]
        if not left[log]:
            del left[log]
        yield taken.data
