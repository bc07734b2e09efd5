"""Bodies of records, and the one gate that decodes them.

A body is a msgpack array: the foreign logs it names, each with the highest sequence number named,
and the `operations`. Nothing here knows what operations mean.
"""

from typing import Annotated, get_args

import msgspec
from msgspec import Meta, Struct

from gossipnet.errors import RemoteProtocolError
from gossipnet.state.operations import AnyOperation, LogBytes, Seq

OPERATIONS_MAX = 1 << 16
BODY_MAX = (1 << 20) + 192 * 1024
"""One command may fill 1 MiB; what waits in the same batch fits into the rest."""


class Body(Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """What a record holds: named logs with the highest sequence number of each, operations."""

    logs: Annotated[list[tuple[LogBytes, Seq]], Meta(max_length=1 << 14)]
    operations: Annotated[list[AnyOperation], Meta(max_length=OPERATIONS_MAX)]


_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Body] = msgspec.msgpack.Decoder(Body)


def encode_body(body: Body) -> bytes:
    """The bytes that are hashed and signed."""
    return _encode(body)


class NewerOperation(RemoteProtocolError):
    """A record holds an operation of a later version: it can be kept for nobody yet."""

    def __init__(self, tag: int) -> None:
        super().__init__("newer-record", f"it holds operation {tag}, which this version lacks")


def decode_body_untrusted(data: bytes) -> Body:
    """Parse a body that any member may have written.

    Raises:
      NewerOperation: ``newer-record``; whoever brought it need not be at fault.
      RemoteProtocolError: ``bad-record``.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        newer = _newest_tag(data)
        if newer > NEWEST_TAG:
            raise NewerOperation(newer) from error
        raise RemoteProtocolError("bad-record", str(error)) from error


class _Skeleton(Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    logs: msgspec.Raw
    operations: Annotated[
        list[Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=64)]],
        Meta(max_length=OPERATIONS_MAX),
    ]


_skeleton_decoder: msgspec.msgpack.Decoder[_Skeleton] = msgspec.msgpack.Decoder(_Skeleton)
NEWEST_TAG = max(int(str(kind.__struct_config__.tag)) for kind in get_args(AnyOperation))
"""Tags above this are of versions to come; those below that are unknown never were any."""


def _newest_tag(data: bytes) -> int:
    """The highest tag of any operation, 0 if it does not even have that form."""
    try:
        operations = _skeleton_decoder.decode(data).operations
        tags = [msgspec.msgpack.decode(operation[0]) for operation in operations]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0
    return max((tag for tag in tags if isinstance(tag, int)), default=0)
