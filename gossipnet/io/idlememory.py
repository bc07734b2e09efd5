"""What starting has left behind in memory: given back to the system, and not looked at again."""

import gc
from contextlib import suppress
from ctypes import CDLL


def settle_memory() -> None:
    """Once, when the program has loaded what it needs.

    What lives now lives to the end, so the garbage collector need not walk over it. glibc keeps
    what importing freed until it is told to trim (malloc_trim(3)); other C libraries lack the call.
    """
    gc.collect()
    gc.freeze()
    with suppress(AttributeError, OSError):
        CDLL(None).malloc_trim(0)
