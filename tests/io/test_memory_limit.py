"""Memory in use: what the system counts, less what Python keeps of deleted keys for new ones."""

from collections import Counter

import trio

from gossipnet.io.memory_limit import BLOCK_BYTES, Usage, watch_memory
from gossipnet.io.process_info import resident_bytes
from gossipnet.resp.pressure import Caps, Pressure


class Process:
    def __init__(self) -> None:
        self.resident = 0
        self.blocks = 0

    def usage(self) -> Usage:
        return Usage(lambda: self.resident, lambda: self.blocks)


def test_freed_blocks_are_taken_off_what_stays_resident() -> None:
    process = Process()
    usage = process.usage()
    process.resident, process.blocks = 90, 1000
    assert usage.used(100) == 90
    process.resident = 200_000
    assert usage.used(100) == 200_000
    process.blocks = 400
    assert usage.used(100) == 200_000 - 600 * BLOCK_BYTES
    process.blocks = 1000  # used again
    assert usage.used(100) == 200_000
    process.resident = 50
    assert usage.used(100) == 50


async def test_pressure_follows_the_memory(autojump_clock: trio.testing.MockClock) -> None:

    process, pressure = Process(), Pressure(Counter())
    pressure.allow(Caps(memory=1 << 20))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_memory, pressure, process.usage())
        for resident, full in ((1 << 20, False), (1 << 21, True), (1 << 19, False)):
            process.resident = resident
            await trio.sleep(1)
            assert (pressure.used, pressure.full) == (resident, full)
        nursery.cancel_scope.cancel()


async def test_without_a_limit_nobody_looks() -> None:
    await watch_memory(Pressure(Counter()), Process().usage())


def test_the_system_tells() -> None:
    assert resident_bytes() >= 0
