"""The command table's rows: what a command is called, takes and touches, and who runs it.

Rows are data, written down in one file per family under `gossipnet.resp.commands`. COMMAND, help
and the documentation are made from them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gossipnet.resp.replies import CommandError, Reply

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

Handler = Callable[["Session", list[bytes]], Reply]
"""Runs one command: its session and all its words, the name first.

Raises `CommandError` or `gossipnet.state.errors.KeyspaceError` before anything was changed.
"""

KEY: Final = (1, 1, 1)
"""The first word is the one key."""
KEYS: Final = (1, -1, 1)
"""All words are keys."""
NO_KEYS: Final = (0, 0, 0)
NUMBERED: Final = -1024
"""As ``last``: the word before ``first`` counts the keys."""

STREAMS: Final = -3
"""As ``last``: the keys are the first half of the words behind STREAMS."""

HEAVY: Final = 64
"""Cost of a command whose work grows with what it touches."""
_UNBOUNDED: Final = 1 << 30


@dataclass(eq=False, slots=True)
class Command:
    """One command, or one subcommand of a container such as CLIENT.

    Attributes:
      name: Lower case; ``client|list`` for a subcommand.
      handler: What runs it; None for a container, which is never run itself.
      arity: As in Redis: words including the name, negative for "at least".
      usage: Its arguments, in the notation of Redis's manual.
      summary: One sentence.
      since: The Redis version that brought it, or ``gossipnet``.
      flags: In Redis's words: ``write readonly fast ...``.
      keys: First key, last key (negative counts from the end, or `NUMBERED`) and step.
      cost: What it takes from a client's slice.
      subcommands: By lower-case name, for a container.
      group: Of the manual, such as ``string``; set when the table is put together.
      least, most: How many words it may have.
      writes: Its reply waits until what was written is on disk.
      adds: It is refused when memory is short; Redis's ``denyoom``.
    """

    name: str
    handler: Handler | None
    arity: int
    usage: str
    summary: str
    since: str = "1.0.0"
    flags: str = "readonly fast"
    keys: tuple[int, int, int] = NO_KEYS
    cost: int = 1
    subcommands: "dict[bytes, Command]" = field(default_factory=dict)
    group: str = ""
    least: int = field(init=False)
    most: int = field(init=False)
    writes: bool = field(init=False)
    adds: bool = field(init=False)
    run: Handler = field(init=False)

    def __post_init__(self) -> None:
        self.least = abs(self.arity)
        self.most = self.arity if self.arity > 0 else _UNBOUNDED
        self.writes = "write" in self.flags or "commits" in self.flags
        self.adds = "denyoom" in self.flags
        self.run = self.handler or _not_run
        if self.cost > 1:
            self.run = _measured(self.run)
        if self.subcommands:
            # No number of words fits: the session then takes the long way round, which knows.
            self.least = _UNBOUNDED

    @property
    def shown_flags(self) -> list[str]:
        """The flags that COMMAND shows."""
        return [flag for flag in self.flags.split() if flag != "commits"]

    def fits(self, words: int) -> bool:
        """Whether it may have this many words, the name included."""
        return words >= -self.arity if self.arity < 0 else words == self.arity

    def keys_of(self, args: list[bytes]) -> list[bytes]:
        """The keys among the words of a call.

        Raises:
          CommandError: The count of keys is no number or too large.
        """
        first, last, step = self.keys
        if not first:
            return []
        if last == STREAMS:
            return _keys_of_streams(args)
        if last != NUMBERED:
            return args[first : last + 1 + (len(args) if last < 0 else 0) : step]
        counted = args[first - 1] if first <= len(args) else b""
        if not counted.isdigit() or len(counted) > 9 or first + int(counted) > len(args):
            raise CommandError("ERR Invalid arguments specified for command")
        return args[first : first + int(counted)]


def _keys_of_streams(args: list[bytes]) -> list[bytes]:
    at = next((at for at, word in enumerate(args) if word.upper() == b"STREAMS"), len(args))
    words = args[at + 1 :]
    return words[: len(words) // 2]


def _measured(run: Handler) -> Handler:
    """A handler that may take long, and is noted if it does: see `slowlog`."""

    def measured(session: "Session", args: list[bytes]) -> Reply:
        service = session.service
        began = service.clock()
        try:
            return run(session, args)
        finally:
            service.slow.note(session, args, service.clock() - began)

    return measured


def _not_run(_session: "Session", _args: list[bytes]) -> Reply:
    raise AssertionError("a container is not a command")


def container(
    name: str,
    summary: str,
    rows: list[Command],
    *,
    since: str,
    flags: str = "",
    cost: int = 1,
    bare: Handler | None = None,
) -> Command:
    """A command that has subcommands, HELP among them.

    Args:
      name: Lower case.
      summary: One sentence.
      rows: Its subcommands.
      since: The Redis version that brought it, or ``gossipnet``.
      flags: In Redis's words.
      cost: What any of its subcommands takes from a client's slice.
      bare: Runs it when it comes alone, if that means anything.
    """

    def tell(_session: "Session", _args: list[bytes]) -> Reply:
        lines = [f"{name.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
        for row in rows:
            lines.append(f"{row.name.partition('|')[2].upper()} {row.usage}".rstrip())
            lines.append(f"    {row.summary}")
        return [*lines, "HELP", "    Print this help."]

    shown = Command(f"{name}|help", tell, 2, "", "Print this help.", since, "loading stale")
    return Command(
        name,
        bare,
        -2 if bare is None else -1,
        "subcommand [argument ...]",
        summary,
        since,
        flags,
        cost=cost,
        subcommands={row.name.partition("|")[2].encode(): row for row in [*rows, shown]},
    )
