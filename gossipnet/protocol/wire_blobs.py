"""Messages about chunks of large values. Layouts only; `blobs` knows what they are for."""

from typing import Annotated

from msgspec import Meta

from gossipnet.protocol.wire_types import Bytes32, Message

CHUNK_MAX = 512 * 1024
ASKED_MAX = 4


class AskChunks(Message, frozen=True, tag=56):
    """Send me the chunks with these hashes (BLAKE2b-256)."""

    hashes: Annotated[list[Bytes32], Meta(max_length=ASKED_MAX)]


class Chunk(Message, frozen=True, tag=57):
    """One of them; empty: it is not here."""

    hash: Bytes32
    data: Annotated[bytes, Meta(max_length=CHUNK_MAX)]


BlobMessage = AskChunks | Chunk
