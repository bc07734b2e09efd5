"""From the references in an operation to the numbers and dots of this replica.

In an operation a log is a place in its record's table; here it is a local number.
"""

from gossipnet.errors import RemoteProtocolError
from gossipnet.state.dots import LOG_SHIFT, LOW_MASK, Seen, pack
from gossipnet.state.operations import (
    CellRefs,
    HashIncrement,
    Increment,
    Number,
    ScoreIncrement,
    SeenRefs,
    Sum,
)
from gossipnet.state.types.doubles import Doubles
from gossipnet.state.types.number import Amount, from_wire
from gossipnet.state.types.register import CellsSeen


def seen_of(refs: SeenRefs, table: list[int]) -> Seen:
    """Bounds by local log number."""
    try:
        return {table[ref]: (seq << 16) | place for ref, seq, place in refs}
    except IndexError:
        raise RemoteProtocolError("bad-record", "names a log outside its table") from None


def replaced_of(refs: SeenRefs, table: list[int], dot: int) -> Seen:
    """Bounds of an operation that assigns: what its own log wrote before counts as seen.

    Honest authors say so anyway. Of others' values one a log can stay beside the newest, so that
    nobody makes a key slow, or large, by writing it again and again without having seen itself.
    """
    seen = seen_of(refs, table)
    seen[dot >> LOG_SHIFT] = max((dot & LOW_MASK) - 1, seen.get(dot >> LOG_SHIFT, 0))
    return seen


def cells_of(refs: CellRefs, table: list[int]) -> CellsSeen:
    """Counter cells seen, by the dot that opened each."""
    if not refs:
        return {}
    try:
        return {pack(table[ref], seq, place): amount_of(total) for ref, seq, place, total in refs}
    except IndexError:
        raise RemoteProtocolError("bad-record", "names a log outside its table") from None


def sums_of(refs: CellRefs, table: list[int]) -> dict[int, Doubles]:
    """Counter cells of scores seen, by the dot that opened each."""
    try:
        return {pack(table[ref], seq, place): _sum_of(total) for ref, seq, place, total in refs}
    except IndexError:
        raise RemoteProtocolError("bad-record", "names a log outside its table") from None


def _sum_of(total: Number | Sum) -> Doubles:
    if not isinstance(total, list):
        raise RemoteProtocolError("bad-record", "not a sum")
    return tuple(total)


def amount_of(number: Number | Sum) -> Amount:
    """A number from an operation."""
    amount = None if isinstance(number, list) else from_wire(number)
    if amount is None:
        raise RemoteProtocolError("bad-record", "not a number")
    return amount


def counted(
    op: Increment | HashIncrement, table: list[int], dot: int
) -> tuple[int, int, Amount, Amount]:
    """(cell, previous, before, total) of an increment."""
    if op.cell is None or op.previous is None:
        return dot, dot, 0, amount_of(op.total)
    number = table[0]
    return (
        pack(number, *op.cell),
        pack(number, *op.previous),
        amount_of(op.before),
        amount_of(op.total),
    )


def score_counted(
    op: ScoreIncrement, table: list[int], dot: int
) -> tuple[int, int, Doubles, Doubles]:
    """(cell, previous, before, total) of a score's increment."""
    if op.cell is None or op.previous is None:
        return dot, dot, (), tuple(op.total)
    number = table[0]
    cell, previous = pack(number, *op.cell), pack(number, *op.previous)
    return cell, previous, tuple(op.before), tuple(op.total)
