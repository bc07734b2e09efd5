"""The network: hosts, routes between them, dials, links, and everything that goes wrong.

A dial takes a SYN, its answer and the four flights of a handshake, each of which may be lost; the
machine may refuse, be gone, or be cut off in either direction. Links are two `Stream`s. Who is at
the other end is known by construction, where production proves it with a handshake. Knows
processes only as `Endpoint`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Protocol

from gossipnet.identity.peer import Peer
from gossipnet.protocol.effects import Dial, DialFailure
from gossipnet.sim.route import Conditions, Route
from gossipnet.sim.stream import Flight, Stream
from gossipnet.sim.world import World

HANDSHAKE_BYTES = 1100
"""Sent by each side for one handshake: preamble or READY, key exchange, certificates, headers."""

SYN_RETRY = 1.0
"""First retransmission timeout of a SYN (RFC 6298 section 2.1); it doubles."""

CLOSE_SECONDS = 2.0
"""For so long a closed link still takes in, and ignores, what was under way."""


class Endpoint(Protocol):
    """One process, as the network sees it."""

    alive: bool
    paused: bool
    host: "Host"

    @property
    def peer(self) -> Peer:
        """Who it is, as its certificate says."""
        ...

    def link_up(self, end: "End") -> None:
        """A link is open; the process numbers it."""
        ...

    def link_data(self, end: "End", flight: Flight) -> None:
        """Messages came."""
        ...

    def link_down(self, end: "End", clean: bool, reason: str) -> None:
        """The link has ended, and not by this process."""
        ...

    def dial_failed(self, dial: int, failure: DialFailure, detail: str) -> None:
        """A dial came to nothing."""
        ...


@dataclass(eq=False)
class Host:
    """A machine's place in the network.

    Attributes:
      index: 0, 1, 2, ...
      address: ``HOST:PORT`` on which its process listens.
      process: What runs there, if anything.
      bytes_sent: By links that are gone.
    """

    index: int
    address: str
    process: Endpoint | None = None
    bytes_sent: int = 0


class End:
    """One side of a link.

    Attributes:
      number: The process's own number for it; 0 until it is up.
      address: As `LinkUp` tells it.
      dialed: The number of the dial, or None on the answering side.
      closed_at: When this side let go of it, or None.
    """

    __slots__ = ("address", "closed_at", "dialed", "number", "other", "out", "process", "serial")

    def __init__(self, serial: int, process: Endpoint, address: str, dialed: int | None) -> None:
        self.serial = serial
        self.process = process
        self.address = address
        self.dialed = dialed
        self.number = 0
        self.closed_at: float | None = None
        self.other: End
        self.out: Stream


@dataclass(eq=False)
class _Attempt:
    """A dial under way."""

    process: Endpoint
    dial: Dial
    target: Host | None
    done: bool = False
    accepted: bool = False


class Network:
    """All hosts and all links.

    Attributes:
      cuts: Ordered pairs of host indices between which nothing gets through.
      dark: Hosts without power.
      links: Live links by serial number, as their two ends.
    """

    def __init__(self, world: World, conditions: Conditions) -> None:
        self.world = world
        self.conditions = conditions
        self.rng = world.rng("network")
        self.hosts: list[Host] = []
        self.cuts: set[tuple[int, int]] = set()
        self.dark: set[int] = set()
        self.links: dict[int, tuple[End, End]] = {}
        self._by_address: dict[str, Host] = {}
        self._routes: dict[tuple[int, int], Route] = {}
        self._of_host: list[dict[int, None]] = []
        self._serial = 0

    def add_host(self) -> Host:
        """A new machine on the network."""
        index = len(self.hosts)
        host = Host(index, f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}:7117")
        self.hosts.append(host)
        self._of_host.append({})
        self._by_address[host.address] = host
        return host

    def route(self, source: Host, target: Host) -> Route:
        """The direction from one host to another."""
        key = (source.index, target.index)
        route = self._routes.get(key)
        if route is None:
            route = self._routes[key] = Route(key, self.conditions, self.world, self.rng)
            route.look(self.cuts, self.dark)
        return route

    # -- conditions ----------------------------------------------------------------------------

    def set_loss(self, loss: float) -> None:
        """Segments are lost with this probability from now on, everywhere."""
        self.conditions.loss = loss
        for route in self._routes.values():
            route.loss = loss

    def cut(self, source: Host, target: Host) -> None:
        """Nothing gets from ``source`` to ``target`` any more."""
        self.cuts.add((source.index, target.index))
        self.route(source, target).cut = True
        self.route(target, source).answers_cut = True

    def _look(self) -> None:
        for route in self._routes.values():
            route.look(self.cuts, self.dark)

    def heal(self) -> None:
        """Undo every cut."""
        self.cuts.clear()
        self._look()
        for ends in list(self.links.values()):
            for end in ends:
                end.out.healed()

    def power_off(self, host: Host) -> None:
        """The machine vanishes: nothing is said to anybody."""
        self.dark.add(host.index)
        self._look()
        for end in self.ends_of(host):
            end.out.kill()

    def power_on(self, host: Host) -> None:
        """The machine is back; what others still send on old links is answered by a reset."""
        self.dark.discard(host.index)
        self._look()
        for end in self.ends_of(host):
            end.other.out.healed()

    def ends_of(self, host: Host) -> list[End]:
        """This host's ends of all links."""
        return [
            end
            for serial in self._of_host[host.index]
            for end in self.links[serial]
            if end.process.host is host
        ]

    def bytes_sent(self, host: Host) -> int:
        """Bytes that a host has put on the wire, headers and retransmissions included."""
        return host.bytes_sent + sum(end.out.bytes_sent for end in self.ends_of(host))

    def break_link(self, serial: int) -> None:
        """Something in between resets a link: both sides see it broken."""
        for end in self.links.get(serial, ()):
            end.out.kill()
            route = self.route(end.other.process.host, end.process.host)
            self.world.after(route.latency(), self._reset, end)

    # -- dialling ------------------------------------------------------------------------------

    def dial(self, process: Endpoint, dial: Dial) -> None:
        """Begin to open a link; ends in `Endpoint.link_up` or `Endpoint.dial_failed`."""
        attempt = _Attempt(process, dial, self._by_address.get(dial.address))
        self.world.after(dial.deadline, self._expire, attempt)
        if attempt.target is None:
            self.world.after(0.001, self._fail, attempt, DialFailure.UNREACHABLE, "no such host")
            return
        self._knock(attempt, attempt.target, SYN_RETRY)

    def _knock(self, attempt: _Attempt, target: Host, retry: float) -> None:
        if attempt.done or attempt.accepted:
            return
        if retry < 4 * attempt.dial.deadline:
            self.world.after(retry, self._knock, attempt, target, 2 * retry)
        route = self.route(attempt.process.host, target)
        if not route.drops():
            self.world.after(route.latency(), self._knocked, attempt, target)

    def _knocked(self, attempt: _Attempt, target: Host) -> None:
        back = self.route(target, attempt.process.host)
        if attempt.done or attempt.accepted or target.index in self.dark or back.drops():
            return
        process = target.process
        if process is None or not process.alive:
            self.world.after(
                back.latency(), self._fail, attempt, DialFailure.REFUSED, "connection refused"
            )
            return
        attempt.accepted = True
        there = self.route(attempt.process.host, target)
        wait = back.latency() + there.delivery() + back.delivery() + there.delivery()
        attempt.process.host.bytes_sent += HANDSHAKE_BYTES
        target.bytes_sent += HANDSHAKE_BYTES
        self.world.after(wait, self._answer, attempt, process, 0.2)

    def _answer(self, attempt: _Attempt, process: Endpoint, retry: float) -> None:
        """The dialler's last handshake message gets to the other side."""
        if attempt.done:
            return
        dialer, dial = attempt.process, attempt.dial
        there, back = self.route(dialer.host, process.host), self.route(process.host, dialer.host)
        if process.paused or there.cut or back.cut:
            self.world.after(retry, self._answer, attempt, process, 2 * retry)
            return
        failure = ""
        if not process.alive:
            failure = "broken"
        elif process is dialer:
            failure = "self"
        elif dial.expected is not None and process.peer.node_id != dial.expected:
            failure = "wrong-peer"
        if failure:
            self._fail(attempt, DialFailure.HANDSHAKE, failure)
            return
        self._serial += 1
        port = 32_768 + self._serial % 28_000
        near = End(self._serial, dialer, dial.address, dial.dial)
        far = End(self._serial, process, f"{dialer.host.address.split(':')[0]}:{port}", None)
        near.other, far.other = far, near
        near.out = self._stream(there, far, self._serial)
        far.out = self._stream(back, near, self._serial)
        self.links[self._serial] = (near, far)
        self._of_host[dialer.host.index][self._serial] = None
        self._of_host[process.host.index][self._serial] = None
        ready = self.world.now + back.delivery()
        far.out.opened(ready)
        self.world.at(ready, self._ready, attempt, near)
        process.link_up(far)

    def _stream(self, route: Route, to: End, serial: int) -> Stream:
        return Stream(
            self.world,
            route,
            self.rng,
            partial(self._arrived, to),
            partial(self.break_link, serial),
        )

    def _ready(self, attempt: _Attempt, near: End) -> None:
        if attempt.done or not attempt.process.alive:
            self.release(near)
            near.out.abort()
            return
        attempt.done = True
        if near.closed_at is None:
            near.process.link_up(near)

    def _expire(self, attempt: _Attempt) -> None:
        seconds = attempt.dial.deadline
        self._fail(attempt, DialFailure.UNREACHABLE, f"no answer within {seconds:g} s")

    def _fail(self, attempt: _Attempt, failure: DialFailure, detail: str) -> None:
        if not attempt.done:
            attempt.done = True
            if attempt.process.alive:
                attempt.process.dial_failed(attempt.dial.dial, failure, detail)

    # -- links ---------------------------------------------------------------------------------

    def close(self, end: End) -> None:
        """This side says CLOSE and lets go."""
        if end.closed_at is None:
            self.release(end)
            end.out.close()

    def drop(self, end: End) -> None:
        """This side's process died: the kernel ends the stream for it."""
        if end.closed_at is None:
            self.release(end)
            end.out.abort()

    def release(self, end: End) -> None:
        """This side no longer takes anything from the link."""
        if end.closed_at is None:
            end.closed_at = self.world.now
            other = end.other
            if other.closed_at is not None or not other.process.alive:
                self._forget(end)

    def _forget(self, end: End) -> None:
        for side in self.links.pop(end.serial, ()):
            side.out.kill()
            self._of_host[side.process.host.index].pop(side.serial, None)
            side.process.host.bytes_sent += side.out.bytes_sent
            side.out.bytes_sent = 0

    def _arrived(self, end: End, flight: Flight) -> None:
        if end.closed_at is not None or not end.process.alive:
            if end.closed_at is None or self.world.now - end.closed_at > CLOSE_SECONDS:
                route = self.route(end.process.host, end.other.process.host)
                self.world.after(route.latency(), self._reset, end.other)
                end.closed_at = self.world.now
            return
        if flight.messages:
            end.process.link_data(end, flight)
        if flight.end and end.closed_at is None:
            self.release(end)
            end.process.link_down(end, flight.end == "closed", flight.end)

    def _reset(self, end: End) -> None:
        """A reset gets to this side."""
        if end.closed_at is None and end.process.host.index not in self.dark:
            self.release(end)
            if end.process.alive:
                end.process.link_down(end, False, "broken")
