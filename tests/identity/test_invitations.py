"""A token lets in as many machines as it says, once each, whatever is lost on the way."""

import pytest
from chains import FOUNDER, ISSUER, TRUST, WALL, key_of

from gossipnet.errors import IdentityError, TokenError, UserError
from gossipnet.identity import invitations as book
from gossipnet.identity.founding import admit, expand
from gossipnet.identity.invitations import Certified, Invitation, Invitations

ENTROPY = expand(b"invitations")


class Office:
    """A book, and the disk under it."""

    def __init__(self) -> None:
        self.disk: dict[str, bytes] = {}
        self.book = Invitations()
        self.issued = 0

    def invite(self, issuer=ISSUER, **more):
        settings = {"role": "member", "uses": 1, "ttl": 3600.0, "capabilities": (), **more}
        token = self.book.create(
            issuer,
            node=FOUNDER.node_id,
            addresses=("a:1",),
            entropy=ENTROPY,
            **{"wall": WALL, **settings},
        )
        self.sync()
        return token

    def redeem(self, token, who: str, wall: float = WALL) -> Certified:
        key = key_of(who).public_key

        def issue(invitation: Invitation) -> Certified:
            self.issued += 1
            chain = ISSUER.issue(
                key,
                who,
                wall=wall,
                entropy=ENTROPY,
                roles=invitation.roles,
                capabilities=invitation.capabilities,
            )
            return Certified(chain)

        certified = self.book.redeem(token.token_id, key, who, wall, issue)
        self.sync()
        return certified

    def sync(self) -> None:
        for name, value in self.book.take_changes().items():
            if value is None:
                del self.disk[name]
            else:
                self.disk[name] = value

    def restart(self) -> None:
        self.book = Invitations()
        assert self.book.load(self.disk) == 0


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_single_use(office: Office) -> None:
    token = office.invite()
    assert office.book.psk_of(token.token_id, WALL) == token.psk()
    certified = office.redeem(token, "first")
    assert TRUST.verify_chain(certified.chain, WALL).name == "first"
    with pytest.raises(TokenError, match="has been used"):
        office.redeem(token, "second")
    assert office.issued == 1


def test_the_same_key_gets_the_same_again_even_after_a_restart(office: Office) -> None:
    token = office.invite()
    first = office.redeem(token, "first")
    assert office.redeem(token, "first") == first
    office.restart()
    assert office.redeem(token, "first") == first
    assert office.issued == 1
    with pytest.raises(TokenError, match="has been used"):
        office.redeem(token, "second")
    assert office.book.psk_of(token.token_id, WALL) == token.psk(), "who used it may ask again"


def test_several_uses_over_restarts(office: Office) -> None:
    token = office.invite(uses=3)
    for who in ("a", "b", "a", "c", "b"):
        office.redeem(token, who)
        office.restart()
    with pytest.raises(TokenError, match="has been used"):
        office.redeem(token, "d")
    assert [use.name for use in office.book.audit()] == ["a", "b", "c"]
    assert office.issued == 3


def test_a_refusal_to_issue_leaves_the_token_unused(office: Office) -> None:
    token = office.invite()

    def refuse(_invitation: Invitation) -> Certified:
        raise IdentityError("no")

    with pytest.raises(IdentityError):
        office.book.redeem(token.token_id, key_of("x").public_key, "x", WALL, refuse)
    assert office.book.take_changes() == {}
    office.redeem(token, "first")


def test_expired_and_unknown(office: Office) -> None:
    token = office.invite(ttl=60)
    office.book.psk_of(token.token_id, WALL + 60)
    for wall in (WALL + 61, WALL + 10**9):
        with pytest.raises(TokenError, match="expired"):
            office.book.psk_of(token.token_id, wall)
        with pytest.raises(TokenError, match="expired"):
            office.redeem(token, "first", wall)
    with pytest.raises(TokenError, match="does not know"):
        office.book.psk_of(bytes(16), WALL)
    assert office.issued == 0


def test_the_disk_holds_no_secret_and_one_small_value_a_use(office: Office) -> None:
    token = office.invite(uses=50)
    for number in range(50):
        office.redeem(token, f"m{number}")
    assert len(office.disk) == 51
    assert max(map(len, office.disk.values())) < 1000
    assert not any(token.secret in value for value in office.disk.values())


def test_what_is_over_is_forgotten_in_time(office: Office) -> None:
    token = office.invite()
    office.redeem(token, "first")
    over = token.not_after + book.KEPT_SECONDS
    office.invite(wall=over)
    assert [use.name for use in office.book.audit()] == ["first"]
    office.invite(wall=over + 1)
    assert office.book.audit() == []
    assert len(office.disk) == 2
    office.restart()


def test_open_invitations_are_bounded(office: Office, monkeypatch) -> None:
    monkeypatch.setattr(book, "INVITATIONS_MAX", 3)
    for _number in range(3):
        office.invite(ttl=60)
    with pytest.raises(UserError, match="3 invitations are open"):
        office.invite()
    office.invite(wall=WALL + 61 + book.KEPT_SECONDS)


def test_uses_are_bounded_over_all_tokens(office: Office, monkeypatch) -> None:
    monkeypatch.setattr(book, "REDEEMED_MAX", 3)
    old = office.invite(ttl=60)
    office.redeem(old, "a")
    token = office.invite(uses=10, ttl=60 * 86_400)
    office.redeem(token, "b")
    office.redeem(token, "c")
    with pytest.raises(TokenError, match="use another one"):
        office.redeem(token, "d")
    office.redeem(token, "b")
    office.redeem(token, "d", WALL + 61 + book.KEPT_SECONDS)


@pytest.mark.parametrize(
    "settings",
    [
        {"uses": 0},
        {"uses": -1},
        {"uses": 10_001},
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": float("nan")},
        {"ttl": float("inf")},
        {"role": "emperor"},
        {"role": "king"},
        {"capabilities": (("conquer", b""),)},
        {"capabilities": (("write", b"x" * 256),)},
        {"wall": WALL + 400 * 86_400},
    ],
    ids=str,
)
def test_invitations_that_nobody_could_use_are_not_made(office: Office, settings) -> None:
    with pytest.raises(UserError):
        office.invite(**settings)
    assert office.disk == {}


def test_a_deputys_invitations(office: Office) -> None:
    both = frozenset({"member", "issuer"})
    deputy = admit(FOUNDER, "deputy", expand(b"deputy"), WALL, roles=both).issuer
    office.invite(deputy)
    with pytest.raises(UserError, match="may not make issuers"):
        office.invite(deputy, role="issuer")


def test_roles_and_capabilities_that_an_invitation_means() -> None:
    plain = Invitation(bytes(16), bytes(32), "member", (), 1, WALL)
    assert plain.roles == {"member"}
    assert plain.capabilities == (("write", b""),)
    narrow = Invitation(bytes(16), bytes(32), "issuer", (("write", b"a"),), 1, WALL)
    assert narrow.roles == {"member", "issuer"}
    assert narrow.capabilities == (("write", b"a"),), "no wider than what was asked for"
    assert plain.roles == {"member"}


def test_unreadable_entries_are_counted_and_cost_nothing_else(office: Office) -> None:
    token = office.invite()
    office.redeem(token, "first")
    bad = {
        "invite/zz": b"\xc1",
        "invite/zz/yy": b"",
        f"invite/{bytes(16).hex()}": b"\x96" + b"\xc0" * 6,
        "member/x": b"not ours",
    }
    orphan = dict(office.disk)
    del orphan[f"invite/{token.token_id.hex()}"]
    again = Invitations()
    assert again.load({**office.disk, **bad}) == 3
    assert [use.name for use in again.audit()] == ["first"]
    assert Invitations().load(orphan) == 1


def test_the_key_is_not_shown() -> None:
    invitation = Invitation(bytes(16), b"P" * 32, "member", (), 1, WALL)
    assert "PPP" not in repr(invitation)
