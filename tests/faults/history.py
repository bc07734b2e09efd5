"""What clients did and saw, and what must be true of it: small checkers in the manner of Jepsen.

A history is a list of operations with the times at which they began and ended and one of three
outcomes. ``ok`` was acknowledged, ``fail`` was refused, and of ``info`` nobody knows (the reply
never came): it may or may not be found later, and is never counted as lost or as invented. Every
checker answers with the violations it found, in words; none means that it holds.
Each is itself tested with histories that are wrong on purpose (`test_checkers`).

The set-full and counter checkers are those of Jepsen (https://jepsen.io, jepsen.checker); the
rest are what gossipnet promises beyond them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

OK, FAIL, INFO = "ok", "fail", "info"


@dataclass(frozen=True)
class Op:
    """One operation of one client.

    Attributes:
      node: On whose socket.
      kind: ``add`` (a unique member to one set), ``count`` (an amount to one counter), ``read``
        (the whole set), ``sum`` (the counter), ``pair`` (two keys that are always written
        together).
      value: What was written or read.
      begun, ended: Monotonic seconds.
      outcome: See the module.
    """

    node: str
    kind: str
    value: Any
    begun: float
    ended: float
    outcome: str = OK


@dataclass
class History:
    """Operations of all clients; `list.append` is atomic, so threads share one."""

    ops: list[Op] = field(default_factory=list)

    def of(self, kind: str, *outcomes: str) -> list[Op]:
        """Operations of one kind, of these outcomes or of any."""
        return [
            op for op in self.ops if op.kind == kind and (not outcomes or op.outcome in outcomes)
        ]

    def acknowledged(self) -> set[Any]:
        """Members whose addition was acknowledged."""
        return {op.value for op in self.of("add", OK)}


def lost(history: History, finals: Mapping[str, set[Any]]) -> list[str]:
    """Acknowledged additions that a node does not show at the end."""
    wanted = history.acknowledged()
    return [
        f"{node} lost {len(missing)} of {len(wanted)} acknowledged, among them {min(missing)!r}"
        for node, found in finals.items()
        if (missing := wanted - found)
    ]


def phantoms(history: History, finals: Mapping[str, set[Any]]) -> list[str]:
    """Members that nobody ever tried to add, or whose addition was refused."""
    tried = {op.value for op in history.of("add", OK, INFO)}
    seen = dict(finals)
    for op in history.of("read", OK):
        seen[op.node] = seen.get(op.node, set()) | op.value
    return [
        f"{node} shows {len(extra)} that nobody wrote, among them {min(extra)!r}"
        for node, found in seen.items()
        if (extra := found - tried)
    ]


def vanished(history: History) -> list[str]:
    """Members that a node showed and later did not: reads of one node must not go back."""
    wrong: list[str] = []
    shown: dict[str, tuple[float, set[Any]]] = {}
    for op in sorted(history.of("read", OK), key=lambda op: op.ended):
        until, before = shown.get(op.node, (0.0, set()))
        if op.begun >= until:
            if gone := before - op.value:
                wrong.append(f"{op.node} no longer shows {len(gone)}, among them {min(gone)!r}")
            shown[op.node] = (op.ended, op.value)
    return wrong


def counter(history: History, finals: Mapping[str, int]) -> list[str]:
    """Reads of the counter outside what the increments allow.

    At the end each node must show every acknowledged increment, and of the unknown ones any. A
    read in between may lack what was counted elsewhere, but never more than was tried.
    """
    sure = [op.value for op in history.of("count", OK)]
    unknown = [op.value for op in history.of("count", INFO)]
    up = [value for value in sure + unknown if value > 0]
    down = [value for value in sure + unknown if value < 0]
    wrong = [
        f"{op.node} read {op.value}, outside {sum(down)}..{sum(up)}"
        for op in history.of("sum", OK)
        if not sum(down) <= op.value <= sum(up)
    ]
    low = sum(sure) + sum(value for value in unknown if value < 0)
    high = sum(sure) + sum(value for value in unknown if value > 0)
    wrong += [
        f"{node} ends with {value}, outside {low}..{high}"
        for node, value in finals.items()
        if not low <= value <= high
    ]
    return wrong


def torn(history: History) -> list[str]:
    """Two keys that are only ever written by one EXEC, read by one EXEC, and found unequal."""
    return [
        f"{op.node} read {op.value[0]!r} and {op.value[1]!r}, which were never written together"
        for op in history.of("pair", OK)
        if op.value[0] != op.value[1]
    ]


def gaps(history: History) -> list[str]:
    """Reads that show a member and not all that the same node's client had added before it.

    Causal order per author: whoever sees a write sees all that its author acknowledged earlier.
    """
    order: dict[str, list[Any]] = {}
    for op in sorted(history.of("add", OK), key=lambda op: op.begun):
        order.setdefault(op.node, []).append(op.value)
    wrong: list[str] = []
    for op in history.of("read", OK):
        for author, added in order.items():
            shown = [member in op.value for member in added]
            if shown != sorted(shown, reverse=True):
                missing = added[shown.index(False)]
                wrong.append(f"{op.node} shows what {author} wrote after {missing!r}, but not that")
    return wrong


def unequal(dumps: Mapping[str, Mapping[Any, Any]]) -> list[str]:
    """Nodes that differ from the first one in what they show."""
    nodes = list(dumps)
    first = dumps[nodes[0]]
    wrong: list[str] = []
    for node in nodes[1:]:
        keys = {
            key
            for key in first.keys() | dumps[node].keys()
            if first.get(key) != dumps[node].get(key)
        }
        if keys:
            key = min(keys)
            wrong.append(
                f"{nodes[0]} and {node} differ at {len(keys)} keys, among them {key!r}: "
                f"{str(first.get(key))[:200]} and {str(dumps[node].get(key))[:200]}"
            )
    return wrong


def wrong_tables(tables: Mapping[str, Mapping[str, str]], expected: Mapping[str, str]) -> list[str]:
    """Member tables (name to state) that do not show what is so."""
    return [
        f"{node} shows {name} as {table.get(name)}, and it is {expected.get(name)}"
        for node, table in tables.items()
        for name in sorted(table.keys() | expected.keys())
        if table.get(name) != expected.get(name)
    ]


def false_deaths(
    events: Mapping[str, Iterable[Mapping[str, Any]]], allowed: Iterable[str] = ()
) -> list[str]:
    """Members declared dead (`GOSSIP EVENTS`) that were not among those made unreachable."""
    allowed = set(allowed)
    return [
        f"{node}: {row['text']}"
        for node, rows in events.items()
        for row in rows
        if row["kind"] == "member-dead" and row["text"].split(" is dead")[0] not in allowed
    ]


def visible_after(history: History, nodes: Iterable[str]) -> dict[Any, float]:
    """For each acknowledged addition the seconds until reads of all these nodes showed it.

    From the reply to the end of the last first read: an upper bound, as coarse as the reads. What
    some node never showed counts as infinity.
    """
    nodes = list(nodes)
    first: dict[tuple[str, Any], float] = {}
    shown: dict[str, set[Any]] = {node: set() for node in nodes}
    for op in sorted(history.of("read", OK), key=lambda op: op.ended):
        if op.node not in shown:
            continue
        for member in op.value - shown[op.node]:
            first[op.node, member] = op.ended
        shown[op.node] |= op.value
    return {
        op.value: max(0.0, max(first.get((node, op.value), inf) for node in nodes) - op.ended)
        for op in history.of("add", OK)
    }


def late(history: History, nodes: Iterable[str], within: float, until: float = inf) -> list[str]:
    """Acknowledged additions that were not visible everywhere within so many seconds.

    Args:
      history: With reads on all of the nodes.
      nodes: Where they should be seen.
      within: Seconds.
      until: Monotonic seconds when the fault ended: what was written too shortly before is left
        out, as is what was written too shortly before the last reads.
    """
    nodes = list(nodes)
    last = min(max(op.begun for op in history.of("read", OK) if op.node == node) for node in nodes)
    seconds = visible_after(history, nodes)
    return [
        f"{op.value!r} of {op.node} took {seconds[op.value]:.1f} s to be seen everywhere"
        for op in history.of("add", OK)
        if op.ended + within < min(until, last) and seconds[op.value] > within
    ]
