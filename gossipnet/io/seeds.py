"""Addresses of members, kept from joining until the first start: ``HOME/seeds``, one a line.

After that the database knows every member; the file stays as a last resort, and people may edit it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from gossipnet.config import join_address, split_address
from gossipnet.errors import HomeError
from gossipnet.identity.files import explained

SEEDS_FILE = "seeds"
MAX_SEEDS = 64
_MAX_BYTES = 65_536


def write_seeds(home: Path, addresses: Sequence[str]) -> None:
    """Keep the usable ones of ``addresses``.

    Raises:
      HomeError: The folder cannot be written.
    """
    lines = [f"{address}\n" for address in _usable(addresses)]
    path = home / SEEDS_FILE
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as error:
        raise HomeError(f"cannot write {path}: {explained(error)}") from None


def read_seeds(home: Path) -> tuple[str, ...]:
    """The usable addresses in the file; none if there is no file."""
    try:
        with (home / SEEDS_FILE).open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(_usable([line.strip() for line in text.splitlines()]))


def _usable(addresses: Sequence[str]) -> list[str]:
    usable = []
    for address in addresses:
        try:
            host, port = split_address(address)
        except ValueError:
            continue  # whoever wrote it: no line may keep a daemon from starting
        if host and port and not host.startswith("#"):
            usable.append(join_address(host, port))
    return list(dict.fromkeys(usable))[:MAX_SEEDS]
