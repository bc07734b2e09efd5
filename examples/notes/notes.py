"""Notes that several laptops edit, online or not; edits that crossed are shown, none is lost.

A note called ``trip`` is the stream ``note:trip``. An entry is one edit of one field: ``field``,
``text``, ``by``, and ``over``: the ids of the edits of that field which the writer had before them.
The edits that are in nobody's ``over`` are what the field holds now: one, or several if people
edited it without knowing of each other.
"""

import argparse
import sys
from typing import NamedTuple

import gossipnet
from gossipnet.client import Client, as_text
from gossipnet.errors import GossipnetError


class Edit(NamedTuple):
    """One edit of one field."""

    id: str
    field: str
    text: str
    by: str
    over: frozenset[str]


def edits(client: Client, note: str) -> list[Edit]:
    """All edits of a note, in an order that is the same on all machines once they have met."""
    found = []
    for entry, words in as_text(client.call("XRANGE", f"note:{note}", "-", "+")):
        said = dict(zip(words[::2], words[1::2], strict=True))
        found.append(
            Edit(entry, said["field"], said["text"], said["by"], frozenset(said["over"].split()))
        )
    return found


def current(history: list[Edit]) -> dict[str, list[Edit]]:
    """What each field holds: one edit, or the several that crossed, the newest first."""
    replaced = {(edit.field, old) for edit in history for old in edit.over}
    fields: dict[str, list[Edit]] = {}
    for edit in reversed(history):
        if (edit.field, edit.id) not in replaced:
            fields.setdefault(edit.field, []).append(edit)
    return fields


def write(client: Client, note: str, field: str, text: str) -> None:
    """Edit a field; this settles what had crossed in it."""
    seen = current(edits(client, note)).get(field, [])
    over = " ".join(edit.id for edit in seen)
    words = ("field", field, "text", text, "by", client.status()["name"], "over", over)
    client.call("XADD", f"note:{note}", "*", *words)


def show(client: Client, note: str) -> list[str]:
    """A note as lines; where edits crossed, all of them."""
    lines = []
    for field, held in sorted(current(edits(client, note)).items()):
        lines.append(f"{field}: {held[0].text}")
        if len(held) > 1:
            lines[-1] += f"   ({held[0].by}; edits crossed, write it again to settle)"
            lines += [f"  or: {edit.text}   ({edit.by})" for edit in held[1:]]
    return lines


def main() -> None:
    """``write``, ``show``, ``history`` and ``list``."""
    parser = argparse.ArgumentParser(description="Notes, edited together, online or not.")
    parser.add_argument("--home", help="home of the local daemon")
    verbs = parser.add_subparsers(dest="verb", required=True)
    writing = verbs.add_parser("write", help="set a field of a note")
    writing.add_argument("note")
    writing.add_argument("field", help="title, body, or any name")
    writing.add_argument("text")
    verbs.add_parser("show", help="print a note").add_argument("note")
    verbs.add_parser("history", help="print all edits of a note").add_argument("note")
    verbs.add_parser("list", help="print the names of all notes")
    asked = parser.parse_args()
    with gossipnet.connect(asked.home) as client:
        if asked.verb == "write":
            write(client, asked.note, asked.field, asked.text)
        elif asked.verb == "show":
            print(*show(client, asked.note), sep="\n")
        elif asked.verb == "history":
            for edit in edits(client, asked.note):
                print(f"{edit.field}: {edit.text}   ({edit.by})")
        else:
            for key in client.keys("note:*"):
                print(key.decode().removeprefix("note:"))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except GossipnetError as error:
        sys.exit(f"{error}")
