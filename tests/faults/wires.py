"""A network in user space: one TUN device per host, and a process that carries packets between.

Run as a program (``python wires.py PREFIX COUNT SEED``) it opens ``wire0`` in each of the network
namespaces ``PREFIXn0`` .. and forwards IPv4 packets by their destination. Each line of JSON on its
standard input sets how from then on: ``{"0>1": {"loss": 0.2}, ...}``, one entry per ordered pair;
pairs that are not named carry at once and lose nothing. It answers every line with ``ok``.

The same on every kernel: no netem, no bridge, no checksum offload to switch off. Packets are what
is lost, so TCP shows it as it would on a cable: delay, retransmission, and in the end a timeout.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time
from typing import Any

DEVICE = "wire0"
NET = "10.81.0"
MTU = 1500
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
QUEUE_SECONDS = 1.0
"""What a link of limited rate keeps waiting before it drops, as a router's buffer does."""

NOTHING = {
    "cut": False,  # every packet is lost
    "delay": 0.0,  # seconds
    "jitter": 0.0,  # seconds at most on top, for each packet: so packets overtake each other
    "loss": 0.0,  # shares of packets
    "dup": 0.0,
    "corrupt": 0.0,  # a bit of the TCP payload is flipped and the checksum made to fit
    "rate": 0.0,  # bytes per second, 0 for no limit
}


def host(number: int) -> str:
    """The address of host ``number``."""
    return f"{NET}.{number + 1}"


def open_tun(namespace: str) -> int:
    """A TUN device in another network namespace; this thread comes back to its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(other, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
        libc.setns(own, CLONE_NEWNET)
    finally:
        os.close(own)
        os.close(other)
    return tun


def corrupted(packet: bytes, rng: random.Random) -> bytes:
    """One bit of the TCP payload flipped under a checksum that fits; others are left alone."""
    header = (packet[0] & 15) * 4
    if packet[9] != 6 or len(packet) < header + 20:
        return packet
    payload = header + (packet[header + 12] >> 4) * 4
    if payload >= len(packet):
        return packet
    made = bytearray(packet)
    made[rng.randrange(payload, len(made))] ^= 1 << rng.randrange(8)
    made[header + 16 : header + 18] = b"\0\0"
    segment = bytes(made[header:])
    summed = made[12:20] + struct.pack("!BBH", 0, 6, len(segment)) + segment
    summed += b"\0" * (len(summed) % 2)
    total = sum(struct.unpack(f"!{len(summed) // 2}H", summed))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    made[header + 16 : header + 18] = struct.pack("!H", ~total & 0xFFFF)
    return bytes(made)


class Switch:
    """Carries packets between the TUN devices, each ordered pair in its own way."""

    def __init__(self, tuns: list[int], rng: random.Random) -> None:
        self._tuns = tuns
        self._rng = rng
        self._ways: dict[tuple[int, int], dict[str, Any]] = {}
        self._free_at: dict[tuple[int, int], float] = {}
        self._queue: list[tuple[float, int, int, bytes]] = []
        self._count = 0

    def set(self, ways: dict[str, dict[str, Any]]) -> None:
        """Take over new ways for every pair; what is already on its way arrives."""
        self._ways = {}
        self._free_at = {}
        for pair, way in ways.items():
            source, target = pair.split(">")
            self._ways[int(source), int(target)] = {**NOTHING, **way}

    def next_due(self) -> float:
        """Seconds until something is to be delivered."""
        return max(0.0, self._queue[0][0] - time.monotonic()) if self._queue else 60.0

    def take(self, source: int) -> None:
        """Read what a host sends, a few packets at a time so that every host has its turn."""
        for _ in range(32):
            try:
                packet = os.read(self._tuns[source], 65536)
            except BlockingIOError:
                return
            if packet[0] >> 4 == 4:
                self._carry(source, packet[19] - 1, packet)

    def _carry(self, source: int, target: int, packet: bytes) -> None:
        if not 0 <= target < len(self._tuns):
            return
        way = self._ways.get((source, target))
        if way is None:
            self._write(target, packet)
            return
        if way["cut"] or self._rng.random() < way["loss"]:
            return
        now = time.monotonic()
        leaves = now
        if way["rate"]:
            leaves = max(now, self._free_at.get((source, target), 0.0))
            if leaves - now > QUEUE_SECONDS:
                return
            leaves += len(packet) / way["rate"]
            self._free_at[source, target] = leaves
        if self._rng.random() < way["corrupt"]:
            packet = corrupted(packet, self._rng)
        for _ in range(2 if self._rng.random() < way["dup"] else 1):
            self._count += 1
            due = leaves + way["delay"] + self._rng.random() * way["jitter"]
            heapq.heappush(self._queue, (due, self._count, target, packet))

    def deliver(self) -> None:
        """Hand over what is due."""
        now = time.monotonic()
        while self._queue and self._queue[0][0] <= now:
            _due, _count, target, packet = heapq.heappop(self._queue)
            self._write(target, packet)

    def _write(self, target: int, packet: bytes) -> None:
        try:
            os.write(self._tuns[target], packet)
        except OSError:  # the host is gone or its queue is full: the packet is lost
            return


def main(prefix: str, count: int, seed: int) -> None:
    """Serve until standard input ends."""
    tuns = [open_tun(f"{prefix}n{number}") for number in range(count)]
    switch = Switch(tuns, random.Random(seed))
    poll = select.epoll()
    for tun in tuns:
        poll.register(tun, select.EPOLLIN)
    poll.register(0, select.EPOLLIN)
    by_descriptor = {tun: number for number, tun in enumerate(tuns)}
    text = b""
    print("ready", flush=True)
    while True:
        for descriptor, _event in poll.poll(switch.next_due()):
            if descriptor:
                switch.take(by_descriptor[descriptor])
                continue
            data = os.read(0, 1 << 20)
            if not data:
                return
            text += data
            *lines, text = text.split(b"\n")
            for line in lines:
                switch.set(json.loads(line))
                print("ok", flush=True)
        switch.deliver()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
