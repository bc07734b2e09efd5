"""HyperLogLogs: what their operations do, reads and local writes.

To clients they are strings: GET gives, and PFCOUNT and PFADD take, Redis's ``HYLL`` layout.
"""

from collections.abc import Iterable, Mapping
from itertools import islice

from gossipnet.state.core import Apply, Core
from gossipnet.state.dots import pack, seq_of
from gossipnet.state.errors import NotASketch
from gossipnet.state.operations import SKETCH_GENERATIONS, SketchAdd
from gossipnet.state.strings import Strings
from gossipnet.state.types import loglog
from gossipnet.state.types.entry import HYPERLOGLOG, Compound, compound_of
from gossipnet.state.types.sketch import Sketch


class HyperLogLogs(Strings):
    """The part of the keyspace that holds HyperLogLogs."""

    # -- reading -------------------------------------------------------------------------------

    def text(self, key: bytes) -> bytes | None:
        """What GET shows: a string, or a HyperLogLog as one; None if there is no such key."""
        sketch = self._sketch(key)
        return self.get(key) if sketch is None else loglog.written(sketch.ranks())

    def _sketch(self, key: bytes) -> Sketch | None:
        """The HyperLogLog at a key, None if it shows something else or nothing."""
        entry = self.entries.get(key)
        if isinstance(entry, Compound) and entry.kind() == "hyperloglog":
            assert entry.parts is not None
            held = entry.parts[HYPERLOGLOG]
            assert isinstance(held, Sketch)
            return held
        return None

    def sketch_ranks(self, key: bytes) -> Mapping[int, int]:
        """Rank by register, also of a string in Redis's layout; raises `NotASketch`."""
        sketch = self._sketch(key)
        if sketch is not None:
            return sketch.ranks()
        value = self.get(key)
        ranks = {} if value is None else loglog.read(value)
        if ranks is None:
            raise NotASketch
        return ranks

    def sketch_count(self, keys: Iterable[bytes]) -> int:
        """How many different elements were added to any of these keys, by estimate.

        Raises:
          NotASketch, WrongType: One of them holds something else.
        """
        keys = list(keys)
        if len(keys) == 1 and (sketch := self._sketch(keys[0])) is not None:
            return sketch.count()
        return loglog.estimate(self._union(keys).values())

    def _union(self, keys: Iterable[bytes]) -> dict[int, int]:
        union: dict[int, int] = {}
        for key in keys:
            for register, rank in self.sketch_ranks(key).items():
                if rank > union.get(register, 0):
                    union[register] = rank
        return union

    # -- writing -------------------------------------------------------------------------------

    def sketch_add(self, key: bytes, elements: Iterable[bytes]) -> bool:
        """Add elements; whether that changed anything. Without any the key begins to exist."""
        hits: dict[int, int] = {}
        for element in elements:
            register, rank = loglog.register_of(element)
            hits[register] = max(rank, hits.get(register, 0))
        return self._raise(key, hits)

    def sketch_merge(self, key: bytes, sources: Iterable[bytes]) -> None:
        """Add to a key what others hold."""
        self._raise(key, self._union(sources))

    def store_sketch(self, key: bytes, ranks: Mapping[int, int]) -> None:
        """Replace whatever the key holds by a HyperLogLog."""
        with self.atomic():
            self._replace(key, loglog.HIT_BYTES * len(ranks))
            self._write(key, ranks, None)

    def _raise(self, key: bytes, hits: Mapping[int, int]) -> bool:
        sketch = self._sketch(key)
        if sketch is not None:
            higher = {r: rank for r, rank in hits.items() if rank > sketch.rank(r)}
            if higher:
                self._write(key, higher, sketch)
            return bool(higher)
        held = self.sketch_ranks(key)
        if key not in self.entries:
            self._write(key, hits, None)
            return True
        higher = {r: rank for r, rank in hits.items() if rank > held.get(r, 0)}
        if higher:  # until now it was a string in Redis's layout
            self.store_sketch(key, {**held, **higher})
        return bool(higher)

    def _write(self, key: bytes, hits: Mapping[int, int], sketch: Sketch | None) -> None:
        size = loglog.HIT_BYTES * len(hits) + 64
        batch = self._begin(key, size)
        self._bury(batch, key)
        held = sketch.generations if sketch is not None else ()
        begun = batch.dots(islice(held, SKETCH_GENERATIONS))
        self._do(batch, SketchAdd(key, loglog.packed(hits), begun), size + len(key))


# ---------------------------------------------------------------- what operations do


def apply_add(core: Core, op: SketchAdd, table: list[int], dot: int) -> str:
    """Raise registers of what is left of the generations that the author saw."""
    compound = compound_of(core.raw(op.key))
    parts = compound.parts if compound.parts is not None else {}
    sketch = parts.get(HYPERLOGLOG, Sketch())
    assert isinstance(sketch, Sketch)
    births = [pack(table[ref], seq, place) for ref, seq, place in op.begun]
    hits = loglog.unpacked(op.hits)
    # What a void record began never was, whatever is left of the others here.
    births = [birth for birth in births if not _is_void(core, birth)]
    if not births:
        sketch.begin(hits, dot, core.order_of)
    elif not sketch.add(hits, dot, births, core.order_of):
        core.note("hyperloglog", op.key, (dot,))
        return ""  # DEL wins
    parts[HYPERLOGLOG] = sketch
    compound.parts = parts
    core.settle(op.key, compound)
    return "pfadd"


def _is_void(core: Core, dot: int) -> bool:
    """Whether a generation is missing because its author was revoked, and not by DEL."""
    return core.logs.by_number[dot >> 56].is_void(seq_of(dot))


APPLY: dict[type, Apply] = {SketchAdd: apply_add}
