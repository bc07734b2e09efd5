"""All types beside a model that anybody can check: whatever sites do and hear of each other.

The model keeps every write of every site with what that site had heard of before. A write counts
until somebody who had heard of it replaces or removes it; of what counts, numbers add up, and of
assigned values the newest shows (each write here comes ten milliseconds after the one before).
"""

import os
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sites import Sites, deliver

from gossipnet.state.keyspace import Keyspace
from gossipnet.state.replica import AppliedRecord

SITES = st.sampled_from("ABC")
NAMES = st.sampled_from([b"x", b"y"])
NUMBERS = st.integers(-3, 9)
REGISTER, COUNTER, SET, HASH, ZSET, LIST, STREAM = b"r", b"c", b"s", b"h", b"z", b"l", b"q"


@dataclass(frozen=True)
class Write:
    """One write: of a part of a key, or (with ``part`` None) of all of it.

    Attributes:
      adds: It is there until somebody removes it.
      assigns: It replaces what its author had heard of (of the part, or of all).
      value: Assigned, added up if ``counts``, or merely there.
    """

    number: int
    key: bytes
    part: bytes | None
    value: int
    adds: bool
    assigns: bool
    counts: bool
    heard: frozenset[int]

    def takes(self, other: "Write") -> bool:
        """Whether this one ends another one."""
        mine = self.part is None or self.part == other.part
        return self.assigns and mine and self.key == other.key and other.number in self.heard


class Beside(RuleBasedStateMachine):
    """Three sites, and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.sites = Sites()
        self.writes: dict[int, Write] = {}
        self.heard: dict[str, set[int]] = {name: set() for name in "ABC"}
        self.records: dict[bytes, list[AppliedRecord]] = {}
        self.looked: set[str] = set()

    def write(
        self,
        site: str,
        key: bytes,
        part: bytes | None = None,
        value: int = 0,
        *,
        adds: bool = True,
        assigns: bool = True,
        counts: bool = False,
    ) -> Keyspace:
        """Note a write in the model; the keyspace to make it in."""
        number = len(self.writes)
        heard = frozenset(self.heard[site])
        self.writes[number] = Write(number, key, part, value, adds, assigns, counts, heard)
        self.heard[site].add(number)
        self.looked.add(site)
        return getattr(self.sites, site)

    def lives(self, site: str, key: bytes) -> dict[bytes | None, list[Write]]:
        """What counts at a site, by part."""
        seen = [self.writes[number] for number in sorted(self.heard[site])]
        found: dict[bytes | None, list[Write]] = {}
        for one in seen:
            if one.key == key and one.adds and not any(other.takes(one) for other in seen):
                found.setdefault(one.part, []).append(one)
        return found

    @staticmethod
    def shown(writes: list[Write]) -> int:
        """The newest assigned value, and all that was added."""
        assigned = [one.value for one in writes if not one.counts][-1:]
        return sum(assigned) + sum(one.value for one in writes if one.counts)

    # -- what sites do -------------------------------------------------------------------------

    @rule(site=SITES, value=NUMBERS)
    def assign(self, site: str, value: int) -> None:
        self.write(site, REGISTER, b"", value).set(REGISTER, b"%d" % value)

    @rule(site=SITES, value=NUMBERS)
    def assign_a_counter(self, site: str, value: int) -> None:
        self.write(site, COUNTER, b"", value).set(COUNTER, b"%d" % value)

    @rule(site=SITES, value=NUMBERS)
    def count(self, site: str, value: int) -> None:
        self.write(site, COUNTER, b"", value, assigns=False, counts=True).increment(COUNTER, value)

    @rule(site=SITES, name=NAMES)
    def add(self, site: str, name: bytes) -> None:
        self.write(site, SET, name).add(SET, [name])

    @rule(site=SITES, name=NAMES)
    def remove(self, site: str, name: bytes) -> None:
        self.write(site, SET, name, adds=False).remove(SET, [name])

    @rule(site=SITES, name=NAMES, value=NUMBERS)
    def assign_a_field(self, site: str, name: bytes, value: int) -> None:
        self.write(site, HASH, name, value).hash_set(HASH, [(name, b"%d" % value)])

    @rule(site=SITES, name=NAMES, value=NUMBERS)
    def count_in_a_field(self, site: str, name: bytes, value: int) -> None:
        keyspace = self.write(site, HASH, name, value, assigns=False, counts=True)
        keyspace.hash_increment(HASH, name, value)

    @rule(site=SITES, name=NAMES)
    def remove_a_field(self, site: str, name: bytes) -> None:
        self.write(site, HASH, name, adds=False).hash_delete(HASH, [name])

    @rule(site=SITES, name=NAMES, value=NUMBERS)
    def assign_a_score(self, site: str, name: bytes, value: int) -> None:
        self.write(site, ZSET, name, value).score_set(ZSET, [(name, value / 4)])

    @rule(site=SITES, name=NAMES, value=NUMBERS)
    def count_in_a_score(self, site: str, name: bytes, value: int) -> None:
        keyspace = self.write(site, ZSET, name, value, assigns=False, counts=True)
        keyspace.score_increment(ZSET, name, value / 4)

    @rule(site=SITES, name=NAMES)
    def remove_a_score(self, site: str, name: bytes) -> None:
        self.write(site, ZSET, name, adds=False).score_remove(ZSET, [name])

    @rule(site=SITES, left=st.booleans())
    def push(self, site: str, left: bool) -> None:
        value = b"%d" % len(self.writes)
        self.write(site, LIST, value, assigns=False).list_push(LIST, [value], left=left)

    @rule(site=SITES)
    def pop(self, site: str) -> None:
        popped = getattr(self.sites, site).list_pop(LIST)
        for value in popped:
            self.write(site, LIST, value, adds=False)

    @rule(site=SITES)
    def add_an_entry(self, site: str) -> None:
        value = b"%d" % len(self.writes)
        self.write(site, STREAM, value, assigns=False).stream_add(STREAM, None, [b"f", value])

    @rule(site=SITES, key=st.sampled_from([REGISTER, COUNTER, SET, HASH, ZSET, LIST, STREAM]))
    def delete(self, site: str, key: bytes) -> None:
        self.write(site, key, adds=False).delete(key)

    @rule(site=SITES, other=SITES)
    def hear(self, site: str, other: str) -> None:
        """One site hears of all that another one has heard of."""
        for name, replica in self.sites.replicas.items():
            for record in replica.seal(self.sites.wall):
                self.records.setdefault(self.sites.replicas[name].own_log, []).append(record)
        for name, sent in self.sites.sent.items():
            self.records.setdefault(self.sites.replicas[name].own_log, []).extend(sent)
            sent.clear()
        here, there = self.sites.replicas[site], self.sites.replicas[other]
        due = [
            record
            for log, records in self.records.items()
            for record in sorted(records, key=lambda record: record.seq)
            if here.head(log) < record.seq <= there.head(log)
        ]
        deliver(here, due, self.sites.wall)
        self.heard[site] |= self.heard[other]
        self.looked.add(site)

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def every_site_shows_what_the_model_says(self) -> None:
        for site in sorted(self.looked):
            keyspace = self.sites.replicas[site].keyspace
            for key in (REGISTER, COUNTER):
                lives = self.lives(site, key).get(b"")
                assert keyspace.get(key) == (None if lives is None else b"%d" % self.shown(lives))
            assert set(keyspace.members(SET)) == set(self.lives(site, SET))
            fields = {
                name: b"%d" % self.shown(lives) for name, lives in self.lives(site, HASH).items()
            }
            assert dict(keyspace.hash_items(HASH)) == fields
            scores = {name: self.shown(lives) / 4 for name, lives in self.lives(site, ZSET).items()}
            assert dict(keyspace.scores(ZSET)) == scores
            elements = keyspace.list_slice(LIST, 0, keyspace.list_len(LIST))
            assert sorted(elements) == sorted(self.lives(site, LIST))  # type: ignore[type-var]
            stream = keyspace.stream(STREAM)
            entries = [] if stream is None else [entry[4][1] for entry in stream.entries]
            assert sorted(entries) == sorted(self.lives(site, STREAM))  # type: ignore[type-var]
        self.looked.clear()

    def teardown(self) -> None:
        for _twice in range(2):
            for site in "ABC":
                for other in "ABC":
                    self.hear(site, other)
        self.every_site_shows_what_the_model_says()
        digests = {replica.state_digest() for replica in self.sites.replicas.values()}
        assert len(digests) == 1, "sites differ after a full exchange"


TestBesideTheModel = Beside.TestCase
TestBesideTheModel.settings = settings(
    max_examples=2000 if os.environ.get("GOSSIPNET_SOAK") else 60,
    stateful_step_count=30,
    deadline=None,
)
