"""What `gossipnet root` and `init` share: rules, passphrases, key files and the recovery key."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gossipnet.cli.terminal import say
from gossipnet.errors import UsageError

if TYPE_CHECKING:
    from gossipnet.identity.signing import SecretKey

_RULE = re.compile(r"([1-8])-of-([1-8])")


def parse_rule(written: str) -> tuple[int, int]:
    """``2-of-3`` as (2, 3), for argparse."""
    found = _RULE.fullmatch(written)
    if found is None or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError(
            f"{written!r} is not K-of-N: how many of up to 8 keys must sign, as in 2-of-3"
        )
    return int(found[1]), int(found[2])


def new_passphrase() -> str:
    """A passphrase for new keys: from the environment, or asked for twice."""
    given = os.environ.get("GOSSIPNET_PASSPHRASE")
    if given:
        return given
    if not sys.stdin.isatty():
        raise UsageError(
            "a passphrase must protect the root key, and there is no terminal to ask for one: "
            "set GOSSIPNET_PASSPHRASE, or say --no-passphrase"
        )
    import getpass

    say("The root key lets machines into this mesh. A passphrase keeps it safe on disk.")
    first = getpass.getpass("Passphrase: ")
    if not first:
        raise UsageError("an empty passphrase protects nothing: choose one, or say --no-passphrase")
    if getpass.getpass("Once more: ") != first:
        raise UsageError("the two passphrases differ: nothing was made, start again")
    return first


def open_root_keys(paths: Sequence[Path]) -> "list[SecretKey]":
    """The authority keys in these files, all under one passphrase."""
    from gossipnet.identity import rootkeys

    passphrase: str | None = None
    if rootkeys.encrypted(paths):
        passphrase = os.environ.get("GOSSIPNET_PASSPHRASE")
        if not passphrase:
            if not sys.stdin.isatty():
                raise UsageError(
                    "the root keys are under a passphrase, and there is no terminal to ask for "
                    "it: set GOSSIPNET_PASSPHRASE"
                )
            import getpass

            passphrase = getpass.getpass("Passphrase of the root keys: ")
    return rootkeys.open_keys(paths, passphrase)


def ask_recovery() -> "SecretKey":
    """The recovery key, as a person types it from paper."""
    from gossipnet.identity.rootkeys import read_recovery

    given = os.environ.get("GOSSIPNET_RECOVERY")
    if not given:
        if not sys.stdin.isatty():
            raise UsageError(
                "there is no terminal to ask for the recovery key: set GOSSIPNET_RECOVERY"
            )
        import getpass

        given = getpass.getpass("Recovery key (from paper): ")
    return read_recovery(given)


def tell_recovery(written: str) -> None:
    """Show a new recovery key: the only time that anybody sees it."""
    say("recovery  write this on paper, twice, and keep it away from all machines. It is shown")
    say("          once, and takes the mesh back when root keys are lost or stolen:")
    say(f"          {written}")
