"""Streams: entries in the order of their ids, and the replicated side of consumer groups.

Entries are added and removed as in a set: a removal takes what it saw. Each author's newest id is
kept beside them, so that ids go on rising after the newest entry was removed.

Groups are the other way round: DEL and XGROUP DESTROY win. For DEL, the stream has *generations*,
named by the dot of whoever wrote to it when it had none; a group names those that its creator saw
and lives as long as one of them. DESTROY leaves a mark by the group's name, which hides whatever
creation has not seen it, until somebody who has creates the group anew. What of a group is
replicated is where it began and up to where everything read was acknowledged (`Group.acked`, which
only rises); who reads what is each node's own affair (`consumers`).
"""

from collections.abc import Callable, Iterable, Iterator

from gossipnet.state.dots import Seen, covers
from gossipnet.state.types.consumers import Consumers
from gossipnet.state.types.ordered import Ordered
from gossipnet.state.types.register import Order

Id = tuple[int, int]
"""(milliseconds, sequence): what XADD answers as ``ms-seq``."""

Entry = tuple[int, int, bytes, int, tuple[bytes, ...]]
"""(ms, seq, log id, dot, names and values in turn). The log decides between equal ids."""

FIRST: Id = (0, 0)
LAST: Id = (2**64 - 1, 2**64 - 1)


class Creation:
    """One XGROUP CREATE.

    Attributes:
      start: Where the group begins to read.
      seen: What its author had seen of the group: other creations and DESTROY marks.
      generations: Of the stream, as its author saw them.
      acked: Up to where everything that was read is acknowledged.
      acked_dot: Who said so; 0 if nobody has.
    """

    __slots__ = ("acked", "acked_dot", "generations", "seen", "start")

    def __init__(self, start: Id, seen: Seen, generations: frozenset[int]) -> None:
        self.start = start
        self.seen = seen
        self.generations = generations
        self.acked = FIRST
        self.acked_dot = 0


class Group:
    """All that is known of one group's name.

    Attributes:
      creations: By dot, those that DESTROY hides included.
      destroyed: Dots of DESTROY marks.
      consumers: Who of this node's clients reads what; None before anybody does.
    """

    __slots__ = ("consumers", "creations", "destroyed")

    def __init__(self) -> None:
        self.creations: dict[int, Creation] = {}
        self.destroyed: set[int] = set()
        self.consumers: Consumers | None = None

    def __bool__(self) -> bool:
        return bool(self.creations or self.destroyed)

    def alive(self) -> list[Creation]:
        """The creations that no DESTROY hides."""
        if not self.destroyed:
            return list(self.creations.values())
        return [
            creation
            for creation in self.creations.values()
            if all(covers(creation.seen, mark) for mark in self.destroyed)
        ]

    def start(self) -> Id:
        """From where the group reads if nobody has read yet: nothing is to be missed."""
        alive = self.alive()
        return max(self.acked(), min(creation.start for creation in alive)) if alive else FIRST

    def acked(self) -> Id:
        """Up to where everything that was read is acknowledged, anywhere."""
        return max((creation.acked for creation in self.alive()), default=FIRST)

    def dots(self) -> Iterator[int]:
        """Every dot held."""
        for dot, creation in self.creations.items():
            yield dot
            if creation.acked_dot:
                yield creation.acked_dot
        yield from self.destroyed

    def replace(self, seen: Seen) -> None:
        """Take away the creations and marks that were seen."""
        for dot in [dot for dot in self.creations if covers(seen, dot)]:
            del self.creations[dot]
        self.destroyed = {mark for mark in self.destroyed if not covers(seen, mark)}


class Stream:
    """What one key holds.

    Attributes:
      entries: In the order of their ids.
      tops: By log number, the dot and id of the newest entry that was ever added.
      generations: Dots; see above.
      groups: By name.
      added: How many entries this replica has seen added.
      last_removed: The highest id that this replica has seen removed by XDEL.
    """

    __slots__ = ("added", "entries", "generations", "groups", "last_removed", "tops")

    def __init__(self) -> None:
        self.entries: Ordered[Entry] = Ordered()
        self.tops: dict[int, tuple[int, Id]] = {}
        self.generations: set[int] = set()
        self.groups: dict[bytes, Group] = {}
        self.added = 0
        self.last_removed = FIRST

    def __bool__(self) -> bool:
        return bool(len(self.entries) or self.tops or self.generations or self.groups)

    @property
    def shows(self) -> bool:
        """Whether the key is there: marks and generations alone are nothing to see."""
        return bool(self.tops or len(self.entries)) or any(
            group.alive() for group in self.groups.values()
        )

    # -- reading -------------------------------------------------------------------------------

    @property
    def last(self) -> Id:
        """The newest id that was ever added, or set."""
        return max((top for _dot, top in self.tops.values()), default=FIRST)

    def between(self, first: Id, last: Id) -> tuple[int, int]:
        """Ranks of the entries from ``first`` to ``last``: start, and end, not included."""
        start = self.entries.rank(first)
        return start, max(start, self.entries.rank((last[0], last[1] + 1)))

    def find(self, one: Id) -> Entry | None:
        """An entry by its id."""
        found = self.entries.at_or_after(one)
        return found if found is not None and found[:2] == one else None

    def living(self) -> dict[bytes, Group]:
        """The groups that are there."""
        return {name: group for name, group in sorted(self.groups.items()) if group.alive()}

    def dots(self) -> Iterator[int]:
        """Every dot held."""
        for entry in self.entries:
            yield entry[3]
        for dot, _top in self.tops.values():
            yield dot
        yield from self.generations
        for group in self.groups.values():
            yield from group.dots()

    # -- changing ------------------------------------------------------------------------------

    def add(self, entries: Iterable[tuple[Id, tuple[bytes, ...]]], dot: int, log: bytes) -> None:
        """XADD."""
        number = dot >> 56
        top = FIRST
        for one, fields in entries:
            self.entries.add((*one, log, dot, fields))
            self.added += 1
            top = max(top, one)
        self.set_top(number, dot, top)

    def set_top(self, number: int, dot: int, top: Id) -> None:
        """A log's newest id; an author's later one counts."""
        self.tops[number] = (dot, top)

    def remove_ids(self, ids: Iterable[Id], seen: Seen) -> int:
        """XDEL: take away what was seen of these; how many entries that was."""
        removed = 0
        for one in ids:
            start, stop = self.between(one, one)
            taken = self._remove(self.entries.slice(start, stop), seen)
            if taken:
                self.last_removed = max(self.last_removed, one)
            removed += taken
        return removed

    def trim(self, below: Id, seen: Seen) -> int:
        """XTRIM: take away what was seen of all before an id; how many entries that was."""
        return self._remove(self.entries.slice(0, self.entries.rank(below)), seen)

    def _remove(self, entries: Iterable[Entry], seen: Seen) -> int:
        removed = 0
        for entry in entries:
            if covers(seen, entry[3]):
                self.entries.remove(entry)
                removed += 1
        return removed

    def begin(self, dot: int) -> None:
        """Begin a generation.

        Who begins one saw none: a DEL that comes later here has ended its last one. So there is
        never more than one a log, whatever its author claims.
        """
        ended = {one for one in self.generations if one >> 56 == dot >> 56}
        self.generations -= ended
        self.generations.add(dot)
        if ended:
            self._end_groups()

    def _end_groups(self) -> None:
        """Take away the groups of generations that are no more."""
        for name in list(self.groups):
            group = self.groups[name]
            for dot, creation in list(group.creations.items()):
                if self.generations.isdisjoint(creation.generations):
                    del group.creations[dot]
            if not group:
                del self.groups[name]

    def create(self, name: bytes, dot: int, creation: Creation) -> bool:
        """XGROUP CREATE: replace what was seen of it; False if DEL has ended the stream it saw."""
        group = self.groups.setdefault(name, Group())
        group.replace(creation.seen)
        alive = not self.generations.isdisjoint(creation.generations)
        if alive:
            group.creations[dot] = creation
        if not group:
            del self.groups[name]
        return alive

    def destroy(self, name: bytes, dot: int, seen: Seen) -> list[int]:
        """XGROUP DESTROY: hide whatever creation has not seen it; the dots of these."""
        group = self.groups.setdefault(name, Group())
        group.replace(seen)
        group.destroyed.add(dot)
        group.consumers = None
        return list(group.creations)

    def acknowledge(
        self, name: bytes, upto: Id, creations: Iterable[int], dot: int, order: Order
    ) -> None:
        """XACK: these creations of a group are done up to an id; of equals the earliest counts."""
        group = self.groups.get(name)
        for created in creations if group is not None else ():
            creation = group.creations.get(created)  # type: ignore[union-attr]
            if creation is not None and (
                upto > creation.acked
                or (upto == creation.acked and order(dot) < order(creation.acked_dot))
            ):
                creation.acked, creation.acked_dot = upto, dot

    def remove(self, seen: Seen, _order: Order) -> None:
        """DEL: take away what was seen, and every group of a stream that is no more."""
        if all(covers(seen, entry[3]) for entry in self.entries):
            self.entries = Ordered()
        else:
            self._remove(list(self.entries), seen)
        self.tops = {n: held for n, held in self.tops.items() if not covers(seen, held[0])}
        self.generations = {dot for dot in self.generations if not covers(seen, dot)}
        for group in self.groups.values():
            group.replace(seen)
        self._end_groups()
        if not self.tops:
            self.added, self.last_removed = 0, FIRST

    def fingerprint(self, name: Callable[[int], str]) -> object:
        """All of it, dots by their global names."""
        return (
            [(ms, seq, name(dot), fields) for ms, seq, _log, dot, fields in self.entries],
            sorted((name(dot), top) for dot, top in self.tops.values()),
            sorted(map(name, self.generations)),
            [
                (
                    group,
                    sorted(
                        (
                            name(dot),
                            creation.start,
                            creation.acked,
                            sorted(map(name, creation.generations)),
                        )
                        for dot, creation in held.creations.items()
                    ),
                    sorted(map(name, held.destroyed)),
                )
                for group, held in sorted(self.groups.items())
            ],
        )
