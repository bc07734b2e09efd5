"""``gossipnet backup``, ``restore`` and ``verify``: one home's state, kept, put back, examined."""

import argparse
from pathlib import Path

from gossipnet.cli.options import Command, home_of, suggestion
from gossipnet.cli.progress import Bar, told_bytes
from gossipnet.cli.terminal import next_step, put, put_json, say


def _configure_backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="is made; must not be there yet")
    parser.add_argument(
        "--no-keys", action="store_true", help="leave out the node's secret keys (and mesh.secret)"
    )


def _backup(arguments: argparse.Namespace) -> int:
    from gossipnet.io.backups import make_backup

    bar = Bar("backup")
    try:
        made = make_backup(
            home_of(arguments), Path(arguments.folder), keys=not arguments.no_keys, progress=bar
        )
    finally:
        bar.end()
    size = sum(int(file["bytes"]) for file in made.files.values())
    if arguments.json:
        put_json({"folder": str(made.folder), **made.manifest})
    secret = "its secret keys too: guard it like them" if not arguments.no_keys else "no keys"
    say(f"backup    {made.folder} ({told_bytes(size)}), of {made.manifest['node']}; {secret}")
    next_step(f"gossipnet verify {made.folder}")
    return 0


def _configure_restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="what `gossipnet backup` made")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="put a database that is in the home aside, under another name",
    )


def _restore(arguments: argparse.Namespace) -> int:
    from gossipnet.io.backups import read_backup, restore

    home = home_of(arguments)
    bar = Bar("restore")
    try:
        done = restore(
            read_backup(Path(arguments.folder)), home, replace=arguments.replace, progress=bar
        )
    finally:
        bar.end()
    if arguments.json:
        put_json({"home": str(home), "done": done})
    for line in done:
        say(line)
    say("the node will go on in a new log, and fetch what is newer from the other members")
    next_step(suggestion(arguments, "run"), always=True)
    return 0


def _configure_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", help="a backup, or a home (default: this one)"
    )


def _verify(arguments: argparse.Namespace) -> int:
    from gossipnet.io.backups import check_sums, is_backup, read_backup, read_identity
    from gossipnet.io.recovery import STATE_FILE
    from gossipnet.io.snapshot import at_rest
    from gossipnet.io.verification import verify_database

    folder = home_of(arguments) if arguments.folder is None else Path(arguments.folder)
    backup = is_backup(folder)
    bar = Bar("verify")
    try:
        wrong = check_sums(read_backup(folder), bar) if backup else []
        public, trust = read_identity(folder)
        with at_rest(folder) as resting:
            found = verify_database(
                folder / STATE_FILE, trust, public.chain, resting=resting, progress=bar
            )
    finally:
        bar.end()
    wrong += found.findings
    document = {
        "whole": not wrong,
        "folder": str(folder),
        "backup": backup,
        "records": found.records,
        "logs": found.logs,
        "damaged": found.damaged,
        "unusable_followers": found.followers,
        "set_aside": found.set_aside,
        "findings": wrong,
        "more_findings": found.more,
    }
    if arguments.json:
        put_json(document)
    else:
        for line in wrong:
            put(line)
    return _judge(document, backup)


def _judge(document: dict[str, object], backup: bool) -> int:
    counted = f"{document['records']} records in {document['logs']} logs"
    if document["set_aside"]:
        say(f"{document['set_aside']} damaged records were set aside by the daemon before")
    if document["whole"]:
        say(f"whole: {counted}, every sum, hash and signature holds")
        return 0
    say(
        f"DAMAGED: {document['damaged']} of {counted}, and {document['unusable_followers']} more "
        "that need those"
    )
    if backup:
        say("What to do: use another backup; make a new one if the home itself is whole.")
    else:
        say(
            "What to do: copy the home away; then start the daemon, which fetches what is damaged "
            "from the other members, or, if this node knows none, put a backup back with "
            "`gossipnet restore FOLDER --replace`."
        )
    return 1


COMMANDS = {
    "backup": Command(
        _configure_backup,
        _backup,
        "gossipnet backup /mnt/usb/atlas-monday     also while the daemon runs\n"
        "gossipnet backup atlas --no-keys           for a place that others can read",
    ),
    "restore": Command(
        _configure_restore,
        _restore,
        "gossipnet restore /mnt/usb/atlas-monday --home /srv/gossipnet\n"
        "gossipnet restore atlas --replace          into a home that has a database",
    ),
    "verify": Command(
        _configure_verify,
        _verify,
        "gossipnet verify                           this home, also while the daemon runs\n"
        "gossipnet verify /mnt/usb/atlas-monday     a backup",
    ),
}
