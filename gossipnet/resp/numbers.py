"""Numbers as Redis reads them from arguments: strict, and with its error texts."""

import re
from decimal import Decimal

from gossipnet.resp.replies import CommandError
from gossipnet.state.types.number import parse_integer

_MIN, _MAX = -(1 << 63), (1 << 63) - 1
_FLOAT = re.compile(
    rb"[+-]?(?:[0-9]{1,5000}(?:\.[0-9]{0,5000})?|\.[0-9]{1,5000})(?:[eE][+-]?[0-9]{1,4})?"
    rb"|[+-]?inf(?:inity)?",
    re.IGNORECASE,
)
NOT_AN_INTEGER = "ERR value is not an integer or out of range"


def integer(written: bytes, low: int = _MIN, high: int = _MAX, error: str = NOT_AN_INTEGER) -> int:
    """A whole number.

    Raises:
      CommandError: With ``error`` when it is none, or not within ``low`` and ``high``.
    """
    value = parse_integer(written)
    if value is None or not low <= value <= high:
        raise CommandError(error)
    return value


def decimal(written: bytes) -> Decimal:
    """A decimal number, infinities included.

    Raises:
      CommandError: It is none.
    """
    if not _FLOAT.fullmatch(written):
        raise CommandError("ERR value is not a valid float")
    return Decimal(written.decode("ascii"))
