"""Makes the sessions of one node: the one place where links get their keys and their entropy."""

import os
from collections.abc import Callable

from gossipnet.identity.home import NodeIdentity
from gossipnet.ids import NodeId
from gossipnet.protocol.handshake import Transport
from gossipnet.protocol.session import Session


class Sessions:
    """Sessions in the name of one identity.

    Attributes:
      transport: Shared by all links: the identity whose certificate is shown, and the key that the
        links prove; set ``transport.identity`` when the certificate is renewed.
    """

    def __init__(
        self, identity: NodeIdentity, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.transport = Transport(identity, entropy)

    def dial(self, expected: NodeId | None) -> Session:
        """The dialling side; ``expected`` is who must answer, None for any member."""
        return Session.dial(self.transport, expected=expected)

    def answer(self) -> Session:
        """The side that was dialled."""
        return Session.answer(self.transport)
