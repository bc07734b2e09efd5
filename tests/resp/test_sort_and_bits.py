"""What of SORT and of bits a real Redis cannot confirm: our limits, and rights of members."""

from resp_world import Caller, open_service


def test_bits_lie_within_a_mebibyte() -> None:
    caller = Caller(open_service())
    assert caller.call("SETBIT", "k", 8 * (1 << 20) - 1, 1) == 0
    assert caller.call("BITCOUNT", "k") == 1
    assert "maximum allowed size" in caller.refusal("SETBIT", "k", 8 << 20, 1)
    assert "maximum allowed size" in caller.refusal("BITFIELD", "k", "SET", "u8", 8 << 20, 1)
    assert caller.call("GETBIT", "k", 8 << 20) == 0


def test_bits_keep_the_time_to_live() -> None:
    caller = Caller(open_service())
    caller.call("SET", "k", "x", "EX", 100)
    caller.call("SETBIT", "k", 3, 1)
    caller.call("BITFIELD", "k", "SET", "u8", 8, 200)
    assert caller.call("TTL", "k") == 100
    assert caller.call("BITOP", "NOT", "k", "k") == 2
    assert caller.call("TTL", "k") == -1


def test_sort_reads_no_keys_that_a_member_may_not_read() -> None:
    caller = Caller(open_service(may_read=lambda key: key.startswith(b"app:")))
    caller.call("RPUSH", "app:l", 2, 1)
    assert caller.call("SORT", "app:l") == [b"1", b"2"]
    assert caller.call("SORT", "app:l", "BY", "nosort") == [b"2", b"1"]
    assert caller.refusal("SORT", "app:l", "BY", "secret_*").startswith("NOPERM")
    assert caller.refusal("SORT", "app:l", "GET", "secret_*").startswith("NOPERM")
    assert caller.refusal("SORT", "secret").startswith("NOPERM")


def test_commands_with_several_keys_tell_them() -> None:
    caller = Caller(open_service())
    assert caller.call("COMMAND", "GETKEYS", "BLPOP", "a", "b", 0) == [b"a", b"b"]
    assert caller.call("COMMAND", "GETKEYS", "LMPOP", 2, "a", "b", "LEFT") == [b"a", b"b"]
    assert caller.call("COMMAND", "GETKEYS", "BITOP", "AND", "a", "b", "c") == [b"a", b"b", b"c"]
    assert caller.call("COMMAND", "GETKEYS", "BLMOVE", "a", "b", "LEFT", "LEFT", 0) == [b"a", b"b"]
