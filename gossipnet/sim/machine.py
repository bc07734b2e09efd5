"""One simulated machine, and the process that runs on it: the driver of the production engine.

A machine has an identity, a disk, a clock that may be wrong, and at most one process. A process
does what the daemon does: it feeds the engine inputs, carries out its effects once per turn, and
keeps one timer. A machine can lose its process (killed), its power, or its disk; a process can
stand still.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

from gossipnet.identity.peer import Peer
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
    Lane,
    LinkDown,
    LinkUp,
    LogRead,
    ReadLog,
    Received,
    Send,
)
from gossipnet.sim.disk import Disk
from gossipnet.sim.network import End, Host, Network
from gossipnet.sim.stream import Flight
from gossipnet.sim.world import WALL_START, World

UP, DOWN, DATA, FAILED, DISK, LIFE = range(1, 7)
"""Kinds of trace entries."""

TURN = 1e-5
"""Seconds from a timer to the turn that it causes, at the least."""

WAKES_MAX = 2000
"""A process that its timers wake more often in one second is spinning."""


class Core(Protocol):
    """The engine, as far as a driver needs it."""

    @property
    def committed(self) -> int:
        """Every commit up to this number is durable."""
        ...

    def handle(self, event: Input, now: float, wall: float) -> None:
        """Take one input."""
        ...

    def tick(self, now: float, wall: float) -> None:
        """Fire the timers that are due."""
        ...

    def deadline(self) -> float:
        """When `tick` is wanted next."""
        ...

    def take_effects(self, now: float, wall: float) -> list[Effect]:
        """What to do."""
        ...

    def ticket(self) -> int:
        """The commit that will hold everything written so far."""
        ...


@dataclass
class Clock:
    """A machine's wall clock: true time times ``1 + drift``, plus ``offset`` seconds."""

    offset: float = 0.0
    drift: float = 0.0

    def wall(self, now: float) -> float:
        """Unix seconds that the machine believes in."""
        return WALL_START + now * (1.0 + self.drift) + self.offset


@dataclass
class Happening:
    """An `Event` effect, with when and where it was told."""

    at: float
    machine: "Machine"
    event: Event


Boot = Callable[["Machine", int, float, float], Core]
"""Makes and starts an engine: (machine, epoch, now, wall)."""


class Process:
    """One life of the daemon on one machine."""

    def __init__(self, machine: "Machine", engine: Core) -> None:
        self.machine = machine
        self.host: Host = machine.host
        self.engine = engine
        self.alive = True
        self.paused = False
        self.links: dict[int, End] = {}
        self.refused_sends = 0
        self._world = machine.world
        self._network = machine.network
        self._link_number = 0
        self._wake_at = inf
        self._wakes = 0
        self._wakes_in = 0
        self._inbox: list[Callable[[], None]] = []
        self._waiting: list[tuple[int, Callable[[], None]]] = []

    @property
    def peer(self) -> Peer:
        """Who this is, to the other end of a link."""
        return self.machine.peer

    @property
    def wall(self) -> float:
        """The machine's wall clock."""
        clock = self.machine.clock
        return WALL_START + self._world.now * (1.0 + clock.drift) + clock.offset

    # -- the client's side ---------------------------------------------------------------------

    def act(self, action: Callable[[Any], None], acknowledged: Callable[[], None]) -> None:
        """Let a local client work on the engine; ``acknowledged`` runs once all is durable.

        It never runs if the process dies before: the client then does not know.
        """
        self.engine.tick(self._world.now, self.wall)
        action(self.engine)
        self._waiting.append((self.engine.ticket(), acknowledged))
        self.turn()
        self._acknowledge()

    def _acknowledge(self) -> None:
        committed = self.engine.committed
        while self._waiting and self._waiting[0][0] <= committed:
            self._waiting.pop(0)[1]()

    # -- inputs --------------------------------------------------------------------------------

    def _input(self, kind: int, event: Input, data: bytes) -> None:
        if self.paused:
            self._inbox.append(lambda: self._input(kind, event, data))
            return
        self._world.note(self.host.index, kind, data)
        self.engine.handle(event, self._world.now, self.wall)
        self.turn()

    def link_up(self, end: End) -> None:
        """A handshake is done."""
        self._link_number += 1
        end.number = self._link_number
        self.links[end.number] = end
        peer = end.other.process.peer
        self._input(UP, LinkUp(end.number, peer, end.dialed, end.address), peer.node_id)

    def link_down(self, end: End, clean: bool, reason: str) -> None:
        """A link ended at the other side, or in between."""
        if self.links.pop(end.number, None) is not None:
            self._input(DOWN, LinkDown(end.number, clean, reason), reason.encode())

    def link_data(self, end: End, flight: Flight) -> None:
        """Whole messages came; the engine takes all of them in one turn."""
        if self.paused:
            end.other.out.unread += flight.size
            self._inbox.append(lambda: self.link_data(end, flight))
            return
        engine, now, wall, note = self.engine, self._world.now, self.wall, self._world.note
        index = self.host.index
        for payload in flight.messages:
            note(index, DATA, payload)
            engine.handle(Received(end.number, payload), now, wall)
        self.turn()

    def dial_failed(self, dial: int, failure: DialFailure, detail: str) -> None:
        """A dial came to nothing."""
        self._input(FAILED, DialFailed(dial, failure, detail), detail.encode())

    def disk_done(self, done: Committed | LogRead) -> None:
        """The store has finished something."""
        number = done.number if isinstance(done, Committed) else done.request
        self._input(DISK, done, number.to_bytes(8, "big"))
        if not self.paused:
            self._acknowledge()

    # -- one turn ------------------------------------------------------------------------------

    def turn(self) -> None:
        """Carry out what the engine wants, then set the timer."""
        dirty: dict[int, End] = {}
        for effect in self.engine.take_effects(self._world.now, self.wall):
            match effect:
                case Send():
                    self._send(effect, dirty)
                case Dial():
                    self._network.dial(self, effect)
                case CloseLink():
                    end = self.links.pop(effect.link, None)
                    if end is not None:
                        self.machine.closed(effect.reason)
                        self._network.close(end)
                case Commit():
                    self.machine.disk.commit(effect)
                case ReadLog():
                    self.machine.disk.read(effect)
                case Event():
                    self.machine.told(effect)
                case _:
                    pass  # joins: nobody enrols in a simulated mesh
        for end in dirty.values():
            end.out.pump()
        self._arm()

    def _send(self, effect: Send, dirty: dict[int, End]) -> None:
        end = self.links.get(effect.link)
        if end is None:
            return
        if not end.out.queue(effect.lane, effect.payload):
            self.refused_sends += 1
            if effect.lane != Lane.GOSSIP:  # of gossip, comparing repairs what is missed
                self._network.drop(end)
                self._world.at(self._world.now, self.link_down, end, False, "too-slow")
            return
        dirty[effect.link] = end
        chance, network = self._network.conditions.duplicate, self._network
        if chance and effect.lane == Lane.GOSSIP and network.rng.random() < chance:
            again = network.rng.random() * 0.5
            self._world.after(again, self._send_again, end, effect)

    def _send_again(self, end: End, effect: Send) -> None:
        if self.alive and end.closed_at is None:
            end.out.queue(effect.lane, effect.payload)
            end.out.pump()

    def _arm(self) -> None:
        # A real loop takes its time too: a timer that is due comes a moment later.
        deadline = max(self.engine.deadline(), self._world.now + TURN)
        if deadline < self._wake_at:
            self._wake_at = deadline
            self._world.at(deadline, self._wake, deadline)

    def _wake(self, due: float) -> None:
        if due != self._wake_at or not self.alive or self.paused:
            return
        self._wake_at = inf
        if int(due) != self._wakes_in:
            self._wakes_in, self._wakes = int(due), 0
        self._wakes += 1
        if self._wakes > WAKES_MAX:
            self.machine.on_spin()
            return
        self.engine.tick(self._world.now, self.wall)
        self.turn()

    # -- its life ------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stand still, as under SIGSTOP: the kernel goes on, the program does not."""
        self.paused = True

    def resume(self) -> None:
        """Go on; everything that came meanwhile is there at once."""
        if not self.paused or not self.alive:
            return
        self.paused = False
        self._wake_at = inf
        self.engine.tick(self._world.now, self.wall)
        inbox, self._inbox = self._inbox, []
        for arrival in inbox:
            arrival()
        self.turn()
        self._acknowledge()
        for end in list(self.links.values()):
            end.other.out.unread = 0
            end.other.out.pump()

    def end(self) -> None:
        """Die without a word."""
        self.alive = False
        self._waiting.clear()
        self._inbox.clear()


class Machine:
    """A host with an identity, a disk and a clock.

    Attributes:
      process: The life that is going on, or None.
      rng: Its own randomness, for the engine's choices.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        peer: Peer,
        boot: Boot,
        *,
        durability: str = "always",
        clock: Clock | None = None,
    ) -> None:
        self.world = world
        self.network = network
        self.host = network.add_host()
        self.name = name
        self.peer = peer
        self.clock = clock or Clock()
        self.rng: random.Random = world.rng(f"machine/{name}")
        self.disk = Disk(world, world.rng(f"disk/{name}"), durability)
        self.process: Process | None = None
        self.on_event: Callable[[Happening], None] = lambda _happening: None
        self.on_end: Callable[[Core], None] = lambda _engine: None
        self.on_spin: Callable[[], None] = lambda: None
        self.on_disk_lost: Callable[[bool], None] = lambda _entirely: None
        self.close_reasons: dict[str, int] = {}
        self.lives = 0
        self._boot = boot

    @property
    def index(self) -> int:
        """Its number."""
        return self.host.index

    @property
    def running(self) -> bool:
        """Whether a process lives here and is not standing still."""
        return self.process is not None and not self.process.paused

    def start(self) -> None:
        """Boot a process from what the disk holds; nothing if one is running."""
        if self.process is not None:
            return
        self.network.power_on(self.host)
        self.lives += 1
        if "epoch" not in self.disk.meta:
            self.disk.meta["epoch"] = self.rng.randbytes(4)
        epoch = int.from_bytes(self.disk.meta["epoch"], "big")
        now = self.world.now
        self.world.note(self.index, LIFE, self.lives.to_bytes(4, "big"))
        engine = self._boot(self, epoch, now, self.clock.wall(now))
        process = Process(self, engine)
        self.process = process
        self.host.process = process
        self.disk.open(process.disk_done)
        process.turn()

    def kill(self) -> None:
        """SIGKILL: the process is gone, the kernel ends its links, what was written stays."""
        self._stop(power=False)

    def lose_power(self) -> None:
        """Gone without a trace: links hang, dials are not answered, unsynced writes are lost."""
        self._stop(power=True)

    def _stop(self, *, power: bool) -> None:
        process = self.process
        if process is None:
            return
        self.world.note(self.index, LIFE, b"power" if power else b"kill")
        process.end()
        self.on_end(process.engine)
        self.process = self.host.process = None
        if power:
            self.network.power_off(self.host)
        else:
            for end in self.network.ends_of(self.host):
                self.network.drop(end)
        lost = self.disk.crash(power=power)
        if lost or (power and self.disk.durability != "always"):
            # As the real store decides: the log may have gone on further than the disk knows.
            self.disk.meta.pop("epoch", None)
            self.on_disk_lost(False)

    def wipe(self) -> None:
        """Replace the disk of a machine that is down; its identity is kept elsewhere."""
        assert self.process is None
        self.disk.wipe()
        self.on_disk_lost(True)

    def told(self, event: Event) -> None:
        """The engine told people something."""
        self.on_event(Happening(self.world.now, self, event))

    def closed(self, reason: str) -> None:
        """The engine closed a link."""
        self.close_reasons[reason] = self.close_reasons.get(reason, 0) + 1
