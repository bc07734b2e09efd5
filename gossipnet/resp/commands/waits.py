"""WAIT: until other nodes have said, signed, that they have on disk what was written here.

It counts nodes other than this one. It makes a write safer, not the mesh consistent: the others
have the write, whatever they have written themselves meanwhile.
"""

from math import inf
from typing import TYPE_CHECKING

from gossipnet.resp.blocking import NOT_YET, RECEIPTS, Blocked
from gossipnet.resp.numbers import integer
from gossipnet.resp.options import timeout_ms
from gossipnet.resp.replies import CommandError, Reply
from gossipnet.resp.table import HEAVY, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_MOST = 16_384


def _wait(session: "Session", args: list[bytes]) -> Reply:
    wanted = integer(args[1])
    until = _until(session, args[2])
    if not session.wrote:
        return session.service.mesh.others()
    return _blocked(session, wanted, until, synced=False)


def _waitaof(session: "Session", args: list[bytes]) -> Reply:
    local = integer(args[1], 0, 1, "ERR value is out of range, must be between 0 and 1")
    wanted = integer(args[2])
    until = _until(session, args[3])
    here = int(session.service.durability == "always")
    if local > here:
        raise CommandError(
            "ERR WAITAOF cannot wait for this node: with durability 'every-second' it fsyncs "
            "within a second and tells nobody when"
        )
    if not session.wrote:
        return [here, session.service.mesh.others()]
    blocked = _blocked(session, wanted, until, synced=True)
    attempt, otherwise = blocked.attempt, blocked.otherwise
    blocked.otherwise = lambda: [here, otherwise()]
    blocked.attempt = lambda: NOT_YET if (count := attempt()) is NOT_YET else [here, count]
    return blocked


def _until(session: "Session", written: bytes) -> float:
    milliseconds = timeout_ms(written)
    return session.service.now + milliseconds / 1000 if milliseconds else inf


def _blocked(session: "Session", wanted: int, until: float, *, synced: bool) -> Blocked:
    receipts = session.service.mesh.await_receipts(min(wanted, _MOST))
    session.service.said()

    def count() -> Reply:
        return receipts.count(synced=synced)

    def attempt() -> Reply:
        return found if (found := receipts.count(synced=synced)) >= wanted else NOT_YET

    until = session.service.now if wanted <= 0 else until
    return Blocked([RECEIPTS], attempt, count, until, ended=receipts.close)


# fmt: off
ROWS = [
    Command("wait", _wait, 3, "numreplicas timeout",
            "Waits until as many other nodes have what this connection wrote; how many have.",
            "3.0.0", "noscript", cost=HEAVY),
    Command("waitaof", _waitaof, 4, "numlocal numreplicas timeout",
            "The same for nodes that have fsynced it.", "7.2.0", "noscript", cost=HEAVY),
]
# fmt: on
