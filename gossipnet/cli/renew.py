"""``gossipnet renew``: a new certificate now, before the old one's time has come."""

import argparse
import time
from datetime import UTC, datetime
from typing import Any

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.options import Command, add_socket, suggestion
from gossipnet.cli.terminal import next_step, plain, put_json, say
from gossipnet.client import Client
from gossipnet.errors import TimedOut, UserError

_WAIT_SECONDS = 45.0
"""The daemon gives each issuer ten."""
_POLL_SECONDS = 0.1


def _configure(parser: argparse.ArgumentParser) -> None:
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        before = _certificate(client)
        ask(client, "GOSSIP", "RENEW")
        after = _wait(client, before)
    ends = datetime.fromtimestamp(after["not_after"], UTC)
    if arguments.json:
        put_json({"not_after": after["not_after"], "serial": after["serial"]})
    else:
        say(f"renewed: this node's certificate is good until {ends:%Y-%m-%d %H:%M} UTC")
    next_step(suggestion(arguments, "status"))
    return 0


def _certificate(client: Client) -> dict[str, Any]:
    found = plain(ask(client, "GOSSIP", "STATUS")).get("certificate")
    if not isinstance(found, dict):
        raise UserError("the daemon is older than this command: stop it and run it anew")
    return found


def _wait(client: Client, before: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        now = _certificate(client)
        if now["serial"] != before["serial"]:
            return now
        if now["renewal"] == "failed":
            raise UserError(
                f"the certificate was not renewed: {now['failure']}; the daemon goes on trying "
                "once two thirds of its life are over"
            )
        if time.monotonic() > deadline:
            raise TimedOut("no issuer has answered yet; `gossipnet status` tells what comes of it")
        time.sleep(_POLL_SECONDS)


COMMANDS = {"renew": Command(_configure, _execute, "gossipnet renew\ngossipnet renew --json")}
