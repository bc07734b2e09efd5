"""No two members that may still be there bear one name."""

import pytest
from test_engine_join import Newcomer, invite, key_of, settled

from gossipnet.errors import JoinError
from gossipnet.identity.enrolment import free_name
from gossipnet.ids import NodeId


def admitted(net, at: int, name: str, *, exact: bool = True) -> str:
    newcomer = Newcomer(net[at], invite(net[0]), name, key_of(f"{name}{Newcomer.number}"))
    newcomer.joiner._exact = exact
    net.until(newcomer.listen, 5)
    assert newcomer.joiner.result is not None
    return newcomer.joiner.result.certificate.name


def test_a_name_that_is_taken_is_refused_and_the_token_is_still_good() -> None:
    net = settled(2)
    token = invite(net[0])
    with pytest.raises(JoinError, match=r"a member is called node1 already.*--name"):
        net.until(Newcomer(net[1], token, "node1", key_of("twin")).listen, 5)
    newcomer = Newcomer(net[1], token, "fresh", key_of("twin"))
    net.until(newcomer.listen, 5)
    assert newcomer.joiner.result is not None


def test_a_name_that_nobody_chose_gets_a_number() -> None:
    net = settled(2)
    assert admitted(net, 1, "node1", exact=False) == "node1-2"
    # Given a moment ago, though the member has not shown up yet.
    assert admitted(net, 1, "node1", exact=False) == "node1-3"
    with pytest.raises(JoinError, match="already"):
        admitted(net, 1, "node1-3")


def test_a_name_is_free_again_when_its_bearer_was_revoked() -> None:
    net = settled(2)
    net[0].engine.revoke("node1", "lost")
    assert admitted(net, 0, "node1") == "node1"


def test_long_names() -> None:
    other = NodeId(bytes(32))
    assert free_name("x" * 63, False, {"x" * 63: other}) == "x" * 61 + "-2"
