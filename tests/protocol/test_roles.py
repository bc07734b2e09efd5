"""What each role may and may not do, as every node sees it; and renewals keep it so."""

import pytest

from gossipnet.errors import Denied
from gossipnet.identity.enrolment import ROLES_TO_INVITE, capabilities_of, roles_of
from gossipnet.identity.founding import admit, expand
from gossipnet.state.errors import NotPermitted
from tests.protocol.identities import WALL, identity
from tests.protocol.mesh import Machine, Net

WRITERS = {"member", "issuer", "revoker"}
READERS = WRITERS | {"observer"}
ISSUERS = {"issuer"}
REVOKERS = {"issuer", "revoker"}


@pytest.fixture(params=ROLES_TO_INVITE)
def one(request: pytest.FixtureRequest) -> tuple[str, Net, Machine]:
    """A mesh of three: the founder, a member, and one of the role."""
    role = str(request.param)
    net = Net(2)
    who = admit(
        identity("node0"),
        "one",
        expand(role.encode()),
        WALL,
        roles=roles_of(role),
        capabilities=capabilities_of(role, ()),
    )
    machine = net.add("one", start=False)
    machine.identity, machine.seeds = who, ("node0:7117",)
    machine.start()
    net.until(net.meshed, 20)
    return role, net, machine


def test_writing(one: tuple[str, Net, Machine]) -> None:
    role, net, machine = one
    if role in WRITERS:
        machine.set(b"k", b"v")
        net.until(net.equal, 10)
        assert net[1].engine.keyspace.get(b"k") == b"v"
    else:
        usual = "read:" if role == "observer" else "relay:"
        with pytest.raises(NotPermitted, match=f"allows {usual}"):
            machine.engine.keyspace.set(b"k", b"v")
        assert net[1].engine.keyspace.get(b"k") is None


def test_reading_and_passing_on(one: tuple[str, Net, Machine]) -> None:
    role, net, machine = one
    net[0].set(b"k", b"v")
    net.until(net.equal, 10)
    assert machine.engine.keyspace.get(b"k") == b"v", "all state goes to everybody's disk"
    assert machine.identity.certificate.allows("read", b"k") is (role in READERS)
    assert machine.identity.certificate.allows("relay", b"k")


def test_inviting(one: tuple[str, Net, Machine]) -> None:
    role, _net, machine = one
    if role in ISSUERS:
        assert machine.engine.invite("member", 1, 60.0, []).startswith("gn1")
    else:
        with pytest.raises(Denied, match=r"only issuers may; run it on node0"):
            machine.engine.invite("member", 1, 60.0, [])


def test_revoking(one: tuple[str, Net, Machine]) -> None:
    role, net, machine = one
    if role in REVOKERS:
        machine.engine.revoke("node1", "")
        net.until(lambda: net[0].states().get("node1") == "revoked", 10)
    else:
        with pytest.raises(Denied, match="only issuers and revokers may"):
            machine.engine.revoke("node1", "")


def test_a_renewal_keeps_the_role(one: tuple[str, Net, Machine]) -> None:
    role, net, machine = one
    before = machine.engine.identity.certificate
    net.run(61)
    machine.engine.renew()
    net.until(lambda: machine.engine.identity.certificate.serial != before.serial, 30)
    after = machine.engine.identity.certificate
    assert (after.roles, after.capabilities) == (before.roles, before.capabilities)
    assert after.roles == roles_of(role)
