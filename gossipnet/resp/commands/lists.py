"""Lists: elements keep their order, whoever pushed them; removals take what they have seen.

Popping on two nodes at once may return the same element twice.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipnet.resp.bounds import span
from gossipnet.resp.commands import blocking_pops
from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX, count_option
from gossipnet.resp.pops import first_popped, is_left, moved, numbered_keys, pop_options
from gossipnet.resp.replies import NO_ARRAY, OK, CommandError, Reply
from gossipnet.resp.table import HEAVY, KEY, NUMBERED, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_RANK_ZERO = (
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use "
    "negative to start from the end of the list"
)


def _pushes(*, left: bool, only_there: bool = False) -> Callable[["Session", list[bytes]], Reply]:
    def push(session: "Session", args: list[bytes]) -> Reply:
        keyspace, key, values = session.keyspace, args[1], args[2:]
        if only_there and not keyspace.list_len(key):
            return 0
        # One after the other at the left end: the last one comes to stand first.
        return keyspace.list_push(key, values[::-1] if left else values, left=left)

    return push


def _pops(*, left: bool) -> Callable[["Session", list[bytes]], Reply]:
    def pop(session: "Session", args: list[bytes]) -> Reply:
        keyspace, key = session.keyspace, args[1]
        if len(args) == 2:
            popped = keyspace.list_pop(key, left=left)
            return popped[0] if popped else None
        if len(args) > 3:
            name = args[0].decode().lower()
            raise CommandError(f"ERR wrong number of arguments for '{name}' command")
        count = count_option(args[2])
        if not keyspace.list_len(key):
            return NO_ARRAY
        return keyspace.list_pop(key, count, left=left)

    return pop


def _lmpop(session: "Session", args: list[bytes]) -> Reply:
    keys, rest = numbered_keys(args, 1)
    right, count = pop_options(rest, (b"LEFT", b"RIGHT"))
    return first_popped(session, keys, count, left=not right) or NO_ARRAY


def _lrange(session: "Session", args: list[bytes]) -> Reply:
    first, last = integer(args[2]), integer(args[3])
    count = session.keyspace.list_len(args[1])
    return session.keyspace.list_slice(args[1], *span(first, last, count))


def _llen(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.list_len(args[1])


def _lindex(session: "Session", args: list[bytes]) -> Reply:
    count = session.keyspace.list_len(args[1])
    if not count:
        return None
    index = integer(args[2])
    index = index + count if index < 0 else index
    return session.keyspace.list_slice(args[1], index, index + 1)[0] if 0 <= index < count else None


def _lset(session: "Session", args: list[bytes]) -> Reply:
    count = session.keyspace.list_len(args[1])
    if not count:
        raise CommandError("ERR no such key")
    index = integer(args[2])
    index = index + count if index < 0 else index
    if not 0 <= index < count:
        raise CommandError("ERR index out of range")
    session.keyspace.list_set(args[1], index, args[3])
    return OK


def _all(session: "Session", key: bytes) -> list[bytes]:
    return session.keyspace.list_slice(key, 0, session.keyspace.list_len(key))


def _linsert(session: "Session", args: list[bytes]) -> Reply:
    side = args[2].upper()
    if side not in (b"BEFORE", b"AFTER"):
        raise CommandError(SYNTAX)
    elements = _all(session, args[1])
    if args[3] not in elements:
        return -1 if elements else 0
    rank = elements.index(args[3]) + (side == b"AFTER")
    return session.keyspace.list_insert(args[1], rank, [args[4]])


def _lrem(session: "Session", args: list[bytes]) -> Reply:
    count = integer(args[2])
    found = [rank for rank, value in enumerate(_all(session, args[1])) if value == args[3]]
    if count > 0:
        found = found[:count]
    elif count < 0:
        found = found[max(len(found) + count, 0) :]
    spans: list[tuple[int, int]] = []
    for rank in found:
        if spans and spans[-1][1] == rank:
            spans[-1] = (spans[-1][0], rank + 1)
        else:
            spans.append((rank, rank + 1))
    session.keyspace.list_remove(args[1], spans)
    return len(found)


def _ltrim(session: "Session", args: list[bytes]) -> Reply:
    first, last = integer(args[2]), integer(args[3])
    count = session.keyspace.list_len(args[1])
    low, high = span(first, last, count)
    session.keyspace.list_remove(args[1], [(0, low), (high, count)])
    return OK


def _lpos(session: "Session", args: list[bytes]) -> Reply:
    rank, most, looked = 1, -1, 0
    for at in range(3, len(args), 2):
        word, value = args[at].upper(), args[at + 1] if at + 1 < len(args) else None
        if value is None:
            raise CommandError(SYNTAX)
        if word == b"RANK":
            rank = integer(value)
            if rank == 0:
                raise CommandError(_RANK_ZERO)
        elif word == b"COUNT":
            most = integer(value, 0, error="ERR COUNT can't be negative")
        elif word == b"MAXLEN":
            looked = integer(value, 0, error="ERR MAXLEN can't be negative")
        else:
            raise CommandError(SYNTAX)
    elements = _all(session, args[1])
    count = len(elements)
    ranks = range(count) if rank > 0 else range(count - 1, -1, -1)
    found = [at for at in ranks[: looked or count] if elements[at] == args[2]][abs(rank) - 1 :]
    if most < 0:
        return found[0] if found else None
    return found[:most] if most else found


def _lmove(session: "Session", args: list[bytes]) -> Reply:
    taken, put = is_left(args[3]), is_left(args[4])
    return moved(session, args[1], args[2], taken=taken, put=put)


def _rpoplpush(session: "Session", args: list[bytes]) -> Reply:
    return moved(session, args[1], args[2], taken=False, put=True)


_READ, _WRITE, _SLOW = "readonly fast", "write denyoom fast", "readonly"
_POP = "numkeys key [key ...] LEFT | RIGHT [COUNT count]"
_TWO = (1, 2, 1)

# fmt: off
ROWS = [
    Command("lpush", _pushes(left=True), -3, "key element [element ...]",
            "Puts elements at the left end.", "1.0.0", _WRITE, KEY),
    Command("rpush", _pushes(left=False), -3, "key element [element ...]",
            "Puts elements at the right end.", "1.0.0", _WRITE, KEY),
    Command("lpushx", _pushes(left=True, only_there=True), -3, "key element [element ...]",
            "The same if the list is there on this node.", "2.2.0", _WRITE, KEY),
    Command("rpushx", _pushes(left=False, only_there=True), -3, "key element [element ...]",
            "The same if the list is there on this node.", "2.2.0", _WRITE, KEY),
    Command("lpop", _pops(left=True), -2, "key [count]",
            "Takes elements from the left end; two nodes may pop the same.", "1.0.0", "write fast",
            KEY),
    Command("rpop", _pops(left=False), -2, "key [count]",
            "Takes elements from the right end; two nodes may pop the same.", "1.0.0", "write fast",
            KEY),
    Command("lmpop", _lmpop, -4, _POP,
            "Takes elements from the first list that has any; two nodes may pop the same.", "7.0.0",
            "write", (2, NUMBERED, 1), HEAVY // 16),
    Command("lrange", _lrange, 4, "key start stop", "A part of a list.", "1.0.0", _SLOW, KEY,
            HEAVY // 16),
    Command("llen", _llen, 2, "key", "How many elements there are.", "1.0.0", _READ, KEY),
    Command("lindex", _lindex, 3, "key index", "One element.", "1.0.0", _SLOW, KEY),
    Command("lset", _lset, 4, "key index element",
            "Assigns an element; of concurrent ones the latest shows.", "1.0.0", "write denyoom",
            KEY),
    Command("linsert", _linsert, 5, "key BEFORE | AFTER pivot element",
            "Puts an element beside another one.", "2.2.0", "write denyoom", KEY, HEAVY // 4),
    Command("lrem", _lrem, 4, "key count element", "Removes elements of one value.", "1.0.0",
            "write", KEY, HEAVY // 4),
    Command("ltrim", _ltrim, 4, "key start stop", "Removes all but a part of a list.", "1.0.0",
            "write", KEY, HEAVY // 4),
    Command("lpos", _lpos, -3, "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
            "Where elements of one value are.", "6.0.6", _SLOW, KEY, HEAVY // 4),
    Command("lmove", _lmove, 5, "source destination LEFT | RIGHT LEFT | RIGHT",
            "Moves an element to an end of another list, in one record; two nodes may move the "
            "same.", "6.2.0", "write denyoom", _TWO),
    Command("rpoplpush", _rpoplpush, 3, "source destination",
            "The same from the right end to the left one.", "1.2.0", "write denyoom", _TWO),
    *blocking_pops.LIST_ROWS,
]
# fmt: on
