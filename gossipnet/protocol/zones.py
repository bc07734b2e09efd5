"""Members by zone, and who ranks where: what the overlay and the judges choose by.

A zone is a name that a node gives itself, such as a site. Its *bridges* are the first three of its
living members by rendezvous hash (Thaler and Ravishankar 1998): equal views give equal bridges, and
when one dies the next takes its place. Knows member rows; decides about no link.
"""

import hashlib
from collections.abc import Iterator
from heapq import nsmallest
from typing import TYPE_CHECKING

from gossipnet.ids import NodeId

if TYPE_CHECKING:
    from gossipnet.protocol.membership import Member

BRIDGES = 3
"""Of each zone."""

RANKED = 64
"""Ranks for one member that are remembered."""

RANKINGS_KEPT = 4096

Rows = dict[NodeId, "Member"]


def _rank(name: bytes, other: NodeId) -> bytes:
    return hashlib.blake2b(name + other, digest_size=8).digest()


class Zones:
    """The living, by zone.

    Attributes:
      total: How many live, in all zones.
    """

    def __init__(self) -> None:
        self.total = 0
        self._living: dict[str, Rows] = {}
        self._where: dict[NodeId, str] = {}
        self._bridges: dict[str, tuple[NodeId, ...]] = {}

    def note(self, member: "Member") -> None:
        """A member has come, gone, or changed its zone."""
        before = self._where.get(member.id)
        zone = member.body.zone if member.reachable else None
        if zone == before:
            return
        if before is not None:
            living = self._living[before]
            del living[member.id], self._where[member.id]
            if not living:
                del self._living[before]
            self._bridges.pop(before, None)
            self.total -= 1
        if zone is not None:
            self._living.setdefault(zone, {})[member.id] = member
            self._where[member.id] = zone
            self._bridges.pop(zone, None)
            self.total += 1

    def names(self) -> list[str]:
        """Zones in which anybody lives."""
        return list(self._living)

    def living(self, zone: str) -> list["Member"]:
        """Who lives in a zone."""
        return list(self._living.get(zone, {}).values())

    def size(self, zone: str) -> int:
        """How many live in a zone."""
        return len(self._living.get(zone, ()))

    def bridges(self, zone: str) -> tuple[NodeId, ...]:
        """The bridges of a zone, the first in rank first."""
        known = self._bridges.get(zone)
        if known is None:
            name = zone.encode()
            living = self._living.get(zone, ())
            known = tuple(nsmallest(BRIDGES, living, key=lambda node: _rank(name, node)))
            self._bridges[zone] = known
        return known


_rankings: dict[tuple[int, NodeId], list[NodeId]] = {}
"""The first ranks for a member: a pure function of who is known, which all nodes here share."""


class Rankings:
    """For each member the others, in an order that all nodes agree on: its own zone comes first."""

    def __init__(self, members: Rows) -> None:
        self._members = members
        self._population = 0
        self._seen: dict[NodeId, int] = {}

    def note(self, member: "Member") -> None:
        """A member has become known, or has changed its zone."""
        number = int.from_bytes(_rank(member.body.zone.encode(), member.id), "big")
        self._population ^= number ^ self._seen.get(member.id, 0)
        self._seen[member.id] = number

    def of(self, member: "Member") -> Iterator["Member"]:
        """The others in the order of their ranks for a member."""
        place = (self._population, member.id)
        first = _rankings.get(place)
        if first is None:
            others = self._others(member)
            first = nsmallest(RANKED, others, key=lambda node: self._key(member, node))
            if len(_rankings) >= RANKINGS_KEPT:
                del _rankings[next(iter(_rankings))]
            _rankings[place] = first
        for node in first:
            yield self._members[node]
        if len(first) == RANKED:
            rest = sorted(self._others(member), key=lambda node: self._key(member, node))
            for node in rest[RANKED:]:
                yield self._members[node]

    def _others(self, member: "Member") -> Iterator[NodeId]:
        return (node for node in self._members if node != member.id)

    def _key(self, member: "Member", node: NodeId) -> tuple[bool, bytes]:
        return (self._members[node].body.zone != member.body.zone, _rank(member.id, node))
