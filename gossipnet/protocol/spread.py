"""How member records and accusations travel: pushed where seconds count, announced elsewhere.

Flooded whole, every record reaches every node once for each of its links. So a record goes whole
only to its subject's neighbours, and to everybody while it decides whether somebody lives (a
refutation, a return, a goodbye). Otherwise a node that took one in names it to its neighbours,
by subject and version, and whoever lacks it asks the first that named it, and the next one if
that does not answer: the lazy push of Plumtree (Leitão et al., SRDS 2007) without its tree, which
changes with the very records that are on their way. What gets lost is found by comparing tables.
This module judges no record; `roster` does.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gossipnet.ids import NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member, Membership
from gossipnet.protocol.wire import (
    AskMembers,
    MemberNews,
    PushAccusations,
    PushMembers,
    encode,
)
from gossipnet.protocol.wire_members import (
    Accusation,
    MemberEntry,
)

COLLECT, COLLECT_CHANGES = 0.02, 0.15
"""Seconds for which records are collected before anything is said of them; the second where nobody
waits, for only somebody's neighbours have changed."""

PACE = 0.1
"""Seconds between two messages of names on a link: thousands may join at once."""

NEWS_MAX = 1024
"""Records named in one message."""

ANSWER_WITHIN = 0.4
"""Seconds (plus two round trips) for an answer, before the next who named a record is asked."""

WANTED_MAX = 16_384
"""Records asked for and not yet here; the table holds no more either."""

ENTRIES = 256
"""Whole records in one message."""

Version = tuple[int, int]


@dataclass(slots=True)
class Pending:
    """A record that is to be passed on.

    Attributes:
      entry: What goes over the wire.
      version: Its incarnation and serial.
      whole: It is pushed; else it is named.
      told: Links whose other ends have it.
    """

    entry: MemberEntry
    version: Version
    whole: bool
    told: set[int]


@dataclass(slots=True)
class Wanted:
    """A record that others have and this node has asked for.

    Attributes:
      version: Which one, at least.
      due: ``now`` at which the next one is asked.
      others: Links on which it was named too.
    """

    version: Version
    due: float
    others: list[int] = field(default_factory=list)


class Spread:
    """Passes on what is news about members.

    Args:
      links: All links by number.
    """

    def __init__(
        self, context: Context, membership: Membership, links: dict[int, PeerLink]
    ) -> None:
        self._context = context
        self._membership = membership
        self._links = links
        self._pending: dict[NodeId, Pending] = {}
        self._wanted: dict[bytes, Wanted] = {}
        self._say_at = 0.0
        self._said_at = 0.0

    def _neighbours(self) -> list[PeerLink]:
        return [link for link in self._links.values() if link.neighbour]

    # -- passing on ----------------------------------------------------------------------------

    def members(self, fresh: Iterable[Member], source: int | None) -> None:
        """Pass on newer records of these members, or this node's own; ``source`` has them already.

        The certificates go along with the first record of an incarnation only; whoever has missed
        that one asks for them.
        """
        now = self._context.now
        due = now + COLLECT_CHANGES
        for member in fresh:
            whole = member.decisive or member.id == self._membership.me
            if whole:
                due = now + COLLECT
            elif member.body.serial == 1:
                due = min(due, max(now + COLLECT, self._said_at + PACE))
            entry, version = member.entry, (member.body.incarnation, member.body.serial)
            if member.body.serial > 1:
                entry = MemberEntry(entry.body, entry.signature, [])
            told = set() if source is None else {source}
            self._pending[member.id] = Pending(entry, version, whole, told)
        if self._pending and ("members" not in self._context.timers or due < self._say_at):
            self._say_at = due
            self._context.timers.set("members", due, self.say_members)

    def echoed(self, node: NodeId, link: int) -> None:
        """A neighbour has the very record that is about to be passed on."""
        pending = self._pending.get(node)
        if pending is not None:
            pending.told.add(link)

    def say_members(self) -> None:
        """Send what was collected now."""
        pending, self._pending = self._pending, {}
        self._context.timers.cancel("members")
        self._said_at = self._context.now
        for link in self._neighbours():
            fresh = [(node, one) for node, one in pending.items() if link.number not in one.told]
            entries = [one.entry for _node, one in fresh if one.whole]
            for start in range(0, len(entries), ENTRIES):
                self._context.send(
                    link.number, Lane.CONTROL, PushMembers(entries[start : start + ENTRIES])
                )
            news = [(node[:16], *one.version) for node, one in fresh if not one.whole]
            for start in range(0, len(news), NEWS_MAX):
                self._context.send(
                    link.number, Lane.CONTROL, MemberNews(news[start : start + NEWS_MAX])
                )

    def accusations(self, accusations: list[Accusation], source: int | None) -> None:
        """Flood accusations at once: a verdict waits for them."""
        payload = encode(PushAccusations(accusations[:1024]))
        for link in self._neighbours():
            if link.number != source:
                self._context.send_bytes(link.number, Lane.CONTROL, payload)

    # -- asking --------------------------------------------------------------------------------

    def on_news(self, link: PeerLink, message: MemberNews) -> None:
        """Ask for what is newer than what is here, unless somebody was asked just now."""
        known: list[bytes] = []
        unknown: list[bytes] = []
        for prefix, incarnation, serial in message.heads:
            version = (incarnation, serial)
            member = self._membership.find(prefix)
            if member is not None:
                held = (member.body.incarnation, member.body.serial)
                if held == version:
                    self.echoed(member.id, link.number)
                if held >= version:
                    continue
            wanted = self._wanted.get(prefix)
            if wanted is not None and wanted.version >= version:
                if link.number not in wanted.others and len(wanted.others) < 16:
                    wanted.others.append(link.number)
                continue
            if wanted is None and len(self._wanted) >= WANTED_MAX:
                self._context.counters["members_news_dropped"] += 1
                continue
            self._wanted[prefix] = Wanted(version, self._due(link))
            (unknown if member is None else known).append(prefix)
        self._ask(link, known, chains=False)
        self._ask(link, unknown, chains=True)
        self._arm()

    def _ask(self, link: PeerLink, prefixes: list[bytes], *, chains: bool) -> None:
        for start in range(0, len(prefixes), NEWS_MAX):
            self._context.send(
                link.number, Lane.CONTROL, AskMembers(prefixes[start : start + NEWS_MAX], chains)
            )

    def _due(self, link: PeerLink) -> float:
        return self._context.now + ANSWER_WITHIN + 2 * (link.rtt or 0.0)

    def _arm(self) -> None:
        if self._wanted and "news" not in self._context.timers:
            self._context.timers.set("news", self._context.now + ANSWER_WITHIN, self._look)

    def _look(self) -> None:
        """Ask the next one for what has not come; without a next one, tables will be compared."""
        again: dict[tuple[int, bool], list[bytes]] = {}
        for prefix, wanted in list(self._wanted.items()):
            member = self._membership.find(prefix)
            if member is not None and (
                (member.body.incarnation, member.body.serial) >= wanted.version
            ):
                del self._wanted[prefix]
                continue
            if wanted.due > self._context.now:
                continue
            link = None
            while link is None and wanted.others:
                link = self._links.get(wanted.others.pop(0))
            if link is None:
                del self._wanted[prefix]
                continue
            self._context.counters["members_asked_again"] += 1
            wanted.due = self._due(link)
            again.setdefault((link.number, member is None), []).append(prefix)
        for (number, chains), prefixes in again.items():
            self._ask(self._links[number], prefixes, chains=chains)
        self._arm()
