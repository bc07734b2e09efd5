"""Comparing long version vectors: few bytes for few differences, bounded whatever is sent."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipnet.protocol import sync
from gossipnet.protocol.framing import MESSAGE_BYTES
from gossipnet.protocol.ranges import FEW, Heads, Ranges, Tip
from gossipnet.protocol.session import RECORD_BYTES
from gossipnet.protocol.wire import Digest, Vector, decode_untrusted, encode
from gossipnet.protocol.wire_ranges import SPANS_MAX, TIPS_MAX, SpanHeads, Spans
from tests.protocol.mesh import Net


def vector(seed: int, logs: int) -> dict[bytes, Tip]:
    rng = random.Random(seed)
    tips = ((rng.randbytes(16), rng.randrange(1, 10_000), rng.randbytes(16)) for _ in range(logs))
    return {tip[0]: tip for tip in tips}


def compare(one: dict[bytes, Tip], other: dict[bytes, Tip]) -> tuple[set[Tip], set[Tip], int, int]:
    """What each learns of the other, the bytes of all messages, and the rounds it took."""
    learned: tuple[set[Tip], set[Tip]] = (set(), set())
    heads = [Heads(list(tips.values())) for tips in (one, other)]
    sides = [
        Ranges(lambda: heads[0], learned[0].update, pytest.fail),
        Ranges(lambda: heads[1], learned[1].update, pytest.fail),
    ]
    size = rounds = 0
    messages: list[Spans | SpanHeads] = [sides[0].begin()]
    while messages:
        rounds += 1
        answers: list[Spans | SpanHeads] = []
        for message in messages:
            payload = encode(message)
            size += len(payload)
            assert len(payload) < MESSAGE_BYTES
            heard = decode_untrusted(payload)
            side = sides[rounds % 2]
            if isinstance(heard, Spans):
                answers += side.on_spans(heard)
            else:
                assert isinstance(heard, SpanHeads)
                answers += side.on_heads(heard)
        messages = answers
    return *learned, size, rounds


def test_five_thousand_logs_that_differ_in_five_take_a_small_part_of_the_vector() -> None:
    one = vector(1, 5000)
    other = dict(one)
    rng = random.Random(2)
    for log in rng.sample(sorted(one), 3):  # three have gone on here
        other[log] = (log, one[log][1] + 4, rng.randbytes(16))
    gone = rng.sample(sorted(one), 2)  # two are unknown there
    for log in gone:
        del other[log]
    here, there, size, rounds = compare(one, other)
    assert here == set(other.values()) - set(one.values())
    assert there == set(one.values()) - set(other.values())
    whole = len(encode(Vector(list(one.values()), False)))
    assert size < whole / 10
    assert rounds <= 6


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1 << 20),
    st.integers(0, 300),
    st.lists(
        st.tuples(st.integers(0, 299), st.sampled_from(["here", "there", "new"])), max_size=60
    ),
)
def test_both_sides_learn_exactly_what_differs(
    seed: int, logs: int, changes: list[tuple[int, str]]
) -> None:
    one = vector(seed, logs)
    other = dict(one)
    for place, change in changes:
        names = sorted(one.keys() | other.keys())
        if change == "new" or not names:
            fresh = vector(seed + place + 1, 1)
            (one if place % 2 else other).update(fresh)
        elif change == "here":
            one.pop(names[place % len(names)], None)
        else:
            log = names[place % len(names)]
            other[log] = (log, place + 1, bytes(16))
    here, there, _size, rounds = compare(one, other)
    assert here == set(other.values()) - set(one.values())
    assert there == set(one.values()) - set(other.values())
    assert rounds <= 10


def test_one_that_has_nothing_is_told_everything() -> None:
    one = vector(3, 3000)
    here, there, _size, _rounds = compare(one, {})
    assert here == set()
    assert there == set(one.values())
    here, there, _size, _rounds = compare({}, one)
    assert here == set(one.values())


bound = st.binary(max_size=16)


@settings(deadline=None)
@given(st.lists(st.tuples(bound, bound, st.binary(min_size=16, max_size=16)), max_size=80))
def test_any_spans_are_answered_within_bounds(spans: list[tuple[bytes, bytes, bytes]]) -> None:
    heads = Heads(list(vector(5, 400).values()))
    side = Ranges(lambda: heads, lambda _tips: None, lambda _count: None)
    for answer in side.on_spans(Spans(1, spans * (SPANS_MAX // max(1, len(spans))))):
        assert len(answer.spans) <= SPANS_MAX
        if isinstance(answer, SpanHeads):
            assert sum(len(tips) for _l, _u, tips in answer.spans) <= TIPS_MAX + 400


def test_a_mesh_with_long_vectors_finds_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "RANGES_ABOVE", 4)
    net = Net(8)
    net.until(net.meshed, 10)
    for number, machine in enumerate(net):
        machine.set(b"k%d" % number, b"1")
    net.until(net.equal, 10)
    net.part("node6", "node7")
    for number, machine in enumerate(net):
        machine.set(b"later%d" % number, b"2")
    net.run(20)
    for machine in net:
        machine.sent.clear()
    net.heal()
    net.until(net.equal, 15)
    kinds = [type(decode_untrusted(s.payload)) for m in net for s in m.sent]
    assert Spans in kinds
    assert SpanHeads in kinds
    assert Vector not in kinds


def test_peers_in_sync_exchange_less_than_300_bytes() -> None:
    net = Net(2)
    net.until(net.meshed, 10)
    for number in range(500):
        net[number % 2].set(b"k%d" % number, b"v" * 100)
        net.run(0.01)
    net.until(net.equal, 5)
    net.run(60)  # coordinates have come to rest
    for machine in net:
        machine.sent.clear()
    net[0].engine.sync.greet(next(iter(net[0].engine.links.values())))
    net[0].turn()
    net.run(0.1)
    said = [s.payload for m in net for s in m.sent]
    exchange = [p for p in said if isinstance(decode_untrusted(p), Digest | Vector | Spans)]
    assert len(exchange) == 1  # equal: nothing is answered
    assert sum(len(payload) + 32 for payload in exchange) <= 300
    assert FEW * 40 < RECORD_BYTES


def test_ranges_that_overlap_cost_no_more_than_one_look_at_all_heads() -> None:
    tips = [(number.to_bytes(16, "big"), 1, bytes(16)) for number in range(300)]
    dropped: list[int] = []
    ranges = Ranges(lambda: Heads(tips), lambda _tips: None, dropped.append)
    answers = ranges.on_heads(SpanHeads([(b"", b"", [])] * SPANS_MAX, True))
    assert sum(len(tips) for answer in answers for _lower, _upper, tips in answer.spans) == 300
    assert dropped == [SPANS_MAX - 1]
