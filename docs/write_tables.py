"""Writes the parts of the documents that follow from the code: ``python docs/write_tables.py``.

`docs/commands.md`, `docs/cli.md` and the man page as a whole, and in `docs/protocol.md` the tables
of messages, signed statements and operations. `tests/house/test_generated_pages.py` fails when the
pages have fallen behind.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
from write_shell import cli_page, man_page

from gossipnet.protocol import wire, wire_members, wire_receipts, wire_talk, wire_trace, wire_trust
from gossipnet.resp.catalogue import FAMILIES, REFUSED
from gossipnet.resp.differences import DIFFERENCES
from gossipnet.resp.table import Command
from gossipnet.state import operations

DOCS = Path(__file__).resolve().parent


def _rows(types: Iterable[type[msgspec.Struct]]) -> str:
    """One row a struct: tag, name, fields; in the order of the tags."""
    told = [(one.__struct_config__.tag, one) for one in types]
    told.sort(key=lambda pair: int(str(pair[0])))
    return "\n".join(
        f"| {tag} | {one.__name__} | {', '.join(one.__struct_fields__) or '(none)'} |"
        for tag, one in told
    )


def messages() -> str:
    """What goes over a link."""
    return _rows(wire.Message.__subclasses__())


def statements() -> str:
    """What is signed inside messages."""
    domains: dict[type[msgspec.Struct], str] = {
        wire_members.MemberBody: "member",
        wire_members.AccusationBody: "accusation",
        wire_trust.RenewBody: "renew",
        wire_talk.EventBody: "event",
        wire_receipts.ReceiptBody: "receipt",
        wire_trace.TraceBody: "trace",
        wire_receipts.QuestionBody: "question",
    }
    return "\n".join(
        f"| {body.__name__} | {', '.join(body.__struct_fields__)} | `{domain}` |"
        for body, domain in domains.items()
    )


def record_operations() -> str:
    """What a record holds."""
    return _rows(operations.Operation.__subclasses__())


def protocol_page(text: str) -> str:
    """The page with its three tables as the code has them."""
    tables = (
        ("| type | message | fields |", messages()),
        ("| statement | fields | signed with domain |", statements()),
        ("| tag | operation | fields |", record_operations()),
    )
    for head, rows in tables:
        pattern = re.escape(head) + r"\n\|[-|]+\|\n(?:[^\n]+\n)*"
        text, count = re.subn(
            pattern, lambda _m, h=head, r=rows: f"{h}\n|---|---|---|\n{r}\n", text
        )
        if count != 1:
            raise ValueError(f"docs/protocol.md has no table {head!r}")
    return text


_COMMANDS_HEAD = """\
# Commands of the local socket

Written from the command table by `docs/write_tables.py`; do not edit. Names, arguments, replies and
error texts are Redis's, and "since" is the version of Redis that brought a command, or
`gossipnet` for those of the mesh. `COMMAND DOCS` on the socket tells the same.

Everything is judged on this node's view: conditions such as NX, SPOP's choice, WATCH. How writes
that did not see each other end is in `docs/guarantees.md`.
"""

_TITLES = {
    "string": "Strings and counters",
    "bitmap": "Bits of strings",
    "hash": "Hashes",
    "set": "Sets",
    "sorted-set": "Sorted sets",
    "list": "Lists",
    "geo": "Places on the globe",
    "generic": "Keys",
    "transactions": "Transactions",
    "hyperloglog": "HyperLogLog",
    "stream": "Streams",
    "pubsub": "Channels",
    "durability": "Waiting for other nodes",
    "connection": "Connection",
    "server": "Server",
    "gossip": "The mesh",
}


def commands_page(_text: str) -> str:
    """What the socket answers, by family, and what it refuses and why."""
    parts = [_COMMANDS_HEAD]
    for group, module in FAMILIES.items():
        parts.append(f"## {_TITLES[group]}\n\n| command | does | since |\n|---|---|---|")
        parts += [_command(leaf) for row in module.ROWS for leaf in _leaves(row)]
        parts.append("")
    parts.append("## Where replies differ\n\nFrom those of Redis 7, with the reason.\n")
    parts.append("| commands | how and why |\n|---|---|")
    for names, how in DIFFERENCES.items():
        parts.append(f"| {_listed(names)} | {how} |")
    parts.append("")
    parts.append("## Refused\n\n| commands | why |\n|---|---|")
    reasons: dict[str, list[str]] = {}
    for name, reason in REFUSED.items():
        reasons.setdefault(reason, []).append(name.decode().upper().replace("|", " "))
    parts += [f"| {', '.join(names)} | {reason} |" for reason, names in reasons.items()]
    return "\n".join(parts) + "\n"


def _listed(names: str) -> str:
    return ", ".join(name.upper().replace("|", " ") for name in names.split())


def _leaves(row: Command) -> list[Command]:
    return list(row.subcommands.values()) or [row]


def _command(row: Command) -> str:
    usage = f"{row.name.upper().replace('|', ' ')} {row.usage}".strip().replace("|", "\\|")
    return f"| `{usage}` | {row.summary} | {row.since} |"


PAGES = {
    "commands.md": commands_page,
    "protocol.md": protocol_page,
    "cli.md": cli_page,
    "../deploy/man/gossipnet.1": man_page,
}


def main() -> None:
    """Write all pages anew."""
    for name, page in PAGES.items():
        path = DOCS / name
        path.write_text(page(path.read_text() if path.exists() else ""))


if __name__ == "__main__":
    main()
