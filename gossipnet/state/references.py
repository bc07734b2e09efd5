"""From the references in an operation to the numbers and dots of this replica.

In an operation a log is a place in its record's table; here it is a local number.
"""

from gossipnet.errors import RemoteProtocolError
from gossipnet.state.dots import LOG_SHIFT, LOW_MASK, PLACE_BITS, PLACE_MASK, Seen
from gossipnet.state.operations import Number, SeenRefs
from gossipnet.state.types.number import Amount, from_wire


def seen_of(refs: SeenRefs, table: list[int], dot: int) -> Seen:
    """Bounds by local log number: foreign records whole, and all that the own log said before.

    So of one log's values one stays beside the newest, and nobody makes a key slow, or large, by
    writing it again and again without having seen itself.

    Args:
      refs: From the operation.
      table: Local log numbers by reference.
      dot: Of the operation.
    """
    try:
        seen = {table[ref]: (seq << PLACE_BITS) | PLACE_MASK for ref, seq in refs}
    except IndexError:
        raise RemoteProtocolError("bad-record", "names a log outside its table") from None
    seen[dot >> LOG_SHIFT] = (dot & LOW_MASK) - 1
    return seen


def amount_of(number: Number) -> Amount:
    """A number from an operation."""
    amount = from_wire(number)
    if amount is None:
        raise RemoteProtocolError("bad-record", "not a number")
    return amount
