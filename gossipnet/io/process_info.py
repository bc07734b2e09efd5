"""What ``INFO`` tells of the process: memory and processor time, as the system counts them."""

import os
import resource
import sys
from collections.abc import Mapping
from typing import Any


def process_info(socket: str) -> Mapping[str, Mapping[str, Any]]:
    """Sections of INFO.

    Args:
      socket: Path of the local socket.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    memory = resident_bytes() or peak
    return {
        "Server": {"process_id": os.getpid(), "unix_socket": socket},
        "Memory": {
            "used_memory": memory,
            "used_memory_human": f"{memory / 1048576:.2f}M",
            "used_memory_rss": memory,
            "used_memory_peak": peak,
        },
        "CPU": {
            "used_cpu_sys": f"{used.ru_stime:.6f}",
            "used_cpu_user": f"{used.ru_utime:.6f}",
        },
    }


def resident_bytes() -> int:
    """What the process holds now, 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
