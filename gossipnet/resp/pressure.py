"""Why a write of a local client is refused before it is run: it is too large, or there is no room.

The limits are of this node's socket alone. What other members wrote within the protocol's maxima is
applied whatever is set here, and counts towards the memory: nodes that took only some records would
no longer agree. So is what a program writes that embeds the node. Knows no sockets or clocks.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from gossipnet.resp.limits import COMMAND_BYTES, OUTPUT_BYTES
from gossipnet.resp.replies import CommandError
from gossipnet.resp.table import Command
from gossipnet.state.operations import KEY_MAX
from gossipnet.state.writer import VALUE_MAX

OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'."
"""Redis's text, for clients match on it."""


class Caps(NamedTuple):
    """Bytes that clients may use; each is the protocol's own maximum, or below it.

    Attributes:
      key, value: Of one key, and of one argument or one string that grows.
      batch: Of all words of one command that adds, or of one transaction.
      query_buffer: Of one command as it is written on the wire.
      output_buffer: Of replies that a client has not read.
      memory: Of the whole process; 0 for as much as there is.
    """

    key: int = KEY_MAX
    value: int = VALUE_MAX
    batch: int = COMMAND_BYTES
    query_buffer: int = COMMAND_BYTES
    output_buffer: int = OUTPUT_BYTES
    memory: int = 0


Guard = Callable[[Command, list[bytes]], None]


class Pressure:
    """Judges writes.

    Args:
      counters: Where refusals are counted: ``writes_refused_*``.

    Attributes:
      caps: What is allowed.
      used: Bytes of memory in use when somebody last looked; 0 while nobody does.
      full: They are more than is allowed.
      behind: Why the disk is too far behind for more writes, one sentence; "" when it is not.
      guard: `check`, or None while nothing is set and nothing is short: a write then pays for no
        look.
    """

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self.used = 0
        self.full = False
        self.behind = ""
        self.guard: Guard | None = None
        self.caps = Caps()
        self._least = min(self.caps[:3])

    def allow(self, caps: Caps) -> None:
        """Set the limits."""
        self.caps = caps
        self._settle()

    def remember(self, used: int, *, full: bool) -> None:
        """So much memory is in use."""
        self.used, self.full = used, full
        self._settle()

    def fall_behind(self, why: str) -> None:
        """The disk is too far behind, or, without a reason, no longer."""
        self.behind = why
        self._settle()

    def _settle(self) -> None:
        bounded = self.caps[:3] != Caps()[:3]
        self._least = min(self.caps[:3])
        self.guard = self.check if bounded or self.full or self.behind else None

    def check(self, command: Command, args: list[bytes]) -> None:
        """Refuse a command that may not run now, or not at all; counted.

        Raises:
          CommandError: With the reason; nothing was changed.
        """
        text = self._shortage(command)
        if text is not None:
            raise CommandError(text)
        if command.adds:
            size = sum(map(len, args))
            if size > self._least:
                self._refuse_size(self._too_large(command, args, size))

    def _shortage(self, command: Command) -> str | None:
        if self.behind and "write" in command.flags:
            self._counters["writes_refused_behind"] += 1
            return f"TRYAGAIN {self.behind}"
        if self.full and command.adds:
            self._counters["writes_refused_memory"] += 1
            return OUT_OF_MEMORY
        return None

    def _refuse_size(self, text: str | None) -> None:
        if text is not None:
            self._counters["writes_refused_size"] += 1
            raise CommandError(text)

    def _too_large(self, command: Command, args: list[bytes], size: int) -> str | None:
        caps = self.caps
        if size > caps.batch:
            return (
                f"ERR the command has {size} bytes and limits.batch allows {caps.batch}: "
                "write less at once"
            )
        keys = command.keys_of(args)
        longest = max(map(len, keys), default=0)
        if longest > caps.key:
            return f"ERR the key has {longest} bytes and limits.key allows {caps.key}"
        # A key may be longer than a value may: what equals one is not judged as a value.
        names = set(keys)
        longest = max((len(word) for word in args[1:] if word not in names), default=0)
        return self._too_long(longest)

    def _too_long(self, size: int) -> str | None:
        if size <= self.caps.value:
            return None
        return f"ERR the value has {size} bytes and limits.value allows {self.caps.value}"

    def check_growth(self, size: int) -> None:
        """Refuse a string that would grow so long; raises `CommandError`."""
        self._refuse_size(self._too_long(size))

    def check_transaction(self, commands: Iterable[Command]) -> None:
        """Refuse an EXEC as a whole if there is no room now for what was queued before.

        Raises:
          CommandError: Of Redis's form; nothing was run.
        """
        for command in commands:
            text = self._shortage(command)
            if text is not None:
                raise CommandError(f"EXECABORT Transaction discarded because of: {text}")

    def status(self) -> dict[str, object]:
        """For ``GOSSIP STATUS``."""
        short = [name for name, is_so in (("memory", self.full), ("disk", self.behind)) if is_so]
        return {
            "short_of": " and ".join(short),
            "memory_limit": self.caps.memory,
            "memory_used": self.used,
            **{name: self._counters[name] for name in COUNTED},
        }


COUNTED = (
    "writes_refused_memory",
    "writes_refused_behind",
    "writes_refused_size",
    "writers_slowed",
)
