"""Feature flags with live reload: each process keeps a copy that follows the mesh by itself.

A flag called ``new-ui`` is the hash ``flag:new-ui``: ``on`` is ``yes`` or ``no``, ``share`` the
part of users, in percent, that get it. Two people who change different fields at once both succeed.
"""

import argparse
import hashlib
import queue
import sys
import threading
from collections.abc import Callable

import gossipnet
from gossipnet.client import Client, as_text
from gossipnet.errors import GossipnetError

PREFIX = "flag:"


class Flags:
    """The flags as last heard. Asking is a dictionary look-up: no socket, no await.

    Args:
      home: Home of the local daemon.
      changed: Is told the name of a flag after it changed; runs on the listening thread.
    """

    def __init__(
        self, home: str | None = None, changed: Callable[[str], None] = lambda name: None
    ) -> None:
        self._home = home
        self._changed = changed
        self._flags: dict[str, dict[str, str]] = {}
        self._stopped = threading.Event()
        self.ready = threading.Event()  # all flags have been read at least once
        threading.Thread(target=self._follow, daemon=True).start()

    def enabled(self, name: str, user: str = "", default: bool = False) -> bool:
        """Whether a user gets a feature; ``default`` for a flag that nobody has set."""
        flag = self._flags.get(name)
        if flag is None:
            return default
        if flag.get("on") != "yes":
            return False
        # The same user gets the same answer on every machine, and keeps it as the share grows.
        digest = hashlib.blake2b(f"{name}/{user}".encode(), digest_size=4).digest()
        return int.from_bytes(digest) % 100 < float(flag.get("share", 100))

    def close(self) -> None:
        """Follow no more."""
        self._stopped.set()

    def _follow(self) -> None:
        """Keep the copy fresh. While the daemon is away, what was last heard goes on to count."""
        while not self._stopped.is_set():
            try:
                # Watch first, read all afterwards: what changes meanwhile is seen twice, not never.
                with (
                    gossipnet.connect(self._home) as client,
                    client.watch(f"{PREFIX}*") as changes,
                ):
                    names = {key.decode().removeprefix(PREFIX) for key in client.keys(f"{PREFIX}*")}
                    for name in names | set(self._flags):
                        self._read(client, name)
                    self.ready.set()
                    while not self._stopped.is_set():
                        change = changes.next(0.5)
                        if change is not None:
                            self._read(client, change.key.decode().removeprefix(PREFIX))
            except GossipnetError:
                self._stopped.wait(0.5)

    def _read(self, client: Client, name: str) -> None:
        flag = as_text(client.call("HGETALL", f"{PREFIX}{name}"))
        if flag != self._flags.get(name, {}):
            if flag:
                self._flags[name] = flag
            else:
                self._flags.pop(name, None)
            self._changed(name)


def follow(home: str | None, user: str) -> None:
    """What a program sees that runs for long: a line for each change, until Ctrl-C."""
    names: queue.SimpleQueue[str] = queue.SimpleQueue()
    flags = Flags(home, names.put)
    flags.ready.wait()
    print("following", flush=True)
    while True:
        name = names.get()
        print(f"{name}: {'on' if flags.enabled(name, user) else 'off'} for {user}", flush=True)


def main() -> None:
    """``set`` by whoever operates, ``follow`` to watch, ``who`` to learn who it was."""
    parser = argparse.ArgumentParser(description="Feature flags that follow the mesh.")
    parser.add_argument("--home", help="home of the local daemon")
    verbs = parser.add_subparsers(dest="verb", required=True)
    setting = verbs.add_parser("set", help="turn a flag on or off")
    setting.add_argument("name")
    setting.add_argument("on", choices=["on", "off"])
    setting.add_argument("--share", type=int, metavar="PERCENT", help="of users")
    verbs.add_parser("follow", help="print changes").add_argument("--user", default="ada")
    verbs.add_parser("who", help="which machines have set a flag").add_argument("name")
    asked = parser.parse_args()
    if asked.verb == "follow":
        follow(asked.home, asked.user)
    with gossipnet.connect(asked.home) as client:
        if asked.verb == "set":
            fields: list[str | int] = ["on", "yes" if asked.on == "on" else "no"]
            if asked.share is not None:
                fields += ["share", asked.share]
            client.call("HSET", f"{PREFIX}{asked.name}", *fields)
        else:
            for row in as_text(client.call("GOSSIP", "WHO", f"{PREFIX}{asked.name}")) or []:
                print(f"{row['author']}  {row['operations']} fields")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except GossipnetError as error:
        sys.exit(f"{error}")
