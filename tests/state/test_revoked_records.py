"""A revocation's effect on state: the same on every replica, whatever it learned first."""

import itertools
import random
from collections.abc import Callable, Sequence

import pytest
from sites import WALL, Sites, mesh

from gossipnet.identity.founding import admit, expand
from gossipnet.identity.revocation import Revocation, make_revocation
from gossipnet.ids import LogId
from gossipnet.state import rebuild
from gossipnet.state.errors import WritesRefused
from gossipnet.state.replica import AppliedRecord, Replica, Status

FOUNDER = mesh().identities[0]


def fresh() -> Replica:
    """A replica of somebody who was not there."""
    identity = mesh().identities[3]
    return Replica(
        key=identity.key, chain=identity.chain, trust=identity.trust, epoch=9, wall=WALL + 100
    )


class Observer:
    """A replica with a disk: takes records and revocations in any order."""

    def __init__(self) -> None:
        self.replica = fresh()
        self.disk: list[bytes] = []
        self.waiting: list[AppliedRecord] = []

    def take(self, event: AppliedRecord | Revocation) -> None:
        if isinstance(event, Revocation):
            self.replica.revocations.add(event)
            if self.replica.revocations_changed():
                self.rebuild()
            return
        outcome = self.replica.ingest(event.data, WALL + 100)
        self.disk += [record.data for record in outcome.applied]

    def rebuild(self) -> None:
        work = self.replica.begin_rebuild()
        while wanted := work.wanted():
            ranges = {log: (first, last) for log, first, last in wanted}
            for data in self.disk:
                log, seq = LogId(data[2:18]), int.from_bytes(data[18:26], "big")
                first, last = ranges.get(log, (1, 0))
                if first <= seq <= last:
                    work.feed(data)
        work.finish()

    def restarted(self) -> Replica:
        """What a process holds that finds records and revocations on this disk."""
        other = fresh()
        for revocation in self.replica.revocations:
            other.revocations.add(revocation)
        for data in self.disk:
            other.load(data)
        other.finish_loading(WALL + 100)
        return other


def revoke(
    site: Replica, cut: int | None, *, seen: bool = True, by: int = 0, about: int = 2
) -> Revocation:
    """The founder revokes site C: as it has applied it, or with a stated cut."""
    identity, subject = mesh().identities[by], mesh().identities[about]
    logs = site.logs.of_author(subject.node_id)
    stated = [] if cut is None else [(log, min(cut, head), last) for log, head, last in logs]
    return make_revocation(
        identity.key,
        identity.chain,
        identity.trust,
        node=subject.node_id,
        name=subject.name,
        reason="lost",
        wall=WALL + 50,
        seen=logs if seen else (),
        cut=stated,
    )


def mingled() -> tuple[Sites, list[AppliedRecord]]:
    """C writes, overwrites, deletes, counts and expires; A and B build on some of it."""
    sites = Sites()
    sites.A.set(b"a", b"1")
    sites.C.set(b"c", b"good")
    sites.C.increment(b"n", 5)
    sites.sync("A", "B", "C")
    sites.C.set(b"a", b"bad")
    sites.C.increment(b"n", 100)
    sites.B.increment(b"n", 7)
    sites.sync("A", "B", "C")
    sites.C.delete(b"c")
    sites.C.add(b"s", [b"x", b"y"])
    sites.B.set(b"a", b"over the bad one")
    sites.sync("A", "C")
    sites.A.remove(b"s", [b"x"])
    sites.A.hash_set(b"h", [(b"f", b"1")])
    sites.C.hash_increment(b"h", b"f", 3)
    sites.sync("A", "B", "C")
    sites.B.delete(b"n")
    sites.C.expire(b"a", int((WALL + 30) * 1000))
    sites.C.increment(b"n", 9)
    sites.A.expire(b"h", int((WALL + 1000) * 1000))
    sites.C.delete(b"h")
    for name in sites.replicas:
        sites._collect(name)
    return sites, [record for name in "ABC" for record in sites.sent[name]]


def deliver(events: Sequence[AppliedRecord | Revocation]) -> Observer:
    """Everything in this order; records that were not kept come again."""
    observer = Observer()
    for event in events:
        observer.take(event)
    records = [event for event in events if isinstance(event, AppliedRecord)]
    while any(record.seq > observer.replica.head(record.log) for record in records):
        for record in records:
            observer.take(record)
    return observer


@pytest.mark.parametrize("cut", [0, 2, 3, 5, 7])
def test_state_is_the_same_in_every_order_of_delivery(cut: int) -> None:
    sites, records = mingled()
    revocation = revoke(sites.replicas["C"], cut, seen=False)
    known_first = deliver([revocation, *records]).replica.state_digest()
    rng = random.Random(cut)
    for _ in range(20):
        events = [revocation, *records]
        rng.shuffle(events)
        observer = deliver(events)
        assert observer.replica.state_digest() == known_first
        assert observer.restarted().state_digest() == known_first
        assert observer.replica.digest() == sites_vector(records)


def sites_vector(records: Sequence[AppliedRecord]) -> bytes:
    return deliver(records).replica.digest()


@pytest.mark.parametrize("from_memory", [0, 3, rebuild.FROM_MEMORY])
def test_all_permutations_of_a_short_history(
    monkeypatch: pytest.MonkeyPatch, from_memory: int
) -> None:
    monkeypatch.setattr(rebuild, "FROM_MEMORY", from_memory)
    sites = Sites()
    sites.C.set(b"k", b"first")
    sites.sync("A", "C")
    sites.A.set(b"k", b"second")
    sites.C.set(b"k", b"third")
    sites._collect("A")
    sites._collect("C")
    records = sites.sent["A"] + sites.sent["C"]
    first, later = (revoke(sites.replicas["C"], cut, seen=False) for cut in (1, 0))
    seen: dict[tuple[Revocation, ...], set[bytes]] = {}
    for events in itertools.permutations([*records, first, later]):
        replica = deliver(events).replica
        assert replica.keyspace.get(b"k") == b"second"
        seen.setdefault((), set()).add(replica.state_digest())
    assert len(seen[()]) == 1


@pytest.mark.parametrize("cut", [0, 1])
def test_explored_revocation(cut: int) -> None:
    """Records, two revocations, each told once or twice, in every order: one state."""
    sites = Sites()
    sites.C.set(b"k", b"first")
    sites.sync("A", "C")
    sites.C.set(b"k", b"second")
    sites._collect("A")
    sites._collect("C")
    records = sites.sent["C"]
    stated = [revoke(sites.replicas["C"], each, seen=False) for each in (cut, 2)]
    digests = set()
    for twice in (*records, *stated):
        for events in itertools.permutations([*records, *stated, twice]):
            digests.add(deliver(events).replica.state_digest())
    assert len(digests) == 1


def test_what_void_records_removed_is_back_and_what_they_wrote_is_gone() -> None:
    sites = Sites()
    sites.A.set(b"kept", b"value")
    sites.A.add(b"set", [b"one"])
    sites.sync("A", "B", "C")
    revocation = revoke(sites.replicas["A"], None)
    sites.C.delete(b"kept")
    sites.C.remove(b"set", [b"one"])
    sites.C.set(b"new", b"unwanted")
    sites._collect("C")
    observer = deliver(sites.sent["A"] + sites.sent["B"] + sites.sent["C"])
    keyspace = observer.replica.keyspace
    assert not keyspace.exists(b"kept")
    told: list[tuple[bytes, str]] = []
    keyspace.on_change = lambda key, event, _log, _stamp: told.append((key, event))
    token = keyspace.watch(b"new")
    observer.take(revocation)
    assert keyspace.get(b"kept") == b"value"
    assert keyspace.is_member(b"set", b"one")
    assert not keyspace.exists(b"new")
    assert sorted(told) == [(b"kept", "set"), (b"new", "del"), (b"set", "sadd")]
    assert keyspace.changed_since(b"new", token)


def test_cut_is_the_later_of_what_was_stated_and_what_was_seen() -> None:
    sites = Sites()
    for number in range(4):
        sites.C.set(b"k%d" % number, b"v")
    sites.sync("A", "C")
    assert max(revoke(sites.replicas["A"], 2).cut.values()) == 4
    assert max(revoke(sites.replicas["A"], 2, seen=False).cut.values()) == 2
    assert max(revoke(sites.replicas["A"], None).cut.values()) == 4


def test_of_two_revocations_the_earlier_cut_counts() -> None:
    sites = Sites()
    for number in range(4):
        sites.C.set(b"k%d" % number, b"v")
    sites._collect("C")
    one, two = revoke(sites.replicas["C"], 3, seen=False), revoke(sites.replicas["C"], None)
    for events in itertools.permutations([one, two]):
        observer = deliver([*sites.sent["C"], *events])
        assert sorted(observer.replica.keyspace.keys()) == [b"k0", b"k1", b"k2"]


def test_logs_that_no_cut_names_are_void_from_their_beginning() -> None:
    sites = Sites()
    sites.C.set(b"old", b"v")
    sites.sync("A", "C")
    revocation = revoke(sites.replicas["A"], None)
    sites.replicas["C"].open_epoch(77, sites.wall)
    sites.C.set(b"in a new epoch", b"v")
    sites._collect("C")
    records = sites.sent["C"]
    for events in ([revocation, *records], [*records, revocation]):
        keyspace = deliver(events).replica.keyspace
        assert list(keyspace.keys()) == [b"old"] or not list(keyspace.keys())
        assert not keyspace.exists(b"in a new epoch")


def test_a_void_record_is_kept_for_those_that_depend_on_it() -> None:
    sites = Sites()
    sites.C.set(b"k", b"void")
    sites.sync("A", "C")
    sites.A.set(b"k", b"honest")
    sites._collect("A")
    observer = Observer()
    observer.take(revoke(sites.replicas["C"], 0, seen=False))
    first = next(r for r in _all_of(sites, "C"))
    assert observer.replica.ingest(first.data, WALL + 100).status is Status.VOID
    for record in _all_of(sites, "A"):
        observer.take(record)
    assert observer.replica.keyspace.get(b"k") == b"honest"
    assert observer.replica.held == 0


def _all_of(sites: Sites, name: str) -> list[AppliedRecord]:
    replica = sites.replicas[name]
    log = replica.own_log
    found = []
    for seq in range(1, replica.head(log) + 1):
        data = replica.record(log, seq)
        assert data is not None
        found.append(AppliedRecord(log, seq, data))
    return found


def test_writes_that_come_while_keys_are_computed_are_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rebuild, "FROM_MEMORY", 2)
    sites, records = mingled()
    observer = deliver(records)
    revocation = revoke(sites.replicas["C"], 2, seen=False)
    replica = observer.replica
    replica.revocations.add(revocation)
    assert replica.revocations_changed()
    work = replica.begin_rebuild()
    written = 0
    while wanted := work.wanted():
        if written < 3:
            replica.keyspace.set(b"a", b"local %d" % written)
            replica.keyspace.set(b"local", b"%d" % written)
            observer.disk += [record.data for record in replica.seal(WALL + 100)]
            written += 1
        ranges = {log: (first, last) for log, first, last in wanted}
        for data in observer.disk:
            log, seq = LogId(data[2:18]), int.from_bytes(data[18:26], "big")
            first, last = ranges.get(log, (1, 0))
            if first <= seq <= last:
                work.feed(data)
    work.finish()
    assert written
    assert replica.keyspace.get(b"a") == b"local %d" % (written - 1)
    assert observer.restarted().state_digest() == replica.state_digest()


def test_a_revoked_node_does_not_write_any_more() -> None:
    sites = Sites()
    sites.C.set(b"k", b"v")
    sites.replicas["C"].bar("this node was revoked: lost")
    with pytest.raises(WritesRefused, match="revoked"):
        sites.C.set(b"k", b"w")
    assert sites.C.get(b"k") == b"v"


# -- certificates ----------------------------------------------------------------------------------


def issuer_statement(kept: Sequence[bytes], make: Callable[..., Revocation]) -> Revocation:
    """The founder strikes the certificate of a sub-issuer."""
    return make(
        FOUNDER.key,
        FOUNDER.chain,
        FOUNDER.trust,
        certificate=SUB.issuer.certificate.fingerprint,
        name="sub",
        reason="stolen",
        wall=WALL + 50,
        seen=(),
        kept=kept,
    )


_entropy = expand(b"sub-issuer")
SUB = admit(FOUNDER, "sub", _entropy, WALL, roles=frozenset({"member", "issuer"}))
OLD, NEW = (admit(SUB, name, _entropy, WALL) for name in ("old", "new"))


@pytest.mark.parametrize("first", [True, False])
def test_a_revoked_issuers_certificates_strike_all_but_those_that_were_kept(first: bool) -> None:
    written: list[AppliedRecord] = []
    for identity in (OLD, NEW):
        replica = Replica(
            key=identity.key, chain=identity.chain, trust=identity.trust, epoch=1, wall=WALL
        )
        replica.keyspace.set(identity.name.encode(), b"v")
        written += replica.seal(WALL)
    statement = issuer_statement([OLD.node_id], make_revocation)
    events = [statement, *written] if first else [*written, statement]
    observer = deliver(events)
    assert list(observer.replica.keyspace.keys()) == [b"old"]
    revocations = observer.replica.revocations
    assert revocations.against(NEW.node_id, NEW.chain) == [statement]
    assert revocations.against(OLD.node_id, OLD.chain) == []
    assert revocations.against(SUB.node_id, SUB.chain) == []
