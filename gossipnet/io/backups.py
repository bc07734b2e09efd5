"""Backups: a folder with one consistent state of a home, its sums, and, unless left out, its keys.

``backup.json`` has two lines, the manifest and its sum; the manifest has the sum of every other
file. The folder appears under its name when it is complete, so there are no half backups. Root keys
are never part of one: they belong off the machine anyway (`docs/trust.md`).

Putting one back marks the database, so that the node goes on in a new log: what it had written
after the backup comes back from the other members, and nothing is signed under a number that they
know already.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossipnet import ids
from gossipnet.errors import CertificateError, HomeError, NotFound, StoreError, UserError
from gossipnet.identity.files import make_folder, present, remove, write_private
from gossipnet.identity.home import CERTIFICATE, ISSUER_KEY, NODE_KEY
from gossipnet.identity.meshsecret import MESH_SECRET
from gossipnet.identity.publicfile import Public, read_public
from gossipnet.identity.trust import Trust
from gossipnet.io.database import open_database
from gossipnet.io.lock import lock_home
from gossipnet.io.recovery import EPOCH_KEY, MARKER_KEY, RESTORED_KEY, STATE_FILE
from gossipnet.io.schema import SCHEMA_VERSION
from gossipnet.io.seeds import SEEDS_FILE
from gossipnet.io.snapshot import Progress, at_rest, copy, reading
from gossipnet.protocol.effects import Commit
from gossipnet.version import version

MANIFEST = "backup.json"
FORMAT = 1
_CONFIG = "config.toml"
_KEYS = (NODE_KEY, ISSUER_KEY, MESH_SECRET)
_OPEN = (CERTIFICATE, SEEDS_FILE, _CONFIG)
_PIECE = 1 << 20
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup whose manifest was read.

    Attributes:
      folder: Where it is.
      manifest: What it says.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def files(self) -> Mapping[str, Mapping[str, Any]]:
        """Size and sum of each file by name."""
        files: Mapping[str, Mapping[str, Any]] = self.manifest["files"]
        return files


def make_backup(home: Path, folder: Path, *, keys: bool, progress: Progress) -> Backup:
    """Write a backup of ``home``, whether or not a daemon runs on it.

    Args:
      home: With a complete identity.
      folder: Must not be there yet.
      keys: Whether the node's secret keys are to be in it.
      progress: Told how far it is.

    Raises:
      UserError: Something is in the way; no backup is left behind.
    """
    public, trust = read_identity(home)
    if folder.exists():
        raise UserError(f"{folder} is there already: name a folder that is not")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise UserError(f"cannot make {partial}: {error.strerror}") from None
    try:
        with at_rest(home) as resting, reading(home / STATE_FILE, resting=resting) as source:
            copy(source, partial / STATE_FILE, progress)
        for name in (*(_KEYS if keys else ()), *_OPEN):
            if present(home / name):
                write_private(partial / name, (home / name).read_bytes())
        leaf = trust.verify_past_chain(public.chain)
        manifest = {
            "gossipnet_backup": FORMAT,
            "made_ms": int(time.time() * 1000),
            "version": version(),
            "schema": SCHEMA_VERSION,
            "mesh": trust.mesh_name,
            "mesh_id": ids.text(trust.mesh_id),
            "node": leaf.name,
            "node_id": ids.text(ids.node_id(leaf.subject)),
            "keys": keys,
            "files": {path.name: _described(path) for path in sorted(partial.iterdir())},
        }
        text = json.dumps(manifest, sort_keys=True)
        write_private(partial / MANIFEST, f"{text}\n{_sum_of(text.encode())}\n".encode())
        partial.rename(folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Backup(folder, manifest)


def is_backup(folder: Path) -> bool:
    """Whether there is a manifest.

    Raises:
      HomeError: The folder is closed to this user.
    """
    return present(folder / MANIFEST)


def read_backup(folder: Path) -> Backup:
    """Read the manifest.

    Raises:
      UserError: There is no backup, or its manifest is damaged or newer.
    """
    path = folder / MANIFEST
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise NotFound(f"there is no backup at {folder}: it has no {MANIFEST}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    text, _, rest = data.partition(b"\n")
    if rest.strip().decode("ascii", "replace") != _sum_of(text):
        raise StoreError(f"{path} is damaged (it does not fit its sum): take another backup")
    manifest = json.loads(text)
    if manifest.get("gossipnet_backup") != FORMAT:
        raise StoreError(f"{path} was written by a newer gossipnet: use that")
    return Backup(folder, manifest)


def check_sums(backup: Backup, progress: Progress) -> list[str]:
    """What is wrong with the files of a backup, one sentence each."""
    found: list[str] = []
    total = sum(int(file["bytes"]) for file in backup.files.values())
    done = 0
    for name, told in backup.files.items():
        try:
            there = _described(backup.folder / name)
        except OSError as error:
            found.append(f"{name}: {error.strerror}")
            continue
        if there != told:
            found.append(f"{name}: does not fit the sum in {MANIFEST}")
        done += int(told["bytes"])
        progress(done, total)
    extra = {path.name for path in backup.folder.iterdir()} - {MANIFEST, *backup.files}
    found += [f"{name}: is no part of the backup" for name in sorted(extra)]
    return found


def read_identity(folder: Path) -> tuple[Public, Trust]:
    """The public part of the identity in a home or a backup.

    Raises:
      UserError: There is none, or it is damaged.
    """
    path = folder / CERTIFICATE
    try:
        public = read_public(path)
    except FileNotFoundError:
        raise NotFound(f"there is no node and no backup at {folder}") from None
    try:
        return public, Trust.decode(public.trust)
    except CertificateError as error:
        raise HomeError(f"{path} is damaged: {error}") from None


def restore(backup: Backup, home: Path, *, replace: bool, progress: Progress) -> list[str]:
    """Put a backup into a home; the next start opens a new log.

    Args:
      backup: Its sums are checked before anything is touched.
      home: New; or of the same node, or of a newly joined one of the same mesh.
      replace: Put a database that is there aside, under a name of its own.
      progress: Told how far it is.

    Returns:
      What was done, a sentence each.

    Raises:
      UserError: It cannot be done, and nothing was changed.
    """
    damaged = check_sums(backup, progress)
    if damaged:
        raise StoreError(f"the backup is damaged ({damaged[0]}): take another one")
    fresh = not present(home / CERTIFICATE)
    if fresh and not backup.manifest["keys"]:
        raise HomeError(
            "the backup holds no keys: let this machine join with `gossipnet join TOKEN`, then put "
            "the backup into its home"
        )
    if not fresh:
        _check_same_mesh(backup, home)
    make_folder(home)
    with lock_home(home):
        return _put_back(backup, home, fresh, replace)


def _check_same_mesh(backup: Backup, home: Path) -> None:
    _public, trust = read_identity(home)
    if ids.text(trust.mesh_id) != backup.manifest["mesh_id"]:
        raise HomeError(
            f"{home} belongs to another mesh than the backup, which is of "
            f"{backup.manifest['mesh']}: choose another folder with --home"
        )


def _put_back(backup: Backup, home: Path, fresh: bool, replace: bool) -> list[str]:
    path, done = home / STATE_FILE, []
    if path.exists() and not replace:
        raise HomeError(
            f"{path} is there: --replace puts it aside and the backup in its place, which loses "
            "what this node has written since and nobody else has"
        )
    beside = _prepared(backup, home)
    if path.exists():
        kept = _free_name(home)
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{suffix}").rename(f"{kept}{suffix}")
        done.append(f"the database that was here is kept as {kept}")
    beside.rename(path)
    done.append(f"state of {backup.manifest['node']} put back into {path}")
    for name in (*_KEYS, SEEDS_FILE, _CONFIG, CERTIFICATE):  # the last makes a home complete
        wanted = fresh or name in (SEEDS_FILE, _CONFIG)
        if wanted and name in backup.files and not present(home / name):
            write_private(home / name, (backup.folder / name).read_bytes())
            done.append(f"{name} put back")
    return done


def _prepared(backup: Backup, home: Path) -> Path:
    """The backup's database beside the place it goes to, marked so that a new log is opened."""
    beside = home / f"{STATE_FILE}.restoring"
    for suffix in ("", "-wal", "-shm", "-journal"):
        remove(Path(f"{beside}{suffix}"))
    try:
        shutil.copyfile(backup.folder / STATE_FILE, beside)
        beside.chmod(0o600)
    except OSError as error:
        raise HomeError(f"cannot write {beside}: {error.strerror}") from error
    database = open_database(beside)
    try:
        names = ((MARKER_KEY, None), (EPOCH_KEY, None), (RESTORED_KEY, b"1"))
        database.write([Commit(0, (), names, urgent=True)])
    finally:
        database.close()
    return beside


def _free_name(home: Path) -> Path:
    number = 1
    while (kept := home / f"{STATE_FILE}.replaced-{number}").exists():
        number += 1
    return kept


def _described(path: Path) -> dict[str, Any]:
    summed = hashlib.blake2b(digest_size=32)
    size = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            summed.update(piece)
            size += len(piece)
    return {"bytes": size, "blake2b": summed.hexdigest()}


def _sum_of(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=32).hexdigest()
