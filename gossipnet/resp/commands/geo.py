"""Places on the globe: members of sorted sets whose scores are geohashes, with their rules."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from gossipnet.resp import geometry
from gossipnet.resp.commands.sorted_ranges import store
from gossipnet.resp.commands.sorted_sets import assign
from gossipnet.resp.geometry import Box, Circle, Point, Shape
from gossipnet.resp.numbers import double, integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import CommandError, Reply
from gossipnet.resp.table import HEAVY, KEY, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_UNITS = {b"m": 1.0, b"km": 1000.0, b"ft": 0.3048, b"mi": 1609.34}
_PLACES = Decimal(1).scaleb(-17)
_NO_MEMBER = "ERR could not decode requested zset member"


def _unit(word: bytes) -> float:
    if word.lower() not in _UNITS:
        raise CommandError("ERR unsupported unit provided. please use M, KM, FT, MI")
    return _UNITS[word.lower()]


def _point(words: list[bytes]) -> Point:
    longitude, latitude = double(words[0]), double(words[1])
    if abs(longitude) > geometry.LONGITUDE_MAX or abs(latitude) > geometry.LATITUDE_MAX:
        raise CommandError(f"ERR invalid longitude,latitude pair {longitude:f},{latitude:f}")
    return longitude, latitude


def _coordinate(session: "Session", degrees: float) -> Reply:
    written = format(Decimal(degrees).quantize(_PLACES, ROUND_HALF_EVEN), "f")
    return float(written) if session.protocol == 3 else written.rstrip("0").rstrip(".").encode()


def _coordinates(session: "Session", point: Point) -> Reply:
    return [_coordinate(session, degrees) for degrees in point]


def _geoadd(session: "Session", args: list[bytes]) -> Reply:
    at = 2
    while at < len(args) and args[at].upper() in (b"NX", b"XX", b"CH"):
        at += 1
    flags = {word.upper() for word in args[2:at]}
    words = args[at:]
    if len(words) % 3 or not words or flags >= {b"NX", b"XX"}:
        raise CommandError(SYNTAX)
    pairs = [
        (words[place + 2], float(geometry.encoded(*_point(words[place : place + 2]))))
        for place in range(0, len(words), 3)
    ]
    return assign(session, args[1], pairs, flags)


def _geopos(session: "Session", args: list[bytes]) -> Reply:
    scores = session.keyspace.scores(args[1])
    found = [scores.get(name) for name in args[2:]]
    return [
        None if score is None else _coordinates(session, geometry.decoded(score)) for score in found
    ]


def _geohash(session: "Session", args: list[bytes]) -> Reply:
    scores = session.keyspace.scores(args[1])
    found = [scores.get(name) for name in args[2:]]
    return [None if score is None else geometry.text(score) for score in found]


def _geodist(session: "Session", args: list[bytes]) -> Reply:
    unit = _unit(args[4]) if len(args) == 5 else 1.0
    if len(args) > 5:
        raise CommandError(SYNTAX)
    scores = session.keyspace.scores(args[1])
    one, other = scores.get(args[2]), scores.get(args[3])
    if one is None or other is None:
        return None
    metres = geometry.distance(geometry.decoded(one), geometry.decoded(other))
    return b"%.4f" % (metres / unit)


# ---------------------------------------------------------------- searching


@dataclass
class _Search:
    """What a search was told.

    Attributes:
      middle: Where to search; None if that was not said, or says a member of no key.
      told: Whether it was said.
      make: Gives the shape around a middle, or None.
      unit: Metres of one unit of distances.
      tells: WITHDIST, WITHHASH and WITHCOORD, as far as said.
      order: 1 nearest first, -1 farthest first, 0 as it comes.
      count: The most to find, 0 for all.
      any: Stop when so many are found, be they the nearest or not.
      store: Where to, or None.
      distances: Store distances instead of places.
    """

    middle: Point | None = None
    told: bytes = b""
    make: Callable[[Point], Shape] | None = None
    shape: bytes = b""
    unit: float = 1.0
    tells: set[bytes] = field(default_factory=set)
    order: int = 0
    count: int = 0
    any: bool = False
    store: bytes | None = None
    distances: bool = False

    def circle(self, words: list[bytes]) -> None:
        """BYRADIUS: radius, unit."""
        radius = double(words[0], "ERR need numeric radius")
        if radius < 0:
            raise CommandError("ERR radius cannot be negative")
        unit = self.unit = _unit(words[1])
        self.make, self.shape = lambda middle: Circle(middle, radius * unit), b"BYRADIUS"

    def box(self, words: list[bytes]) -> None:
        """BYBOX: width, height, unit."""
        width = double(words[0], "ERR need numeric width")
        height = double(words[1], "ERR need numeric height")
        if width < 0 or height < 0:
            raise CommandError("ERR height or width cannot be negative")
        unit = self.unit = _unit(words[2])
        self.make, self.shape = lambda middle: Box(middle, width * unit, height * unit), b"BYBOX"

    def member(self, session: "Session", key: bytes, name: bytes) -> None:
        """FROMMEMBER; of a key that is not there nothing will be found."""
        scores = session.keyspace.scores(key)
        self.told = b"FROMMEMBER"
        if scores:
            if name not in scores:
                raise CommandError(_NO_MEMBER)
            self.middle = geometry.decoded(scores[name])

    def options(
        self, session: "Session", key: bytes, words: list[bytes], *, radius: bool, stores: bool
    ) -> None:
        """The words behind the fixed ones.

        Args:
          session: Whose they are.
          key: Where to search.
          words: They.
          radius: Of GEORADIUS, which says middle and radius before them.
          stores: STORE and STOREDIST, or STOREDIST alone without ``radius``, may be said.
        """
        at = 0
        while at < len(words):
            option, left = words[at].upper(), len(words) - at - 1
            if option in (b"WITHDIST", b"WITHHASH", b"WITHCOORD"):
                self.tells.add(option)
            elif option == b"ANY":
                self.any = True
            elif option in (b"ASC", b"DESC"):
                self.order = 1 if option == b"ASC" else -1
            elif option == b"COUNT" and left >= 1:
                self.count = integer(words[at + 1])
                if self.count <= 0:
                    raise CommandError("ERR COUNT must be > 0")
                at += 1
            elif radius and stores and option in (b"STORE", b"STOREDIST") and left >= 1:
                self.store, self.distances = words[at + 1], option == b"STOREDIST"
                at += 1
            elif stores and not radius and option == b"STOREDIST":
                self.distances = True
            elif option == b"FROMMEMBER" and left >= 1 and not radius and self._from(option):
                self.member(session, key, words[at + 1])
                at += 1
            elif option == b"FROMLONLAT" and left >= 2 and not radius and self._from(option):
                self.middle, self.told = _point(words[at + 1 : at + 3]), option
                at += 2
            elif option == b"BYRADIUS" and left >= 2 and not radius and self._by(option):
                self.circle(words[at + 1 : at + 3])
                at += 2
            elif option == b"BYBOX" and left >= 3 and not radius and self._by(option):
                self.box(words[at + 1 : at + 4])
                at += 3
            else:
                raise CommandError(SYNTAX)
            at += 1

    def _from(self, option: bytes) -> bool:
        return self.told in (b"", option)

    def _by(self, option: bytes) -> bool:
        return self.shape in (b"", option)

    def check(self, name: bytes, stored: str) -> None:
        """Refuse what does not go together."""
        if self.store is not None and self.tells:
            raise CommandError(
                f"ERR {stored} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )
        shown = name[:64].decode("utf-8", "surrogateescape")
        if not self.told:
            raise CommandError(
                f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {shown}"
            )
        if self.make is None:
            raise CommandError(
                f"ERR exactly one of BYRADIUS and BYBOX can be specified for {shown}"
            )
        if self.any and not self.count:
            raise CommandError("ERR the ANY argument requires COUNT argument")
        if self.count and not self.order and not self.any:
            self.order = 1

    def found(self, session: "Session", key: bytes) -> "list[_Hit]":
        """What lies inside."""
        if self.middle is None or self.make is None:
            return []
        shape = self.make(self.middle)
        ranking = session.keyspace.ranking(key)
        hits: list[_Hit] = []
        enough = self.count if self.any else len(ranking)
        for low, high in geometry.ranges(shape):
            for score, name in ranking.slice(ranking.rank((low,)), ranking.rank((high,))):
                point = geometry.decoded(score)
                metres = shape.distance(point)
                if metres is not None:
                    hits.append(_Hit(name, score, metres / self.unit, point))
                    if len(hits) >= enough:
                        break
        if self.order:
            hits.sort(key=lambda hit: hit.distance, reverse=self.order < 0)
        return hits[: self.count] if self.count else hits


@dataclass(frozen=True, slots=True)
class _Hit:
    name: bytes
    score: float
    distance: float
    point: Point

    def told(self, session: "Session", tells: set[bytes]) -> Reply:
        if not tells:
            return self.name
        parts: list[Reply] = [self.name]
        if b"WITHDIST" in tells:
            parts.append(b"%.4f" % self.distance)
        if b"WITHHASH" in tells:
            parts.append(int(self.score))
        if b"WITHCOORD" in tells:
            parts.append(_coordinates(session, self.point))
        return parts


def _answer(session: "Session", key: bytes, search: _Search) -> Reply:
    hits = search.found(session, key)
    if search.store is None:
        return [hit.told(session, search.tells) for hit in hits]
    pairs = [(hit.name, hit.distance if search.distances else hit.score) for hit in hits]
    return store(session, search.store, pairs)


def _geosearch(session: "Session", args: list[bytes]) -> Reply:
    session.keyspace.scores(args[1])  # Redis looks at the type before it looks at the options
    search = _Search()
    search.options(session, args[1], args[2:], radius=False, stores=False)
    search.check(args[0], "")
    return _answer(session, args[1], search)


def _geosearchstore(session: "Session", args: list[bytes]) -> Reply:
    session.keyspace.scores(args[2])
    search = _Search(store=args[1])
    search.options(session, args[2], args[3:], radius=False, stores=True)
    search.check(args[0], "GEOSEARCHSTORE")
    return _answer(session, args[2], search)


def _radius(*, member: bool, stores: bool) -> Callable[["Session", list[bytes]], Reply]:
    def georadius(session: "Session", args: list[bytes]) -> Reply:
        session.keyspace.scores(args[1])
        search = _Search()
        if member:
            search.member(session, args[1], args[2])
        else:
            search.middle, search.told = _point(args[2:4]), b"FROMLONLAT"
        at = 3 if member else 4
        if member and not session.keyspace.exists(args[1]):  # then Redis does not look at these
            search.make = lambda middle: Circle(middle, 0.0)
        else:
            search.circle(args[at : at + 2])
        search.options(session, args[1], args[at + 2 :], radius=True, stores=stores)
        search.check(args[0], "STORE option in GEORADIUS")
        return _answer(session, args[1], search)

    return georadius


_READ, _WRITE = "readonly", "write denyoom"
_FROM = "FROMMEMBER member | FROMLONLAT longitude latitude"
_BY = "BYRADIUS radius M | KM | FT | MI | BYBOX width height M | KM | FT | MI"
_MOST = "[ASC | DESC] [COUNT count [ANY]]"
_WITH = "[WITHCOORD] [WITHDIST] [WITHHASH]"
_STORE = "[STORE key | STOREDIST key]"
_CIRCLE = "radius M | KM | FT | MI"
_OLD = "What lies around a place; GEOSEARCH says it better."
_OLD_MEMBER = "What lies around a member; GEOSEARCH says it better."

# fmt: off
ROWS = [
    Command("geoadd", _geoadd, -5,
            "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
            "Assigns places to members.", "3.2.0", _WRITE, KEY),
    Command("geopos", _geopos, -2, "key [member [member ...]]", "Where members are.", "3.2.0",
            _READ, KEY),
    Command("geodist", _geodist, -4, "key member1 member2 [M | KM | FT | MI]",
            "How far it is between two members.", "3.2.0", _READ, KEY),
    Command("geohash", _geohash, -2, "key [member [member ...]]", "Geohashes of members.", "3.2.0",
            _READ, KEY),
    Command("geosearch", _geosearch, -7, f"key {_FROM} {_BY} {_MOST} {_WITH}",
            "What lies in a circle or box.", "6.2.0", _READ, KEY, HEAVY // 4),
    Command("geosearchstore", _geosearchstore, -8,
            f"destination source {_FROM} {_BY} {_MOST} [STOREDIST]",
            "Stores what lies in a circle or box, as this node sees it.", "6.2.0", _WRITE,
            (1, 2, 1), HEAVY),
    Command("georadius", _radius(member=False, stores=True), -6,
            f"key longitude latitude {_CIRCLE} {_WITH} {_MOST} {_STORE}", _OLD, "3.2.0", _WRITE,
            KEY, HEAVY // 4),
    Command("georadius_ro", _radius(member=False, stores=False), -6,
            f"key longitude latitude {_CIRCLE} {_WITH} {_MOST}", _OLD, "3.2.10", _READ, KEY,
            HEAVY // 4),
    Command("georadiusbymember", _radius(member=True, stores=True), -5,
            f"key member {_CIRCLE} {_WITH} {_MOST} {_STORE}", _OLD_MEMBER, "3.2.0", _WRITE, KEY,
            HEAVY // 4),
    Command("georadiusbymember_ro", _radius(member=True, stores=False), -5,
            f"key member {_CIRCLE} {_WITH} {_MOST}", _OLD_MEMBER, "3.2.10", _READ, KEY,
            HEAVY // 4),
]
# fmt: on
