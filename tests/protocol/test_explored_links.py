"""The state machine of a link, gone through exhaustively.

Every sequence of what a network may do with every flight (deliver, lose, double, hold back), up to
a depth, from scratch each time; what must hold is looked at after each step.
"""

import itertools
from collections.abc import Sequence

from session_world import WALL, World, pump

from gossipnet.errors import RemoteProtocolError
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.handshake import PostQuantum
from gossipnet.protocol.session import Established, Finished, Message, Session

# ---------------------------------------------------------------- a link


class End:
    """One end of a link and what has become of it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.up = self.failed = self.finished = False
        self.heard: list[bytes] = []

    def take(self, data: bytes) -> None:
        if self.failed or not data:
            return
        try:
            for event in self.session.receive(data, WALL):
                if isinstance(event, Established):
                    assert not self.up, "established once"
                    self.up = True
                elif isinstance(event, Message):
                    self.heard.append(event.payload)
                elif isinstance(event, Finished):
                    self.finished = True
        except RemoteProtocolError:
            self.failed = True


LINK = World(b"explored")
SAID = {0: [b"a1", b"a2"], 1: [b"b1", b"b2"]}
STEPS = ("deliver", "lose", "double", "reflect")


def run_link(steps: Sequence[tuple[int, str]]) -> tuple[End, End]:
    """What comes of a link if the network does this with what each side sends, turn by turn."""
    ends = (
        End(Session.dial(LINK.transport("alice", PostQuantum.OFF), expected=None)),
        End(Session.answer(LINK.transport("bob", PostQuantum.OFF))),
    )
    left = {0: list(SAID[0]), 1: list(SAID[1])}
    for side, step in steps:
        sender, receiver = ends[side], ends[1 - side]
        if sender.up and left[side] and not sender.failed:
            sender.session.send(Lane.GOSSIP, left[side].pop(0))
        data = b"" if sender.failed else pump(sender.session)
        if step in ("deliver", "double"):
            receiver.take(data)
        if step == "double":
            receiver.take(data)
        if step == "reflect":
            sender.take(data)
        for end, other in (0, 1), (1, 0):
            assert SAID[other][: len(ends[end].heard)] == ends[end].heard, steps
        if ends[0].up and ends[1].up:
            assert ends[0].session.hash == ends[1].session.hash
    return ends


def test_explored_link() -> None:
    """Turn about, 4 kinds of fate for each of 6 flights: 4,096 histories."""
    both = 0
    for fates in itertools.product(STEPS, repeat=6):
        dialler, answerer = run_link([(turn % 2, fate) for turn, fate in enumerate(fates)])
        both += dialler.up and answerer.up
        # Losing or doubling a flight of a handshake never brings a link about by itself.
        if dialler.up:
            assert fates[0] in ("deliver", "double")
            assert answerer.up or answerer.failed
    assert both > 0
