"""Why a command on the keyspace was refused; each text is ready to follow ``-ERR`` on the socket.

The wording is Redis's own wherever Redis has one, because clients match on it. Raised before
anything was changed.
"""

from gossipnet.errors import GossipnetError


class KeyspaceError(GossipnetError):
    """Base of every refusal.

    Attributes:
      code: The word that opens the error reply.
    """

    code = "ERR"


class WrongType(KeyspaceError):
    """The key holds another type."""

    code = "WRONGTYPE"

    def __init__(self) -> None:
        super().__init__("Operation against a key holding the wrong kind of value")


class NotAnInteger(KeyspaceError):
    """The value cannot be counted up."""

    def __init__(self, text: str = "value is not an integer or out of range") -> None:
        super().__init__(text)


class NotAFloat(KeyspaceError):
    """The value is not a decimal number."""

    def __init__(self, text: str = "value is not a valid float") -> None:
        super().__init__(text)


class NotANumber(KeyspaceError):
    """A score would be the sum of opposite infinities."""

    def __init__(self) -> None:
        super().__init__("resulting score is not a number (NaN)")


class OutOfRange(KeyspaceError):
    """A counter would leave ±2^59: room for concurrent additions is part of its type."""

    def __init__(self) -> None:
        super().__init__("increment or decrement would overflow (59-bit)")


class NotASketch(KeyspaceError):
    """The key holds a string that is no HyperLogLog."""

    code = "WRONGTYPE"

    def __init__(self) -> None:
        super().__init__("Key is not a valid HyperLogLog string value.")


class TooSmallId(KeyspaceError):
    """Ids of a stream only rise."""

    def __init__(self) -> None:
        super().__init__(
            "The ID specified in XADD is equal or smaller than the target stream top item"
        )


class StreamFull(KeyspaceError):
    """Somebody wrote the highest id there is."""

    def __init__(self) -> None:
        super().__init__("The stream has exhausted the last possible ID, unable to add more items")


class NoSuchKey(KeyspaceError):
    """RENAME and its like need a key."""

    def __init__(self) -> None:
        super().__init__("no such key")


class TooLarge(KeyspaceError):
    """The operations of one command would not fit into one record."""

    def __init__(self) -> None:
        super().__init__("the command's result is larger than 1 MiB, the most one record can hold")


class NotPermitted(KeyspaceError):
    """This node's certificate does not cover the key."""

    code = "NOPERM"

    def __init__(self, rule: str) -> None:
        super().__init__(f"this node may not do that: {rule}")


class WritesRefused(KeyspaceError):
    """Nothing can be written now; the text says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
