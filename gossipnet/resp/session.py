"""One client: what it sent and was not run yet, and what it has set for its connection.

`Session.run` is the hot path of the local socket. A command that is in the table, has the right
number of words and comes from a client in no special mode is run right there; everything else goes
the long way through `_careful`. Knows no socket: bytes in, replies out.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from gossipnet.resp.audit import Caller
from gossipnet.resp.blocking import NOT_YET, Blocked
from gossipnet.resp.calls import Transaction, check_readable, command_of, queue
from gossipnet.resp.catalogue import LOOKUP
from gossipnet.resp.channels import Subscriptions
from gossipnet.resp.failures import REFUSALS, told
from gossipnet.resp.limits import SLICE_COST, SLICE_REPLY_BYTES
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
from gossipnet.resp.slowlog import SLOWER_THAN
from gossipnet.resp.table import Command

if TYPE_CHECKING:
    from gossipnet.resp.service import Service

_OK = b"+OK\r\n"
_SMALL = 1024  # a reply below this does not count as bytes: `SLICE_COST` bounds their number
_INTEGERS = [b":%d\r\n" % number for number in range(1024)]
_NEVER_QUEUED = frozenset({"multi", "exec", "discard", "watch", "quit", "reset"})


def _nowhere(_data: bytes) -> None:
    return


def _nothing() -> None:
    return


class Session:
    """One client of the local socket.

    Attributes:
      number: CLIENT ID.
      address: For CLIENT LIST.
      caller: Who is there, and what it has done.
      opened_ms, used_ms: Unix milliseconds.
      protocol: 2 or 3.
      name, library, library_version: As the client calls itself.
      transaction: From MULTI to EXEC, else None.
      watched: Keys under WATCH with their tokens.
      wrote: It has run a command that may have written.
      muted: CLIENT REPLY is OFF; ``skips``: it was SKIP, for so many replies.
      caches: It is told when keys that it has read change (CLIENT TRACKING).
      blocked: Its last command waits for something, and all behind it wait too.
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
        "blocked",
        "caches",
        "caller",
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
        "wrote",
    )

    def __init__(self, service: "Service", number: int, address: str, caller: Caller) -> None:
        self.service = service
        self.keyspace = service.keyspace
        self.number = number
        self.address = address
        self.caller = caller
        self.opened_ms = self.used_ms = service.wall_ms
        self.protocol = 2
        self.name = self.library = self.library_version = b""
        self.transaction: Transaction | None = None
        self.watched: dict[bytes, int] = {}
        self.muted, self.skips = False, 0
        self.subscriptions = Subscriptions()
        self.streams = self.blocked = self.caches = False
        self.closing = ""
        self.deliver: Callable[[bytes], None] = _nowhere
        self.hang_up: Callable[[], None] = _nothing
        self.backlog: Callable[[], int] = int
        self.descriptor = -1
        self.last = ""
        self._reader = RequestReader(service.fast, service.pressure.caps.query_buffer)
        self._commands: Iterator[list[bytes]] = iter(())
        self._left = 0
        self._out: list[bytes] | None = None
        self._wrote = self.wrote = False
        self._special = service.may_read is not None or caller.readonly

    # ------------------------------------------------------------ called by the server

    def receive(self, data: bytes) -> None:
        """Take what the client sent, `limits.RECEIVE_BYTES` at most.

        While commands are `waiting` only what a client that is blocked sends meanwhile.
        """
        commands = self._reader.feed(data)
        self._commands = chain(self._commands, commands) if self._left else iter(commands)
        self._left += len(commands)

    @property
    def waiting(self) -> int:
        """Commands that came and were not run yet."""
        return self._left

    @property
    def unfinished(self) -> bool:
        """Whether `run` has something to do."""
        if self.blocked:
            return False
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
        service = self.service
        service.tracking.running = self
        clock = service.clock
        began = clock()
        put = out.append
        lookup = LOOKUP.get
        guard = service.pressure.guard
        first_write = -1
        cost, size = SLICE_COST, 0
        done = writes = 0
        command: Command | None = None
        for args in self._commands:
            done += 1
            command = lookup(args[0])
            if command is None or not command.least <= len(args) <= command.most or self._special:
                self._wrote = False
                reply = self._careful(args)
                if self._wrote:
                    writes += 1
                    if first_write < 0:
                        first_write = len(out)
                        self.wrote = True
                put(reply)
                size += len(reply)
                cost -= 1 if command is None else command.cost
                if cost <= 0 or size > SLICE_REPLY_BYTES or self.closing or self.blocked:
                    break
                continue
            if command.writes:
                writes += 1
                if first_write < 0:
                    first_write = len(out)
                    self.wrote = True
            try:
                if guard is not None:
                    guard(command, args)
                reply = command.run(self, args)
            except REFUSALS as error:
                put(encode_error(told(error)))
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
                elif kind is Blocked:
                    self._block(reply)
                    cost = 0
                else:
                    reply = encode(reply, self.protocol)
                    put(reply)
                    size += len(reply)
            cost -= command.cost
            if cost <= 0 or size > SLICE_REPLY_BYTES or self.closing:
                break
        if done == 1 and clock() - began > SLOWER_THAN and (command is None or command.cost == 1):
            service.slow.note(self, args, clock() - began)
        self.caller.writes += writes
        self._finish(done, command, out)
        return out, first_write

    def _finish(self, done: int, command: Command | None, out: list[bytes]) -> None:
        service = self.service
        if service.tracking.due:
            service.tracking.flush()
        service.tracking.running = self._out = None
        service.commands += done
        self.caller.commands += done
        self._left -= done
        if done:
            self.used_ms = service.wall_ms
            self.last = command.name if command is not None else "NULL"
        if self.closing:
            self._left = 0
        elif not self._left and not self.blocked and self._reader.error is not None:
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
        if self.caches and self.transaction is None:
            self.service.tracking.done(self, args)
        if type(reply) is Blocked:
            self._block(reply)
            return b""
        return self._unless_muted(reply)

    def _unless_muted(self, reply: Reply) -> bytes:
        muted = self.muted or self.skips > 0
        if self.skips:
            self.skips -= 1
            self.settle()
        return b"" if muted else encode(reply, self.protocol)

    # ------------------------------------------------------------ waiting

    def _block(self, blocked: Blocked) -> None:
        self.blocked = True
        self.service.block(self, blocked)

    def resume(self) -> tuple[list[bytes], int] | None:
        """Ask again whether the command that waits can be answered; None if not yet.

        Returns:
          As `run`, after which `run` goes on with what is behind it.
        """
        service = self.service
        writes = service.blocking.writes(self)
        self._out = out = []
        service.tracking.running = self
        try:
            reply = service.blocking.ask(self, service.now)
        except REFUSALS as error:
            reply = Error(told(error))
        if reply is not NOT_YET:
            self.unblock()
            self.used_ms = service.wall_ms
            out.append(self._unless_muted(reply))
        service.tracking.flush()
        service.tracking.running = self._out = None
        if reply is NOT_YET:
            return None
        return out, 0 if writes else -1

    def unblock(self) -> None:
        """It waits no more; nothing if it did not."""
        self.blocked = False
        self.service.unblock(self)

    def _resolved(self, args: list[bytes]) -> Reply:
        command = command_of(self, args)
        if self.caller.readonly or "admin" in command.flags:
            self.service.audit.judge(self, command, args)
        if self.service.pressure.guard is not None:
            self.service.pressure.guard(command, args)
        transaction = self.transaction
        if transaction is not None and command.name not in _NEVER_QUEUED:
            return queue(transaction, command, args, self.service.pressure.caps.batch)
        self._wrote = command.writes
        return self.perform(command, args)

    def perform(self, command: Command, args: list[bytes]) -> Reply:
        """Run one command whose words fit; a refusal comes back as a value."""
        try:
            if self.service.may_read is not None:
                check_readable(self.service.may_read, command.keys_of(args))
            if self.caches and "readonly" in command.flags:
                self.service.tracking.note(self, command.keys_of(args))
            return command.run(self, args)
        except REFUSALS as error:
            return Error(told(error))

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
            or self.caches
            or self.service.may_read is not None
            or self.caller.readonly
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
        self.unblock()
        self.unwatch()
        self.service.unwatch(self)
        self.service.channels.forget(self)
        self.service.untrack(self)
        self.transaction = None
        self.streams = self.muted = False
        self.skips = 0
        self.protocol = 2
        self.name = b""
        self.settle()
