"""Issuers sign what every node accepts, and say at once what none would."""

import math

import pytest
from chains import DAY, FOUNDER, ISSUER, ROOT, TRUST, WALL, key_of

from gossipnet.errors import CertificateError, IdentityError
from gossipnet.identity.certificate import ROLES
from gossipnet.identity.enrolment import capabilities_of
from gossipnet.identity.founding import admit, expand, found, found_mesh
from gossipnet.identity.issuer import Issuer, issue_by_root
from gossipnet.identity.node import NodeIdentity

NEW = key_of("new").public_key
ENTROPY = expand(b"issuing")
BOTH = frozenset({"member", "issuer"})


def issue(issuer: Issuer = ISSUER, subject: bytes = NEW, name: str = "new", **more):
    values = {"wall": WALL, "entropy": ENTROPY, **more}
    return issuer.issue(subject, name, **values)


def deputy(**more) -> Issuer:
    key = key_of("deputy")
    chain = ISSUER.issue_issuer(key.public_key, "deputy", wall=WALL, entropy=ENTROPY, **more)
    return Issuer(key, chain, TRUST)


def test_usual_certificates() -> None:
    leaf = TRUST.verify_chain(issue(), WALL)
    assert leaf.subject == NEW
    assert leaf.roles == {"member"}
    assert leaf.capabilities == (("write", b""),)
    assert leaf.not_after - leaf.not_before == 90 * DAY
    assert issue() != issue(), "serial numbers differ"


@pytest.mark.parametrize("role", sorted(ROLES - {"revoker", "issuer"}))
def test_every_kind_of_node(role: str) -> None:
    usual = capabilities_of(role, ())
    assert TRUST.verify_chain(issue(roles=frozenset({role}), capabilities=usual), WALL).roles == {
        role
    }


@pytest.mark.parametrize(("role", "verb"), [("observer", "write"), ("relay", "read")])
def test_no_certificate_says_more_than_its_role(role: str, verb: str) -> None:
    with pytest.raises(IdentityError, match="without the role of a member"):
        issue(roles=frozenset({role}), capabilities=((verb, b""),))
    assert issue(roles=frozenset({role, "member"}), capabilities=((verb, b""),))


def test_nothing_outlasts_its_issuer() -> None:
    late = ISSUER.certificate.not_after - DAY
    assert TRUST.verify_chain(issue(wall=late), late).not_after == ISSUER.certificate.not_after
    last = ISSUER.certificate.not_after + 200
    assert TRUST.verify_chain(issue(wall=last), last)


def test_an_issuer_whose_time_is_over_or_whose_clock_is_wrong() -> None:
    with pytest.raises(IdentityError, match="expired"):
        issue(wall=ISSUER.certificate.not_after + 301)
    with pytest.raises(IdentityError, match="not-yet-valid"):
        issue(wall=WALL - 400)
    # Within the tolerance the child begins with its issuer.
    assert TRUST.verify_chain(issue(wall=WALL - 200), WALL - 200).not_before == WALL


@pytest.mark.parametrize("ttl", [0, -5, 0.5, math.inf, math.nan, 1 << 41])
def test_lengths_of_time_that_are_none(ttl: float) -> None:
    with pytest.raises(IdentityError, match="last"):
        issue(ttl=ttl)


@pytest.mark.parametrize("name", ["", "-x", "a b", "x" * 64, "é", "a\n", "\udc80", "a\0"])
def test_names_that_do_not_do(name: str) -> None:
    with pytest.raises(IdentityError, match="cannot name a node"):
        issue(name=name)
    with pytest.raises(IdentityError, match="cannot name a mesh"):
        found(name, "a", ENTROPY, WALL)
    with pytest.raises(IdentityError, match="cannot name a node"):
        found("mesh", name, ENTROPY, WALL)


def test_keys_that_are_none() -> None:
    for bad in (bytes(32), b"\1" + bytes(31), b"short"):
        with pytest.raises(CertificateError, match="bad-key"):
            issue(subject=bad)
        with pytest.raises(CertificateError, match="bad-key"):
            ISSUER.issue_issuer(bad, "x", wall=WALL, entropy=ENTROPY)
        with pytest.raises(CertificateError, match="bad-key"):
            issue_by_root(ROOT, TRUST, bad, "x", wall=WALL, entropy=ENTROPY)


def test_roles_and_capabilities_that_do_not_exist() -> None:
    with pytest.raises(IdentityError, match="unknown-role"):
        issue(roles=frozenset({"member", "emperor"}))
    with pytest.raises(IdentityError, match="malformed"):
        issue(roles=frozenset({"revoker"}))
    with pytest.raises(IdentityError, match="malformed"):
        issue(capabilities=(("conquer", b""),))
    with pytest.raises(IdentityError, match="malformed"):
        issue(capabilities=(("write", b"x" * 256),))


def test_a_deputy_lets_in_nodes_but_makes_no_issuers() -> None:
    second = deputy()
    assert len(issue(second)) == 3
    assert TRUST.verify_chain(issue(second), WALL).name == "new"
    with pytest.raises(IdentityError, match="may not make issuers"):
        second.issue_issuer(NEW, "new", wall=WALL, entropy=ENTROPY)
    with pytest.raises(IdentityError, match="role issuer"):
        issue(second, roles=BOTH)


def test_a_deputy_hands_out_what_it_was_given() -> None:
    narrow = deputy(capabilities=(("write", b"sensors"),), roles=frozenset({"member"}))
    issue(narrow, capabilities=(("write", b"sensors:attic"), ("read", b"sensors")))
    for capabilities in ((("write", b""),), (("manage", b"sensors"),), (("write", b"sensorsX"),)):
        with pytest.raises(IdentityError, match="capabilities"):
            issue(narrow, capabilities=capabilities)
    with pytest.raises(IdentityError, match="role relay"):
        issue(narrow, roles=frozenset({"relay"}), capabilities=(("relay", b"sensors"),))


def test_check_says_what_issuing_would() -> None:
    ISSUER.check(WALL, roles=BOTH, capabilities=(("write", b""),), makes_issuer=True)
    with pytest.raises(IdentityError, match="may not make issuers"):
        deputy().check(WALL, roles=BOTH, capabilities=(), makes_issuer=True)
    with pytest.raises(IdentityError, match="expired"):
        ISSUER.check(WALL + 400 * DAY, roles=frozenset({"member"}), capabilities=())
    with pytest.raises(IdentityError, match="capabilities"):
        deputy(capabilities=()).check(
            WALL, roles=frozenset({"member"}), capabilities=(("read", b""),)
        )


def test_the_root_signs_for_its_own_mesh_only() -> None:
    with pytest.raises(IdentityError, match="not the authority"):
        issue_by_root(key_of("other root"), TRUST, NEW, "x", wall=WALL, entropy=ENTROPY)


def test_parts_that_do_not_belong_together() -> None:
    node = admit(FOUNDER, "node", expand(b"parts"), WALL)
    with pytest.raises(IdentityError, match="do not belong together"):
        NodeIdentity.assemble(key_of("other"), node.chain, TRUST)
    with pytest.raises(IdentityError, match="do not belong together"):
        NodeIdentity.assemble(
            node.key, node.chain, TRUST, issuer_key=node.key, issuer_chain=ISSUER.chain
        )
    with pytest.raises(IdentityError, match="no issuer"):
        NodeIdentity.assemble(
            node.key, node.chain, TRUST, issuer_key=node.key, issuer_chain=node.chain
        )
    with pytest.raises(IdentityError, match="no node"):
        NodeIdentity.assemble(ISSUER.key, ISSUER.chain, TRUST)
    with pytest.raises(IdentityError, match="expired"):
        NodeIdentity.assemble(node.key, node.chain, TRUST, wall=WALL + 91 * DAY)
    other = found("other", "x", expand(b"x"), WALL)
    with pytest.raises(IdentityError, match="wrong-mesh"):
        NodeIdentity.assemble(node.key, node.chain, other.trust)


def test_only_issuers_admit() -> None:
    node = admit(FOUNDER, "node", expand(b"only"), WALL)
    with pytest.raises(IdentityError, match="no issuer"):
        admit(node, "more", ENTROPY, WALL)


def test_meshes_from_seeds_repeat() -> None:
    one, same, other = found_mesh(5), found_mesh(5), found_mesh(5, seed=b"x")
    assert [n.chain for n in one.identities] == [n.chain for n in same.identities]
    assert one.trust.encode() == same.trust.encode()
    assert one.trust.mesh_id != other.trust.mesh_id
    assert [n.name for n in one.identities] == ["n0", "n1", "n2", "n3", "n4"]
    assert len({n.node_id for n in one.identities}) == 5
    assert one.identities[0].issuer is not None
    assert one.identities[1].issuer is None


def test_nothing_secret_is_shown() -> None:
    for secret in (FOUNDER.key.seed(), ISSUER.key.seed()):
        for shown in (repr(FOUNDER), repr(ISSUER), repr(TRUST), str(FOUNDER.summary())):
            assert secret.hex() not in shown
            assert repr(secret)[2:-1] not in shown


def test_the_summary_is_for_anybody() -> None:
    summary = FOUNDER.summary()
    assert summary["mesh"] == "test"
    assert summary["roles"] == ["issuer", "member"]
    assert summary["not_after"] == FOUNDER.not_after
