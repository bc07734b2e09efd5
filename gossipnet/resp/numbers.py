"""Numbers as Redis reads them from arguments: strict, and with its error texts."""

import re
from decimal import Decimal
from math import isinf

from gossipnet.resp.replies import CommandError
from gossipnet.state.types.number import parse_integer

_MIN, _MAX = -(1 << 63), (1 << 63) - 1
_FLOAT = re.compile(
    rb"[+-]?(?:[0-9]{1,5000}(?:\.[0-9]{0,5000})?|\.[0-9]{1,5000})(?:[eE][+-]?[0-9]{1,4})?"
    rb"|[+-]?inf(?:inity)?",
    re.IGNORECASE,
)
_HEX = re.compile(
    rb"[+-]?0x[0-9a-f]{0,64}(?:\.[0-9a-f]{0,64})?(?:p[+-]?[0-9]{1,4})?", re.IGNORECASE
)
NOT_A_FLOAT = "ERR value is not a valid float"
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


def check_database(written: bytes) -> None:
    """The number of a database: there is only 0.

    Raises:
      CommandError: It is another, or none.
    """
    number, most = integer(written), (1 << 31) - 1
    if not -most - 1 <= number <= most:
        raise CommandError(f"ERR value is out of range, value must between {-most - 1} and {most}")
    if number:
        raise CommandError("ERR DB index is out of range")


def decimal(written: bytes) -> Decimal:
    """A decimal number, infinities included.

    Raises:
      CommandError: It is none.
    """
    if not _FLOAT.fullmatch(written):
        raise CommandError(NOT_A_FLOAT)
    return Decimal(written.decode("ascii"))


def double(written: bytes, error: str = NOT_A_FLOAT) -> float:
    """A double as C's strtod reads it, infinities included; no NaN, and nothing out of range.

    Raises:
      CommandError: With ``error`` when it is none.
    """
    if _FLOAT.fullmatch(written):
        value = float(written)
        if isinf(value) and b"n" not in written.lower():
            raise CommandError(error)
        if value == 0.0 and written.lower().partition(b"e")[0].strip(b"+-0."):
            raise CommandError(error)
        return value
    if _HEX.fullmatch(written):
        try:
            return float.fromhex(written.decode("ascii"))
        except (ValueError, OverflowError):
            raise CommandError(error) from None
    raise CommandError(error)
