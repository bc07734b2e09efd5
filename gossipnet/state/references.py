"""From the references in an operation to the numbers and dots of this replica.

In an operation a log is a place in its record's table; here it is a local number.
"""

from gossipnet.errors import RemoteProtocolError
from gossipnet.state.dots import LOG_SHIFT, LOW_MASK, Seen
from gossipnet.state.operations import Number, SeenRefs
from gossipnet.state.types.number import Amount, from_wire


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


def amount_of(number: Number) -> Amount:
    """A number from an operation."""
    amount = from_wire(number)
    if amount is None:
        raise RemoteProtocolError("bad-record", "not a number")
    return amount
