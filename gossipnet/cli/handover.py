"""``gossipnet request``, ``sign`` and ``install``: joining by files that are carried by hand."""

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.durations import parse_duration, told
from gossipnet.cli.init import add_name, node_name
from gossipnet.cli.invite import add_rights
from gossipnet.cli.options import Command, add_socket, completed, home_of, settings_of, suggestion
from gossipnet.cli.terminal import next_step, plain, put, put_json, say
from gossipnet.errors import DaemonNotRunning, HomeError, UsageError

if TYPE_CHECKING:
    from gossipnet.identity.home import Home

_DAYS_90 = 90 * 86_400.0


def _home(arguments: argparse.Namespace) -> "Home":
    from gossipnet.identity.home import Home
    from gossipnet.io.keysource import key_source

    settings = settings_of(arguments)
    return Home(home_of(arguments), key_source(settings.key_command, os.environ))


def _write(text: str, out: str | None, default: str) -> str:
    """Put a text into a file, or on standard output for ``-``; where it went."""
    name = out or default
    if name == "-":
        put(text.rstrip("\n"))
        return name
    try:
        Path(name).write_text(text, encoding="ascii")
    except OSError as error:
        raise HomeError(
            f"cannot write {name} ({error.strerror}): choose another place with --out"
        ) from None
    return name


# -- request ---------------------------------------------------------------------------------------


def _configure_request(parser: argparse.ArgumentParser) -> None:
    add_name(parser)
    parser.add_argument(
        "--mesh",
        metavar="ID",
        help="enter no other mesh than this (`gossipnet status --json` on a member: mesh_id)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="where to put it (default NAME.request; - for stdout)",
    )


def _request(arguments: argparse.Namespace) -> int:
    name = node_name(arguments.name)
    mesh_id = None if arguments.mesh is None else _mesh_id(arguments.mesh)

    from gossipnet import ids
    from gossipnet.identity.handover import read_request
    from gossipnet.io.handover import ask as make

    home = _home(arguments)  # a socket path that is too long is told here, and not by `run`
    try:
        text = make(home, name, exact=arguments.name is not None, mesh_id=mesh_id)
    except HomeError as error:
        raise HomeError(completed(arguments, str(error))) from None
    if arguments.json and arguments.out == "-":
        raise UsageError("--json and --out - both want standard output: choose one")
    where = _write(text, arguments.out, f"{name}.request")
    node = read_request(text).node_id
    if arguments.json:
        put_json({"file": where, "name": name, "node_id": ids.text(node)})
    say(f"node      {name:<15} {ids.short(node)}   key {home.path}/identity.key, mode 0600")
    if mesh_id is None:
        say("mesh      not named: whoever signs decides; `--mesh ID` would refuse any other")
    next_step(
        f"carry {'it' if where == '-' else where} to an issuer, gossipnet sign FILE there, and "
        f"what it gives back here: {suggestion(arguments, 'install FILE')}",
        always=True,
    )
    return 0


def _mesh_id(written: str) -> bytes:
    from gossipnet import ids

    try:
        found = ids.parse(written)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise UsageError(
            f"{written!r} is no mesh id: `gossipnet status --json` on a member has it as mesh_id"
        )
    return found


# -- sign ------------------------------------------------------------------------------------------


def _configure_sign(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the join request")
    add_rights(parser)
    parser.add_argument(
        "--ttl",
        type=parse_duration,
        default=_DAYS_90,
        metavar="TIME",
        help="how long the certificate lasts (default 90d; it renews itself over the mesh)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="where to put the certificate (default: FILE with .certificate; - for stdout)",
    )
    add_socket(parser)


def _sign(arguments: argparse.Namespace) -> int:
    from gossipnet.identity.enrolment import CERTIFICATE_SECONDS_MAX
    from gossipnet.identity.handover import MAX_REQUEST_TEXT, REQUEST, read_answer, read_request
    from gossipnet.io.handover import read_carried

    if not 60 <= arguments.ttl <= CERTIFICATE_SECONDS_MAX:
        raise UsageError("--ttl is how long the certificate lasts: from 1m to 366d")
    text = read_carried(Path(arguments.file), REQUEST, MAX_REQUEST_TEXT)
    request = read_request(text)
    answer = _signed(arguments, text)

    from gossipnet import ids
    from gossipnet.identity.certificate import decode_certificate

    leaf = decode_certificate(read_answer(answer).chain[0])[0]
    if arguments.json and arguments.out == "-":
        raise UsageError("--json and --out - both want standard output: choose one")
    where = _write(answer, arguments.out, str(Path(arguments.file).with_suffix(".certificate")))
    if arguments.json:
        put_json(
            {
                "file": where,
                "name": leaf.name,
                "node_id": ids.text(request.node_id),
                "roles": sorted(leaf.roles),
                "not_after": leaf.not_after,
            }
        )
    if leaf.name != request.name:
        say(f"a member is called {request.name} already: this machine is {leaf.name}")
    lasts = told(leaf.not_after - leaf.not_before)
    say(f"{leaf.name} ({ids.short(request.node_id)}) is certified as {arguments.role} for {lasts}")
    next_step(
        f"carry {'it' if where == '-' else where} back, and there: gossipnet install FILE",
        always=True,
    )
    return 0


def _signed(arguments: argparse.Namespace, text: str) -> str:
    """By the daemon if one runs here, else from the home itself."""
    words: list[str | bytes] = ["GOSSIP", "SIGN", text, "ROLE", arguments.role]
    words += ["TTL", str(round(arguments.ttl))]
    for capability in arguments.allow or ():
        words += ["ALLOW", capability]
    try:
        with open_client(arguments) as client:
            return str(plain(ask(client, *words)))
    except DaemonNotRunning:
        if arguments.socket:
            raise

    from gossipnet.io.handover import sign_at_rest

    asked = [
        (verb, prefix.encode("utf-8", "surrogateescape"))
        for verb, _colon, prefix in (one.partition(":") for one in arguments.allow or ())
    ]
    try:
        return sign_at_rest(
            _home(arguments), text, arguments.role, asked, arguments.ttl, time.time()
        )
    except HomeError as error:
        raise HomeError(completed(arguments, str(error))) from None


# -- install ---------------------------------------------------------------------------------------


def _configure_install(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="what `gossipnet sign` made")


def _install(arguments: argparse.Namespace) -> int:
    from gossipnet import ids
    from gossipnet.identity.handover import ANSWER, MAX_ANSWER_TEXT
    from gossipnet.io.handover import install, installed, read_carried

    text = read_carried(Path(arguments.file), ANSWER, MAX_ANSWER_TEXT)
    home = _home(arguments)
    node = installed(home, text)
    if node is not None:
        say(f"{home.path} holds this certificate already: nothing has changed")
    else:
        try:
            node = install(home, text)
        except HomeError as error:
            raise HomeError(completed(arguments, str(error))) from None
    if arguments.json:
        put_json({**node.summary(), "home": str(home.path)})
    mesh = node.trust.mesh_name
    say(f"mesh      {mesh:<15} {ids.short(node.trust.mesh_id)}   (compare it with a member's)")
    say(f"node      {node.name:<15} {ids.short(node.node_id)}   {', '.join(sorted(node.roles))}")
    next_step(suggestion(arguments, "run"), always=True)
    return 0


COMMANDS = {
    "request": Command(
        _configure_request,
        _request,
        "gossipnet request --name rpi              writes rpi.request\n"
        "gossipnet request --name rpi --mesh ID    and enters no other mesh",
    ),
    "sign": Command(
        _configure_sign,
        _sign,
        "gossipnet sign rpi.request                writes rpi.certificate\n"
        "gossipnet sign rpi.request --role observer --ttl 30d",
    ),
    "install": Command(_configure_install, _install, "gossipnet install rpi.certificate"),
}
