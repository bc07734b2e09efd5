"""The message about images: what stands for records that were cleared."""

from typing import Annotated

from msgspec import Meta, Struct

from gossipnet.protocol.wire_types import Bytes32, Message

PROOF_RECORD_MAX = 1_100_000


class Endorsement(Struct, array_like=True, frozen=True):
    """An author, and its record that endorses an image."""

    author: Bytes32
    record: Annotated[bytes, Meta(max_length=16_384)]


class ImageProof(Message, frozen=True, tag=35):
    """Instead of cleared records: an image's manifest, and why it may be believed.

    Its chunks are asked for with `Want`, as the records of a log named `image_rows.image_log`.
    """

    manifest: Annotated[bytes, Meta(max_length=1_500_000)]
    proposal: Annotated[bytes, Meta(max_length=PROOF_RECORD_MAX)]
    endorsements: Annotated[list[Endorsement], Meta(max_length=16_384)]
