"""A home has a whole identity or none, whatever stops us; and nobody else can read it."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chains import DAY, FOUNDER, ISSUER, TRUST, WALL, key_of

from gossipnet.errors import HomeError, IdentityError, UserError
from gossipnet.identity.files import alone, write_private
from gossipnet.identity.founding import admit, expand
from gossipnet.identity.home import CERTIFICATE, ISSUER_KEY, NODE_KEY, ROOT_KEY, Home, NodeIdentity
from tests.needs import need

PASSPHRASE = "correct horse"
BOTH = frozenset({"member", "issuer"})


def found(home: Home, **more) -> NodeIdentity:
    settings = {"mesh": "test", "name": "founder", "passphrase": None, **more}
    return home.found(entropy=os.urandom, wall=WALL, **settings)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def founded(home: Home) -> Home:
    found(home)
    return home


def refused(home: Home) -> str:
    with pytest.raises(UserError) as caught:
        home.load()
    return str(caught.value)


def files(home: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.path.iterdir()}


# -- founding ------------------------------------------------------------------------------------


def test_found_and_load(home: Home) -> None:
    assert not home.exists()
    made = found(home, passphrase=PASSPHRASE)
    assert home.exists()
    loaded = home.load()
    assert loaded.summary() == made.summary()
    assert loaded.key.seed() == made.key.seed()
    assert loaded.chain == made.chain
    assert loaded.issuer is not None
    assert loaded.issuer.chain == made.issuer.chain
    assert TRUST.mesh_id != loaded.trust.mesh_id


def test_what_is_there_and_who_may_read_it(founded: Home) -> None:
    assert set(files(founded)) == {NODE_KEY, ISSUER_KEY, ROOT_KEY, CERTIFICATE}
    assert founded.path.stat().st_mode & 0o777 == 0o700
    for path in founded.path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_a_generous_umask_opens_nothing(home: Home) -> None:
    before = os.umask(0)
    try:
        found(home)
    finally:
        os.umask(before)
    test_what_is_there_and_who_may_read_it(home)


def test_the_root_key_and_its_passphrase(home: Home) -> None:
    made = found(home, passphrase=PASSPHRASE)
    assert home.root_key_encrypted()
    key = home.root_key(PASSPHRASE)
    assert made.trust.root.authorities == (key.public_key,)
    with pytest.raises(IdentityError, match="does not open"):
        home.root_key("wrong")
    with pytest.raises(IdentityError, match="none was given"):
        home.root_key(None)


def test_without_a_passphrase_the_file_says_so(founded: Home) -> None:
    assert not founded.root_key_encrypted()
    assert b"NOT ENCRYPTED" in (founded.path / ROOT_KEY).read_bytes()
    assert founded.root_key(None)


def test_the_root_key_may_be_taken_away(founded: Home) -> None:
    (founded.path / ROOT_KEY).unlink()
    assert founded.load().issuer is not None
    with pytest.raises(HomeError, match=ROOT_KEY):
        founded.root_key(None)


def test_a_second_founding_changes_nothing(founded: Home) -> None:
    before = files(founded)
    with pytest.raises(HomeError, match="already holds a node"):
        found(founded)
    with pytest.raises(HomeError, match="already holds a node"):
        founded.pending_key(os.urandom)
    assert files(founded) == before


def test_a_bad_passphrase_or_name_leaves_nothing(home: Home) -> None:
    for settings in ({"passphrase": ""}, {"name": "a b"}, {"mesh": "\x1b"}):
        with pytest.raises(IdentityError):
            found(home, **settings)
        assert not home.path.exists()


def test_settings_may_be_there_before_the_node(home: Home) -> None:
    home.path.mkdir(mode=0o700)
    (home.path / "config.toml").write_text("")
    found(home)
    home.load()


def test_an_empty_folder_is_closed(home: Home) -> None:
    home.path.mkdir(mode=0o755)
    found(home)
    assert home.path.stat().st_mode & 0o777 == 0o700


def test_a_folder_in_use_is_not_closed_behind_its_users_back(home: Home) -> None:
    home.path.mkdir()
    home.path.chmod(0o755)
    (home.path / "letter").write_text("dear")
    with pytest.raises(HomeError, match="chmod 700"):
        found(home)
    assert home.path.stat().st_mode & 0o777 == 0o755


def test_a_key_without_a_certificate_is_not_overwritten(founded: Home) -> None:
    """It may be the root key of a living mesh, whose certificate somebody removed."""
    (founded.path / CERTIFICATE).unlink()
    before = files(founded)
    with pytest.raises(HomeError, match=ROOT_KEY):
        found(founded)
    assert files(founded) == before
    assert "put a copy back" in refused(founded)


def test_two_at_once(home: Home) -> None:
    home.path.mkdir(mode=0o700)
    with alone(home.path), pytest.raises(HomeError, match="another gossipnet"):
        found(home)
    found(home)


# -- what stops us -------------------------------------------------------------------------------

_KILLED = """
import os, sys
from pathlib import Path
from gossipnet.identity.home import Home
left = int(sys.argv[2])
real = os.fsync
def fsync(fd):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    real(fd)
os.fsync = fsync
Home(Path(sys.argv[1])).found(
    mesh="test", name="founder", passphrase=None, entropy=os.urandom, wall=1.8e9
)
"""


def test_killed_at_any_point_of_the_founding(tmp_path: Path) -> None:
    complete = 0
    for count in range(30):
        home = Home(tmp_path / str(count))
        done = subprocess.run([sys.executable, "-c", _KILLED, str(home.path), str(count)])
        if home.exists():
            complete += 1
            home.load()
        else:
            assert done.returncode == 9
            assert "gossipnet init" in refused(home)
            found(home)
            home.load()
            assert set(files(home)) == {NODE_KEY, ISSUER_KEY, ROOT_KEY, CERTIFICATE}
        if done.returncode == 0:
            break
    assert complete >= 2, "killed after the certificate, and not at all"
    assert count > 8


def test_a_join_after_a_founding_that_did_not_finish(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    subprocess.run([sys.executable, "-c", _KILLED, str(home.path), "8"])
    assert not home.exists()
    assert (home.path / ROOT_KEY).exists()
    home.pending_key(os.urandom)
    assert set(files(home)) == {NODE_KEY}


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    need(os.geteuid() == 0, "a tiny file system needs root")
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(tiny)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    need(mounted, "this machine does not let us mount")
    try:
        write_private(tiny / "kept", b"before")
        with contextlib.suppress(OSError), (tiny / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1024))
        with pytest.raises(HomeError, match="No space"):
            write_private(tiny / "kept", b"after" * 20_000)
        assert (tiny / "kept").read_bytes() == b"before"
        assert sorted(path.name for path in tiny.iterdir()) == ["filler", "kept"]
    finally:
        subprocess.run(["umount", str(tiny)], check=True)


# -- joining -------------------------------------------------------------------------------------


def test_a_retried_join_uses_the_same_key(home: Home) -> None:
    key = home.pending_key(os.urandom)
    issuer_key = home.pending_issuer_key(os.urandom)
    assert key.public_key != issuer_key.public_key
    again = Home(home.path)
    assert again.pending_key(os.urandom).seed() == key.seed()
    assert again.pending_issuer_key(os.urandom).seed() == issuer_key.seed()
    assert not home.exists()
    assert "gossipnet join TOKEN" in refused(home)
    assert (home.path / NODE_KEY).stat().st_mode & 0o777 == 0o600


def test_a_member_is_installed(home: Home) -> None:
    key = home.pending_key(os.urandom)
    chain = ISSUER.issue(key.public_key, "new", wall=WALL, entropy=os.urandom)
    made = home.install(key, chain, TRUST, wall=WALL)
    assert made.name == "new"
    assert home.load().summary() == made.summary()
    assert home.load().issuer is None
    with pytest.raises(HomeError, match="already holds"):
        home.install(key, chain, TRUST)


def test_an_issuer_is_installed(home: Home) -> None:
    key, second = home.pending_key(os.urandom), home.pending_issuer_key(os.urandom)
    common = {"wall": WALL, "entropy": os.urandom}
    home.install(
        key,
        ISSUER.issue(key.public_key, "deputy", roles=BOTH, **common),
        TRUST,
        issuer_key=second,
        issuer_chain=ISSUER.issue_issuer(second.public_key, "deputy", **common),
    )
    deputy = home.load()
    assert admit(deputy, "leaf", os.urandom, WALL).chain[1:] == deputy.issuer.chain


def test_what_does_not_hold_is_not_installed(home: Home) -> None:
    key = home.pending_key(os.urandom)
    common = {"wall": WALL, "entropy": os.urandom}
    chain = ISSUER.issue(key.public_key, "new", **common)
    other = ISSUER.issue(key_of("other").public_key, "new", **common)
    for bad in (
        lambda: home.install(key, other, TRUST),
        lambda: home.install(key_of("other"), other, TRUST),
        lambda: home.install(key, chain[:1], TRUST),
        lambda: home.install(key, chain, TRUST, wall=WALL + 91 * DAY),
    ):
        with pytest.raises(IdentityError):
            bad()
        assert not home.exists()
    home.install(key, chain, TRUST, wall=WALL)


def test_a_certificate_is_renewed_in_place(home: Home) -> None:
    key = home.pending_key(os.urandom)
    chain = ISSUER.issue(key.public_key, "new", wall=WALL, entropy=os.urandom)
    home.install(key, chain, TRUST)
    later = ISSUER.issue(key.public_key, "new", wall=WALL + 60 * DAY, entropy=os.urandom)
    home.renew(NodeIdentity.assemble(key, later, TRUST))
    assert home.load().not_after == WALL + 150 * DAY
    with pytest.raises(IdentityError, match="another node"):
        home.renew(FOUNDER)
    assert home.load().not_after == WALL + 150 * DAY


# -- damage --------------------------------------------------------------------------------------


def test_nothing_there(home: Home) -> None:
    for told in (refused(home), home.path.mkdir(mode=0o700) or refused(home)):
        assert "gossipnet init" in told
        assert "gossipnet join" in told


def test_a_file_in_its_place(home: Home) -> None:
    home.path.write_text("letter")
    assert "is a file" in refused(home)
    assert not home.exists()
    with pytest.raises(HomeError, match="is a file"):
        found(home)
    assert not Home(home.path / "below").exists()
    with pytest.raises(HomeError):
        found(Home(home.path / "below"))
    refused(Home(home.path / "below"))


def test_a_link_to_nowhere(home: Home) -> None:
    home.path.symlink_to(home.path.with_name("nowhere"))
    with pytest.raises(HomeError):
        found(home)
    assert "gossipnet init" in refused(home)


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o750, 0o755, 0o777])
def test_a_folder_that_others_can_enter(founded: Home, mode: int) -> None:
    founded.path.chmod(mode)
    told = refused(founded)
    assert f"chmod 700 {founded.path}" in told
    assert f"{mode:04o}" in told
    founded.path.chmod(0o700)
    founded.load()


@pytest.mark.parametrize("file", [NODE_KEY, ISSUER_KEY, CERTIFICATE])
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o620])
def test_a_file_that_others_can_read(founded: Home, file: str, mode: int) -> None:
    (founded.path / file).chmod(mode)
    assert f"chmod 600 {founded.path / file}" in refused(founded)
    (founded.path / file).chmod(0o600)
    founded.load()


def test_a_root_key_that_others_can_read(founded: Home) -> None:
    (founded.path / ROOT_KEY).chmod(0o644)
    with pytest.raises(HomeError, match="chmod 600"):
        founded.root_key(None)


@pytest.mark.parametrize("file", ["", NODE_KEY, CERTIFICATE])
def test_somebody_elses(founded: Home, file: str) -> None:
    need(os.geteuid() == 0, "giving a file away needs root")
    os.chown(founded.path / file, 65534, 65534)
    assert "belongs to user 65534" in refused(founded)


def test_closed_to_us(founded: Home) -> None:
    need(os.geteuid() == 0, "becoming somebody else needs root")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.seteuid(65534)
            for act in (founded.exists, founded.load):
                try:
                    act()
                except HomeError:
                    code = 0
                else:
                    code = 2
                    break
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("file", [NODE_KEY, ISSUER_KEY])
def test_a_missing_key(founded: Home, file: str) -> None:
    (founded.path / file).unlink()
    told = refused(founded)
    assert f"{founded.path / file} is missing" in told


@pytest.mark.parametrize("file", [NODE_KEY, ISSUER_KEY, CERTIFICATE])
def test_a_damaged_file_is_named(founded: Home, file: str) -> None:
    path = founded.path / file
    whole = path.read_bytes()
    damage = [b"", whole[:-9], whole[: len(whole) // 2], whole + b"x", bytes(len(whole))]
    damage += [
        whole[:at] + bytes((whole[at] ^ 0xFF,)) + whole[at + 1 :] for at in range(0, len(whole), 11)
    ]
    for broken in damage:
        path.write_bytes(broken)
        told = refused(founded)
        assert str(path) in told
        assert "\n" not in told
    path.write_bytes(bytes(100_000))
    assert "longer than" in refused(founded)
    path.write_bytes(whole)
    founded.load()


def test_files_of_a_newer_program(founded: Home) -> None:
    path = founded.path / CERTIFICATE
    path.write_bytes(path.read_bytes().replace(b"version 1", b"version 2"))
    assert "newer gossipnet" in refused(founded)


def test_files_of_two_homes_do_not_mix(founded: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    found(other)
    for file in (NODE_KEY, ISSUER_KEY, CERTIFICATE):
        before = (founded.path / file).read_bytes()
        (founded.path / file).write_bytes((other.path / file).read_bytes())
        assert "do not belong together" in refused(founded)
        (founded.path / file).write_bytes(before)
    founded.load()


def test_things_that_are_no_files(founded: Home) -> None:
    path = founded.path / NODE_KEY
    path.unlink()
    path.mkdir()
    assert "not a file" in refused(founded)
    path.rmdir()
    os.mkfifo(path, 0o600)
    begun = time.monotonic()
    assert "not a file" in refused(founded)
    assert time.monotonic() - begun < 5, "a pipe must not be waited for"


def test_a_key_may_be_a_link_to_where_secrets_are_kept(founded: Home, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (founded.path / NODE_KEY).rename(kept)
    (founded.path / NODE_KEY).symlink_to(kept)
    founded.load()
    kept.chmod(0o644)
    assert "chmod 600" in refused(founded)


def test_an_expired_node_still_loads(founded: Home) -> None:
    """Whether it may still enter the mesh is for the others to say, and for `status` to warn of."""
    assert founded.load().not_after == WALL + 90 * DAY


def test_nothing_secret_is_shown(founded: Home) -> None:
    identity = founded.load()
    for shown in (repr(founded), repr(identity)):
        assert identity.key.seed().hex() not in shown


def test_expanded_entropy_makes_the_same_home(tmp_path: Path) -> None:
    one, two = Home(tmp_path / "one"), Home(tmp_path / "two")
    for home in (one, two):
        home.found(mesh="m", name="n", passphrase=None, entropy=expand(b"same"), wall=WALL)
    assert files(one) == files(two)


def test_the_root_renews_an_issuer_even_after_its_end(tmp_path) -> None:
    """What docs/trust.md says to do once a year, done on time and done too late."""
    import os

    from gossipnet.identity.promotion import promote

    home = Home(tmp_path / "home")
    began = 1_800_000_000.0
    first = home.found(mesh="m", name="a", passphrase=None, entropy=os.urandom, wall=began)
    assert first.issuer is not None
    for days in (300, 400, 2000):
        wall = began + days * 86_400
        again = promote(home, [home.root_key(None)], os.urandom, wall)
        assert again.issuer is not None
        assert again.issuer.key.public_key == first.issuer.key.public_key
        assert again.issuer.certificate.not_after == int(wall) + 365 * 86_400
        assert again.trust.verify_chain(again.chain, wall).subject == first.public_key
        assert home.load().chain == again.chain
