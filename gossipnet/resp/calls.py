"""From the words that a client sent to the command that they call, or to why there is none."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gossipnet.resp.catalogue import REFUSED, TABLE
from gossipnet.resp.parser import Oversized
from gossipnet.resp.replies import CommandError
from gossipnet.resp.table import Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_WHILE_HEARING = frozenset(
    {"subscribe", "psubscribe", "unsubscribe", "punsubscribe", "ping", "quit", "reset"}
)
_SPOKEN_TO_BROWSERS = frozenset({b"post", b"host:"})


class Transaction:
    """What MULTI has gathered.

    Attributes:
      queue: Commands with their words.
      size: Bytes of all words.
      broken: A command was refused: EXEC will be as well.
    """

    __slots__ = ("broken", "queue", "size")

    def __init__(self) -> None:
        self.queue: list[tuple[Command, list[bytes]]] = []
        self.size = 0
        self.broken = False


def command_of(session: "Session", args: list[bytes]) -> Command:
    """The command, or subcommand, that these words call for; the number of words is right.

    Raises:
      CommandError: There is none, or it is refused, or takes another number of words.
    """
    if type(args) is Oversized:
        raise CommandError(
            f"ERR '{shown(args[1])}' is refused: with all its arguments it is larger than "
            f"{session.service.pressure.caps.query_buffer} bytes, the most one command may have"
        )
    name = args[0].lower()
    command = TABLE.get(name)
    if command is None:
        if name in _SPOKEN_TO_BROWSERS:
            session.service.counters["clients_spoke_http"] += 1
            session.closing = "spoke HTTP"
        reason = REFUSED.get(name)
        if reason is not None:
            raise CommandError(f"ERR '{name.decode()}' is not supported by gossipnet: {reason}")
        raise CommandError(
            f"ERR unknown command '{shown(args[0])}', with args beginning with: "
            + _beginning(args[1:])
        )
    if command.subcommands and len(args) > 1:
        command = _subcommand(command, args[1])
    if not command.fits(len(args)):
        raise CommandError(f"ERR wrong number of arguments for '{command.name}' command")
    if session.hearing and command.name not in _WHILE_HEARING:
        raise CommandError(
            f"ERR Can't execute '{command.name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / "
            "PING / QUIT / RESET are allowed in this context"
        )
    return command


def check_readable(may_read: Callable[[bytes], bool], keys: Iterable[bytes]) -> None:
    """Refuse keys that this node's certificate does not let its clients read.

    Raises:
      CommandError: There is one.
    """
    for key in keys:
        if not may_read(key):
            raise CommandError(
                f"NOPERM this node's certificate does not let it read '{shown(key)}'"
            )


def queue(transaction: Transaction, command: Command, args: list[bytes], most: int) -> str:
    """Keep a command for EXEC, of ``most`` bytes in all.

    Raises:
      CommandError: It may not be in a transaction, or there is no more room.
    """
    if "no-multi" in command.flags:
        raise CommandError("ERR Command not allowed inside a transaction")
    transaction.size += sum(map(len, args)) + 16 * len(args)
    if transaction.size > most:
        raise CommandError(
            f"ERR the transaction is larger than {most} bytes, the most one record may hold"
        )
    transaction.queue.append((command, args))
    return "QUEUED"


def _subcommand(command: Command, word: bytes) -> Command:
    found = command.subcommands.get(word.lower())
    if found is not None:
        return found
    refused = REFUSED.get(b"%b|%b" % (command.name.encode(), word.lower()))
    if refused is not None:
        raise CommandError(
            f"ERR '{command.name} {shown(word.lower())}' is not supported by gossipnet: {refused}"
        )
    raise CommandError(f"ERR unknown subcommand '{shown(word)}'. Try {command.name.upper()} HELP.")


def _beginning(words: list[bytes]) -> str:
    told = ""
    for word in words:
        if len(told) >= 128:
            break
        told += f"'{shown(word[: 128 - len(told)])}' "
    return told


def shown(word: bytes) -> str:
    """A word of a client, for an error text."""
    return word[:128].decode("utf-8", "surrogateescape")
