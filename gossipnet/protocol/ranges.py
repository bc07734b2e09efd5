"""Two long version vectors compared by ranges: what is equal is said in a few bytes.

Range-based set reconciliation (Meyer, "Range-Based Set Reconciliation", SRDS 2023): a peer sends
fingerprints of ranges of its heads, ordered by log; whoever finds one different answers with
fingerprints of its parts, or, where few heads are left, with the heads. Rounds grow with the
logarithm of the number of logs, bytes with the number of differences. Fingerprints are sums, hashed
together with the count.

Keeps no state between messages; every message and every answer to one is bounded. Knows what a head
is, not what is done about one that differs.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate

from gossipnet.protocol.wire_ranges import SPANS_MAX, TIPS_MAX, Span, SpanHeads, Spans

RANGES_ABOVE = 2000
"""Logs up to which the whole vector is sent: one message and no rounds."""

PARTS = 16
"""Parts of a range that differs."""

FEW = 24
"""Heads that are sent rather than fingerprints of parts of them."""

ROUNDS_MAX = 8
"""After so many messages heads are sent, however many there are: 16^8 logs there cannot be."""

ANSWERS_MAX = 64
"""Messages of heads in answer to one: a peer that has nothing is told of 131,072 logs."""

Tip = tuple[bytes, int, bytes]
"""Id of a log, number of its newest record, 16 bytes of that one's hash."""

_MASK = (1 << 128) - 1


class Heads:
    """One node's version vector, in order, with sums for every range."""

    def __init__(self, tips: list[Tip]) -> None:
        self.tips = sorted(tips)
        self._ids = [log for log, _head, _hash in self.tips]
        numbers = (
            int.from_bytes(
                hashlib.blake2b(log + head.to_bytes(8, "big") + tip, digest_size=16).digest(), "big"
            )
            for log, head, tip in self.tips
        )
        self._sums = [0, *accumulate(numbers)]

    def between(self, lower: bytes, upper: bytes) -> tuple[int, int]:
        """Places of the first head of a range and of the first behind it."""
        first = bisect_left(self._ids, lower)
        return first, bisect_left(self._ids, upper) if upper else len(self._ids)

    def fingerprint(self, first: int, end: int) -> bytes:
        """16 bytes over the heads of these places."""
        total = (self._sums[max(first, end)] - self._sums[first]) & _MASK
        count = max(0, end - first)
        material = total.to_bytes(16, "big") + count.to_bytes(4, "big")
        return hashlib.blake2b(material, digest_size=16).digest()

    def split(self, lower: bytes, upper: bytes, parts: int = PARTS) -> list[Span]:
        """A range in parts of equal number, which cover it without a gap."""
        first, end = self.between(lower, upper)
        places = sorted({first + (end - first) * part // parts for part in range(1, parts)})
        places = [place for place in places if first < place < end]
        bounds = [lower, *(self._ids[place] for place in places), upper]
        edges = [first, *places, end]
        return [
            (bounds[at], bounds[at + 1], self.fingerprint(edges[at], edges[at + 1]))
            for at in range(len(bounds) - 1)
        ]


class Ranges:
    """Answers for one node.

    Args:
      heads: This node's version vector as it is now.
      differs: Told of heads that a peer has and that are other than this node's.
      dropped: Told how many ranges of a peer's message were left unanswered.
    """

    def __init__(
        self,
        heads: Callable[[], Heads],
        differs: Callable[[list[Tip]], None],
        dropped: Callable[[int], None],
    ) -> None:
        self._heads = heads
        self._differs = differs
        self._dropped = dropped

    def begin(self) -> Spans:
        """The first message."""
        return Spans(1, self._heads().split(b"", b""))

    def on_spans(self, message: Spans) -> list[Spans | SpanHeads]:
        """Answers to fingerprints of ranges."""
        heads = self._heads()
        parts: list[Span] = []
        lists: list[tuple[bytes, bytes, list[Tip]]] = []
        told = 0
        for at, (lower, upper, fingerprint) in enumerate(message.spans):
            first, end = heads.between(lower, upper)
            if heads.fingerprint(first, end) == fingerprint:
                continue
            if len(parts) + PARTS > SPANS_MAX or told > TIPS_MAX:
                self._dropped(len(message.spans) - at)  # the next comparison finds them
                break
            if end - first > FEW and message.round < ROUNDS_MAX:
                parts += heads.split(lower, upper)
            else:
                mine = heads.tips[first : min(max(first, end), first + TIPS_MAX)]
                told += max(1, len(mine))
                lists.append((lower, upper, mine))
        answers: list[Spans | SpanHeads] = []
        if lists:
            answers.append(SpanHeads(lists, True))
        if parts:
            answers.append(Spans(message.round + 1, parts))
        return answers

    def on_heads(self, message: SpanHeads) -> list[SpanHeads]:
        """Look at a peer's heads of some ranges; answers with those of ours that it has not."""
        heads = self._heads()
        unlike: list[Tip] = []
        answers: list[SpanHeads] = []
        lists: list[tuple[bytes, bytes, list[Tip]]] = []
        told = looked = 0
        for at, (lower, upper, theirs) in enumerate(message.spans):
            first, end = heads.between(lower, upper)
            looked += max(0, end - first)
            if looked > len(heads.tips):  # ranges overlap, which no honest peer's do
                self._dropped(len(message.spans) - at)
                break
            mine = heads.tips[first : max(first, end)]
            known, shown = set(mine), set(theirs)
            unlike += [tip for tip in theirs if tip not in known]
            lacking = [tip for tip in mine if tip not in shown]
            for start in range(0, len(lacking) if message.reply else 0, TIPS_MAX):
                piece = lacking[start : start + TIPS_MAX]
                if told and told + len(piece) > TIPS_MAX:
                    answers.append(SpanHeads(lists, False))
                    lists, told = [], 0
                lists.append((lower, upper, piece))
                told += len(piece)
        if lists:
            answers.append(SpanHeads(lists, False))
        if unlike:
            self._differs(unlike)
        return answers[:ANSWERS_MAX]
