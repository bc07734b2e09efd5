"""A daemon's local socket without a daemon: a thread that answers by the script it is given."""

import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Answer = bytes | None | Callable[[socket.socket], None]


class FakeSocket:
    """Listens in a folder of its own, which can serve as a home.

    Attributes:
      home: The folder; its path is short enough for a socket.
      asked: Every command that came, in order, HELLO left out.
      answers: By the command's first words joined by blanks; bytes are sent, None hangs up, a
        function gets the connection.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "gossipnet.sock"
        self.asked: list[list[bytes]] = []
        self.answers: dict[str, Answer] = {"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n"}
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.path))
        self._server.listen()
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self._clients.append(client)
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), client.makefile("rb") as stream:
            while header := stream.readline():
                words = []
                for _ in range(int(header[1:])):
                    size = int(stream.readline()[1:])
                    words.append(stream.read(size + 2)[:-2])
                if words[0] != b"HELLO":
                    self.asked.append(words)
                answer = self._answer(words)
                if answer is None:
                    return
                if callable(answer):
                    answer(client)
                else:
                    client.sendall(answer)

    def _answer(self, words: list[bytes]) -> Answer:
        for count in range(len(words), 0, -1):
            name = b" ".join(words[:count]).decode(errors="replace")
            if name in self.answers:
                return self.answers[name]
        return b"-ERR unknown command\r\n"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def fake_socket(**answers: Answer) -> Iterator[FakeSocket]:
    """A running one; in the names of answers, underscores stand for blanks."""
    with tempfile.TemporaryDirectory(prefix="gn-", dir="/tmp") as folder:
        fake = FakeSocket(Path(folder))
        fake.answers |= {name.replace("_", " "): answer for name, answer in answers.items()}
        try:
            yield fake
        finally:
            fake.close()


def resp3(value: Any) -> bytes:
    """A value on the wire. Text becomes a status reply, bytes a bulk string."""
    if value is None:
        return b"_\r\n"
    if isinstance(value, bool):
        return b"#t\r\n" if value else b"#f\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, float):
        return b",%s\r\n" % repr(value).encode()
    if isinstance(value, str):
        return b"+%s\r\n" % value.encode()
    if isinstance(value, bytes):
        return b"$%d\r\n%b\r\n" % (len(value), value)
    if isinstance(value, dict):
        flat = b"".join(resp3(part) for pair in value.items() for part in pair)
        return b"%%%d\r\n" % len(value) + flat
    mark = b"~" if isinstance(value, set) else b"*"
    return mark + b"%d\r\n" % len(value) + b"".join(map(resp3, value))


def push(*items: Any) -> bytes:
    """A push message on the wire."""
    return b">" + resp3(list(items))[1:]
