"""The state machine of joins, gone through exhaustively: two newcomers, one token, bad luck."""

import itertools
from collections.abc import Sequence

from session_world import WALL
from test_joining import Office

from gossipnet.errors import RemoteProtocolError, UserError
from gossipnet.identity.invitations import Invitations

JOIN_STEPS = ("first", "second", "lost", "restart")


def run_join(steps: Sequence[str]) -> set[bytes]:
    """Two newcomers with one token; an answer gets lost, the issuer restarts. Who was admitted."""
    office = Office()
    token = office.invite()
    admitted: set[bytes] = set()
    disk: dict[str, bytes | None] = {}
    certificates: dict[bytes, set[tuple[bytes, ...]]] = {}

    def attempt(who: bytes, *, lose: bool) -> None:
        joiner, answer = office.joiner(token, who), office.answer()
        for _ in range(3):
            try:
                answer.receive(joiner.data_to_send(), WALL)
            except (RemoteProtocolError, UserError):
                return
            reply = answer.data_to_send()
            if answer.finished:
                assert answer.result is not None
                admitted.add(who)
                certificates.setdefault(who, set()).add(tuple(answer.result.chain))
                if lose:
                    return
            try:
                joiner.receive(reply, WALL)
            except UserError:
                return
            if answer.finished:
                assert joiner.finished
                return

    for step in steps:
        disk.update(office.invitations.take_changes())
        if step == "restart":
            office.invitations = Invitations()
            office.invitations.load({name: value for name, value in disk.items() if value})
        else:
            attempt(b"second" if step == "second" else b"first", lose=step == "lost")
        assert len(admitted) <= 1, steps
    assert all(len(chains) == 1 for chains in certificates.values()), "the same answer again"
    return admitted


def test_explored_join() -> None:
    """All 256 histories of four steps: a token admits one key, once, whatever happens."""
    for steps in itertools.product(JOIN_STEPS, repeat=4):
        tried = [step for step in steps if step != "restart"]
        admitted = run_join(steps)
        if tried:
            assert admitted == {b"second" if tried[0] == "second" else b"first"}, steps
        else:
            assert not admitted
