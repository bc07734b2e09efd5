"""How commands write: data to standard output, talk to standard error, colour only for people."""

import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any, TextIO

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}


def say(text: str = "") -> None:
    """One line of talk."""
    print(text, file=sys.stderr, flush=True)


def next_step(command: str, *, always: bool = False) -> None:
    """Tell what to do next: to a person, or to anyone when ``always``."""
    if always or sys.stderr.isatty():
        say(f"Next: {command}")


def put(text: str) -> None:
    """One line of data."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def put_bytes(data: bytes) -> None:
    """A value exactly as it is; a line end follows only where a person reads."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    if sys.stdout.isatty() and not data.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


def put_json(document: dict[str, Any]) -> None:
    """One JSON document on one line, with the version of its shape first.

    What a terminal would obey or hide (C1 controls, U+2028, direction marks) is escaped, and all
    beyond ASCII where the encoding of standard output is not UTF-8.
    """
    import json

    whole = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps({"v": 1, **plain(document)}, ensure_ascii=not whole, allow_nan=False)
    if not text.isprintable():  # such characters can stand inside strings only
        text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    put(text)


def plain(value: Any) -> Any:
    """A reply as JSON can hold it: bytes become text, or ``{"base64": ...}`` if they are not."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            import base64

            return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, dict):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Exception):  # an error inside the reply of EXEC
        return {"error": str(value)}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def _key(key: Any) -> str:
    return key.decode(errors="backslashreplace") if isinstance(key, bytes) else str(key)


def printable(value: bytes) -> str:
    """Bytes as a line of text that cannot move the cursor of the terminal it is shown on."""
    text = value.decode(errors="backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def quoted(value: bytes) -> str:
    """Bytes in double quotes, escaped as redis-cli escapes them."""
    out = ['"']
    for byte in value:
        if byte in _ESCAPES:
            out.append(_ESCAPES[byte])
        else:
            out.append(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}")
    return "".join(out) + '"'


_ESCAPES = {34: '\\"', 92: "\\\\", 10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b"}


def colour(text: str, name: str, stream: TextIO | None = None) -> str:
    """``text`` in a colour, where ``stream`` (standard output) shows colours to a person."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m"


def put_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], tints: dict[str, str] | None = None
) -> None:
    """Columns as wide as their widest cell, two spaces apart.

    On a terminal that is narrower the last columns are left out, and said to be; a pipe gets all.

    Args:
      heads: Column names.
      rows: Cells; control characters must be gone already.
      tints: Colour by the text of a cell.
    """
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    shown = _fitting(widths)
    for row in (heads, *rows):
        cells = []
        for cell, width in zip(row[:shown], widths[:shown], strict=True):
            tint = (tints or {}).get(cell)
            padding = " " * (width - len(cell))
            cells.append((colour(cell, tint) if tint else cell) + padding)
        put("  ".join(cells).rstrip())
    if shown < len(heads):
        say(f"left out: {', '.join(heads[shown:])}; a wider terminal, a pipe and --json have them")


def _fitting(widths: Sequence[int]) -> int:
    """How many columns fit, the first two at least."""
    if not sys.stdout.isatty():
        return len(widths)
    room = shutil.get_terminal_size().columns
    shown = len(widths)
    while shown > 2 and sum(widths[:shown]) + 2 * (shown - 1) > room:
        shown -= 1
    return shown
