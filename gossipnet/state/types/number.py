"""Exact numbers of counters: whole numbers, and decimal fractions with 17 places.

Redis adds floats in C's long double and prints ``%.17Lf`` without trailing zeros. Contributions
are therefore kept as decimals of at most 17 places below 2^59: sums of them are exact, so that
every replica shows the same digits in whatever order it adds.
"""

import re
from decimal import Context, Decimal, InvalidOperation

from gossipnet.state.operations import Number

LIMIT = 1 << 59
"""As in Redis Active-Active: room for 16 concurrent additions in 63 bits."""
_CONTEXT = Context(prec=120)
_PLACES = Decimal(1).scaleb(-17)
_INTEGER = re.compile(rb"-?(?:[1-9][0-9]{0,18}|0)")
_DECIMAL = re.compile(
    rb"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?"
)

Amount = int | Decimal


def parse_integer(text: bytes) -> int | None:
    """As strictly as Redis's string2ll: no spaces, no plus, no leading zeros; None if not one."""
    if len(text) > 20 or not _INTEGER.fullmatch(text) or text == b"-0":
        return None
    return int(text)


def parse_amount(text: bytes) -> Amount | None:
    """A whole number or a decimal fraction below the limit; None if it is neither."""
    whole = parse_integer(text)
    if whole is not None:
        return whole
    return parse_decimal(text)


def parse_decimal(text: bytes) -> Decimal | None:
    """A decimal number, rounded to 17 places; None if it is none or out of range."""
    if not _DECIMAL.fullmatch(text):
        return None
    return rounded(Decimal(text.decode("ascii")))


def rounded(amount: Decimal) -> Decimal | None:
    """To 17 places; None when out of range."""
    try:
        value = amount.quantize(_PLACES, context=_CONTEXT)
    except InvalidOperation:
        return None
    return value if abs(value) < LIMIT else None


def add(one: Amount, other: Amount) -> Amount:
    """Exact sum."""
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    return _simplest(_CONTEXT.add(Decimal(one), Decimal(other)))


def subtract(one: Amount, other: Amount) -> Amount:
    """Exact difference."""
    if isinstance(one, int) and isinstance(other, int):
        return one - other
    return _simplest(_CONTEXT.subtract(Decimal(one), Decimal(other)))


def _simplest(amount: Decimal) -> Amount:
    """A whole number as one: 1.5 and 0.5 make 2, which INCR takes, as in Redis."""
    whole = int(amount)
    return whole if whole == amount else amount


def written(amount: Amount) -> bytes:
    """As Redis prints it: no exponent, no trailing zeros."""
    if isinstance(amount, int):
        return b"%d" % amount
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return b"0" if text in ("-0", "") else text.encode("ascii")


def to_wire(amount: Amount) -> Number:
    """For an operation."""
    return amount if isinstance(amount, int) else written(amount).decode("ascii")


def from_wire(number: Number) -> Amount | None:
    """From an operation; None if the text is no decimal in range."""
    return number if isinstance(number, int) else parse_decimal(number.encode())
