"""Dialling: from ``HOST:PORT`` to a connected stream, or to the reason why not.

Names are resolved anew each time, families take turns (RFC 8305, section 4), and each address gets
its share of the time that is left. Knows nothing of sessions or of the engine.
"""

import socket

import trio

from gossipnet.config import split_address
from gossipnet.io.sockets import tune
from gossipnet.protocol.effects import DialFailure

MAX_ADDRESSES = 6
"""Addresses of one name that are tried; the rest is another day's luck."""
_LEAST_SECONDS = 0.25

_Target = tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]


class DialError(Exception):
    """No connection.

    Attributes:
      failure: What it says about the machine.
    """

    def __init__(self, failure: DialFailure, detail: str) -> None:
        super().__init__(detail)
        self.failure = failure


async def connect(address: str, seconds: float) -> trio.SocketStream:
    """Connect to the first address of ``HOST:PORT`` that answers.

    Args:
      address: Of a peer; untrusted text.
      seconds: For everything.

    Raises:
      DialError: Nothing answered in time, or nobody listens there.
    """
    deadline = trio.current_time() + seconds
    with trio.CancelScope(deadline=deadline):
        return await _connect(address, deadline)
    raise DialError(DialFailure.UNREACHABLE, "no answer in time")


async def _connect(address: str, deadline: float) -> trio.SocketStream:
    try:
        host, port = split_address(address)
        targets = await _resolve(host, port)
    except ValueError as error:  # also a UnicodeError from the IDNA codec
        raise DialError(DialFailure.UNREACHABLE, str(error)) from None
    except OSError as error:
        raise DialError(DialFailure.UNREACHABLE, error.strerror or str(error)) from None
    failures: list[OSError] = []
    for tried, target in enumerate(targets):
        left = deadline - trio.current_time()
        share = max(left / (len(targets) - tried), _LEAST_SECONDS)
        try:
            with trio.move_on_after(share):
                return await _connect_one(target)
            failures.append(TimeoutError("no answer in time"))
        except OSError as error:
            failures.append(error)
    raise _explained(failures)


def _explained(failures: list[OSError]) -> DialError:
    """A refusal counts only if no other address of the name might still be that machine, alive."""
    silent = any(isinstance(error, TimeoutError) for error in failures)
    for error in failures:
        if isinstance(error, ConnectionRefusedError) and not silent:
            return DialError(DialFailure.REFUSED, "nobody listens there")
    last = failures[-1] if failures else None
    text = (last.strerror or str(last)) if last is not None else "the name has no address"
    return DialError(DialFailure.UNREACHABLE, text)


async def _resolve(host: str, port: int) -> list[_Target]:
    found = await trio.socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)
    first: list[_Target] = []
    second: list[_Target] = []
    for family, _type, _protocol, _name, sockaddr in found:
        same = not first or first[0][0] == family
        (first if same else second).append((family, sockaddr))
    turns = [target for pair in zip(first, second, strict=False) for target in pair]
    rest = first[len(second) :] or second[len(first) :]
    return list(dict.fromkeys(turns + rest))[:MAX_ADDRESSES]


async def _connect_one(target: _Target) -> trio.SocketStream:
    family, sockaddr = target
    wanted = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await wanted.connect(sockaddr)
        stream = trio.SocketStream(wanted)
    except BaseException:
        wanted.close()
        raise
    tune(stream)
    return stream
