"""Lengths of time as people write them: ``90s``, ``15m``, ``1h``, ``7d``, ``1h30m``."""

import argparse

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LONGEST = 100 * 365 * 86400.0


def parse_duration(written: str) -> float:
    """Seconds (> 0) of a duration; a bare number is seconds.

    Raises:
      argparse.ArgumentTypeError: Not a duration; the text shows how to write one.
    """
    try:
        seconds = _sum(written)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{written!r} is not a duration: write 90s, 15m, 1h, 7d or 1h30m"
        ) from None
    if not 0 < seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{written!r} is out of range: above 0, up to 36500d")
    return seconds


def _sum(written: str) -> float:
    total, rest = 0.0, written.strip()
    if not rest:
        raise ValueError(written)
    while rest:
        size = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:size], rest[size:]
        size = len(rest) - len(rest.lstrip("abcdefghijklmnopqrstuvwxyz"))
        unit, rest = rest[:size], rest[size:]
        if not unit and total == 0.0 and not rest:
            unit = "s"
        if unit not in _SECONDS:
            raise ValueError(written)
        total += float(number) * _SECONDS[unit]
    return total


def told(seconds: float) -> str:
    """The duration in its two largest units, for people."""
    parts = []
    whole = round(seconds)
    for unit in ("d", "h", "m", "s"):
        count, whole = divmod(whole, int(_SECONDS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or f"{round(seconds * 1000)}ms"
