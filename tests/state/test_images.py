"""Images that somebody forged, cut short or put together wrongly are not believed."""

import random
from dataclasses import replace

import msgspec
import pytest
from sites import WALL, mesh
from test_random_clearing import Net, Site, agree, make, propose

from gossipnet.errors import RemoteProtocolError, StoreError
from gossipnet.state.image import Image, Proof, believe
from gossipnet.state.image_rows import decode_chunk_untrusted, encode_manifest
from gossipnet.state.operations import Checkpoint, Endorse
from gossipnet.state.replica import Replica, Status

TRUST = mesh().identities[3].trust


def stood() -> list[Site]:
    """Three sites that stand on one image."""

    sites = [Site(number, make(number, 1, WALL)) for number in range(3)]
    net = Net(sites, random.Random(1))
    for site in sites:
        for turn in range(20):
            site.replica.keyspace.set(b"k%d" % (turn % 5), b"%d" % turn)
            site.replica.keyspace.increment(b"n", turn)
        net.emit(site, WALL)
    settle(net)
    propose(sites[0].replica)
    for _round in range(2):
        for site in sites:
            net.emit(site, WALL)
        settle(net)
        for site in sites:
            site.look()
            net.emit(site, WALL)
        settle(net)
    for site in sites:
        site.look()
    assert all(site.replica.image is not None for site in sites)
    agree(sites, 1)
    return sites


def settle(net: Net) -> None:
    while any(net.due):
        for site in net.sites:
            net.deliver(site, 50, WALL)


def shown(site: Site) -> tuple[Image, Proof]:
    assert site.replica.image is not None
    assert site.proof is not None
    return site.replica.image, site.proof


def refused(image: Image, proof: Proof, why: str | None = None) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        believe(image, proof, TRUST)


def test_all_come_to_one_image_and_a_stranger_believes_it() -> None:
    sites = stood()
    assert len({shown(site)[0].data for site in sites}) == 1
    believe(*shown(sites[1]), TRUST)


def test_an_image_without_one_of_its_authors_is_not_believed() -> None:
    image, proof = shown(stood()[0])
    for left_out in range(3):
        fewer = tuple(one for at, one in enumerate(proof.endorsements) if at != left_out)
        refused(image, replace(proof, endorsements=fewer), "do not stand for it")


def test_an_author_cannot_be_signed_for_by_another() -> None:
    image, proof = shown(stood()[0])
    (one, _data), (_other, data), *_rest = proof.endorsements
    forged = ((one, data), *proof.endorsements[1:])
    refused(image, replace(proof, endorsements=forged))


def test_whatever_is_changed_in_a_manifest_is_noticed() -> None:
    image, proof = shown(stood()[0])
    row = image.manifest.logs[0]
    changes = [
        {"logs": image.manifest.logs[1:]},
        {"logs": [msgspec.structs.replace(row, head=row.head + 1), *image.manifest.logs[1:]]},
        {"logs": [msgspec.structs.replace(row, stamp=row.stamp + 1), *image.manifest.logs[1:]]},
        {"logs": [msgspec.structs.replace(row, voids=[(1, 2)]), *image.manifest.logs[1:]]},
        {"chunks": [bytes(32), *image.manifest.chunks[1:]]},
        {"keys": 1},
    ]
    for change in changes:
        other = Image.of(encode_manifest(msgspec.structs.replace(image.manifest, **change)))
        refused(other, proof)


def test_only_an_issuer_proposes() -> None:
    member: Replica = make(1, 1, WALL)
    member.keyspace.set(b"k", b"v")
    first = member.seal(WALL)
    heads = [(bytes(member.own_log), 1, member.logs.by_id[member.own_log].head_hash)]
    member.write_alone(Checkpoint(heads, []))
    records = first + member.seal(WALL)
    other = make(0, 1, WALL)
    assert [other.ingest(one.data, WALL).status for one in records] == [
        Status.APPLIED,
        Status.VOID,
    ]
    assert list(other.checkpoints) == []


def test_a_checkpoint_stands_alone_in_its_record_and_in_order() -> None:
    for bad in (
        [Checkpoint([(bytes(16), 1, bytes(32))] * 2, [])],
        [Checkpoint([], [bytes(32)] * 2)],
    ):
        author = make(0, 2, WALL)
        author.keyspace.set(b"k", b"v")
        author.seal(WALL)
        author.write_alone(bad[0])
        record = author.seal(WALL)[0]
        other = make(1, 2, WALL)
        other.ingest(author.record(author.own_log, 1) or b"", WALL)
        with pytest.raises(RemoteProtocolError):
            other.ingest(record.data, WALL)


def test_endorsements_of_what_nobody_proposed_are_not_kept() -> None:
    author = make(0, 3, WALL)
    for number in range(100):
        author.write_alone(Endorse(number.to_bytes(32, "big"), bytes(32)))
    assert list(author.checkpoints) == []


def test_chunks_that_are_no_chunks_are_refused() -> None:
    for data in (b"", b"\xc1", b"\xc1\x01", b"\xc1\x02\x92\x90\x90", b"\xc1\x01\x92\x90\x91\xc0"):
        with pytest.raises(RemoteProtocolError):
            decode_chunk_untrusted(data)


def test_a_database_without_one_of_its_chunks_does_not_start() -> None:
    site = stood()[0]
    site.chunks[0] = site.chunks[0][:-1] + b"\0"
    image, _proof = shown(site)
    with pytest.raises(StoreError, match="damaged"):
        make(0, 1, WALL).load_image(image, site.chunks)
    with pytest.raises(StoreError, match="damaged"):
        make(0, 1, WALL).load_image(image, [])
