"""A node's home folder, as far as identity goes: which files there are, and that they are whole.

``identity.key`` and ``issuer.key`` hold seeds, ``root.key`` the mesh's root key (`rootkeys` tells
of several), and ``identity.cert`` everything public: root records, certificate chains. That one is
written last and in one step, so a home either has a complete identity or none. All are 0600 in a
folder of 0700.

The database, the socket and the daemon's lock in the same folder are others' business.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gossipnet.errors import CertificateError, HomeError, IdentityError
from gossipnet.identity import rootkeys
from gossipnet.identity.files import (
    alone,
    check_folder,
    make_folder,
    present,
    read_private,
    remove,
    write_private,
)
from gossipnet.identity.founding import found_with_roots
from gossipnet.identity.keyfile import (
    MAX_KEY_FILE_BYTES,
    is_encrypted,
    read_root,
    read_seed,
    write_seed,
)
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.publicfile import Public, read_public, write_public
from gossipnet.identity.signing import SecretKey
from gossipnet.identity.trust import Trust

__all__ = ["Home", "NodeIdentity"]

NODE_KEY = "identity.key"
ISSUER_KEY = "issuer.key"
ROOT_KEY = "root.key"
CERTIFICATE = "identity.cert"
_UNFINISHED = "founding"


class Home:
    """The identity in one folder.

    Args:
      path: The folder; it need not be there yet.
      node_key: Gives the node's key, in place of ``identity.key``; may raise `IdentityError`.
    """

    def __init__(self, path: Path, node_key: Callable[[], SecretKey] | None = None) -> None:
        self.path = path
        self._node_key = node_key

    def __repr__(self) -> str:
        return f"<Home {self.path}>"

    def exists(self) -> bool:
        """Whether a complete identity is here, sound or not.

        Raises:
          HomeError: The folder cannot be looked into.
        """
        return self._has(CERTIFICATE)

    def found(
        self,
        *,
        mesh: str,
        name: str,
        passphrase: str | None,
        entropy: Callable[[int], bytes],
        wall: float,
        threshold: int = 1,
        authorities: int = 1,
        recovery: bytes | None = None,
    ) -> NodeIdentity:
        """Found a mesh with this home as its first node.

        Args:
          mesh: The mesh's name.
          name: This node's name.
          passphrase: Protects the root keys; None writes them in plain.
          entropy: ``entropy(n)`` gives n unpredictable bytes.
          wall: Unix seconds.
          threshold: How many authorities must sign what the root signs.
          authorities: How many there are.
          recovery: Public half of a recovery key.

        Raises:
          HomeError: There is a node here already, or the folder or disk will not do.
          IdentityError: A name, a number or the passphrase will not do.
        """
        identity, root_keys = found_with_roots(
            mesh,
            name,
            entropy,
            wall,
            threshold=threshold,
            authorities=authorities,
            recovery=recovery,
        )
        issuer = identity.issuer
        assert issuer is not None
        root_files = rootkeys.sealed(1, root_keys, passphrase, entropy)
        with self._setting_up():
            for file in (*root_files, ISSUER_KEY, NODE_KEY):
                if self._has(file):
                    raise HomeError(
                        f"{self._file(file)} is there without {CERTIFICATE}: it may be the key of "
                        "a mesh or of an unfinished join; put the certificate back, move the key "
                        "away, or choose another folder with --home"
                    )
            write_private(self._file(_UNFINISHED), b"gossipnet init is at work here\n")
            rootkeys.write_all(self.path, root_files)
            write_private(self._file(ISSUER_KEY), write_seed("issuer", issuer.key))
            write_private(self._file(NODE_KEY), write_seed("node", identity.key))
            write_public(
                self._file(CERTIFICATE),
                Public(identity.trust.encode(), identity.chain, issuer.chain),
            )
            remove(self._file(_UNFINISHED))
        return identity

    def load(self) -> NodeIdentity:
        """The identity in this home, every part of it verified, whatever the time is.

        Raises:
          HomeError: There is none, it is open to others or somebody else's, or a file is damaged.
          IdentityError: A key file is damaged, or the parts do not belong together.
        """
        self._check_complete()
        where = self._file(CERTIFICATE)
        public = read_public(where)
        key = self._read_key(NODE_KEY, "node")
        issuer_key = self._read_key(ISSUER_KEY, "issuer") if public.issuer_chain else None
        try:
            trust = Trust.decode(public.trust)
        except CertificateError as error:
            raise HomeError(f"{where} is damaged: {error}") from None
        try:
            return NodeIdentity.assemble(
                key,
                public.chain,
                trust,
                issuer_key=issuer_key,
                issuer_chain=public.issuer_chain,
            )
        except IdentityError as error:
            raise IdentityError(f"{where} cannot be used: {error}") from None

    def pending_key(self, entropy: Callable[[int], bytes]) -> SecretKey:
        """The node key for a join: made once, so that a retried join is for the same node.

        Raises:
          HomeError: There is a node here already, or the folder or disk will not do.
          IdentityError: The key that is there is damaged.
        """
        return self._pending(NODE_KEY, "node", entropy)

    def pending_issuer_key(self, entropy: Callable[[int], bytes]) -> SecretKey:
        """The issuer key for a join that makes this node an issuer; as `pending_key`."""
        return self._pending(ISSUER_KEY, "issuer", entropy)

    def install(
        self,
        key: SecretKey,
        chain: tuple[bytes, ...],
        trust: Trust,
        *,
        issuer_key: SecretKey | None = None,
        issuer_chain: tuple[bytes, ...] = (),
        wall: float | None = None,
    ) -> NodeIdentity:
        """Keep what a join brought, in one step; the home is complete then.

        Args:
          key: From `pending_key`.
          chain: Its new certificates.
          trust: The mesh.
          issuer_key: From `pending_issuer_key`, if it was certified too.
          issuer_chain: Its new certificates.
          wall: Unix seconds, to refuse certificates that are not valid now.

        Raises:
          HomeError: There is a node here already, or the disk will not do.
          IdentityError: The parts do not belong together, or a certificate is not good.
        """
        identity = NodeIdentity.assemble(
            key, chain, trust, issuer_key=issuer_key, issuer_chain=issuer_chain, wall=wall
        )
        with self._setting_up():
            self._keep_key(NODE_KEY, "node", key)
            if issuer_key is not None:
                self._keep_key(ISSUER_KEY, "issuer", issuer_key)
            write_public(
                self._file(CERTIFICATE), Public(trust.encode(), identity.chain, tuple(issuer_chain))
            )
        return identity

    def renew(self, identity: NodeIdentity) -> None:
        """Replace the certificates by newer ones for the same keys, in one step.

        Raises:
          HomeError: The disk will not do; the old ones are still there.
          IdentityError: ``identity`` is another node's.
        """
        if self.load().public_key != identity.public_key:
            raise IdentityError(f"{self.path} is the home of another node")
        issuer_chain = () if identity.issuer is None else identity.issuer.chain
        write_public(
            self._file(CERTIFICATE), Public(identity.trust.encode(), identity.chain, issuer_chain)
        )

    def adopt_root(self, data: bytes) -> NodeIdentity:
        """Keep a new version of the root.

        Raises:
          HomeError: The disk will not do.
          CertificateError: The version does not hold.
          IdentityError: It does not follow any that is here, or this node's own certificates do
            not hold under it.
        """
        identity = self.load()
        if identity.trust.adopt(data) is None:
            raise IdentityError("this version of the root does not follow any that is known here")
        self.renew(identity)
        return self.load()

    def root_key(self, passphrase: str | None) -> SecretKey:
        """The mesh's root key, if this home has it.

        Raises:
          HomeError: It has not, or the file is open to others.
          IdentityError: The passphrase is missing or wrong, or the file is damaged.
        """
        return read_root(self._read_root(), passphrase, str(self._file(ROOT_KEY)))

    def root_key_encrypted(self) -> bool:
        """Whether `root_key` needs a passphrase.

        Raises:
          HomeError: There is no root key here.
          IdentityError: The file is damaged.
        """
        return is_encrypted(self._read_root(), str(self._file(ROOT_KEY)))

    # -- files ---------------------------------------------------------------------------------

    def _file(self, name: str) -> Path:
        return self.path / name

    def _publish(
        self, trust: Trust, chain: tuple[bytes, ...], issuer_chain: tuple[bytes, ...]
    ) -> None:
        public = Public(trust.encode(), chain, tuple(issuer_chain))
        write_public(self._file(CERTIFICATE), public)

    def _has(self, name: str) -> bool:
        return present(self._file(name))

    def _check_complete(self) -> None:
        """Say which kind of incomplete it is."""
        try:
            check_folder(self.path)
        except FileNotFoundError:
            raise HomeError(_nothing_at(self.path)) from None
        if self.exists():
            return
        if self._has(_UNFINISHED):
            raise HomeError(
                f"`gossipnet init` did not finish in {self.path}: run it again, nothing is lost"
            )
        if self._has(ROOT_KEY):
            raise HomeError(
                f"{self._file(CERTIFICATE)} is missing, and {ROOT_KEY} is there: put a copy back"
            )
        if self._has(NODE_KEY):
            raise HomeError(
                f"{self.path} holds a key but no certificate: finish with `gossipnet join TOKEN`, "
                "or with `gossipnet install FILE` when an issuer has signed this machine's request"
            )
        raise HomeError(_nothing_at(self.path))

    @contextmanager
    def _setting_up(self) -> Iterator[None]:
        """Nobody else sets up this home meanwhile, and no identity is in it."""
        make_folder(self.path)
        with alone(self.path):
            if self.exists():
                raise HomeError(
                    f"{self.path} already holds a node of a mesh: choose another folder with --home"
                )
            for left in self.path.glob(".*.tmp"):
                remove(left)
            if self._has(_UNFINISHED):
                # Nobody was ever told of that mesh: its certificate was to be written last.
                for path in rootkeys.found_in(self.path):
                    remove(path)
                for file in (ISSUER_KEY, NODE_KEY, _UNFINISHED):
                    remove(self._file(file))
            yield

    def _pending(self, file: str, kind: str, entropy: Callable[[int], bytes]) -> SecretKey:
        with self._setting_up():
            try:
                return self._stored_key(file, kind)
            except FileNotFoundError:
                key = SecretKey.generate(entropy)
                write_private(self._file(file), write_seed(kind, key))
                return key

    def _keep_key(self, file: str, kind: str, key: SecretKey) -> None:
        try:
            stored = self._stored_key(file, kind)
        except FileNotFoundError:
            write_private(self._file(file), write_seed(kind, key))
            return
        if stored.public_key != key.public_key:
            raise IdentityError(f"{self._file(file)} is not the key that was certified")

    def _stored_key(self, file: str, kind: str) -> SecretKey:
        if file == NODE_KEY and self._node_key is not None:
            return self._node_key()
        path = self._file(file)
        return read_seed(kind, read_private(path, MAX_KEY_FILE_BYTES), str(path))

    def _read_key(self, file: str, kind: str) -> SecretKey:
        try:
            return self._stored_key(file, kind)
        except FileNotFoundError:
            raise HomeError(
                f"{self._file(file)} is missing: put a copy of it back, or let this machine join "
                "anew in another home"
            ) from None

    def _read_root(self) -> bytes:
        try:
            check_folder(self.path)
            return read_private(self._file(ROOT_KEY), MAX_KEY_FILE_BYTES)
        except FileNotFoundError:
            raise HomeError(
                f"there is no {ROOT_KEY} in {self.path}: it is where the mesh was founded, or "
                "where its copy was put"
            ) from None


def _nothing_at(path: Path) -> str:
    return (
        f"there is no node at {path}: found a mesh with `gossipnet init`, or enter one with "
        "`gossipnet join TOKEN`"
    )
