"""What one setting may be: each value checked on its own, with a text that says what to write.

Knows nothing of where settings come from, and opens nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

DEFAULT_PORT = 7117
MEMORY_LEAST = 64 << 20
"""A node without keys takes 25 to 45 MiB."""
_PROTOCOL = ", the most that the protocol can carry"


def split_address(written: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``[V6]:PORT``, ``HOST`` or ``:PORT`` (all addresses).

    Raises:
      ValueError: Not such an address; the text says why.
    """
    host, port = written, ""
    if written.startswith("["):
        host, closed, rest = written[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f"{written!r} is not an address: an IPv6 host is written [HOST]:PORT")
        port = rest[1:]
    elif written.count(":") > 1 and len(last := written.rpartition(":")[2]) > 3 and last.isdigit():
        bare = written.rpartition(":")[0]
        raise ValueError(
            f"is {last[:5]} in {written[:60]!r} a port? An IPv6 host has brackets: write "
            f"[{bare[:45]}]:{last[:5]}, or [{written[:60]}] without a port"
        )
    elif written.count(":") == 1:
        host, _, port = written.partition(":")
    if len(host) > 253 or any(not letter.isprintable() or letter.isspace() for letter in host):
        raise ValueError(f"{written[:60]!r} is not an address: write HOST:PORT")
    if host.isdigit() and not port:
        raise ValueError(f"{written[:60]!r} is not an address: a port alone is written :{host[:5]}")
    if not port:
        return host, default_port
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(f"{written[:60]!r} is not an address: a port is a number up to 65535")
    return host, int(port)


def join_address(host: str, port: int) -> str:
    """The text form; an IPv6 host gets its brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that ``word`` was most likely meant to be, if any is close."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else None


# ---------------------------------------------------------------- one value


def _listen_address(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError('is not text: write "HOST:PORT"')
    host, port = split_address(value)
    return join_address(host or "0.0.0.0", port)  # noqa: S104 - the documented meaning of :PORT


def _dial_addresses(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        raise ValueError('is not a list of addresses: write ["HOST:PORT", ...]')
    return tuple(_dial_address(part) for part in value)


def _dial_address(written: str) -> str:
    host, port = split_address(written)
    if not host or port == 0:
        raise ValueError(f"{written!r} cannot be dialled: give a host and a port above 0")
    return join_address(host, port)


def _one_of(*choices: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        near = nearest(value, list(choices)) if isinstance(value, str) else None
        hint = f" (did you mean {near}?)" if near else ""
        raise ValueError(f"is {value!r}: choose {' or '.join(choices)}{hint}")

    return check


def _zone(value: object) -> str:
    if isinstance(value, str) and len(value) <= 64 and value.isprintable():
        return value
    raise ValueError("is not a zone: use up to 64 printable characters")


def _event_flags(value: object) -> str:
    if isinstance(value, str) and set(value) <= set("KEAg$lshzxetdmn"):
        return value
    raise ValueError(
        f"is {value!r}: use letters of KEAg$lshzxetdmn, as in Redis; KEA tells of everything"
    )


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if isinstance(value, str) and value and "\0" not in value:
        return Path(value).expanduser()
    raise ValueError("is not a path")


def _mode(value: object) -> int:
    known = {"0600": 0o600, "0660": 0o660, "0606": 0o606, "0666": 0o666}
    if isinstance(value, str) and value.zfill(4) in known:
        return known[value.zfill(4)]
    raise ValueError(
        f'is {value!r}: write "0660" for the group or "0666" for everybody; who is to connect must '
        "be able to write the file"
    )


def _group(value: object) -> str:
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= 64:
        return value
    raise ValueError("is not the name of a group")


def _command(value: object) -> str:
    if isinstance(value, str) and value.strip() and "\0" not in value:
        return value
    raise ValueError('is not a command: write "PROGRAM ARGUMENT ..."')


def _client_count(value: object) -> int:
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= 100_000:
        return number
    raise ValueError(f"is {value!r}: give a whole number from 1 to 100000")


def _bytes(value: object) -> int:
    units = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
    if isinstance(value, str):
        number = value.strip().rstrip("BKMGTi")
        unit = value.strip()[len(number) :]
        if number.strip().isdecimal() and unit in units:
            value = int(number) * units[unit]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 60:
        return value
    raise ValueError(f'is {value!r}: write a number of bytes, or "10GiB"')


def _size(least: int, most: int, why: str = "") -> Callable[[object], int]:
    """Bytes between two bounds; ``why`` says what the upper one is."""

    def check(value: object) -> int:
        size = _bytes(value)
        if least <= size <= most:
            return size
        raise ValueError(f"is {value!r}: give {_shown(least)} to {_shown(most)}{why}")

    return check


def _memory_limit(value: object) -> int:
    size = _bytes(value)
    if size and size < MEMORY_LEAST:
        raise ValueError(
            f"is {value!r}: a node needs {_shown(MEMORY_LEAST)} at least; 0 sets no limit"
        )
    return size


def _shown(size: int) -> str:
    for bits, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size and not size % (1 << bits):
            return f"{size >> bits} {unit}"
    return f"{size} bytes" if size != 1 else "1 byte"


def _seconds(value: object) -> float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e9:
        return float(value)
    raise ValueError("is not a number of seconds")


CHECKS: dict[str, Callable[[object], Any]] = {
    "listen": _listen_address,
    "advertise": _dial_addresses,
    "join": _dial_addresses,
    "socket": _path,
    "durability": _one_of("always", "every-second"),
    "zone": _zone,
    "log_level": _one_of("debug", "info", "warning", "error"),
    "log_format": _one_of("text", "json"),
    "max_clients": _client_count,
    "limits_key": _size(1, 64 << 10, _PROTOCOL),
    "limits_value": _size(1, 1 << 20, _PROTOCOL),
    "limits_batch": _size(1 << 10, 1 << 20, _PROTOCOL),
    "limits_query_buffer": _size(64 << 10, 1 << 20, _PROTOCOL),
    "limits_output_buffer": _size(1 << 20, 1 << 30),
    "limits_memory": _memory_limit,
    "key_command": _command,
    "pq": _one_of("off", "prefer", "require"),
    "mesh_secret": _path,
    "readonly_socket": _path,
    "readonly_mode": _mode,
    "readonly_group": _group,
    "blob_budget": _bytes,
    "blob_linger": _seconds,
    "notify_keyspace_events": _event_flags,
}
