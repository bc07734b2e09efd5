"""What clients do: random operations on every type, and a ledger whose sums are known.

The free operations meet on few keys, so that conflicts of every kind happen. The ledger is kept
under keys of its own: unique members that are never removed, a counter, pairs written together, and
members that name the one their author had read. `ledger` says what must be there in the end.
Knows the keyspace's methods; knows no engine, network or disk.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from gossipnet.state.errors import KeyspaceError
from gossipnet.state.keyspace import Keyspace

UNIQUE = b"ledger:unique"
COUNT = b"ledger:count"
CHAIN = b"ledger:chain"
PAIR = (b"ledger:left", b"ledger:right")

SYNCED_AFTER = 1.5
"""Seconds after which ``every-second`` has made a write safe, with some room."""

Operation = Callable[[Keyspace, random.Random], None]


@dataclass
class Entry:
    """One entry: how much it counts, who wrote it, and when it was acknowledged, if it was.

    A refused one may be there in part.
    """

    by: int
    writer: int
    refused: bool = False
    acknowledged_at: float | None = None


@dataclass
class Ledger:
    """What was tried and what was acknowledged.

    Attributes:
      entries: By member.
      operations: Free operations by outcome: ``done`` or the name of the refusal.
    """

    entries: dict[bytes, Entry] = field(default_factory=dict)
    operations: Counter[str] = field(default_factory=Counter)

    @property
    def acknowledged(self) -> set[bytes]:
        """Members whose writers were told that they are safe."""
        return {m for m, entry in self.entries.items() if entry.acknowledged_at is not None}

    def bounds(self) -> tuple[int, int]:
        """The least and the most that the counter may be in the end."""
        low = high = 0
        for entry in self.entries.values():
            if entry.acknowledged_at is not None:
                low, high = low + entry.by, high + entry.by
            else:
                low, high = low + min(entry.by, 0), high + max(entry.by, 0)
        return low, high

    def disk_lost(self, writer: int, now: float, others: list[Keyspace], *, entirely: bool) -> None:
        """A writer's disk went back in time: what only it had was never promised to survive.

        Args:
          writer: Which machine.
          now: Virtual seconds.
          others: What the machines that go on hold.
          entirely: The disk is empty; else what was written long enough ago is still there.
        """
        for member, entry in self.entries.items():
            if entry.writer != writer or entry.acknowledged_at is None:
                continue
            settled = now - entry.acknowledged_at > SYNCED_AFTER
            if settled and entirely:
                settled = bool(others) and all(ks.is_member(UNIQUE, member) for ks in others)
            if not settled:
                entry.acknowledged_at = None


class Workload:
    """Makes the operations of one run.

    Args:
      rng: Decides all of them.
      keys: So many keys for each type; fewer means more conflicts.
    """

    def __init__(self, rng: random.Random, keys: int = 6) -> None:
        self.ledger = Ledger()
        self._rng = rng
        self._serial = 0
        self._strings = [b"string:%d" % n for n in range(keys)]
        self._hashes = [b"hash:%d" % n for n in range(keys)]
        self._sets = [b"set:%d" % n for n in range(keys)]
        self._scores = [b"zset:%d" % n for n in range(keys)]
        self._lists = [b"list:%d" % n for n in range(keys)]
        self._mixed = [b"any:%d" % n for n in range(keys)]
        self._names = [b"f%d" % n for n in range(8)]
        table: list[tuple[int, Operation]] = [
            (10, self._set),
            (10, self._increment),
            (3, self._increment_float),
            (8, self._hash_set),
            (5, self._hash_increment),
            (2, self._hash_increment_float),
            (4, self._hash_delete),
            (10, self._add),
            (6, self._remove),
            (2, self._store_set),
            (6, self._score_set),
            (6, self._score_increment),
            (3, self._score_remove),
            (8, self._push),
            (6, self._pop),
            (3, self._insert),
            (2, self._assign),
            (4, self._expire),
            (2, self._persist),
            (4, self._delete),
            (2, self._rename),
            (2, self._copy),
            (3, self._transaction),
        ]
        # Each run has its own mixture, and some operations are absent from some runs.
        self._operations = [operation for _weight, operation in table]
        self._weights = [weight * rng.choice((0.0, 0.5, 1.0, 1.0, 2.0)) for weight, _op in table]
        if not any(self._weights):
            self._weights = [float(weight) for weight, _operation in table]

    # -- what a client does in one go ----------------------------------------------------------

    def free(self, keyspace: Keyspace, count: int) -> None:
        """``count`` operations on shared keys; refusals are part of it."""
        outcomes = self.ledger.operations
        for operation in self._rng.choices(self._operations, self._weights, k=count):
            try:
                operation(keyspace, self._rng)
            except KeyspaceError as refusal:
                outcomes[type(refusal).__name__] += 1
            else:
                outcomes["done"] += 1

    def entry(self, keyspace: Keyspace, writer: int) -> Entry:
        """One entry in the ledger; set its ``acknowledged_at`` when that comes."""
        self._serial += 1
        member = b"%d" % self._serial
        entry = self.ledger.entries[member] = Entry(self._rng.randrange(-50, 100), writer)
        read = max((int(m.split(b"<")[0]) for m in keyspace.members(CHAIN)), default=0)
        try:
            keyspace.add(UNIQUE, [member])
            keyspace.increment(COUNT, entry.by)
            keyspace.add(CHAIN, [b"%d<%d" % (self._serial, read)])
            with keyspace.atomic():
                for key in PAIR:
                    keyspace.set(key, member)
        except KeyspaceError as refusal:
            self.ledger.operations[type(refusal).__name__] += 1
            entry.refused = True
        return entry

    # -- single operations ---------------------------------------------------------------------

    def _key(self, rng: random.Random, own: list[bytes]) -> bytes:
        return rng.choice(self._mixed if rng.random() < 0.15 else own)

    def _any_key(self, rng: random.Random) -> bytes:
        return rng.choice(
            rng.choice(
                (self._strings, self._hashes, self._sets, self._scores, self._lists, self._mixed)
            )
        )

    def _value(self, rng: random.Random) -> bytes:
        self._serial += 1
        return b"%d" % self._serial if rng.random() < 0.5 else b"v%d" % self._serial

    def _set(self, keyspace: Keyspace, rng: random.Random) -> None:
        deadline = keyspace.wall_ms + rng.randrange(1, 20_000) if rng.random() < 0.2 else None
        keep = deadline is None and rng.random() < 0.2
        key = self._key(rng, self._strings)
        keyspace.set(key, self._value(rng), keep_ttl=keep, deadline_ms=deadline)

    def _increment(self, keyspace: Keyspace, rng: random.Random) -> None:
        keyspace.increment(self._key(rng, self._strings), rng.randrange(-9, 10))

    def _increment_float(self, keyspace: Keyspace, rng: random.Random) -> None:
        by = Decimal(rng.randrange(-999, 1000)) / 100
        keyspace.increment_float(self._key(rng, self._strings), by)

    def _hash_set(self, keyspace: Keyspace, rng: random.Random) -> None:
        names = rng.sample(self._names, rng.randrange(1, 4))
        key = self._key(rng, self._hashes)
        keyspace.hash_set(key, [(name, self._value(rng)) for name in names])

    def _hash_increment(self, keyspace: Keyspace, rng: random.Random) -> None:
        key = self._key(rng, self._hashes)
        keyspace.hash_increment(key, rng.choice(self._names), rng.randrange(-9, 10))

    def _hash_increment_float(self, keyspace: Keyspace, rng: random.Random) -> None:
        key, by = self._key(rng, self._hashes), Decimal(rng.randrange(-999, 1000)) / 100
        keyspace.hash_increment_float(key, rng.choice(self._names), by)

    def _hash_delete(self, keyspace: Keyspace, rng: random.Random) -> None:
        key = self._key(rng, self._hashes)
        keyspace.hash_delete(key, rng.sample(self._names, rng.randrange(1, 4)))

    def _add(self, keyspace: Keyspace, rng: random.Random) -> None:
        names = rng.sample(self._names, rng.randrange(1, 4))
        keyspace.add(self._key(rng, self._sets), names)

    def _remove(self, keyspace: Keyspace, rng: random.Random) -> None:
        names = rng.sample(self._names, rng.randrange(1, 4))
        keyspace.remove(self._key(rng, self._sets), names)

    def _store_set(self, keyspace: Keyspace, rng: random.Random) -> None:
        one, other = rng.choice(self._sets), rng.choice(self._sets)
        union = dict.fromkeys([*keyspace.members(one), *keyspace.members(other)])
        keyspace.store_set(rng.choice(self._sets), list(union))

    def _score_set(self, keyspace: Keyspace, rng: random.Random) -> None:
        names = rng.sample(self._names, rng.randrange(1, 4))
        key = self._key(rng, self._scores)
        keyspace.score_set(key, [(name, rng.randrange(-99, 100) / 10) for name in names])

    def _score_increment(self, keyspace: Keyspace, rng: random.Random) -> None:
        key, by = self._key(rng, self._scores), rng.choice((0.1, 0.7, -1.3, 1e16, -1e16))
        keyspace.score_increment(key, rng.choice(self._names), by)

    def _score_remove(self, keyspace: Keyspace, rng: random.Random) -> None:
        names = rng.sample(self._names, rng.randrange(1, 4))
        keyspace.score_remove(self._key(rng, self._scores), names)

    def _push(self, keyspace: Keyspace, rng: random.Random) -> None:
        values = [self._value(rng) for _ in range(rng.randrange(1, 4))]
        keyspace.list_push(self._key(rng, self._lists), values, left=rng.random() < 0.5)

    def _pop(self, keyspace: Keyspace, rng: random.Random) -> None:
        key, count = self._key(rng, self._lists), rng.randrange(1, 4)
        keyspace.list_pop(key, count, left=rng.random() < 0.5)

    def _insert(self, keyspace: Keyspace, rng: random.Random) -> None:
        key = self._key(rng, self._lists)
        rank = rng.randrange(keyspace.list_len(key) + 1)
        keyspace.list_insert(key, rank, [self._value(rng)])

    def _assign(self, keyspace: Keyspace, rng: random.Random) -> None:
        key = self._key(rng, self._lists)
        rank = rng.randrange(keyspace.list_len(key) or 1)
        keyspace.list_set(key, rank, self._value(rng))

    def _expire(self, keyspace: Keyspace, rng: random.Random) -> None:
        key = self._any_key(rng)
        if keyspace.exists(key):
            keyspace.expire(key, keyspace.wall_ms + rng.randrange(1, 20_000))

    def _persist(self, keyspace: Keyspace, rng: random.Random) -> None:
        key = self._any_key(rng)
        if keyspace.exists(key) and keyspace.deadline_of(key) is not None:
            keyspace.expire(key, None)

    def _delete(self, keyspace: Keyspace, rng: random.Random) -> None:
        keyspace.delete(self._any_key(rng))

    def _rename(self, keyspace: Keyspace, rng: random.Random) -> None:
        keyspace.rename(self._any_key(rng), self._any_key(rng))

    def _copy(self, keyspace: Keyspace, rng: random.Random) -> None:
        keyspace.copy(self._any_key(rng), self._any_key(rng))

    def _transaction(self, keyspace: Keyspace, rng: random.Random) -> None:
        with keyspace.atomic():
            for _ in range(rng.randrange(2, 5)):
                self._add(keyspace, rng)
                self._set(keyspace, rng)


def ledger_complaint(keyspace: Keyspace) -> str:
    """What at this moment contradicts the ledger's own rules on one node, or ""."""
    left, right = (keyspace.get(key) for key in PAIR)
    if left != right:
        return f"half of a transaction shows: {left!r} and {right!r}"
    chain = [member.split(b"<") for member in keyspace.members(CHAIN)]
    there = {number for number, _read in chain}
    for number, read in chain:
        if read != b"0" and read not in there:
            return (
                f"entry {number.decode()} shows, but not {read.decode()} that its author had read"
            )
    return ""


def ledger_losses(keyspace: Keyspace, ledger: Ledger) -> str:
    """What of the ledger is lost, or too much, on one node in the end, or ""."""
    found = set(keyspace.members(UNIQUE))
    lost = ledger.acknowledged - found
    if lost:
        return f"{len(lost)} acknowledged members are lost, such as {min(lost).decode()}"
    strange = found - ledger.entries.keys()
    if strange:
        return f"a member that nobody added: {min(strange)!r}"
    count = int(keyspace.get(COUNT) or 0)
    low, high = ledger.bounds()
    if not low <= count <= high:
        return f"the counter is {count}, not within {low}..{high}"
    return ""
