"""Pops that wait: who is served by what, in which order, and what ends the waiting."""

import pytest
from resp_world import WALL, Caller, LoneMesh, open_service

from gossipnet.identity.founding import found_mesh
from gossipnet.resp.service import Service
from gossipnet.state.replica import Replica


def waiting(service: Service, *words: object, protocol: int = 2) -> Caller:
    caller = Caller(service, protocol=protocol)
    assert caller.raw(*words) == b""
    assert caller.session.blocked
    return caller


def served(*callers: Caller, now: float = 0.0) -> list[bytes]:
    """What each of some clients is told now."""
    service = callers[0].service
    service.now = max(service.now, now)
    told = {caller.session: b"" for caller in callers}
    while service.blocking.stirred or service.blocking.deadline() <= service.now:
        for session in service.blocking.due(service.now):
            answer = session.resume()
            if answer is not None:
                assert answer[1] == 0, "it waits for the disk"
                told[session] += b"".join(answer[0])
    return list(told.values())


@pytest.mark.parametrize("word", ["BLPOP", "BRPOP"])
def test_who_waited_longest_is_served_first(word: str) -> None:
    service = open_service()
    first, second, third = (waiting(service, word, "q", 0) for _ in range(3))
    Caller(service).call("RPUSH", "q", "1", "2")
    ends = (b"1", b"2") if word == "BLPOP" else (b"2", b"1")
    told = served(third, second, first)
    assert told == [b""] + [b"*2\r\n$1\r\nq\r\n$1\r\n%b\r\n" % end for end in reversed(ends)]
    assert third.session.blocked
    assert not first.session.blocked
    assert not service.keyspace.exists(b"q")


def test_it_waits_for_several_keys_and_leaves_all_of_them() -> None:
    service = open_service()
    one = waiting(service, "BLPOP", "a", "b", "a", 0)
    other = waiting(service, "BLPOP", "b", 0)
    pusher = Caller(service)
    pusher.call("RPUSH", "b", "x")
    assert served(one, other) == [b"*2\r\n$1\r\nb\r\n$1\r\nx\r\n", b""]
    pusher.call("RPUSH", "a", "y")
    assert served(one, other) == [b"", b""]
    assert pusher.call("LRANGE", "a", 0, -1) == [b"y"]


def test_its_time_is_over() -> None:
    service = open_service()
    old, new = waiting(service, "BLPOP", "q", "0.5"), waiting(service, "BLPOP", "q", 1, protocol=3)
    move = waiting(service, "BLMOVE", "q", "p", "LEFT", "LEFT", 2)
    assert service.blocking.deadline() == 0.5
    assert served(old, new, move, now=0.4) == [b"", b"", b""]
    assert served(old, new, move, now=0.5) == [b"*-1\r\n", b"", b""]
    assert served(old, new, move, now=1.5) == [b"", b"_\r\n", b""]
    assert served(old, new, move, now=9) == [b"", b"", b"*-1\r\n"]
    assert len(service.blocking) == 0
    assert service.keyspace.on_change is None, "nobody listens, nothing is told"


def test_a_transaction_is_over_before_anybody_is_served() -> None:
    service = open_service()
    one = waiting(service, "BLPOP", "q", 0)
    other = Caller(service)
    for words in (["MULTI"], ["RPUSH", "q", "x"], ["DEL", "q"], ["EXEC"]):
        other.call(*words)
    assert served(one) == [b""]
    for words in (["MULTI"], ["RPUSH", "q", "x"], ["LPUSH", "q", "y"], ["EXEC"]):
        other.call(*words)
    assert served(one) == [b"*2\r\n$1\r\nq\r\n$1\r\ny\r\n"]


def test_inside_a_transaction_nothing_waits() -> None:
    caller = Caller(open_service())
    caller.call("MULTI")
    caller.call("BLPOP", "q", 0)
    caller.call("RPUSH", "q", "x")
    caller.call("BLPOP", "q", 0)
    caller.call("BLMOVE", "q", "p", "LEFT", "LEFT", 0)
    assert caller.call("EXEC") == [None, 1, [b"q", b"x"], None]
    assert not caller.session.blocked


def test_another_type_is_an_error_at_first_and_waited_out_later() -> None:
    service = open_service()
    other = Caller(service)
    other.call("SET", "s", "text")
    assert Caller(service).refusal("BLPOP", "s", 0).startswith("WRONGTYPE")
    one = waiting(service, "BLPOP", "q", 0)
    other.call("SET", "q", "text")
    assert served(one) == [b""]
    other.call("DEL", "q")
    other.call("RPUSH", "q", "x")
    assert served(one) == [b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n"]


def test_a_chain_of_moves_runs_through() -> None:
    service = open_service()
    last = waiting(service, "BRPOP", "c", 0)
    second = waiting(service, "BLMOVE", "b", "c", "LEFT", "RIGHT", 0)
    first = waiting(service, "BRPOPLPUSH", "a", "b", 0)
    Caller(service).call("RPUSH", "a", "x")
    assert served(first, second, last) == [b"$1\r\nx\r\n"] * 2 + [b"*2\r\n$1\r\nc\r\n$1\r\nx\r\n"]


def test_a_target_of_another_type_ends_the_move_with_an_error() -> None:
    service = open_service()
    one = waiting(service, "BLMOVE", "a", "b", "LEFT", "LEFT", 0)
    other = Caller(service)
    other.call("SET", "b", "text")
    other.call("RPUSH", "a", "x")
    (told,) = served(one)
    assert told.startswith(b"-WRONGTYPE")
    assert other.call("LLEN", "a") == 1


def test_several_elements_at_once() -> None:
    service = open_service()
    one = waiting(service, "BLMPOP", 0, 2, "a", "b", "LEFT", "COUNT", 2)
    Caller(service).call("RPUSH", "b", "x", "y", "z")
    assert served(one) == [b"*2\r\n$1\r\nb\r\n*2\r\n$1\r\nx\r\n$1\r\ny\r\n"]


def test_sorted_sets() -> None:
    service = open_service()
    low = waiting(service, "BZPOPMIN", "z", 0)
    high = waiting(service, "BZPOPMAX", "none", "z", 0, protocol=3)
    many = waiting(service, "BZMPOP", 0, 1, "z", "MIN", "COUNT", 5)
    Caller(service).call("ZADD", "z", 1, "a", 2, "b", 3, "c")
    assert served(low, high, many) == [
        b"*3\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\n1\r\n",
        b"*3\r\n$1\r\nz\r\n$1\r\nc\r\n,3\r\n",
        b"*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n",
    ]


def test_what_another_node_pushed_wakes_as_well() -> None:
    here, there = found_mesh(2, wall=WALL).identities
    mesh = LoneMesh(WALL, here)
    one = waiting(open_service(mesh), "BLPOP", "q", 0)
    remote = Replica(key=there.key, chain=there.chain, trust=there.trust, epoch=1, wall=WALL)
    remote.keyspace.list_push(b"q", [b"x"])
    for record in remote.seal(WALL):
        mesh.replica.ingest(record.data, WALL)
    assert served(one) == [b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n"]


def test_unblocked_by_somebody_else() -> None:
    service = open_service()
    one, other = waiting(service, "BLPOP", "q", 0), waiting(service, "BLPOP", "q", 0)
    caller = Caller(service)
    assert caller.call("CLIENT", "UNBLOCK", one.session.number) == 1
    assert caller.call("CLIENT", "UNBLOCK", other.session.number, "ERROR") == 1
    assert served(one, other) == [
        b"*-1\r\n",
        b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n",
    ]


def test_a_thousand_who_wait_cost_nothing_to_the_others() -> None:
    service = open_service()
    for number in range(1000):
        waiting(service, "BLPOP", f"q{number}", 1000 + number)
    caller = Caller(service)
    caller.call("RPUSH", "elsewhere", "x")
    assert not service.blocking.stirred
    caller.call("RPUSH", "q7", "x")
    assert len(service.blocking.due(0.0)) == 1
