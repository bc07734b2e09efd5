"""What peers of other versions may say: Hello settles the version, newer kinds are passed over."""

import msgspec
import pytest

from gossipnet.errors import RemoteProtocolError
from gossipnet.protocol import linklife
from gossipnet.protocol.linklife import REHEARSED
from gossipnet.protocol.wire import Digest, decode_untrusted, encode
from gossipnet.protocol.wire_newer import unknown_kind
from gossipnet.state.body import (
    NEWEST_TAG,
    NewerOperation,
    decode_body_untrusted,
)
from tests.protocol.mesh import Net


def test_only_whole_messages_of_kinds_to_come_are_passed_over() -> None:
    assert unknown_kind(REHEARSED)
    with pytest.raises(RemoteProtocolError):
        decode_untrusted(REHEARSED)
    known = encode(Digest(bytes(32), bytes(32), 1))
    assert not unknown_kind(known)
    for bad in (b"", b"\x90", b"\xc0", REHEARSED[:-1], b"\x91\xa1x", known[:-1], b"\x91" * 5000):
        assert not unknown_kind(bad)


def test_fields_that_later_versions_add_are_skipped() -> None:
    longer = msgspec.msgpack.decode(encode(Digest(bytes(32), bytes(32), 1)))
    longer += ["new", {"and": "nested"}]
    assert decode_untrusted(msgspec.msgpack.encode(longer)) == Digest(bytes(32), bytes(32), 1)


def test_operations_of_later_versions_are_told_from_garbage() -> None:
    def body(tag: object) -> bytes:
        return msgspec.msgpack.encode([[], [[1, b"k", [], b"v", 0], [tag, b"k", "new"]]])

    with pytest.raises(NewerOperation):
        decode_body_untrusted(body(NEWEST_TAG + 1))
    for bad in (body("x"), body(0), b"", b"\xff", b"\x92\x90\x91" + b"\x91" * 5000):
        with pytest.raises(RemoteProtocolError) as caught:
            decode_body_untrusted(bad)
        assert caught.value.reason == "bad-record"


def test_versions_that_do_not_meet_part_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(2)
    net.run(1)
    assert net[0].engine.links
    net = Net(2)
    net[1].engine.life.speaks = 7
    monkeypatch.setattr(linklife, "LEAST_VERSION", 5)
    net.run(1)
    assert not net[0].engine.links
    texts = [str(event) for node in (net[0], net[1]) for event in node.engine.events()]
    assert any("upgrade" in text for text in texts), texts
