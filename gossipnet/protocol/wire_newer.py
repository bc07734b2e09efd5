"""What peers of later versions may say, told from what nobody may."""

from typing import get_args

import msgspec

from gossipnet.protocol.wire import AnyMessage
from gossipnet.protocol.wire_types import UNREADABLE

_KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(AnyMessage))
_parts: msgspec.msgpack.Decoder[list[msgspec.Raw]] = msgspec.msgpack.Decoder(list[msgspec.Raw])


def unknown_kind(payload: bytes) -> bool:
    """Whether this is a well-formed message of a kind that this version does not have."""
    try:
        kind = msgspec.msgpack.decode(_parts.decode(payload)[0])
    except (*UNREADABLE, IndexError):
        return False
    return isinstance(kind, int) and kind not in _KINDS
