"""One client: what it sent and was not run yet, and what it has set for its connection.

`Session.run` is the hot path of the local socket. A command that is in the table, has the right
number of words and comes from a client in no special mode is run right there; everything else goes
the long way through `_careful`. Knows no socket: bytes in, replies out.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gossipnet.errors import Denied, UserError
from gossipnet.resp.catalogue import LOOKUP, REFUSED, TABLE
from gossipnet.resp.channels import Subscriptions
from gossipnet.resp.limits import COMMAND_BYTES, QUEUED_BYTES, SLICE_COST, SLICE_REPLY_BYTES
from gossipnet.resp.parser import Oversized
from gossipnet.resp.reader import RequestReader
from gossipnet.resp.replies import (
    NULL_2,
    NULL_3,
    OK,
    CommandError,
    Error,
    Reply,
    encode,
    encode_error,
)
from gossipnet.resp.table import Command
from gossipnet.state.errors import KeyspaceError

if TYPE_CHECKING:
    from gossipnet.resp.service import Service

_OK = b"+OK\r\n"
_SMALL = 1024  # a reply below this does not count as bytes: `SLICE_COST` bounds their number
_INTEGERS = [b":%d\r\n" % number for number in range(1024)]
_SPOKEN_TO_BROWSERS = frozenset({b"post", b"host:"})
_WHILE_HEARING = frozenset(
    {"subscribe", "psubscribe", "unsubscribe", "punsubscribe", "ping", "quit", "reset"}
)
_NEVER_QUEUED = frozenset({"multi", "exec", "discard", "watch", "quit", "reset"})


def _nowhere(_data: bytes) -> None:
    return


def _nothing() -> None:
    return


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


class Session:
    """One client of the local socket.

    Attributes:
      number: CLIENT ID.
      address: For CLIENT LIST.
      opened_ms, used_ms: Unix milliseconds.
      protocol: 2 or 3.
      name, library, library_version: As the client calls itself.
      transaction: From MULTI to EXEC, else None.
      watched: Keys under WATCH with their tokens.
      muted: CLIENT REPLY is OFF; ``skips``: it was SKIP, for so many replies.
      closing: Why the connection ends once its replies are written, or "".
      streams: It is told of changes (GOSSIP WATCH).
      subscriptions: The channels that it hears.
      deliver: Takes bytes for the client outside of any reply.
      hang_up: Ends the connection now, from outside of its own commands.
      backlog: Bytes written for the client that it has not taken.
      descriptor: Of its socket, for CLIENT LIST.
      last: The last command run, for CLIENT LIST.
    """

    __slots__ = (
        "_commands",
        "_left",
        "_out",
        "_reader",
        "_special",
        "_wrote",
        "address",
        "backlog",
        "closing",
        "deliver",
        "descriptor",
        "hang_up",
        "keyspace",
        "last",
        "library",
        "library_version",
        "muted",
        "name",
        "number",
        "opened_ms",
        "protocol",
        "service",
        "skips",
        "streams",
        "subscriptions",
        "transaction",
        "used_ms",
        "watched",
    )

    def __init__(self, service: "Service", number: int, address: str) -> None:
        self.service = service
        self.keyspace = service.keyspace
        self.number = number
        self.address = address
        self.opened_ms = self.used_ms = service.wall_ms
        self.protocol = 2
        self.name = self.library = self.library_version = b""
        self.transaction: Transaction | None = None
        self.watched: dict[bytes, int] = {}
        self.muted = False
        self.skips = 0
        self.streams = False
        self.subscriptions = Subscriptions()
        self.closing = ""
        self.deliver: Callable[[bytes], None] = _nowhere
        self.hang_up: Callable[[], None] = _nothing
        self.backlog: Callable[[], int] = int
        self.descriptor = -1
        self.last = ""
        self._reader = RequestReader(service.fast)
        self._commands: Iterator[list[bytes]] = iter(())
        self._left = 0
        self._out: list[bytes] | None = None
        self._wrote = False
        self._special = service.may_read is not None

    # ------------------------------------------------------------ called by the server

    def receive(self, data: bytes) -> None:
        """Take what the client sent, `limits.RECEIVE_BYTES` at most, while `waiting` is 0."""
        commands = self._reader.feed(data)
        self._commands = iter(commands)
        self._left = len(commands)

    @property
    def waiting(self) -> int:
        """Commands that came and were not run yet."""
        return self._left

    @property
    def unfinished(self) -> bool:
        """Whether `run` has something to do."""
        return self._left > 0 or (self._reader.error is not None and not self.closing)

    @property
    def buffered(self) -> int:
        """Bytes held for a command that is not complete."""
        return self._reader.buffered

    def run(self) -> tuple[list[bytes], int]:
        """Run one slice of what came.

        Returns:
          Encoded replies, and the index of the first that must wait until `MeshPort.committed`
          has reached `MeshPort.ticket`; -1 if none has to.
        """
        out: list[bytes] = []
        self._out = out
        put = out.append
        lookup = LOOKUP.get
        first_write = -1
        cost, size = SLICE_COST, 0
        done = 0
        command: Command | None = None
        for args in self._commands:
            done += 1
            command = lookup(args[0])
            if command is None or not command.least <= len(args) <= command.most or self._special:
                self._wrote = False
                reply = self._careful(args)
                if self._wrote and first_write < 0:
                    first_write = len(out)
                put(reply)
                size += len(reply)
                cost -= 1 if command is None else command.cost
                if cost <= 0 or size > SLICE_REPLY_BYTES or self.closing:
                    break
                continue
            if command.writes and first_write < 0:
                first_write = len(out)
            try:
                reply = command.run(self, args)
            except CommandError as error:
                put(encode_error(error.text))
            except KeyspaceError as error:
                put(encode_error(f"{error.code} {error}"))
            else:
                kind = type(reply)
                if kind is bytes:
                    put(b"$%d\r\n%b\r\n" % (len(reply), reply))
                    if len(reply) > _SMALL:
                        size += len(reply)
                elif reply is None:
                    put(NULL_3 if self.protocol == 3 else NULL_2)
                elif reply is OK:
                    put(_OK)
                elif kind is int:
                    put(_INTEGERS[reply] if 0 <= reply < 1024 else b":%d\r\n" % reply)
                else:
                    reply = encode(reply, self.protocol)
                    put(reply)
                    size += len(reply)
            cost -= command.cost
            if cost <= 0 or size > SLICE_REPLY_BYTES or self.closing:
                break
        self._finish(done, command, out)
        return out, first_write

    def _finish(self, done: int, command: Command | None, out: list[bytes]) -> None:
        service = self.service
        self._out = None
        service.commands += done
        self._left -= done
        if done:
            self.used_ms = service.wall_ms
            self.last = command.name if command is not None else "NULL"
        if self.closing:
            self._left = 0
        elif not self._left and self._reader.error is not None:
            service.counters["clients_protocol_error"] += 1
            out.append(encode_error(f"ERR Protocol error: {self._reader.error}"))
            self.closing = "protocol error"

    # ------------------------------------------------------------ the long way

    def _careful(self, args: list[bytes]) -> bytes:
        try:
            reply = self._resolved(args)
        except CommandError as error:
            if self.transaction is not None:
                self.transaction.broken = True
            reply = Error(error.text)
        muted = self.muted or self.skips > 0
        if self.skips:
            self.skips -= 1
            self.settle()
        return b"" if muted else encode(reply, self.protocol)

    def _resolved(self, args: list[bytes]) -> Reply:
        command = self._command(args)
        if self.hearing and command.name not in _WHILE_HEARING:
            raise CommandError(
                f"ERR Can't execute '{command.name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / "
                "PING / QUIT / RESET are allowed in this context"
            )
        transaction = self.transaction
        if transaction is not None and command.name not in _NEVER_QUEUED:
            return _queue(transaction, command, args)
        self._wrote = command.writes
        return self.perform(command, args)

    def _command(self, args: list[bytes]) -> Command:
        """The command, or subcommand, that these words call for; the number of words is right."""
        if type(args) is Oversized:
            raise CommandError(
                f"ERR '{_shown(args[1])}' is refused: with all its arguments it is larger than "
                f"{COMMAND_BYTES} bytes, the most one command may have"
            )
        name = args[0].lower()
        command = TABLE.get(name)
        if command is None:
            if name in _SPOKEN_TO_BROWSERS:
                self.service.counters["clients_spoke_http"] += 1
                self.closing = "spoke HTTP"
            reason = REFUSED.get(name)
            if reason is not None:
                raise CommandError(f"ERR '{name.decode()}' is not supported by gossipnet: {reason}")
            raise CommandError(
                f"ERR unknown command '{_shown(args[0])}', with args beginning with: "
                + _beginning(args[1:])
            )
        if command.subcommands and len(args) > 1:
            command = _subcommand(command, args[1])
        if not command.fits(len(args)):
            raise CommandError(f"ERR wrong number of arguments for '{command.name}' command")
        return command

    def perform(self, command: Command, args: list[bytes]) -> Reply:
        """Run one command whose words fit; a refusal comes back as a value."""
        try:
            may_read = self.service.may_read
            if may_read is not None:
                for key in command.keys_of(args):
                    if not may_read(key):
                        raise CommandError(
                            f"NOPERM this node's certificate does not let it read '{_shown(key)}'"
                        )
            return command.run(self, args)
        except CommandError as error:
            return Error(error.text)
        except KeyspaceError as error:
            return Error(f"{error.code} {error}")
        except UserError as error:
            return Error(f"{'NOPERM' if isinstance(error, Denied) else 'ERR'} {error}")

    # ------------------------------------------------------------ for handlers

    @property
    def hearing(self) -> bool:
        """Whether all it is sent are messages, so that it may hardly ask for anything (RESP2)."""
        return self.protocol == 2 and len(self.subscriptions) > 0

    def push(self, data: bytes) -> None:
        """Give the client something outside of any reply, in its place among the replies."""
        if self._out is not None:
            self._out.append(data)
        else:
            self.deliver(data)

    def settle(self) -> None:
        """Decide anew whether this client needs the long way; call after a change of mode."""
        self._special = (
            self.transaction is not None
            or self.muted
            or self.skips > 0
            or self.hearing
            or self.service.may_read is not None
        )

    def begin(self) -> None:
        """Gather commands from now on."""
        self.transaction = Transaction()
        self._special = True

    def end(self) -> None:
        """Forget the transaction and what it watched."""
        self.transaction = None
        self.unwatch()
        self.settle()

    def unwatch(self) -> None:
        """Forget the keys under WATCH."""
        for key in self.watched:
            self.keyspace.unwatch(key)
        self.watched.clear()

    def reset(self) -> None:
        """As RESET: everything as it is for a new client, but for its number."""
        self.unwatch()
        self.service.unwatch(self)
        self.service.channels.forget(self)
        self.transaction = None
        self.streams = self.muted = False
        self.skips = 0
        self.protocol = 2
        self.name = b""
        self.settle()


def _queue(transaction: Transaction, command: Command, args: list[bytes]) -> str:
    if "no-multi" in command.flags:
        raise CommandError("ERR Command not allowed inside a transaction")
    transaction.size += sum(map(len, args)) + 16 * len(args)
    if transaction.size > QUEUED_BYTES:
        raise CommandError(
            f"ERR the transaction is larger than {QUEUED_BYTES} bytes, the most one record may hold"
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
            f"ERR '{command.name} {_shown(word.lower())}' is not supported by gossipnet: {refused}"
        )
    raise CommandError(f"ERR unknown subcommand '{_shown(word)}'. Try {command.name.upper()} HELP.")


def _beginning(words: list[bytes]) -> str:
    told = ""
    for word in words:
        if len(told) >= 128:
            break
        told += f"'{_shown(word[: 128 - len(told)])}' "
    return told


def _shown(word: bytes) -> str:
    return word[:128].decode("utf-8", "surrogateescape")
