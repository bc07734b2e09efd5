"""What messages are made of: bounded fields, and the base of every message."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

Bytes8 = Annotated[bytes, Meta(min_length=8, max_length=8)]
Bytes16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
Text = Annotated[str, Meta(max_length=255)]
Count = Annotated[int, Meta(ge=0, le=(1 << 62))]
Addresses = Annotated[list[Text], Meta(max_length=8)]
Chain = Annotated[list[Annotated[bytes, Meta(max_length=4096)]], Meta(max_length=3)]


Place = Annotated[list[Annotated[int, Meta(ge=-(1 << 40), le=1 << 40)]], Meta(max_length=5)]
"""A node's place as `vivaldi` gives it, or empty."""


class Message(Struct, array_like=True, frozen=True, gc=False):
    """Base of every message."""


UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes of others: a field that is skipped may be nested without end, and a
text need not be UTF-8."""
