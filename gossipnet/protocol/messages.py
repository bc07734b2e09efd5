"""One row a message: who takes it in.

Knows the parts by what they understand, and nothing of what they do.
"""

from collections.abc import Callable
from typing import Any

from gossipnet.protocol.blobs import Blobs
from gossipnet.protocol.broadcast import Broadcast
from gossipnet.protocol.certificates import Certificates
from gossipnet.protocol.detection import Detection
from gossipnet.protocol.imaging import Imaging
from gossipnet.protocol.linklife import LinkLife
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.notices import Noticeboard
from gossipnet.protocol.receipts import ReceiptBook
from gossipnet.protocol.relay import Relay
from gossipnet.protocol.roster import Roster
from gossipnet.protocol.spread import Spread
from gossipnet.protocol.sync import Sync
from gossipnet.protocol.talk import Talk
from gossipnet.protocol.tracing import Tracing
from gossipnet.protocol.wire import (
    AskMembers,
    Digest,
    Graft,
    Hello,
    IHave,
    MemberHeads,
    MemberNews,
    Members,
    More,
    Ping,
    Pong,
    Prune,
    Push,
    PushAccusations,
    PushMembers,
    Records,
    RelayClose,
    RelayData,
    RelayOpen,
    Vector,
    Verdict,
    Want,
)
from gossipnet.protocol.wire_blobs import AskChunks, Chunk
from gossipnet.protocol.wire_images import ImageProof
from gossipnet.protocol.wire_ranges import SpanHeads, Spans
from gossipnet.protocol.wire_receipts import AskReceipts, Receipts
from gossipnet.protocol.wire_talk import AskEvents, EventHeads, PushEvents
from gossipnet.protocol.wire_trace import AskTraces, Traces
from gossipnet.protocol.wire_trust import NoticeIds, Notices, RenewAnswer, RenewAsk

Handler = Callable[[PeerLink, Any], None]


def handlers(
    life: LinkLife,
    detection: Detection,
    roster: Roster,
    spread: Spread,
    broadcast: Broadcast,
    talk: Talk,
    receipts: ReceiptBook,
    tracing: Tracing,
    sync: Sync,
    imaging: Imaging,
    relay: Relay,
    certificates: Certificates,
    board: Noticeboard,
    blobs: Blobs,
) -> dict[type, Handler]:
    """For every message, whom to give it to."""
    return {
        Hello: life.on_hello,
        Verdict: lambda link, message: life.on_verdict(link, message.accepted),
        Ping: detection.on_ping,
        Pong: detection.on_pong,
        MemberHeads: roster.on_heads,
        AskMembers: roster.on_ask,
        MemberNews: spread.on_news,
        Members: lambda link, message: roster.on_members(link, message.entries, pushed=False),
        PushMembers: lambda link, message: roster.on_members(link, message.entries, pushed=True),
        PushAccusations: lambda link, message: detection.on_accusations(
            message.accusations, link.number
        ),
        Digest: lambda link, message: sync.on_digest(link, message.vector, message.members),
        Push: broadcast.on_push,
        IHave: broadcast.on_ihave,
        Graft: lambda link, _message: broadcast.on_graft(link),
        Prune: lambda link, _message: broadcast.on_prune(link),
        Vector: sync.on_vector,
        Spans: lambda link, message: sync.answer(link, sync.ranges(link).on_spans(message)),
        SpanHeads: lambda link, message: sync.answer(link, sync.ranges(link).on_heads(message)),
        Want: sync.streams.on_want,
        Records: sync.on_records,
        ImageProof: imaging.on_proof,
        More: sync.streams.on_more,
        RelayOpen: relay.on_open,
        RelayData: relay.on_data,
        RelayClose: relay.on_close,
        NoticeIds: board.on_ids,
        Notices: board.on_notices,
        RenewAsk: certificates.on_ask,
        RenewAnswer: certificates.on_answer,
        AskReceipts: receipts.on_ask,
        Receipts: receipts.on_receipts,
        AskTraces: tracing.on_ask,
        Traces: tracing.on_traces,
        PushEvents: talk.on_push,
        EventHeads: talk.on_heads,
        AskEvents: talk.on_ask,
        AskChunks: blobs.on_ask,
        Chunk: blobs.on_chunk,
    }
