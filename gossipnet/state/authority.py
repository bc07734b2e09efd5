"""What an author may write: a pure function of its log, so that every node decides alike.

The certificate that counts is the newest one in the log itself, and the time that counts is the
record's own stamp. What its author may not do leaves the record in the log and without effect.
"""

from gossipnet.errors import CertificateError
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.trust import Trust
from gossipnet.state.body import (
    Body,
)
from gossipnet.state.clock import stamp_ms
from gossipnet.state.logs import Log
from gossipnet.state.operations import (
    KEYLESS,
    Checkpoint,
    Renew,
)
from gossipnet.state.record import Record

PROPOSING_ROLES = frozenset({"issuer"})
"""Who may propose checkpoints, and excuse authors that are not there."""

SLACK_MS = 300_000
"""A record may be stamped this much outside its author's certificate: clocks differ."""


def renew_author(log: Log, body: Body, trust: Trust) -> int:
    """Take renewed certificates out of a record; how many were refused."""
    refused = 0
    for operation in body.operations:
        if not isinstance(operation, Renew):
            continue
        try:
            certificate = trust.verify_past_chain(operation.chain)
        except CertificateError:
            refused += 1
            continue
        if certificate.subject == log.public_key:
            log.certificate, log.chain = certificate, tuple(operation.chain)
        else:
            refused += 1
    return refused


def may_write(log: Log, record: Record, body: Body) -> bool:
    """Whether all operations of a record are covered; one that is not voids the whole record."""
    certificate = log.certificate
    if not timely(certificate, stamp_ms(record.stamp)):
        return False
    if certificate.roles.isdisjoint(PROPOSING_ROLES) and any(
        isinstance(operation, Checkpoint) for operation in body.operations
    ):
        return False
    if certificate.writes_everything:
        return True
    return all(
        isinstance(operation, KEYLESS) or certificate.allows("write", operation.key)
        for operation in body.operations
    )


def timely(certificate: Certificate, when_ms: int) -> bool:
    """Whether a record with this stamp (unix ms) may be its subject's."""
    earliest = certificate.not_before * 1000 - SLACK_MS
    return earliest <= when_ms <= certificate.not_after * 1000 + SLACK_MS


def write_rule(certificate: Certificate) -> str:
    """What a certificate lets its subject write, for people."""
    allowed = [
        f"{verb}:{prefix.decode(errors='backslashreplace')}"
        for verb, prefix in certificate.capabilities
    ]
    return f"its certificate allows {', '.join(allowed) or 'nothing'}"
