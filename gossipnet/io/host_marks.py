"""What tells this machine and this boot apart from others, as the operating system says it.

An empty answer means that the system does not say; callers then leave that mark out. Linux has
files for both (`man 5 machine-id`, `man 4 random`), macOS has sysctl names.
"""

import sys
from pathlib import Path


def boot_id() -> str:
    """An id that changes with every start of the kernel."""
    if sys.platform == "darwin":
        return _sysctl(b"kern.bootsessionuuid")
    return _first_line("/proc/sys/kernel/random/boot_id")


def machine_id() -> str:
    """An id of this installation of the operating system."""
    if sys.platform == "darwin":
        return _sysctl(b"kern.uuid")
    return _first_line("/etc/machine-id")


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _sysctl(name: bytes) -> str:
    import ctypes
    import ctypes.util

    libc = ctypes.CDLL(ctypes.util.find_library("c"))
    size = ctypes.c_size_t(128)
    buffer = ctypes.create_string_buffer(size.value)
    if libc.sysctlbyname(name, buffer, ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
        return ""
    return buffer.value.decode("ascii", "replace")
