"""HyperLogLogs at one key: registers that only rise, in generations that DEL ends as a whole.

Whoever adds to a key that has none begins a generation, named by the dot that began it; whoever
adds to one that is there names the generations it saw. DEL takes generations away, with all that
was added to them, seen or not: DEL wins, for the sake of the space, as in Redis Active-Active. What
several generations hold together is what counts, so generations begun at once unite.

For each register the dot that raised it so far is kept (of several, the earliest): the others'
operations need not be kept for anybody.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator

from gossipnet.state.dots import Seen, covers
from gossipnet.state.types.loglog import REGISTERS, estimate
from gossipnet.state.types.register import Order

DENSE_ABOVE = 512
"""Registers that are kept one by one; with more an array of all is smaller."""

_RANK = 63
_RANK_BITS = 6

Hits = Iterable[tuple[int, int]]
"""(register, rank)."""


class Generation:
    """Registers and who raised them: each is ``place in the list of dots << 6 | rank``."""

    __slots__ = ("_dense", "_dots", "_hit", "_sparse")

    def __init__(self) -> None:
        self._sparse: dict[int, int] = {}
        self._dense: array[int] | None = None
        self._dots: list[int] = []
        self._hit = 0

    def ranks(self) -> Iterator[tuple[int, int]]:
        """(register, rank) of those that were hit."""
        for register, held in self._held():
            yield register, held & _RANK

    def raised(self) -> Iterator[tuple[int, int, int]]:
        """(register, rank, dot) of those that were hit: the dot raised it there."""
        for register, held in self._held():
            yield register, held & _RANK, self._dots[held >> _RANK_BITS]

    def dots(self) -> Iterator[int]:
        """The dots that raised registers to where they are."""
        told: set[int] = set()  # one by one: whoever wants a few does not wait for all
        for _register, held in self._held():
            place = held >> _RANK_BITS
            if place not in told:
                told.add(place)
                yield self._dots[place]

    def _held(self) -> Iterable[tuple[int, int]]:
        if self._dense is None:
            return self._sparse.items()
        return ((register, held) for register, held in enumerate(self._dense) if held)

    def _at(self, register: int) -> int:
        return self._sparse.get(register, 0) if self._dense is None else self._dense[register]

    def rank(self, register: int) -> int:
        """Of one register, 0 if it was never hit."""
        return self._at(register) & _RANK

    def raise_to(self, hits: Hits, dot: int, order: Order) -> None:
        """Raise registers; of equal ranks the earliest dot stays."""
        place = len(self._dots)
        raised = False
        for register, rank in hits:
            held = self._at(register)
            known = held & _RANK
            if rank < known:
                continue
            if rank == known and order(dot) >= order(self._dots[held >> _RANK_BITS]):
                continue
            raised = True
            self._hit += not known
            self._put(register, place << _RANK_BITS | rank)
        if raised:
            self._dots.append(dot)
            if len(self._dots) > 64 + 2 * self._hit:
                self._sweep()

    def _put(self, register: int, held: int) -> None:
        if self._dense is not None:
            self._dense[register] = held
            return
        self._sparse[register] = held
        if len(self._sparse) > DENSE_ABOVE:
            self._dense = array("I", bytes(REGISTERS * array("I").itemsize))
            for place, kept in self._sparse.items():
                self._dense[place] = kept
            self._sparse = {}

    def _sweep(self) -> None:
        """Forget dots that raised nothing that lasts."""
        held = list(self._held())
        used = sorted({one >> _RANK_BITS for _register, one in held})
        moved = {place: number for number, place in enumerate(used)}
        self._dots = [self._dots[place] for place in used]
        for register, one in held:
            self._put(register, moved[one >> _RANK_BITS] << _RANK_BITS | one & _RANK)


class Sketch:
    """What one key holds.

    Attributes:
      generations: By the dot that began each.
    """

    __slots__ = ("_count", "generations")

    shows = True

    def __init__(self) -> None:
        self.generations: dict[int, Generation] = {}
        self._count: int | None = None

    def __bool__(self) -> bool:
        return bool(self.generations)

    def rank(self, register: int) -> int:
        """Of one register, of all generations together."""
        return max(generation.rank(register) for generation in self.generations.values())

    def count(self) -> int:
        """How many different elements were added, by estimate."""
        if self._count is None:
            self._count = estimate(self.ranks().values())
        return self._count

    def ranks(self) -> dict[int, int]:
        """Rank by register, of all generations together."""
        ranks: dict[int, int] = {}
        for generation in self.generations.values():
            for register, rank in generation.ranks():
                if rank > ranks.get(register, 0):
                    ranks[register] = rank
        return ranks

    def dots(self) -> Iterator[int]:
        """Every dot held."""
        for begun, generation in self.generations.items():
            yield begun
            yield from generation.dots()

    def add(self, hits: Hits, dot: int, begun: Iterable[int], order: Order) -> bool:
        """PFADD to those of these generations that are left; whether any is."""
        self._count = None
        hits = list(hits)
        targets = [birth for birth in dict.fromkeys(begun) if birth in self.generations]
        for birth in targets:
            self.generations[birth].raise_to(hits, dot, order)
        return bool(targets)

    def begin(self, hits: Hits, dot: int, order: Order) -> None:
        """PFADD to a key that had none.

        Who begins a generation has none: a DEL that comes later here has taken its last one away.
        So there is never more than one a log, whatever its author claims.
        """
        self._count = None
        for birth in [birth for birth in self.generations if birth >> 56 == dot >> 56]:
            del self.generations[birth]
        self.generations[dot] = Generation()
        self.generations[dot].raise_to(hits, dot, order)

    def remove(self, seen: Seen, _order: Order) -> None:
        """DEL: end the generations that were seen."""
        self._count = None
        for birth in [birth for birth in self.generations if covers(seen, birth)]:
            del self.generations[birth]

    def fingerprint(self, name: Callable[[int], str]) -> object:
        """All of it, dots by their global names."""
        return sorted(
            (name(birth), sorted(generation.ranks()))
            for birth, generation in self.generations.items()
        )
