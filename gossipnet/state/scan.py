"""The order in which SCAN walks the keys: by when they appeared.

Every key gets a serial number when it appears; the cursor is the next serial to look at. A key that
is there from the first call to the last keeps its serial, so it is never missed, whatever appears,
goes, or makes the table shrink meanwhile. A key that went and came back may be shown twice, as in
Redis. Costs 16 bytes a key.
"""

from array import array
from bisect import bisect_left
from collections.abc import Container
from random import Random


class ScanOrder:
    """Keys by serial number; entries of keys that are gone are swept out when they pile up."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._serials: array[int] = array("Q")
        self._next = 1

    def append(self, key: bytes, live: Container[bytes], live_count: int) -> None:
        """A key appears; it is not in ``live`` yet."""
        # Swept first, for the new key would be taken for one that is gone.
        if len(self._keys) > 64 and len(self._keys) > 2 * live_count + 64:
            self._sweep(live)
        self._keys.append(key)
        self._serials.append(self._next)
        self._next += 1

    def page(self, cursor: int, count: int, live: Container[bytes]) -> tuple[int, list[bytes]]:
        """Look at ``count`` serials from ``cursor`` on; the next cursor is 0 at the end."""
        start = bisect_left(self._serials, cursor)
        stop = min(start + count, len(self._keys))
        found = [key for key in self._keys[start:stop] if key in live]
        return (0 if stop == len(self._keys) else self._serials[stop]), found

    def _sweep(self, live: Container[bytes]) -> None:
        kept: dict[bytes, int] = {}
        for key, serial in zip(self._keys, self._serials, strict=True):
            if key in live:
                kept.setdefault(key, serial)
        self._keys = list(kept)
        self._serials = array("Q", kept.values())

    def pick(self, rng: Random, live: Container[bytes]) -> bytes | None:
        """Any key that is there, None if there is none."""
        for _try in range(64):  # about half of the entries at least are of keys that are there
            if not self._keys:
                return None
            key = self._keys[int(rng.random() * len(self._keys))]
            if key in live:
                return key
        return next((key for key in self._keys if key in live), None)
