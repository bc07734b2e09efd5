"""Clients that wait: what is behind waits too, and every end of the waiting."""

import pytest
from resp_world import Caller, LoneMesh, open_service, parse_replies


def waiting(wanted: int = 2, timeout: int = 5000) -> tuple[Caller, LoneMesh]:
    mesh = LoneMesh()
    one = Caller(open_service(mesh))
    one.call("SET", "k", "v")
    assert one.raw("WAIT", wanted, timeout) == b""
    assert one.session.blocked
    return one, mesh


def test_wait_is_answered_when_enough_have_it() -> None:
    one, mesh = waiting()
    mesh.waits[0].came = 1
    mesh.receipts_came()
    assert one.later() == b""
    mesh.waits[0].came = 3
    assert one.later() == b"", "nobody said that anything came"
    mesh.receipts_came()
    assert one.later() == b":3\r\n"
    assert mesh.waits[0].closed
    assert one.call("GET", "k") == b"v"


def test_wait_is_answered_when_its_time_is_over() -> None:
    one, mesh = waiting(timeout=5000)
    mesh.waits[0].came = 1
    assert one.later(4.9) == b""
    assert one.later(5.0) == b":1\r\n"
    assert mesh.waits[0].closed
    assert len(one.service.blocking) == 0


def test_wait_without_end() -> None:
    one, mesh = waiting(timeout=0)
    assert one.later(1e9) == b""
    mesh.waits[0].came = 2
    mesh.receipts_came()
    assert one.later(1e9) == b":2\r\n"


def test_commands_behind_it_wait_and_keep_their_order() -> None:
    mesh = LoneMesh()
    one = Caller(open_service(mesh))
    assert one.send(b"SET k 1\r\nWAIT 1 100\r\nINCR k\r\n") == b"+OK\r\n"
    assert one.session.waiting == 1
    one.session.receive(b"GET k\r\nWAIT 1 100\r\nGET k\r\n")
    assert not one.session.unfinished
    assert one.later(1.0) == b":0\r\n:2\r\n$1\r\n2\r\n"
    assert one.session.blocked
    assert one.later(2.0) == b":0\r\n$1\r\n2\r\n"


def test_wait_of_a_connection_that_wrote_nothing_tells_who_is_there() -> None:
    one = Caller(open_service())
    one.call("GET", "k")
    assert one.call("WAIT", 5, 1000) == 2
    assert one.call("WAITAOF", 1, 5, 1000) == [1, 2]


def test_wait_inside_a_transaction_tells_what_is_known() -> None:
    mesh = LoneMesh()
    one = Caller(open_service(mesh))
    one.call("SET", "k", "v")
    one.call("MULTI")
    one.call("WAIT", 3, 0)
    assert one.call("EXEC") == [0]
    assert mesh.waits[0].closed
    assert not one.session.blocked


def test_waitaof_counts_what_is_fsynced() -> None:
    mesh = LoneMesh()
    one = Caller(open_service(mesh))
    one.call("SET", "k", "v")
    assert one.raw("WAITAOF", 1, 1, 1000) == b""
    mesh.waits[0].came = 2
    mesh.receipts_came()
    assert one.later() == b""
    mesh.waits[0].synced = 1
    mesh.receipts_came()
    assert one.later() == b"*2\r\n:1\r\n:1\r\n"
    one.service.durability = "every-second"
    assert "tells nobody when" in one.refusal("WAITAOF", 1, 0, 0)
    one.raw("WAITAOF", 0, 1, 10)
    assert one.later(10.0) == b"*2\r\n:0\r\n:0\r\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("x", "1"), "value is not an integer or out of range"),
        (("1", "x"), "timeout is not an integer or out of range"),
        (("1", "1.5"), "timeout is not an integer or out of range"),
        (("1", "-1"), "timeout is negative"),
    ],
)
def test_what_wait_refuses(words: tuple[str, ...], text: str) -> None:
    assert Caller(open_service()).refusal("WAIT", *words) == f"ERR {text}"


def test_client_unblock() -> None:
    one, mesh = waiting()
    other = Caller(one.service)
    number = one.session.number
    assert "flags=bU" in other.call("CLIENT", "LIST", "ID", number).decode()
    assert "blocked_clients:1" in other.call("INFO", "clients").decode()
    assert other.call("CLIENT", "UNBLOCK", number) == 1
    assert one.later() == b":0\r\n"
    one.raw("WAIT", 1, 0)
    assert other.call("CLIENT", "UNBLOCK", number, "ERROR") == 1
    (error,) = parse_replies(one.later())
    assert str(error) == "UNBLOCKED client unblocked via CLIENT UNBLOCK"
    assert other.call("CLIENT", "UNBLOCK", number) == 0
    assert other.call("CLIENT", "UNBLOCK", 77) == 0
    assert "TIMEOUT or ERROR" in other.refusal("CLIENT", "UNBLOCK", number, "NOW")
    assert [wait.closed for wait in mesh.waits] == [True, True]


def test_a_client_that_goes_waits_no_more() -> None:
    one, mesh = waiting()
    one.service.close_session(one.session)
    assert mesh.waits[0].closed
    assert len(one.service.blocking) == 0
    mesh.receipts_came()
    assert one.service.blocking.due(1e9) == []


def test_who_waited_longest_is_answered_first() -> None:
    mesh = LoneMesh()
    service = open_service(mesh)
    callers = [Caller(service) for _each in range(5)]
    for caller in callers:
        caller.call("SET", "k", "v")
        caller.raw("WAIT", 1, 0)
    mesh.receipts_came()
    assert service.blocking.due(0.0) == [caller.session for caller in callers]
