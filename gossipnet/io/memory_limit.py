"""How much memory the process uses, held against ``limits.memory``.

Resident memory is what the system counts, and what brings its killer. But what Python frees in
pieces of up to 512 bytes it keeps for its next ones (Objects/obmalloc.c), so that deleting keys
would end no shortage: from the largest size seen on, blocks that were freed are taken off.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from ctypes import CDLL

import trio

from gossipnet.io.logs import log_event
from gossipnet.io.process_info import resident_bytes
from gossipnet.resp.pressure import Pressure

LOOK_SECONDS = 0.1
TRIM_SECONDS = 5.0
"""Between two requests to the C library, while memory is short, to give back what it can."""
BLOCK_BYTES = 48
"""What a freed block counts for: a short key or value with its header takes 48 or 64."""


class Usage:
    """Memory in use.

    Args:
      resident: Gives resident bytes, 0 where the system does not tell.
      blocks: Gives the number of Python's small blocks in use.
    """

    def __init__(
        self,
        resident: Callable[[], int] = resident_bytes,
        blocks: Callable[[], int] = sys.getallocatedblocks,
    ) -> None:
        self._resident = resident
        self._blocks = blocks
        self._most = (0, 0)

    def used(self, limit: int) -> int:
        """Bytes in use; blocks are counted, which takes a while, only above the limit."""
        resident = self._resident()
        if resident <= limit:
            self._most = (0, 0)
            return resident
        blocks = self._blocks()
        if blocks >= self._most[1]:
            self._most = (resident, blocks)
            return resident
        most, there_were = self._most
        return min(resident, most - BLOCK_BYTES * (there_were - blocks))


async def watch_memory(pressure: Pressure, usage: Usage) -> None:
    """Keep `Pressure` right until cancelled; returns at once if there is no limit."""
    trim_at = 0.0
    while limit := pressure.caps.memory:
        used = usage.used(limit)
        full = used > limit
        if full != pressure.full:
            text = f"{used >> 20} MiB in use, limits.memory allows {limit >> 20}: "
            text += "writes that add are refused" if full else "writes are taken again"
            log_event("memory", text, "warning")
        pressure.remember(used, full=full)
        if full and trio.current_time() >= trim_at:
            trim_at = trio.current_time() + TRIM_SECONDS
            with suppress(AttributeError, OSError):  # glibc alone has the call
                CDLL(None).malloc_trim(0)
        await trio.sleep(LOOK_SECONDS)
