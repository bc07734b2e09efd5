"""Answers DNS questions about members and services from the local socket (extra ``dns``).

``NAME.mesh.gossipnet`` is a living member's address; ``SERVICE.service.gossipnet`` those of the
instances that the set ``service:SERVICE`` holds as ``HOST:PORT``, and their ports in SRV records. A
process of its own on a loopback port, UDP and TCP, which asks the daemon at most once a second.
`dnspython` reads and writes the messages; what is decided here is what is in them.
"""

import ipaddress
import random
import time
from collections.abc import Callable, Iterable
from functools import partial

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import trio

from gossipnet.client import Client, as_text
from gossipnet.config import split_address
from gossipnet.errors import GossipnetError

ZONE = "gossipnet"
TTL_SECONDS = 1
"""Members come and go within seconds, and a question costs nothing here."""
ANSWERS_MAX = 16
_MESSAGE_BYTES = 4096
_UDP_BYTES = 1232
"""What fits every path without fragments: DNS flag day 2020."""
_TCP_SECONDS = 10.0
_TCP_CONNECTIONS = 64
_FRESH_SECONDS = 1.0

Instances = list[tuple[str, int]]


class Book:
    """Addresses by name, as of a second ago at most.

    Args:
      connect: Opens a connection to the daemon.

    Attributes:
      unsent: Answers that could not be sent to whoever asked.
    """

    def __init__(self, connect: Callable[[], Client]) -> None:
        self.unsent = 0
        self._connect = connect
        self._members: tuple[float, dict[str, Instances]] = (-1e9, {})
        self._services: dict[str, tuple[float, Instances]] = {}

    def member(self, name: str) -> Instances:
        """A living member's address and port; empty if there is none of that name."""
        at, known = self._members
        if time.monotonic() - at > _FRESH_SECONDS:
            with self._connect() as client:
                rows = client.members()
            known = {}
            for row in rows:
                if row["state"] == "alive" and row["address"]:
                    known.setdefault(row["name"].lower(), []).extend(_read([row["address"]]))
            self._members = time.monotonic(), known
        return known.get(name, [])

    def service(self, name: str) -> Instances:
        """Where a service's instances are, in no order."""
        at, known = self._services.get(name, (-1e9, []))
        if time.monotonic() - at > _FRESH_SECONDS:
            with self._connect() as client:
                written = as_text(client.call("SMEMBERS", f"service:{name}"))
            known = _read(written)
            if len(self._services) >= 1024:
                self._services.clear()
            self._services[name] = time.monotonic(), known
        return known


def _read(written: Iterable[str]) -> Instances:
    """Hosts and ports; what is not HOST:PORT is somebody's slip, and no reason to end."""
    found = []
    for one in written:
        try:
            found.append(split_address(one))
        except ValueError:
            continue
    return found


def answer(data: bytes, book: Book, *, limit: int) -> bytes | None:
    """The answer to one message, or None where none is due.

    Args:
      data: As received.
      book: Who is where.
      limit: Longest answer; a longer one says that it is cut (RFC 1035, section 4.1.1).
    """
    try:
        query = dns.message.from_wire(data)
    except dns.exception.DNSException:
        return None  # whoever sends rubbish is not worth an answer that could be reflected
    if query.flags & dns.flags.QR or len(query.question) != 1 or query.opcode() != 0:
        return None
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA
    question = query.question[0]
    try:
        _fill(response, question.name, question.rdtype, book)
    except GossipnetError:
        response.set_rcode(dns.rcode.SERVFAIL)
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        cut = dns.message.make_response(query)
        cut.flags |= dns.flags.TC
        return cut.to_wire()


def _fill(
    response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType, book: Book
) -> None:
    labels = [label.decode("latin-1").lower() for label in name.labels[:-1]]
    if labels[-1:] != [ZONE]:
        response.set_rcode(dns.rcode.REFUSED)
        return
    if len(labels) < 3 or labels[-2] not in ("mesh", "service", "addr"):
        response.set_rcode(dns.rcode.NXDOMAIN)
        return
    wanted = ".".join(labels[:-2])
    if labels[-2] == "addr":
        found = _spelled(wanted)
    else:
        found = book.member(wanted) if labels[-2] == "mesh" else book.service(wanted)
    if not found:
        response.set_rcode(dns.rcode.NXDOMAIN)
        return
    chosen = random.sample(found, min(len(found), ANSWERS_MAX))  # spreads load over instances
    for host, port in chosen:
        try:
            _tell(response, name, kind, host, port, alone=len(found) == 1)
        except dns.exception.DNSException:
            continue  # no name that DNS can carry: a slip of whoever wrote it


def _tell(
    response: dns.message.Message,
    name: dns.name.Name,
    kind: dns.rdatatype.RdataType,
    host: str,
    port: int,
    *,
    alone: bool,
) -> None:
    """Add one instance to the answer, as the kind of question wants it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    family = "A" if address is None or address.version == 4 else "AAAA"
    if kind == dns.rdatatype.SRV:
        target = f"{_label(host)}.addr.{ZONE}." if address else f"{host}."
        _add(response.answer, name, "SRV", f"1 1 {port} {target}")
        if address:
            _add(response.additional, dns.name.from_text(target), family, str(address))
    elif address is None:
        if not response.answer and alone:  # a name has one alias, and nothing beside it: RFC 1034
            _add(response.answer, name, "CNAME", f"{host}.")
    elif dns.rdatatype.to_text(kind) == family:
        _add(response.answer, name, family, str(address))


def _label(host: str) -> str:
    return ipaddress.ip_address(host).packed.hex()


def _spelled(label: str) -> Instances:
    """The address that `_label` spelled: targets of SRV records must be names."""
    try:
        return [(str(ipaddress.ip_address(bytes.fromhex(label))), 0)]
    except ValueError:
        return []


def _add(section: list[dns.rrset.RRset], name: dns.name.Name, kind: str, text: str) -> None:
    fresh = dns.rrset.from_text(name, TTL_SECONDS, "IN", kind, text)
    for known in section:
        if known.name == name and known.rdtype == fresh.rdtype:
            for one in fresh:
                known.add(one)
            return
    section.append(fresh)


async def run_dns(book: Book, host: str, port: int, started: Callable[[int], None]) -> None:
    """Answer until cancelled.

    Args:
      book: Who is where.
      host: A loopback address.
      port: For UDP and TCP; 0 takes a free one.
      started: Is told the port.

    Raises:
      OSError: The address cannot be listened on.
    """
    listeners = await trio.open_tcp_listeners(port, host=host)
    port = listeners[0].socket.getsockname()[1]
    family = trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET
    with trio.socket.socket(family, trio.socket.SOCK_DGRAM) as udp:
        await udp.bind((host, port))
        started(port)
        room = trio.CapacityLimiter(_TCP_CONNECTIONS)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_answer_datagrams, udp, book)

            async def one(stream: trio.SocketStream) -> None:
                await _answer_stream(stream, book, room)

            await trio.serve_listeners(one, listeners)


async def _answer_datagrams(udp: trio.socket.SocketType, book: Book) -> None:
    while True:
        data, where = await udp.recvfrom(_MESSAGE_BYTES)
        reply = await trio.to_thread.run_sync(partial(answer, data, book, limit=_UDP_BYTES))
        if reply is not None:
            try:
                await udp.sendto(reply, where)
            except OSError:
                book.unsent += 1  # port 0, or no way there: whoever asked so gets no answer


async def _answer_stream(stream: trio.abc.Stream, book: Book, room: trio.CapacityLimiter) -> None:
    """Messages behind two bytes of length: RFC 1035, section 4.2.2."""
    async with stream:
        try:
            room.acquire_nowait()
        except trio.WouldBlock:
            return
        try:
            with trio.move_on_after(_TCP_SECONDS):
                while (size := await _exactly(stream, 2)) is not None:
                    data = await _exactly(stream, int.from_bytes(size, "big"))
                    if data is None:
                        return
                    reply = await trio.to_thread.run_sync(partial(answer, data, book, limit=65535))
                    if reply is None:
                        return
                    await stream.send_all(len(reply).to_bytes(2, "big") + reply)
        except trio.BrokenResourceError:
            pass  # it went away: there is nobody to tell
        finally:
            room.release()


async def _exactly(stream: trio.abc.Stream, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        piece = await stream.receive_some(size - len(data))
        if not piece:
            return None
        data += piece
    return data
