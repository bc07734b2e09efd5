"""Clients that write and read on every node while faults happen, and note what came of it.

One writing and one reading thread per daemon. What they do comes from a seed; when a daemon is
gone, frozen or cut off they go on trying, as programs would.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import redis
from history import FAIL, INFO, OK, History, Op
from mesh_harness import Daemon, eventually


class Load:
    """Runs between `start` and `stop`; `history` grows meanwhile.

    Args:
      daemons: Where clients are.
      name: Of the keys that are checked, so that several loads can follow each other.
      rate: Writes per second on each of them.
      seed: For what they write.
      reads: Seconds between two reads of everything on each of them.
      timeout: Seconds that a client waits for a reply before it counts the outcome as unknown.

    Attributes:
      history: What they did and saw.
      slowest: Seconds that the slowest write took.
      since: Unix seconds at which all this began.
      healed: Monotonic seconds at which the fault was over.
    """

    def __init__(
        self,
        daemons: list[Daemon],
        name: str,
        *,
        rate: float = 40.0,
        seed: int = 1,
        reads: float = 0.15,
        timeout: float = 3.0,
    ) -> None:
        self.history = History()
        self.adds, self.sum = f"{name}:adds", f"{name}:sum"
        self.left, self.right = f"{name}:left", f"{name}:right"
        self.slowest = 0.0
        self.since = time.time()
        self.healed = inf
        self._daemons = daemons
        self._pause = 1.0 / rate
        self._seed = seed
        self._reads = reads
        self._timeout = timeout
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> "Load":
        for number, daemon in enumerate(self._daemons):
            rng = random.Random(f"{self._seed} {number}")
            for work in (Writer(self, daemon, rng).run, Reader(self, daemon).run):
                thread = threading.Thread(target=work, name=f"load {daemon.name}", daemon=True)
                thread.start()
                self._threads.append(thread)
        return self

    def stop(self) -> History:
        self._end.set()
        for thread in self._threads:
            thread.join(timeout=self._timeout + 10)
            assert not thread.is_alive(), f"{thread.name} hangs"
        return self.history

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        """Load for the length of the block."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def going_on(self, seconds: float) -> None:
        """Let the load and the fault go on for a while: the time is what is tested here."""
        self._end.wait(seconds)

    def client(self, daemon: Daemon) -> "redis.Redis":
        return daemon.redis(socket_timeout=self._timeout, decode_responses=True)

    def repeat(self, daemon: Daemon, pause: float, turn: Callable[["redis.Redis"], None]) -> None:
        """Call ``turn`` again and again, with a fresh connection after each that broke."""
        client = self.client(daemon)
        while not self._end.wait(pause):
            try:
                turn(client)
            except (redis.ConnectionError, redis.TimeoutError, OSError):
                client.close()
                client = self.client(daemon)
            except redis.ResponseError:
                continue  # refused, and noted as that
        client.close()

    def write(self, node: str, kind: str, value: Any, do: Callable[[], Any]) -> None:
        """Do it, and note how it went."""
        begun = time.monotonic()
        outcome = INFO
        try:
            do()
            outcome = OK
        except redis.ResponseError:
            outcome = FAIL
            raise
        finally:
            ended = time.monotonic()
            self.slowest = max(self.slowest, ended - begun)
            self.history.ops.append(Op(node, kind, value, begun, ended, outcome))

    def read(self, node: str, kind: str, do: Callable[[], Any]) -> Any:
        begun = time.monotonic()
        value = do()
        self.history.ops.append(Op(node, kind, value, begun, time.monotonic()))
        return value


class Writer:
    """Writes on one daemon."""

    def __init__(self, load: Load, daemon: Daemon, rng: random.Random) -> None:
        self._load, self._daemon, self._rng = load, daemon, rng
        self._number = 0

    def run(self) -> None:
        self._load.repeat(self._daemon, self._load._pause, self._turn)

    def _turn(self, client: "redis.Redis") -> None:
        load, node, rng = self._load, self._daemon.name, self._rng
        self._number += 1
        unique = f"{node}:{self._number}"
        kind = rng.choice(("add", "add", "add", "count", "count", "pair", "other"))
        if kind == "add":
            load.write(node, "add", unique, lambda: client.sadd(load.adds, unique))
        elif kind == "count":
            amount = rng.choice((-3, 1, 1, 2, 5))
            load.write(node, "count", amount, lambda: client.incrby(load.sum, amount))
        elif kind == "pair":
            with client.pipeline(transaction=True) as both:
                both.set(load.left, unique)
                both.set(load.right, unique)
                both.execute()
        else:
            self._other(client, unique)

    def _other(self, client: "redis.Redis", unique: str) -> None:
        """Every other kind of write, on few keys, so that nodes meet."""
        rng = self._rng
        key = str(rng.randrange(6))
        rng.choice(
            (
                lambda: client.set(f"text:{key}", unique),
                lambda: client.delete(f"text:{key}"),
                lambda: client.hset(f"map:{key}", f"field{rng.randrange(4)}", unique),
                lambda: client.hdel(f"map:{key}", f"field{rng.randrange(4)}"),
                lambda: client.srem(f"some:{key}", str(rng.randrange(8))),
                lambda: client.sadd(f"some:{key}", str(rng.randrange(8))),
                lambda: client.hincrby("tally", key, rng.randrange(-5, 6)),
                lambda: client.append(f"text:{key}", "+"),
            )
        )()


class Reader:
    """Reads on one daemon what all wrote."""

    def __init__(self, load: Load, daemon: Daemon) -> None:
        self._load, self._daemon = load, daemon

    def run(self) -> None:
        self._load.repeat(self._daemon, self._load._reads, self._turn)

    def _turn(self, client: "redis.Redis") -> None:
        load, node = self._load, self._daemon.name
        load.read(node, "read", lambda: set(client.smembers(load.adds)))
        load.read(node, "sum", lambda: int(client.get(load.sum) or 0))
        load.read(node, "pair", lambda: tuple(client.mget(load.left, load.right)))


def dump(daemon: Daemon) -> dict[str, Any]:
    """Everything a daemon shows, through SCAN and reads alone."""
    options = {"decode_responses": True, "encoding_errors": "surrogateescape"}
    with contextlib.closing(daemon.redis(socket_timeout=20, **options)) as client:
        reads: dict[str, Callable[[str], Any]] = {
            "string": client.get,
            "hash": client.hgetall,
            "set": lambda key: set(client.smembers(key)),
            "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
            "list": lambda key: client.lrange(key, 0, -1),
            "stream": lambda key: client.xrange(key),
            "none": lambda _key: None,
        }
        return {key: reads[client.type(key)](key) for key in set(client.scan_iter(count=500))}


def dumps(daemons: list[Daemon]) -> dict[str, dict[str, Any]]:
    return {daemon.name: dump(daemon) for daemon in daemons}


def agree(daemons: list[Daemon], deadline: float) -> dict[str, dict[str, Any]]:
    """Wait until all of them show the same, key by key; what they show."""
    from history import unequal

    latest: dict[str, dict[str, Any]] = {}

    def equal() -> bool:
        nonlocal latest
        latest = dumps(daemons)
        difference = unequal(latest)
        assert not difference, difference
        return True

    eventually(equal, "everybody shows the same", deadline)
    return latest
