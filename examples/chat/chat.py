"""A chat room: who is there by leases, what is said by publish and subscribe.

What the mesh holds is only who is there: the hash ``room:ROOM``, a field for each person, which
ends unless it is renewed. What is said goes by the channel ``room:ROOM`` and is kept nowhere. Needs
redis-py, an unchanged client, for the subscription.
"""

import argparse
import json
import sys
import threading

import redis

import gossipnet
from gossipnet.client import Client, as_text
from gossipnet.errors import GossipnetError


class Room:
    """One person's place in a room.

    Args:
      home: Home of the local daemon.
      room: Name of the room.
      person: Who comes in.
      lease: Seconds after which somebody who has gone silent is gone.
    """

    def __init__(self, home: str | None, room: str, person: str, lease: float) -> None:
        self._home = home
        self._key = f"room:{room}"
        self._lease = lease
        self._left = threading.Event()
        self._hears = threading.Event()
        with gossipnet.connect(home) as client:
            self._socket = client.path
            self.person = f"{person}@{client.status()['name']}"

    def enter(self) -> None:
        """Hear the room and be seen in it, on threads of their own."""
        threading.Thread(target=self._hear, daemon=True).start()
        threading.Thread(target=self._be_there, daemon=True).start()

    def say(self, text: str) -> None:
        """Tell all who hear the room now."""
        with gossipnet.connect(self._home) as client:
            client.call("PUBLISH", self._key, json.dumps({"by": self.person, "text": text}))

    def who(self) -> set[str]:
        """Who is there."""
        with gossipnet.connect(self._home) as client:
            return self._present(client)

    def leave(self) -> None:
        """Be gone at once, not only when the lease ends."""
        self._left.set()
        with gossipnet.connect(self._home) as client:
            client.call("HDEL", self._key, self.person)

    def _present(self, client: Client) -> set[str]:
        return set(as_text(client.call("HKEYS", self._key)))

    def _hear(self) -> None:
        while not self._left.is_set():
            try:
                with (
                    redis.Redis(unix_socket_path=self._socket) as client,
                    client.pubsub() as channel,
                ):
                    channel.subscribe(self._key)
                    for message in channel.listen():
                        if message["type"] == "subscribe":
                            self._hears.set()
                        else:
                            self._print(message["data"])
            except redis.RedisError:
                self._left.wait(1)  # the daemon will be back; what is said meanwhile is missed

    def _print(self, data: bytes) -> None:
        try:
            said = json.loads(data)
            line = f"{said['by']}: {said['text']}"
        except (ValueError, KeyError, TypeError):
            return  # any program of any member may publish here
        # Nor may it move the cursor of our terminal.
        print("".join(c if c.isprintable() else "?" for c in line), flush=True)

    def _be_there(self) -> None:
        self._hears.wait()  # who is listed can be talked to
        here: set[str] = set()
        lease_ms = int(self._lease * 1000)
        while not self._left.is_set():
            try:
                with gossipnet.connect(self._home) as client:
                    words = ("HSETEX", self._key, "PX", lease_ms, "FIELDS", 1, self.person, "")
                    client.call(*words)
                    present = self._present(client)
            except GossipnetError:
                present = here
            for person in sorted(present - here):
                print(f"* {person} is here", flush=True)
            for person in sorted(here - present):
                print(f"* {person} is gone", flush=True)
            here = present
            self._left.wait(self._lease / 3)


def main() -> None:
    """Say each line that is typed, until the end of them or Ctrl-C."""
    parser = argparse.ArgumentParser(description="A chat. /who tells who is there.")
    parser.add_argument("--home", help="home of the local daemon")
    parser.add_argument("--lease", type=float, default=6.0, help="seconds until silent is gone (6)")
    parser.add_argument("room")
    parser.add_argument("person", help="your name")
    asked = parser.parse_args()
    room = Room(asked.home, asked.room, asked.person, asked.lease)
    room.enter()
    try:
        for line in map(str.strip, sys.stdin):
            if line == "/who":
                print("here:", *sorted(room.who()), flush=True)
            elif line:
                room.say(line)
    except KeyboardInterrupt:
        pass
    finally:
        room.leave()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except GossipnetError as error:
        sys.exit(f"{error}")
