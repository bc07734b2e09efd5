"""The vocabulary between the engine and whatever drives it: inputs in, effects out.

A driver feeds inputs to `Engine.handle` and carries out every effect that `Engine.take_effects`
returns, in order. Links, dials and joins are named by plain integers that the driver (links, joins)
or the engine (dials, reads, commits) hands out; a number is never used twice in one process.
Durations are seconds, ``wall`` is seconds since 1970, sizes are bytes.
"""

from dataclasses import dataclass
from enum import IntEnum

from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.peer import Peer
from gossipnet.ids import LogId, NodeId


class Lane(IntEnum):
    """Priority inside one link: a lower lane is always written first."""

    CONTROL = 0
    """Heartbeats, accusations, overlay changes."""
    GOSSIP = 1
    """Fresh records and announcements of them."""
    BULK = 2
    """Anti-entropy streams."""


class DialFailure(IntEnum):
    """Why a dial came to nothing."""

    REFUSED = 1
    """The machine answered: nobody listens there. Evidence of a dead process."""
    UNREACHABLE = 2
    """No route, no name, or no answer in time."""
    HANDSHAKE = 3
    """Something answered that is not a member of this mesh, or not the one expected."""


# ---------------------------------------------------------------- inputs


@dataclass(frozen=True, slots=True)
class LinkUp:
    """An authenticated link is open.

    Attributes:
      link: The driver's number for it.
      peer: Who is at the other end, as its certificate says.
      dialed: The number of the dial that made it, or None if the peer dialed us.
      address: ``HOST:PORT`` that was dialed, or the remote socket address.
    """

    link: int
    peer: Peer
    dialed: int | None
    address: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A link that was up has ended.

    Attributes:
      link: Its number.
      clean: The peer said CLOSE. False: the stream broke or ended without it.
      reason: A short word for the log: ``closed``, ``broken``, ``bad-frame``, ...
    """

    link: int
    clean: bool
    reason: str


@dataclass(frozen=True, slots=True)
class DialFailed:
    """A dial that the engine asked for came to nothing."""

    dial: int
    failure: DialFailure
    detail: str


@dataclass(frozen=True, slots=True)
class Received:
    """One whole authenticated message arrived."""

    link: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """Authenticated bytes arrived that completed no message; the peer is alive."""

    link: int


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A link has fresh keys; its peer has shown its certificates anew, perhaps newer ones."""

    link: int
    peer: Peer


@dataclass(frozen=True, slots=True)
class Committed:
    """Every commit up to this number is durable, as the durability setting defines it."""

    number: int


@dataclass(frozen=True, slots=True)
class LogRead:
    """The answer to `ReadLog`.

    Attributes:
      request: Number of the request.
      records: Encoded records, in the order in which this node applied them.
      position: Where to go on reading; None when nothing is left.
    """

    request: int
    records: tuple[bytes, ...]
    position: int | None


@dataclass(frozen=True, slots=True)
class JoinOpened:
    """Somebody without a certificate connected with a join preamble."""

    join: int
    address: str


@dataclass(frozen=True, slots=True)
class JoinReceived:
    """Bytes of a join connection, the preamble included, exactly as they came."""

    join: int
    data: bytes


@dataclass(frozen=True, slots=True)
class JoinClosed:
    """A join connection ended."""

    join: int


Input = (
    LinkUp
    | LinkDown
    | DialFailed
    | Received
    | Heard
    | Refreshed
    | Committed
    | LogRead
    | JoinOpened
    | JoinReceived
    | JoinClosed
)


# ---------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class Send:
    """Queue one message on a link. Never blocks; the driver reports refusals by `LinkDown`.

    Attributes:
      link: Its number.
      lane: Its priority.
      payload: The message.
      droppable: If the peer is behind it is dropped, and counted, and the link lives on.
    """

    link: int
    lane: Lane
    payload: bytes
    droppable: bool = False


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a link.

    Attributes:
      dial: The engine's number for it; answered by `LinkUp` or `DialFailed`.
      address: ``HOST:PORT``; names are resolved anew each time.
      expected: Who must answer, or None when only the address is known.
      deadline: Seconds for everything: resolving, connecting, handshake.
    """

    dial: int
    address: str
    expected: NodeId | None
    deadline: float


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Say CLOSE after what is queued, then end the link. No `LinkDown` follows."""

    link: int
    reason: str


@dataclass(frozen=True, slots=True)
class PauseLink:
    """Leave a link unread for so many seconds: its peer goes too fast."""

    link: int
    seconds: float


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record as it goes to disk."""

    log: LogId
    seq: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """Make these durable, in order, in one transaction; answered by `Committed`.

    Attributes:
      number: 1, 2, 3, ...
      records: Records in the order in which they were applied.
      meta: Small named values to set, or to delete where the value is None.
      urgent: Something waits for it (a reply, a send). False: it may wait for the next one.
      clear: (log, last): records up to there are not needed once this is durable. They may go on
        lying there for a while.
    """

    number: int
    records: tuple[StoredRecord, ...]
    meta: tuple[tuple[str, bytes | None], ...]
    urgent: bool
    clear: tuple[tuple[LogId, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ReadLog:
    """Read records in the order in which this node applied them; answered by `LogRead`.

    Attributes:
      request: The engine's number for it.
      wanted: (log, first seq, last seq), inclusive.
      position: 0 to start, else the position of the previous answer.
      limit: Stop after about this many bytes (at least one record is returned if any is left).
    """

    request: int
    wanted: tuple[tuple[LogId, int, int], ...]
    position: int
    limit: int


@dataclass(frozen=True, slots=True)
class JoinSend:
    """Write bytes to a join connection."""

    join: int
    data: bytes


@dataclass(frozen=True, slots=True)
class JoinClose:
    """End a join connection after what was sent."""

    join: int


@dataclass(frozen=True, slots=True)
class Renewed:
    """Keep these certificates, and show them in handshakes from now on; nothing follows."""

    identity: NodeIdentity


@dataclass(frozen=True, slots=True)
class Event:
    """Something a person may want to read in the log.

    Attributes:
      kind: Stable name such as ``member-join``, ``member-dead``, ``link-refused``.
      text: One line.
      level: ``debug``, ``info``, ``warning`` or ``error``.
      node: Whom it is about, if anyone.
    """

    kind: str
    text: str
    level: str = "info"
    node: NodeId | None = None


Effect = (
    Send | Dial | CloseLink | PauseLink | Commit | ReadLog | JoinSend | JoinClose | Renewed | Event
)
