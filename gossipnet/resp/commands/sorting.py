"""SORT: elements of a list, set or sorted set in another order, or what other keys say of them."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gossipnet.resp.numbers import double, integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import CommandError, Reply
from gossipnet.resp.table import HEAVY, KEY, Command
from gossipnet.state.errors import WrongType

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_NO_SCORE = "ERR One or more scores can't be converted into double"


class _Wanted:
    """What SORT was told.

    Attributes:
      by: Pattern of the keys whose values decide, or None for the elements themselves.
      gets: Patterns of what to answer; none for the elements.
      limit: (offset, count), negative for all.
      descending, alpha: Options.
      unsorted: BY a pattern that names no keys: leave the order as it is.
      store: Where to, or None.
    """

    def __init__(self, words: list[bytes], *, stores: bool) -> None:
        self.by: bytes | None = None
        self.gets: list[bytes] = []
        self.limit = (0, -1)
        self.descending = self.alpha = self.unsorted = False
        self.store: bytes | None = None
        at = 0
        while at < len(words):
            option, left = words[at].upper(), len(words) - at - 1
            if option in (b"ASC", b"DESC"):
                self.descending = option == b"DESC"
            elif option == b"ALPHA":
                self.alpha = True
            elif option == b"LIMIT" and left >= 2:
                self.limit = (integer(words[at + 1]), integer(words[at + 2]))
                at += 2
            elif option == b"STORE" and stores and left >= 1:
                self.store = words[at + 1]
                at += 1
            elif option == b"BY" and left >= 1:
                self.by = words[at + 1]
                self.unsorted = self.unsorted or b"*" not in self.by
                at += 1
            elif option == b"GET" and left >= 1:
                self.gets.append(words[at + 1])
                at += 1
            else:
                raise CommandError(SYNTAX)
            at += 1


def _elements(session: "Session", key: bytes, wanted: _Wanted) -> list[bytes]:
    keyspace = session.keyspace
    kind = keyspace.type_of(key)
    if kind == "set":
        return list(keyspace.members(key))
    if kind == "list":
        found = keyspace.list_slice(key, 0, keyspace.list_len(key))
    elif kind == "zset":
        found = [name for _score, name in keyspace.ranking(key)]
    elif kind is not None:
        raise WrongType
    else:
        return []
    return found[::-1] if wanted.unsorted and wanted.descending else found


def _looked_up(session: "Session", pattern: bytes, element: bytes) -> bytes | None:
    """What a pattern finds for an element: ``#``, ``weight_*`` or ``user_*->name``."""
    if pattern == b"#":
        return element
    before, star, behind = pattern.partition(b"*")
    if not star:
        return None
    after, arrow, field = behind.partition(b"->")
    if not field:
        after, arrow = behind, b""
    key = before + element + after
    kind = session.keyspace.type_of(key)
    if arrow:
        return session.keyspace.hash_get(key, field) if kind == "hash" else None
    return session.keyspace.get(key) if kind == "string" else None


def _score(text: bytes | None) -> float:
    """As strtod reads it: nothing is zero."""
    number = (text or b"").lstrip(b" \t\n\v\f\r")
    return double(number, _NO_SCORE) if number else 0.0


def _order(session: "Session", elements: list[bytes], wanted: _Wanted) -> list[bytes]:
    by = wanted.by
    weights: Iterable[bytes | None] = elements
    if by is not None:
        weights = [_looked_up(session, by, element) for element in elements]
    if not wanted.alpha:
        scored = zip(map(_score, weights), elements, strict=True)
        return [element for _score, element in sorted(scored, reverse=wanted.descending)]
    # What has no weight comes first; of equal ones Redis promises no order, this keeps it.
    pairs = [(weight is not None, weight or b"") for weight in weights]
    ranks = sorted(range(len(elements)), key=pairs.__getitem__, reverse=wanted.descending)
    return [elements[rank] for rank in ranks]


def _sorts(*, stores: bool) -> Callable[["Session", list[bytes]], Reply]:
    def sort(session: "Session", args: list[bytes]) -> Reply:
        wanted = _Wanted(args[2:], stores=stores)
        if session.service.may_read is not None and (wanted.gets or not _own(wanted.by)):
            raise CommandError(
                "NOPERM this node's certificate does not let it read every key, so SORT takes no "
                "BY and GET"
            )
        elements = _elements(session, args[1], wanted)
        if wanted.unsorted and wanted.store is not None:
            if session.keyspace.type_of(args[1]) == "set":
                elements.sort(reverse=wanted.descending)  # a set has no order
        elif not wanted.unsorted:
            elements = _order(session, elements, wanted)
        offset, count = max(wanted.limit[0], 0), wanted.limit[1]
        elements = elements[offset:] if count < 0 else elements[offset : offset + count]
        replies: list[bytes | None] = list(elements)
        if wanted.gets:
            replies = [_looked_up(session, get, one) for one in elements for get in wanted.gets]
        if wanted.store is None:
            return replies
        if replies:
            session.keyspace.store_list(wanted.store, [reply or b"" for reply in replies])
        else:
            session.keyspace.delete(wanted.store)
        return len(replies)

    return sort


def _own(by: bytes | None) -> bool:
    return by is None or b"*" not in by


_OPTIONS = (
    "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]"
)

# fmt: off
ROWS = [
    Command("sort", _sorts(stores=True), -2, f"{_OPTIONS} [STORE destination]",
            "The elements of a list, set or sorted set in order.", "1.0.0", "write denyoom", KEY,
            HEAVY),
    Command("sort_ro", _sorts(stores=False), -2, _OPTIONS,
            "The same without STORE.", "7.0.0", "readonly", KEY, HEAVY),
]
# fmt: on
