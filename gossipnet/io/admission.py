"""Who may begin a handshake now: counts and rates of connections that have proved nothing yet.

Limits follow WireGuard's and OpenSSH's practice (MaxStartups): a bounded number of half-open
connections in all and per address, and a bounded rate per address. When the house is full, the
oldest connection that has not said anything yet makes room, so that silent connections cannot keep
members out. Loopback gets wide limits per address: all local nodes share one.

Keeps no clock: ``now`` comes in. Knows nothing of sockets beyond the text of an address.
"""

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How many may knock. Rates are per second, bursts in handshakes.

    Attributes:
      half_open: Handshakes under way in all.
      per_address: Of these, from one address.
      per_network: Of these, from one network of the internet: an IPv4 /24, an IPv6 /56. Private
        networks have none: there a whole mesh may start at one moment.
      rate: Handshakes per second from one address, in the long run.
      burst: And how many at once.
      loopback_per_address: Instead of ``per_address`` for 127.0.0.0/8 and ::1.
      loopback_rate: Instead of ``rate``.
      addresses: Addresses whose rate is remembered; the least recently seen is forgotten.
    """

    half_open: int = 64
    per_address: int = 4
    per_network: int = 8
    rate: float = 5.0
    burst: float = 10.0
    loopback_per_address: int = 32
    loopback_rate: float = 200.0
    addresses: int = 1024


@dataclass(eq=False, slots=True)
class Ticket:
    """One half-open connection.

    Attributes:
      address: The remote host, without its port.
      evict: Ends the connection.
      silent: It has not sent a preamble yet.
    """

    address: str
    evict: Callable[[], None]
    silent: bool = field(default=True)


class Admission:
    """Hands out a `Ticket` per half-open connection, or refuses.

    Attributes:
      refused: Refusals by reason: ``full``, ``address-full``, ``network-full``, ``rate``,
        ``evicted``.
    """

    def __init__(self, limits: AdmissionLimits | None = None) -> None:
        self.limits = limits or AdmissionLimits()
        self.refused: Counter[str] = Counter()
        self._tickets: dict[Ticket, None] = {}
        self._per_address: Counter[str] = Counter()
        self._per_network: Counter[str] = Counter()
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def half_open(self) -> int:
        """Connections that hold a ticket."""
        return len(self._tickets)

    def admit(self, address: str, evict: Callable[[], None], now: float) -> Ticket | None:
        """A ticket, or None: close the connection without a word."""
        limits = self.limits
        local = address.startswith("127.") or address == "::1"
        if self._per_address[address] >= (
            limits.loopback_per_address if local else limits.per_address
        ):
            self.refused["address-full"] += 1
            return None
        network = network_of(address)
        if network and self._per_network[network] >= limits.per_network:
            self.refused["network-full"] += 1
            return None
        if not self._spend(address, limits.loopback_rate if local else limits.rate, now):
            self.refused["rate"] += 1
            return None
        if len(self._tickets) >= limits.half_open and not self._make_room():
            self.refused["full"] += 1
            return None
        ticket = Ticket(address, evict)
        self._tickets[ticket] = None
        self._per_address[address] += 1
        if network:
            self._per_network[network] += 1
        return ticket

    def release(self, ticket: Ticket) -> None:
        """The connection has proved itself, or has ended. May be called twice."""
        if self._tickets.pop(ticket, self) is self:
            return
        for counts, name in (
            (self._per_address, ticket.address),
            (self._per_network, network_of(ticket.address)),
        ):
            if name:
                counts[name] -= 1
                if not counts[name]:
                    del counts[name]

    def _make_room(self) -> bool:
        for ticket in self._tickets:
            if ticket.silent:
                self.release(ticket)
                self.refused["evicted"] += 1
                ticket.evict()
                return True
        return False

    def _spend(self, address: str, rate: float, now: float) -> bool:
        """Token bucket per address."""
        burst = max(self.limits.burst, rate)
        tokens, seen = self._tokens.pop(address, (burst, now))
        tokens = min(burst, tokens + max(0.0, now - seen) * rate)
        allowed = tokens >= 1.0
        self._tokens[address] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._tokens) > self.limits.addresses:
            self._tokens.popitem(last=False)
        return allowed


def network_of(address: str) -> str:
    """What one customer may have all of: an IPv4 /24, an IPv6 /56; empty for other networks."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if not parsed.is_global:
        return ""
    bits = 24 if parsed.version == 4 else 56
    return str(ipaddress.ip_network((parsed, bits), strict=False))
