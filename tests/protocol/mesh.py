"""A few engines on one fake network with virtual time: enough to test the engine, no simulator.

Links are lossless and ordered with one fixed latency; machines can be killed, frozen, cut off.
"""

import hashlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from gossipnet.identity.home import NodeIdentity
from gossipnet.identity.peer import Peer
from gossipnet.ids import LogId
from gossipnet.protocol.effects import (
    CloseLink,
    Commit,
    Committed,
    Dial,
    DialFailed,
    DialFailure,
    Effect,
    Event,
    Input,
    JoinClose,
    JoinSend,
    LinkDown,
    LinkUp,
    LogRead,
    ReadLog,
    Received,
    Renewed,
    Send,
    StoredRecord,
)
from gossipnet.protocol.engine import Engine, EngineSettings
from gossipnet.protocol.imaging import load_image
from gossipnet.state.replica import Replica
from tests.protocol.identities import WALL, identity

LATENCY = 0.005
FSYNC = 0.002


CLEARED = StoredRecord(LogId(bytes(16)), 0, b"")


@dataclass
class Disk:
    """What survives a kill."""

    records: list[StoredRecord] = field(default_factory=list)
    meta: dict[str, bytes] = field(default_factory=dict)

    def chunks(self, log: LogId) -> list[bytes]:
        found = sorted((one.seq, one.data) for one in self.records if one.log == log)
        return [data for _seq, data in found]

    def clear(self, log: LogId, last: int) -> None:
        for place, one in enumerate(self.records):  # positions of reads under way stay
            if one.log == log and one.seq <= last:
                self.records[place] = CLEARED


class Machine:
    """One home and the engine that runs on it."""

    def __init__(self, net: "Net", name: str, who: NodeIdentity, seeds: tuple[str, ...]) -> None:
        self.net = net
        self.name = name
        self.identity = who
        self.seeds = seeds
        self.address = f"{name}:7117"
        self.disk = Disk()
        self.up = False
        self.frozen = False
        self.life = 0
        self.links: dict[int, tuple[Machine, int, int]] = {}
        self.told: list[Event] = []
        self.sent: list[Send] = []
        self.joins: dict[int, tuple[bytearray, list[bool]]] = {}
        self.wall_offset = 0.0
        self.backlog: list[Input] = []
        self.disk_stalled = False
        self.stalled: list[Callable[[], None]] = []
        self.serial = 0
        self.zone = ""

    @property
    def wall(self) -> float:
        return WALL + self.net.now + self.wall_offset

    def start(self, *, addresses: tuple[str, ...] | None = None) -> "Machine":
        self.life += 1
        epoch = int.from_bytes(self.disk.meta.get("epoch", b"\1"), "big")
        replica = Replica(
            key=self.identity.key,
            chain=self.identity.chain,
            trust=self.identity.trust,
            epoch=epoch,
            wall=self.wall,
        )
        fetch = load_image(replica, self.disk.meta, self.disk.chunks)
        for record in self.disk.records:
            if record is not CLEARED:
                replica.load(record.data)
        replica.finish_loading(self.wall)
        seed = int.from_bytes(hashlib.blake2b(f"{self.name}{self.life}".encode()).digest(), "big")
        rng = random.Random(seed)
        self.engine = Engine(
            self.identity,
            replica,
            EngineSettings(
                addresses=(self.address,) if addresses is None else addresses,
                seeds=self.seeds,
                software="test",
                zone=self.zone,
            ),
            rng=rng,
            entropy=rng.randbytes,
            now=self.net.now,
            wall=self.wall,
        )
        self.up, self.frozen = True, False
        self.engine.start(dict(self.disk.meta), self.net.now, self.wall, fetch)
        self.turn()
        return self

    # -- driving -------------------------------------------------------------------------------

    def feed(self, event: Input) -> None:
        if self.frozen:
            self.backlog.append(event)
        elif self.up:
            self.engine.handle(event, self.net.now, self.wall)
            self.turn()

    def turn(self) -> None:
        for effect in self.engine.take_effects(self.net.now, self.wall):
            self.carry_out(effect)
        self._arm()

    def _arm(self) -> None:
        life, due = self.life, self.engine.deadline()
        if due == inf:
            return

        def wake() -> None:
            if self.up and not self.frozen and self.life == life:
                if self.engine.deadline() <= self.net.now:
                    self.engine.tick(self.net.now, self.wall)
                    self.turn()
                elif self.engine.deadline() < inf:
                    pass

        self.net.at(max(due, self.net.now), wake)

    def write(self, change: Callable[[Engine], object]) -> int:
        self.engine.touch(self.net.now, self.wall)  # as the local socket does before each batch
        change(self.engine)
        ticket = self.engine.ticket()
        self.turn()
        return ticket

    def set(self, key: bytes, value: bytes) -> int:
        return self.write(lambda engine: engine.keyspace.set(key, value))

    def get(self, key: bytes) -> bytes | None:
        return self.engine.keyspace.get(key)

    def states(self) -> dict[str, str]:
        return {str(row["name"]): str(row["state"]) for row in self.engine.members_table()}

    def row(self, name: str) -> dict[str, object]:
        """One row of the table, or an empty one."""
        return next((row for row in self.engine.members_table() if row["name"] == name), {})

    # -- effects -------------------------------------------------------------------------------

    def carry_out(self, effect: Effect) -> None:
        net, life = self.net, self.life
        if isinstance(effect, Send):
            self.sent.append(effect)
            self._send(effect)
        elif isinstance(effect, Dial):
            self._dial(effect)
        elif isinstance(effect, CloseLink):
            self._cut(effect.link, LinkDown(0, True, effect.reason))
        elif isinstance(effect, Commit):

            def stored(commit: Commit = effect) -> None:
                if self.life != life:
                    return
                self.disk.records.extend(commit.records)
                for name, value in commit.meta:
                    if value is None:
                        self.disk.meta.pop(name, None)
                    else:
                        self.disk.meta[name] = value
                for log, last in commit.clear:
                    self.disk.clear(log, last)
                self.feed(Committed(commit.number))

            if self.disk_stalled:
                self.stalled.append(stored)
            else:
                net.after(FSYNC, stored)
        elif isinstance(effect, ReadLog):
            net.after(FSYNC, lambda: self.feed(self._read(effect)))
        elif isinstance(effect, JoinSend):
            self.joins[effect.join][0].extend(effect.data)
        elif isinstance(effect, JoinClose):
            self.joins[effect.join][1].append(True)
        elif isinstance(effect, Renewed):
            self.identity = effect.identity
        else:
            self.told.append(effect)

    def _send(self, effect: Send) -> None:
        link = self.links.get(effect.link)
        if link is None:
            return
        other, number, life = link
        if self.net.parted(self, other):
            return

        def arrive() -> None:
            if other.up and other.life == life and number in other.links:
                other.feed(Received(number, effect.payload))

        self.net.after(LATENCY, arrive)

    def _read(self, effect: ReadLog) -> LogRead:
        wanted = {log: (first, last) for log, first, last in effect.wanted}
        found: list[bytes] = []
        size = 0
        for place in range(effect.position, len(self.disk.records)):
            record = self.disk.records[place]
            first, last = wanted.get(LogId(record.log), (1, 0))
            if first <= record.seq <= last:
                if found and size >= effect.limit:
                    return LogRead(effect.request, tuple(found), place)
                found.append(record.data)
                size += len(record.data)
        return LogRead(effect.request, tuple(found), None)

    def _dial(self, effect: Dial) -> None:
        net, life = self.net, self.life
        other = next((m for m in net.machines.values() if m.address == effect.address), None)

        def fail(failure: DialFailure, detail: str) -> None:
            if self.life == life:
                self.feed(DialFailed(effect.dial, failure, detail))

        def connect() -> None:
            if not self.up or self.life != life:
                return
            if other is None or not other.up:
                fail(DialFailure.REFUSED, "nobody listens there")
            elif other is self:
                fail(DialFailure.HANDSHAKE, "self")
            elif effect.expected not in (None, other.identity.node_id):
                fail(DialFailure.HANDSHAKE, "wrong-peer")
            else:
                net.join(self, other, effect.dial, effect.address)

        if other is not None and (net.parted(self, other) or (other.frozen and other.up)):
            net.after(effect.deadline, lambda: fail(DialFailure.UNREACHABLE, "no answer in time"))
        else:
            net.after(2 * LATENCY, connect)

    def _cut(self, link: int, down: LinkDown) -> None:
        """Our end of a link is gone; the other hears of it, if anything reaches it."""
        end = self.links.pop(link, None)
        if end is None:
            return
        other, number, life = end
        if self.net.parted(self, other):
            return

        def arrive() -> None:
            if other.life == life and other.links.pop(number, None) is not None:
                other.feed(LinkDown(number, down.clean, down.reason))

        self.net.after(LATENCY, arrive)

    # -- misfortune ----------------------------------------------------------------------------

    def kill(self) -> None:
        """As kill -9: nothing is said, the kernel resets every connection."""
        for link in list(self.links):
            self._cut(link, LinkDown(0, False, "broken"))
        self.up = False
        self.life += 1

    def stop(self) -> None:
        """As SIGTERM."""
        self.engine.goodbye()
        self.turn()
        self.kill()

    def free_disk(self) -> None:
        """End a stall of the disk: what waited is written."""
        self.disk_stalled = False
        for stored in self.stalled:
            stored()
        self.stalled.clear()

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        self.frozen = False
        waiting, self.backlog = self.backlog, []
        self.engine.tick(self.net.now, self.wall)
        for event in waiting:
            self.engine.handle(event, self.net.now, self.wall)
        self.turn()


class Net:
    """Virtual time, machines, and what is cut."""

    def __init__(self, count: int = 0) -> None:
        self.now = 100.0
        self.machines: dict[str, Machine] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0
        self._number = 0
        self._islands: list[set[str]] = []
        for place in range(count):
            self.add(f"node{place}", seeds=("node0:7117",) if place else ())

    def add(
        self, name: str, *, seeds: tuple[str, ...] = (), start: bool = True, zone: str = ""
    ) -> Machine:
        machine = Machine(self, name, identity(name), seeds)
        machine.zone = zone
        self.machines[name] = machine
        if start:
            machine.start()
        return machine

    def __getitem__(self, place: int) -> Machine:
        return self.machines[f"node{place}"]

    def __iter__(self):
        return iter([machine for machine in self.machines.values() if machine.up])

    # -- time ----------------------------------------------------------------------------------

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(self.now + seconds, action)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            when, _serial, action = heapq.heappop(self._heap)
            self.now = max(self.now, when)
            action()
        self.now = end

    def until(self, check: Callable[[], bool], within: float, what: str = "") -> float:
        """Run until ``check`` holds; how long that took. Fails when it does not hold in time."""
        began = self.now
        while not check():
            if self.now - began > within or not self._heap:
                told = [f"{m.name}: {m.states()}" for m in self][:6]
                raise AssertionError(f"not within {within} s: {what} " + " ".join(told))
            when, _serial, action = heapq.heappop(self._heap)
            self.now = max(self.now, when)
            action()
        return self.now - began

    # -- links ---------------------------------------------------------------------------------

    def parted(self, one: Machine, other: Machine) -> bool:
        return any((one.name in island) != (other.name in island) for island in self._islands)

    def part(self, *names: str) -> None:
        """Cut these machines off from the others; links stay open and carry nothing."""
        self._islands.append(set(names))

    def heal(self) -> None:
        self._islands = []

    def join(self, dialer: Machine, other: Machine, dial: int, address: str) -> None:
        """Both ends of a link come up."""
        self._number += 2
        near, far = self._number, self._number + 1
        dialer.links[near] = (other, far, other.life)
        other.links[far] = (dialer, near, dialer.life)
        # The answerer is done first; the dialler hears of that one way later.
        other_life, dialer_life = other.life, dialer.life

        def up() -> None:
            if dialer.life == dialer_life and near in dialer.links:
                dialer.feed(LinkUp(near, _peer(other), dial, address))

        self.after(LATENCY / 2, up)
        if other.life == other_life:
            other.feed(LinkUp(far, _peer(dialer), None, f"{dialer.name}:40000"))

    # -- what holds ----------------------------------------------------------------------------

    def meshed(self) -> bool:
        """Everybody alive knows everybody alive, and the states are equal."""
        names = {machine.name for machine in self}
        return all(
            {n for n, s in machine.states().items() if s == "alive"} == names for machine in self
        )

    def equal(self) -> bool:
        return len({machine.engine.replica.digest() for machine in self}) == 1


def _peer(machine: Machine) -> Peer:
    who = machine.identity
    return Peer(
        who.node_id, who.public_key, who.name, who.roles, tuple(who.chain), who.not_after, 1
    )
