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
from gossipnet.state.types.dotted import Dotted
from gossipnet.state.types.index import Index, in_vain
from gossipnet.state.types.register import Order

Id = tuple[int, int]
"""(milliseconds, sequence): what XADD answers as ``ms-seq``."""

Entry = tuple[int, int, bytes, int, tuple[bytes, ...]]
"""(ms, seq, log id, dot, names and values in turn). The log decides between equal ids."""

FIRST: Id = (0, 0)
LAST: Id = (2**64 - 1, 2**64 - 1)


def _dots(entry: Entry) -> tuple[int]:
    return (entry[3],)


def _touched(entry: Entry, seen: Seen) -> bool:
    return covers(seen, entry[3])


def _gone(_entry: Entry) -> bool:
    return False


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

    __slots__ = ("_hiding", "consumers", "creations", "destroyed")

    def __init__(self) -> None:
        self.creations: dict[int, Creation] = {}
        self.destroyed: set[int] = set()
        self.consumers: Consumers | None = None
        self._hiding: dict[int, int] = {}
        """By creation, how many marks hide it; none for those that live."""

    def __bool__(self) -> bool:
        return bool(self.creations or self.destroyed)

    @property
    def lives(self) -> bool:
        """Whether any creation is hidden by no DESTROY."""
        return len(self._hiding) < len(self.creations)

    def alive(self) -> list[Creation]:
        """The creations that no DESTROY hides."""
        hidden = self._hiding
        return [creation for dot, creation in self.creations.items() if dot not in hidden]

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

    def create(self, dot: int, creation: Creation) -> None:
        """Put in a creation."""
        self.creations[dot] = creation
        hiding = sum(not covers(creation.seen, mark) for mark in self.destroyed)
        if hiding:
            self._hiding[dot] = hiding

    def end(self, dot: int) -> None:
        """Take a creation out."""
        del self.creations[dot]
        self._hiding.pop(dot, None)

    def destroy(self, mark: int) -> None:
        """Put in a mark."""
        self.destroyed.add(mark)
        for dot, creation in self.creations.items():
            if not covers(creation.seen, mark):
                self._hiding[dot] = self._hiding.get(dot, 0) + 1

    def replace(self, seen: Seen) -> None:
        """Take away the creations and marks that were seen."""
        for dot in [dot for dot in self.creations if covers(seen, dot)]:
            self.end(dot)
        for mark in [mark for mark in self.destroyed if covers(seen, mark)]:
            self.destroyed.remove(mark)
            for dot, creation in self.creations.items():
                if not covers(creation.seen, mark):
                    self._hiding[dot] -= 1
                    if not self._hiding[dot]:
                        del self._hiding[dot]


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

    __slots__ = (
        "_index",
        "_living",
        "_of_generation",
        "added",
        "entries",
        "generations",
        "groups",
        "last_removed",
        "tops",
    )

    def __init__(self) -> None:
        self._index: Index | None = None
        self._living: set[bytes] = set()
        self._of_generation: dict[int, set[bytes]] = {}
        self.entries: Dotted[Entry] = Dotted(_dots, _touched)
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
        return bool(self.tops or len(self.entries) or self._living)

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
        return {name: self.groups[name] for name in sorted(self._living)}

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
            held = self.entries.at_or_after((*one, log))
            if held is not None and held[:3] == (*one, log):  # of one log the later one counts
                self.entries.remove(held)
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
            taken = self.entries.sweep(one, (one[0], one[1] + 1), seen, _gone)
            if taken:
                self.last_removed = max(self.last_removed, one)
            removed += taken
        return removed

    def trim(self, below: Id, seen: Seen) -> int:
        """XTRIM: take away what was seen of all before an id; how many entries that was."""
        return self.entries.sweep(None, below, seen, _gone)

    def begin(self, dot: int) -> None:
        """Begin a generation.

        Who begins one saw none: a DEL that comes later here has ended its last one. So there is
        never more than one a log, whatever its author claims.
        """
        for one in [one for one in self.generations if one >> 56 == dot >> 56]:
            self._end(one)
        self.generations.add(dot)

    def _end(self, generation: int) -> None:
        """Take away a generation, and the groups that have none left."""
        self.generations.remove(generation)
        for name in self._of_generation.pop(generation, ()):
            group = self.groups.get(name)
            if group is None:
                continue
            for dot, creation in list(group.creations.items()):
                if self.generations.isdisjoint(creation.generations):
                    group.end(dot)
            self._look_at(name, group)

    def _look_at(self, name: bytes, group: Group) -> None:
        """A group has changed."""
        if group.lives:
            self._living.add(name)
        else:
            self._living.discard(name)
        if not group:
            del self.groups[name]
            for names in self._of_generation.values():
                names.discard(name)

    def create(self, name: bytes, dot: int, creation: Creation) -> bool:
        """XGROUP CREATE: replace what was seen of it; False if DEL has ended the stream it saw."""
        group = self.groups.setdefault(name, Group())
        group.replace(creation.seen)
        alive = creation.generations & self.generations
        if alive:
            creation.generations = alive  # those that have ended do not come back
            group.create(dot, creation)
            self._note(dot, name)
            for one in alive:
                self._of_generation.setdefault(one, set()).add(name)
        self._look_at(name, group)
        return bool(alive)

    def destroy(self, name: bytes, dot: int, seen: Seen) -> list[int]:
        """XGROUP DESTROY: hide whatever creation has not seen it; the dots of these."""
        group = self.groups.setdefault(name, Group())
        group.replace(seen)
        group.destroy(dot)
        group.consumers = None
        self._note(dot, name)
        self._look_at(name, group)
        return list(group.creations)

    def _note(self, dot: int, name: bytes) -> None:
        if self._index is not None:
            self._index.add(dot, name)
            if self._index.crowded:
                self._index = None

    def acknowledge(
        self, name: bytes, upto: Id, creations: Iterable[int], dot: int, order: Order
    ) -> None:
        """XACK: these creations of a group are done up to an id; of equals the earliest counts."""
        group = self.groups.get(name)
        for created in creations if group is not None else ():
            creation = group.creations.get(created)  # type: ignore[union-attr]
            if creation is not None and (
                upto > creation.acked
                or (upto == creation.acked != FIRST and order(dot) < order(creation.acked_dot))
            ):
                creation.acked, creation.acked_dot = upto, dot

    def remove(self, seen: Seen, _order: Order) -> None:
        """DEL: take away what was seen, and every group of a stream that is no more."""
        self.entries.sweep(None, None, seen, _gone)
        self.tops = {n: held for n, held in self.tops.items() if not covers(seen, held[0])}
        before = len(self.groups)
        for name in list(self.groups) if self._index is None else self._index.covered(seen):
            if name in self.groups:
                self.groups[name].replace(seen)
                self._look_at(name, self.groups[name])
        for dot in [dot for dot in self.generations if covers(seen, dot)]:
            self._end(dot)
        if self._index is None and in_vain(before, len(self.groups)):
            self._index = Index(
                (dot, name)
                for name, group in self.groups.items()
                for dot in (*group.creations, *group.destroyed)
            )
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
                            sorted(map(name, creation.generations & self.generations)),
                        )
                        for dot, creation in held.creations.items()
                    ),
                    sorted(map(name, held.destroyed)),
                )
                for group, held in sorted(self.groups.items())
            ],
        )
