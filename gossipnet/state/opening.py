"""The first record of a log: it says whose the log is, in which epoch, and certified by whom."""

from gossipnet import ids
from gossipnet.errors import CertificateError, RemoteProtocolError
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.trust import Trust
from gossipnet.ids import NodeId
from gossipnet.state.body import (
    Body,
    decode_body_untrusted,
)
from gossipnet.state.logs import Log, Logs
from gossipnet.state.operations import (
    OpenLog,
)
from gossipnet.state.record import Record


def verify_first(arrived: Record, trust: Trust) -> Body:
    """Check the signature of a first record, whose key is in its body, and whether it is certified.

    Raises:
      RemoteProtocolError: It does not say whose it is, is not theirs, or they are no member.
    """
    body = decode_body_untrusted(arrived.body)
    opening = body.operations[0] if body.operations else None
    if not isinstance(opening, OpenLog):
        raise RemoteProtocolError("bad-record", "a log that does not say whose it is")
    if ids.log_id(opening.public_key, opening.epoch) != arrived.log:
        raise RemoteProtocolError("bad-record", "a log under another's id")
    arrived.verify(opening.public_key, trust.mesh_id)
    _certified(opening, trust)
    return body


def _certified(opening: OpenLog, trust: Trust) -> Certificate:
    certificate = trust.verify_past_chain(tuple(opening.chain))
    if certificate.subject != opening.public_key:
        raise CertificateError("wrong-subject", "the log's author is not the certified one")
    return certificate


def open_log(logs: Logs, arrived: Record, body: Body, trust: Trust) -> Log:
    """Make room for the log that a verified first record opens.

    Raises:
      RemoteProtocolError: Its author's certificates do not hold, or there are too many logs.
    """
    opening = body.operations[0]
    assert isinstance(opening, OpenLog)
    chain = tuple(opening.chain)
    certificate = _certified(opening, trust)
    return logs.open(arrived.log, opening.public_key, certificate, chain, opening.epoch)


def author_of(arrived: Record, known: Log | None) -> NodeId:
    """Who wrote a verified record of a log that is perhaps not open yet."""
    if known is not None:
        return known.author
    opening = decode_body_untrusted(arrived.body).operations[0]
    assert isinstance(opening, OpenLog)
    return ids.node_id(opening.public_key)
