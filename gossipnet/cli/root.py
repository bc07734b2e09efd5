"""``gossipnet root``: the keys that speak for the mesh, and how they change hands."""

import argparse
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.options import Command, add_socket, home_of, suggestion
from gossipnet.cli.rootwords import (
    ask_recovery,
    new_passphrase,
    open_root_keys,
    parse_rule,
    tell_recovery,
)
from gossipnet.cli.terminal import next_step, plain, put, put_json, say
from gossipnet.errors import DaemonNotRunning, UsageError, UserError

if TYPE_CHECKING:
    from gossipnet.identity.home import Home
    from gossipnet.identity.proposal import Proposal
    from gossipnet.identity.signing import SecretKey
    from gossipnet.identity.trust import Trust

_ACTIONS = ("show", "rotate", "sign", "import", "issuer")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=_ACTIONS, metavar="|".join(_ACTIONS))
    parser.add_argument("file", metavar="FILE", nargs="?", help="sign, import: the proposal")
    parser.add_argument(
        "--authorities", type=parse_rule, metavar="K-of-N", help="rotate: new keys, and how many"
    )
    parser.add_argument(
        "--keep-keys", action="store_true", help="rotate: the authorities stay as they are"
    )
    parser.add_argument(
        "--key", metavar="FILE", action="append", default=[], help="a root key from elsewhere"
    )
    parser.add_argument(
        "--recovery",
        action="store_true",
        help="sign with the recovery key (a prompt, or $GOSSIPNET_RECOVERY)",
    )
    parser.add_argument(
        "--new-recovery", action="store_true", help="rotate: replace the recovery key as well"
    )
    parser.add_argument(
        "--void",
        metavar="ID",
        action="append",
        default=[],
        help="rotate: a revocation, or a node whose revocations, are taken back",
    )
    parser.add_argument(
        "--drop-issuer",
        metavar="ID",
        action="append",
        default=[],
        help="rotate: an issuer's certificate that ends with the keys that signed it",
    )
    parser.add_argument("--out", metavar="FILE", help="rotate: where to put an unfinished proposal")
    parser.add_argument(
        "--no-passphrase", action="store_true", help="rotate: leave new keys unencrypted"
    )
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    wants_file = arguments.action in ("sign", "import")
    if wants_file != (arguments.file is not None):
        raise UsageError(
            f"root {arguments.action} takes {'a' if wants_file else 'no'} FILE; see "
            "gossipnet root --help"
        )
    actions = {
        "show": _show,
        "rotate": _rotate,
        "sign": _sign,
        "import": _import,
        "issuer": _issuer,
    }
    return actions[arguments.action](arguments)


# -- show ------------------------------------------------------------------------------------------


def _show(arguments: argparse.Namespace) -> int:
    document = _from_daemon(arguments) or _from_home(arguments)
    if arguments.json:
        put_json(document)
        return 0
    for row in document["versions"]:
        made = datetime.fromtimestamp(row["created"], UTC)
        recovery = "with" if row["recovery"] else "without"
        put(
            f"version {row['version']}  {row['hash'][:10]}  {made:%Y-%m-%d %H:%M}  "
            f"{row['threshold']}-of-{len(row['authorities'])}, {recovery} recovery key, "
            f"signed by {' and '.join(row['signed_by'])}"
        )
    members = document.get("members") or {}
    for version, count in members.items():
        say(f"{count} member{'' if count == 1 else 's'} on version {version}")
    if not members:
        say("no daemon runs here, so nobody knows which version the others are on")
    next_step(suggestion(arguments, "root rotate"))
    return 0


def _from_daemon(arguments: argparse.Namespace) -> dict[str, Any] | None:
    try:
        with open_client(arguments) as client:
            found = plain(ask(client, "GOSSIP", "ROOT"))
    except DaemonNotRunning:
        return None
    assert isinstance(found, dict)
    return found


def _from_home(arguments: argparse.Namespace) -> dict[str, Any]:
    from gossipnet.protocol.rooting import describe

    trust = _home(arguments).load().trust
    return {
        "version": trust.root_version,
        "members": {},
        "versions": [describe(record) for record in trust.roots.chain],
    }


def _home(arguments: argparse.Namespace) -> "Home":
    from gossipnet.identity.home import Home

    return Home(home_of(arguments))


# -- rotate ----------------------------------------------------------------------------------------


def _rotate(arguments: argparse.Namespace) -> int:
    from gossipnet.identity import rootkeys
    from gossipnet.identity.proposal import propose
    from gossipnet.identity.signing import SecretKey

    if arguments.keep_keys and arguments.authorities:
        raise UsageError("--keep-keys and --authorities exclude each other")
    home = _home(arguments)
    trust = home.load().trust
    old = trust.root
    new_keys: list[SecretKey] = []
    threshold, authorities = old.threshold, old.authorities
    if not arguments.keep_keys:
        threshold, count = arguments.authorities or (old.threshold, len(old.authorities))
        new_keys = [SecretKey.generate(os.urandom) for _ in range(count)]
        authorities = tuple(key.public_key for key in new_keys)
    recovery_key = SecretKey.generate(os.urandom) if arguments.new_recovery else None
    # Opened before anything is written: a wrong passphrase must leave nothing behind.
    held = _signing_keys(arguments, home)
    proposal = propose(
        trust,
        created=time.time(),
        threshold=threshold,
        authorities=authorities,
        recovery=old.recovery if recovery_key is None else recovery_key.public_key,
        issuers=_issuers(arguments, trust, home),
        voids=old.voids | {_id(written) for written in arguments.void},
    )
    proposal.sign([*held, *new_keys])
    if new_keys:
        passphrase = None if arguments.no_passphrase else new_passphrase()
        files = rootkeys.sealed(proposal.version, new_keys, passphrase, os.urandom)
        written = rootkeys.write_all(home.path, files)
        say(f"new keys  {', '.join(map(str, written))}: keep copies off this machine")
    if recovery_key is not None:
        tell_recovery(rootkeys.recovery_text(recovery_key))
    return _go_on(arguments, proposal, trust, home)


def _issuers(arguments: argparse.Namespace, trust: "Trust", home: "Home") -> frozenset[bytes]:
    """Issuers' certificates that go on under the new root: all that are known, but for those named.

    A daemon that runs here knows those of all members.
    """
    identity = home.load()
    chains = [identity.chain, *([identity.issuer.chain] if identity.issuer else [])]
    known = set(trust.root.issuers) | {trust.steps(chain[-1:])[0][0] for chain in chains}
    seen = _from_daemon(arguments)
    if seen is not None:
        known |= {_id(row["id"]) for row in seen.get("issuers", ()) if row["holds"]}
    dropped = {_id(written) for written in arguments.drop_issuer}
    unknown = dropped - known
    if unknown:
        raise UsageError("--drop-issuer names a certificate that is not in use")
    return frozenset(known - dropped)


def _id(written: str) -> bytes:
    from gossipnet import ids

    try:
        found = ids.parse(written)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise UsageError(f"{written!r} is no id: `gossipnet root show --json` has them whole")
    return found


def _signing_keys(arguments: argparse.Namespace, home: "Home") -> "list[SecretKey]":
    from gossipnet.identity import rootkeys

    paths = [*rootkeys.found_in(home.path), *(Path(name) for name in arguments.key)]
    keys = open_root_keys(paths)
    if arguments.recovery:
        keys.append(ask_recovery())
    return keys


def _go_on(
    arguments: argparse.Namespace, proposal: "Proposal", trust: "Trust", home: "Home"
) -> int:
    """Adopt a complete proposal, or leave it for the next who must sign."""
    missing = proposal.missing()
    document: dict[str, Any] = {"version": proposal.version, "missing": missing, "file": None}
    if missing:
        path = Path(arguments.out or arguments.file or f"root-v{proposal.version}.proposal")
        _write(path, proposal)
        document["file"] = str(path)
        say(f"version {proposal.version} of the root is in {path}; it still needs")
        for line in missing:
            say(f"  {line}")
        step = f"gossipnet root sign {path}   where those keys are, then gossipnet root import"
    else:
        _adopt(arguments, proposal.finish(trust), home)
        say(f"version {proposal.version} of the root counts now")
        step = suggestion(arguments, "root show")
    if arguments.json:
        put_json(document)
    next_step(step, always=bool(missing))
    return 0


def _write(path: Path, proposal: "Proposal") -> None:
    try:
        path.write_text(proposal.encode(), encoding="ascii")
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; choose another place with --out, and say "
            "`root rotate` again"
        ) from None


def _adopt(arguments: argparse.Namespace, data: bytes, home: "Home") -> None:
    try:
        with open_client(arguments) as client:
            ask(client, "GOSSIP", "ROOT", "IMPORT", data)
    except DaemonNotRunning:
        home.adopt_root(data)
        say("no daemon runs here: the others learn of it when one does")


# -- sign, import, issuer --------------------------------------------------------------------------


def _read(arguments: argparse.Namespace, trust: "Trust") -> "Proposal":
    from gossipnet.identity.proposal import MAX_FILE_BYTES, Proposal

    try:
        with open(arguments.file, encoding="ascii", errors="replace") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"cannot read the proposal {arguments.file}: {error.strerror}; check the path, and "
            "that the file was copied to this machine"
        ) from None
    return Proposal.decode(text, trust)


def _sign(arguments: argparse.Namespace) -> int:
    home = _home(arguments)
    trust = home.load().trust
    proposal = _read(arguments, trust)
    for line in _changes(proposal):
        say(line)
    added = proposal.sign(_signing_keys(arguments, home))
    if not added:
        raise UserError("none of the keys here can add anything to this proposal")
    path = Path(arguments.file)
    _write(path, proposal)
    missing = proposal.missing()
    if arguments.json:
        put_json({"version": proposal.version, "missing": missing, "file": str(path)})
    for line in missing:
        say(f"still needed: {line}")
    next_step(
        f"gossipnet root sign {path}   where the missing keys are"
        if missing
        else suggestion(arguments, f"root import {path}"),
        always=True,
    )
    return 0


def _changes(proposal: "Proposal") -> list[str]:
    """What a person agrees to by signing."""
    before = proposal.before
    lines = [
        f"version {proposal.version}: {proposal.threshold}-of-{len(proposal.authorities)} "
        f"(now {before.threshold}-of-{len(before.authorities)})"
    ]
    new = sum(key not in before.authorities for key in proposal.authorities)
    lines.append(f"  {new} new authority key{'' if new == 1 else 's'}")
    if proposal.recovery != before.recovery:
        lines.append("  another recovery key" if proposal.recovery else "  no recovery key")
    lines.append(f"  {len(proposal.issuers)} issuer's certificates go on")
    if proposal.voids - before.voids:
        lines.append(f"  {len(proposal.voids - before.voids)} revocations are taken back")
    return lines


def _import(arguments: argparse.Namespace) -> int:
    home = _home(arguments)
    trust = home.load().trust
    proposal = _read(arguments, trust)
    data = proposal.finish(trust)
    _adopt(arguments, data, home)
    if arguments.json:
        put_json({"version": proposal.version, "missing": [], "file": None})
    say(f"version {proposal.version} of the root counts now")
    next_step(suggestion(arguments, "root show"))
    return 0


def _issuer(arguments: argparse.Namespace) -> int:
    from gossipnet.identity.promotion import promote
    from gossipnet.io.lock import lock_home

    home = _home(arguments)
    keys = _signing_keys(arguments, home)
    with lock_home(home.path):
        identity = promote(home, keys, os.urandom, time.time())
    if arguments.json:
        put_json(identity.summary())
    say(f"{identity.name} is an issuer: it may let machines in, make issuers, and revoke")
    next_step(suggestion(arguments, "run"), always=True)
    return 0


COMMANDS = {
    "root": Command(
        _configure,
        _execute,
        "gossipnet root show\n"
        "gossipnet root rotate --authorities 2-of-3\n"
        "gossipnet root rotate --recovery          the root keys are lost or stolen\n"
        "gossipnet root sign root-v2.proposal      where other root keys are\n"
        "gossipnet root import root-v2.proposal\n"
        "gossipnet root issuer                     no issuer is left: make one of this node",
    )
}
