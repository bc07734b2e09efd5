"""Every error gossipnet raises on purpose, by who is to blame.

This module imports nothing, so that any layer may raise from it.
"""


class GossipnetError(Exception):
    """Base of every error this package raises on purpose."""


class UserError(GossipnetError):
    """A person asked for something that cannot be done; the text is one clear sentence for them.

    Attributes:
      exit_code: What the command line returns for it: 1 failed, 2 usage, 3 no daemon, 4 denied,
        5 not found, 6 timed out or partial.
      reply_code: What an error reply on the local socket begins with.
    """

    exit_code = 1
    reply_code = "ERR"


class UsageError(UserError):
    """The command's words are off."""

    exit_code = 2


class ConfigError(UserError):
    """A setting is unknown or has a bad value; names file, line or key, and the remedy."""

    exit_code = 2


class DaemonNotRunning(UserError):
    """Nothing answers on the local socket."""

    exit_code = 3


class Denied(UserError):
    """The caller may not do this."""

    exit_code = 4
    reply_code = "NOPERM"


class NotFound(UserError):
    """There is no such key, member or token."""

    exit_code = 5
    reply_code = "NOTFOUND"


class TimedOut(UserError):
    """The answer did not come in time, or only part of it did."""

    exit_code = 6


class HomeError(UserError):
    """The home folder is missing, foreign, readable by others, in use, or damaged."""


class StoreError(UserError):
    """The database is corrupt, foreign, newer than this program, or cannot be written."""


class IdentityError(UserError):
    """A key, passphrase, certificate or root record is not usable."""


class TokenError(UserError):
    """A join token is malformed, expired, used, or of another mesh."""


class JoinError(UserError):
    """Enrolment failed; the text says at which step and what to do."""


class LocalProtocolError(GossipnetError):
    """Our own caller asked for something the protocol forbids: a bug on this side."""


class RemoteProtocolError(GossipnetError):
    """A peer sent something illegal: it loses its link, the daemon goes on.

    Attributes:
      reason: A short, stable word for logs and counters, such as ``frame-too-large``.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class BadSignature(RemoteProtocolError):
    """A signature does not fit its key, domain, mesh and bytes."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("bad-signature", detail)


class CertificateError(RemoteProtocolError):
    """A certificate chain does not hold; ``reason`` tells why (expired, wrong-mesh, ...)."""
