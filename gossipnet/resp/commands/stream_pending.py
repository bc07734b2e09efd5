"""What readers of consumer groups hold on this node: looking at it, and taking it over."""

from typing import TYPE_CHECKING

from gossipnet.resp.commands.stream_groups import consumers_of, group_of, reader_of
from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import NO_ARRAY, CommandError, Reply
from gossipnet.resp.stream_options import interval, parse_id, shown, written
from gossipnet.resp.table import HEAVY, KEY, Command
from gossipnet.state.types.consumers import Consumers, Pending
from gossipnet.state.types.stream import FIRST, LAST, Id, Stream

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_ATTEMPTS = 10  # XAUTOCLAIM looks at so many entries for each that it may take


def _xpending(session: "Session", args: list[bytes]) -> Reply:
    rest = args[3:]
    idle = 0
    if rest and rest[0].upper() == b"IDLE":
        if len(rest) < 2:
            raise CommandError(SYNTAX)
        idle = integer(rest[1])
        rest = rest[2:]
        if not rest:
            raise CommandError(SYNTAX)
    if len(rest) not in (0, 3, 4, 5, 6) or len(args) > 9:  # more than four say nothing, as in Redis
        raise CommandError(SYNTAX)
    count = max(0, integer(rest[2])) if rest else 0
    ends = interval(rest[0], rest[1]) if rest else (FIRST, LAST)
    held = consumers_of(*group_of(session, args[1], args[2]))
    if not rest:
        return _summary(held)
    found: list[Reply] = []
    now = session.service.wall_ms
    for one, pending in held.held(*ends) if count else ():
        since = max(0, now - pending.given_ms)
        if since < idle or (len(rest) >= 4 and pending.consumer != rest[3]):
            continue
        found.append([written(one), pending.consumer, since, pending.count])
        if len(found) == count:
            break
    return found


def _summary(held: Consumers) -> Reply:
    if not len(held):
        return [0, None, None, NO_ARRAY]
    ids = [one for one, _pending in held.held(FIRST, LAST)]
    readers = [
        [name, b"%d" % reader.pending]
        for name, reader in sorted(held.readers.items())
        if reader.pending
    ]
    return [len(held), written(ids[0]), written(ids[-1]), readers]


# ---------------------------------------------------------------- taking over


class _Claim:
    """The options of XCLAIM."""

    def __init__(self, session: "Session", words: list[bytes]) -> None:
        self.given_ms = now = session.service.wall_ms
        self.count: int | None = None
        self.force = self.just_ids = False
        self.last: Id | None = None
        at = 0
        while at < len(words):
            word, left = words[at].upper(), len(words) - at - 1
            if word == b"FORCE":
                self.force = True
            elif word == b"JUSTID":
                self.just_ids = True
            elif word in (b"IDLE", b"TIME", b"RETRYCOUNT", b"LASTID") and left:
                at += 1
                if word == b"LASTID":
                    self.last = parse_id(words[at])
                else:
                    number = integer(
                        words[at], error=f"ERR Invalid {word.decode()} option argument for XCLAIM"
                    )
                    if word == b"RETRYCOUNT":
                        self.count = max(0, number)
                    else:
                        self.given_ms = min(now, now - number if word == b"IDLE" else number)
            else:
                told = words[at][:64].decode("utf-8", "surrogateescape")
                raise CommandError(f"ERR Unrecognized XCLAIM option '{told}'")
            at += 1


def _min_idle(word: bytes, command: str) -> int:
    error = f"ERR Invalid min-idle-time argument for {command}"
    return max(0, integer(word, error=error))


def _xclaim(session: "Session", args: list[bytes]) -> Reply:
    stream, group = group_of(session, args[1], args[2])
    idle = _min_idle(args[4], "XCLAIM")
    ids: list[Id] = []
    at = 5
    while at < len(args):
        try:
            ids.append(parse_id(args[at]))
        except CommandError:
            break
        at += 1
    claim = _Claim(session, args[at:])
    held = consumers_of(stream, group)
    if claim.last is not None:
        held.last = max(held.last, claim.last)
    found: list[Reply] = []
    for one in ids:
        entry = stream.find(one)
        pending = held.pending(one)
        if pending is None:
            if not claim.force or entry is None:
                continue
            count = 0
        elif entry is None:
            held.take(one)
            continue
        elif session.service.wall_ms - pending.given_ms < idle:
            continue
        else:
            count = pending.count
        reader_of(session, held, args[3])
        if claim.count is not None:
            count = claim.count
        elif not claim.just_ids:
            count += 1
        held.put(one, Pending(args[3], claim.given_ms, count))
        found.append(written(one) if claim.just_ids else shown([entry])[0])
    return found


def _xautoclaim(session: "Session", args: list[bytes]) -> Reply:
    idle = _min_idle(args[4], "XAUTOCLAIM")
    start, _end = interval(args[5], b"+")
    count, just_ids = 100, False
    at = 6
    while at < len(args):
        word = args[at].upper()
        if word == b"COUNT" and at + 1 < len(args):
            at += 1
            count = integer(args[at], 1, error="ERR COUNT must be > 0")
        elif word == b"JUSTID":
            just_ids = True
        else:
            raise CommandError(SYNTAX)
        at += 1
    stream, group = group_of(session, args[1], args[2])
    return _sweep(
        session, stream, consumers_of(stream, group), args[3], idle, start, count, just_ids
    )


def _sweep(
    session: "Session",
    stream: Stream,
    held: Consumers,
    consumer: bytes,
    idle: int,
    start: Id,
    count: int,
    just_ids: bool,
) -> Reply:
    now = session.service.wall_ms
    claimed: list[Reply] = []
    gone: list[Reply] = []
    looked = list(_first(held, start, count * _ATTEMPTS + 1))
    following = FIRST
    for number, (one, pending) in enumerate(looked):
        if len(claimed) + len(gone) == count or number == count * _ATTEMPTS:
            following = one
            break
        if now - pending.given_ms < idle:
            continue
        entry = stream.find(one)
        if entry is None:
            held.take(one)
            gone.append(written(one))
            continue
        reader_of(session, held, consumer)
        held.put(one, Pending(consumer, now, pending.count + (not just_ids)))
        claimed.append(written(one) if just_ids else shown([entry])[0])
    return [written(following), claimed, gone]


def _first(held: Consumers, start: Id, count: int) -> list[tuple[Id, Pending]]:
    found: list[tuple[Id, Pending]] = []
    for pair in held.held(start, LAST):
        found.append(pair)
        if len(found) == count:
            break
    return found


# fmt: off
ROWS = [
    Command("xpending", _xpending, -3,
            "key group [[IDLE min-idle-time] start end count [consumer]]",
            "What readers of this node hold.", "5.0.0", "readonly", KEY, HEAVY // 4),
    Command("xclaim", _xclaim, -6,
            "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] "
            "[RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
            "Takes over entries from other readers of this node.", "5.0.0", "write fast", KEY),
    Command("xautoclaim", _xautoclaim, -6,
            "key group consumer min-idle-time start [COUNT count] [JUSTID]",
            "Takes over what other readers of this node have held for long.", "6.2.0",
            "write fast", KEY, HEAVY // 4),
]
# fmt: on
