"""Sorted sets: what their operations do, reads and local writes.

Conditional flags (NX, XX, GT, LT) are for the callers: they are judged on this node's view.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import isnan

from gossipnet.state.core import Apply, Core
from gossipnet.state.dots import Seen, see
from gossipnet.state.errors import NotANumber, WrongType
from gossipnet.state.operations import ScoreIncrement, ScoreRemove, ScoreSet
from gossipnet.state.references import seen_of
from gossipnet.state.types.entry import ZSET, Compound, compound_of
from gossipnet.state.types.ordered import Ordered
from gossipnet.state.types.scores import Scores
from gossipnet.state.writer import Writer

_CHUNK = 1024
"""Members in one operation when a whole sorted set is written anew."""

Ranking = Ordered[tuple[float, bytes]]


class SortedSets(Writer):
    """The part of the keyspace that holds sorted sets."""

    # -- reading -------------------------------------------------------------------------------

    def scores(self, key: bytes) -> Mapping[bytes, float]:
        """Score by member, in no order; empty if there is no such key."""
        held = self._scores(key)
        return {} if held is None else held.shown

    def ranking(self, key: bytes) -> Ranking:
        """(score, member) in their order; empty if there is no such key."""
        held = self._scores(key)
        return Ordered() if held is None else held.order

    def _scores(self, key: bytes) -> Scores | None:
        entry = self.entries.get(key)
        if entry is None:
            return None
        if not isinstance(entry, Compound) or entry.kind() != "zset" or entry.parts is None:
            raise WrongType
        held = entry.parts[ZSET]
        assert isinstance(held, Scores)
        return held

    # -- writing -------------------------------------------------------------------------------

    def score_set(self, key: bytes, pairs: Sequence[tuple[bytes, float]]) -> int:
        """Assign scores to members; how many members are new.

        Those that keep their score get a new dot, so that they survive a concurrent removal.
        """
        held = self._scores(key)
        size = sum(len(name) + 16 for name, _score in pairs)
        batch = self._begin(key, size)
        self._bury(batch, key)
        pairs = list(dict(pairs).items())
        seen = _seen_of_members(held, (name for name, _score in pairs))
        new = len(pairs) if held is None else sum(name not in held.shown for name, _ in pairs)
        operation = ScoreSet(key, pairs, batch.seen(seen))
        self._do(batch, operation, size + len(key))
        return new

    def score_increment(self, key: bytes, name: bytes, by: float) -> float:
        """Add to a member's score, or make it a member; the score as this node sees it.

        Raises:
          NotANumber: Opposite infinities would meet.
        """
        held = self._scores(key)
        current = 0.0 if held is None else held.shown.get(name, 0.0)
        if isnan(current + by):
            raise NotANumber
        batch = self._begin(key, len(name) + 64)
        self._bury(batch, key)
        self._do(batch, ScoreIncrement(key, name, by), len(key) + len(name) + 32)
        return self.scores(key)[name]

    def score_remove(self, key: bytes, names: Iterable[bytes]) -> int:
        """Remove members; how many were there."""
        held = self._scores(key)
        if held is None:
            return 0
        present = [name for name in dict.fromkeys(names) if name in held.shown]
        if not present:
            return 0
        size = sum(len(name) + 8 for name in present)
        batch = self._begin(key, size)
        seen = _seen_of_members(held, present)
        operation = ScoreRemove(key, present, batch.seen(seen))
        self._do(batch, operation, size + len(key))
        return len(present)

    def store_scores(self, key: bytes, pairs: Collection[tuple[bytes, float]]) -> None:
        """Replace whatever the key holds by a sorted set (ZRANGESTORE and its like)."""
        pairs = list(pairs)
        with self.atomic():
            self._replace(key, sum(len(name) + 16 for name, _score in pairs))
            for start in range(0, len(pairs), _CHUNK):
                self.score_set(key, pairs[start : start + _CHUNK])


def _seen_of_members(held: Scores | None, names: Iterable[bytes]) -> Seen:
    seen: Seen = {}
    if held is not None:
        for name in names:
            see(seen, held.dots_of(name))
    return seen


# ---------------------------------------------------------------- what operations do


def _part(compound: Compound) -> Scores:
    if compound.parts is None:
        compound.parts = {}
    part = compound.parts.get(ZSET)
    if part is None:
        part = compound.parts[ZSET] = Scores()
    assert isinstance(part, Scores)
    return part


def apply_score_set(core: Core, op: ScoreSet, table: list[int], dot: int) -> str:
    """Assign scores."""
    seen = seen_of(op.seen, table, dot)
    compound = compound_of(core.raw(op.key))
    scores = _part(compound)
    for name, score in op.pairs:
        if scores.assign(name, score, dot, seen, core.order_of):
            core.note("zset", op.key, scores.bases_of(name), name)
    core.settle(op.key, compound)
    return "zadd"


def apply_score_increment(core: Core, op: ScoreIncrement, _table: list[int], dot: int) -> str:
    """Add to a score."""
    compound = compound_of(core.raw(op.key))
    _part(compound).count(op.name, dot, op.by)
    core.settle(op.key, compound)
    return "zincr"


def apply_score_remove(core: Core, op: ScoreRemove, table: list[int], dot: int) -> str:
    """Remove what was seen of members."""
    entry = core.raw(op.key)
    if not isinstance(entry, Compound) or ZSET not in (entry.parts or {}):
        return ""
    seen = seen_of(op.seen, table, dot)
    scores = _part(entry)
    for name in op.names:
        scores.take(name, seen, core.order_of)
        if name in scores.shown:
            core.note("remove", op.key, scores.dots_of(name), name)
    core.settle(op.key, entry)
    return "zrem"


APPLY: dict[type, Apply] = {
    ScoreSet: apply_score_set,
    ScoreIncrement: apply_score_increment,
    ScoreRemove: apply_score_remove,
}
