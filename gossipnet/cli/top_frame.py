"""Draws ``gossipnet top``: a model becomes lines of coloured pieces that fit a width and a height.

Pure, so that a test can look at any screen. Colour never says anything that a word does not.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from gossipnet.cli.durations import told
from gossipnet.cli.mesh import STATE_TINTS, clean
from gossipnet.cli.top_model import VIEWS, Model, Sample


class Piece(NamedTuple):
    """Text in one style: ``plain bold dim red green yellow cyan reverse``."""

    text: str
    style: str = "plain"


Line = list[Piece]

_BARS = " ▁▂▃▄▅▆▇█"
_TINTS = {**STATE_TINTS, "warning": "yellow", "error": "red", "debug": "dim"}
_KEYS = (
    ("m  l  e  Tab", "members, links, events"),
    ("Up Down j k", "choose a row"),
    ("Enter", "look at it alone, and back"),
    ("/", "show only rows with a text; Esc shows all"),
    ("s", "sort by the next column"),
    ("c", "copy the row's id (or the event's text) to the clipboard"),
    ("p", "pause"),
    ("q", "end"),
)
_HEADS = {
    "members": ("NAME", "STATE", "ADDRESS", "RTT", "BEHIND", "ROLES", "ZONE", "VERSION"),
    "links": ("NAME", "ADDRESS", "DIR", "TREE", "RTT", "BEHIND", "QUEUED", "UP"),
    "events": ("TIME", "LEVEL", "KIND", "TEXT"),
}
_RIGHT = frozenset({"RTT", "BEHIND", "QUEUED", "UP"})


def frame(model: Model, width: int, height: int) -> list[Line]:
    """The whole screen: at most ``height`` lines of at most ``width`` columns."""
    if model.sample is None:
        lines: list[Line] = [[Piece(model.trouble or "asking the daemon", "yellow")]]
        return [_fitted(line, width) for line in lines][:height]
    lines = [*_header(model, model.sample, width), []]
    room = height - len(lines) - 1
    if model.help:
        lines += [[Piece(f"  {key:<14}", "bold"), Piece(text)] for key, text in _KEYS][:room]
    elif model.detail is not None:
        lines += _detail(model.detail)[:room]
    else:
        lines += _table(model, width, room)
    lines += [[] for _ in range(height - 1 - len(lines))]
    lines.append(_bottom(model))
    return [_fitted(line, width) for line in lines][:height]


def sparkline(values: Sequence[float], width: int) -> str:
    """The newest ``width`` values as bars; the tallest is the highest of them."""
    shown = list(values)[-width:]
    top = max(shown, default=0.0)
    bars = (_BARS[round(value / top * 8)] if top > 0 else _BARS[0] for value in shown)
    return "".join(bars).rjust(width)


def short_bytes(count: float) -> str:
    """Bytes with a unit, three digits or so."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def _header(model: Model, sample: Sample, width: int) -> list[Line]:
    status = sample.status
    states: dict[str, int] = {}
    for row in sample.members:
        states[str(row.get("state"))] = states.get(str(row.get("state")), 0) + 1
    first: Line = [
        Piece(f"{clean(status.get('mesh'))} ", "bold"),
        Piece(f"node {clean(status.get('name'))}", "cyan"),
        Piece(f"  up {told(float(status.get('uptime_s') or 0))}  {len(sample.members)} members:"),
    ]
    for state, tint in STATE_TINTS.items():
        if states.get(state):
            first.append(Piece(f" {states[state]} {state}", tint))
    lag = float(status.get("lag_s") or 0)
    second: Line = [
        Piece(f"{int(status.get('keys') or 0):,} keys  "),
        Piece(short_bytes(float(sample.info.get("used_memory_rss") or 0))),
        Piece("  "),
        Piece("converged", "green")
        if status.get("converged")
        else Piece(f"behind for {lag:.1f} s", "yellow"),
        Piece(f"  disk {clean(status.get('disk'))}", "plain" if status["disk"] == "ok" else "red"),
        Piece(f"  certificate {float(status.get('certificate_days') or 0):.0f} d"),
        Piece(f"  drops {int(status.get('drops') or 0)}", "yellow" if status["drops"] else "dim"),
    ]
    third: Line = []
    room = max(4, min(30, width // 4 - 18))
    for label, name, shown in (
        ("cmd/s", "commands", lambda rate: f"{rate:,.0f}"),
        ("commit/s", "commits", lambda rate: f"{rate:,.0f}"),
        ("in/s", "bytes", short_bytes),
        ("conflict/s", "conflicts", lambda rate: f"{rate:,.0f}"),
    ):
        history = model.rates[name]
        third += [
            Piece(f"{label} ", "dim"),
            Piece(f"{shown(history[-1] if history else 0.0):<8}"),
            Piece(sparkline(history, room) + "  ", "cyan"),
        ]
    return [first, second, third]


def _table(model: Model, width: int, room: int) -> list[Line]:
    tabs: Line = []
    for view in VIEWS:
        style = "reverse" if view == model.view else "dim"
        tabs += [Piece(f" {view[0]}:{view} ", style), Piece(" ")]
    if model.view != "events":
        tabs.append(Piece(f"sorted by {model.sort}", "dim"))
    rows = model.rows()
    own = None if model.sample is None else model.sample.status.get("node_id")
    cells = [_cells(model.view, row, own) for row in rows]
    heads = _HEADS[model.view]
    kept = _columns(heads, cells, width)
    widths = [max(len(row[i]) for row in (heads, *cells)) for i in kept]
    lines = [tabs, [Piece(_padded(heads, heads, kept, widths), "bold")]]
    room -= len(lines)
    start = max(0, min(model.chosen - room // 2, len(rows) - room))
    for number in range(start, min(len(rows), start + room)):
        text = _padded(cells[number], heads, kept, widths)
        state = str(rows[number].get("state") or rows[number].get("level"))
        style = "reverse" if number == model.chosen else _TINTS.get(state, "plain")
        lines.append([Piece(text.ljust(width) if style == "reverse" else text, style)])
    if not rows:
        lines.append(
            [Piece("nothing to show" + (" under this filter" * bool(model.filter)), "dim")]
        )
    return lines


def _columns(heads: Sequence[str], cells: list[list[str]], width: int) -> list[int]:
    """Which columns fit: the last ones go first."""
    kept = list(range(len(heads)))
    while len(kept) > 2:
        needed = sum(max(len(row[i]) for row in (heads, *cells)) + 2 for i in kept) - 2
        if needed <= width or heads[kept[-1]] == "TEXT":
            break
        kept.pop()
    return kept


def _padded(row: Sequence[str], heads: Sequence[str], kept: list[int], widths: list[int]) -> str:
    return "  ".join(
        row[i].rjust(width) if heads[i] in _RIGHT else row[i].ljust(width)
        for i, width in zip(kept, widths, strict=True)
    )


def _cells(view: str, row: dict[str, Any], own: object) -> list[str]:
    if view == "events":
        moment = time.strftime("%H:%M:%S", time.localtime(float(row.get("wall") or 0)))
        return [moment, clean(row.get("level")), clean(row.get("kind")), clean(row.get("text"))]
    rtt, behind = row.get("rtt_ms"), row.get("behind")
    shown_rtt = "-" if rtt is None else f"{float(rtt):.1f} ms"
    shown_behind = "-" if behind is None else str(behind)
    if view == "members":
        mine = row.get("id") == own
        return [
            clean(row.get("name")) + ("*" if mine else ""),
            *(clean(row.get(name)) for name in ("state", "address")),
            shown_rtt,
            shown_behind,
            *(clean(row.get(name)) for name in ("roles", "zone", "version")),
        ]
    return [
        *(clean(row.get(name)) for name in ("name", "address", "direction")),
        "eager" if row.get("eager") else "lazy" if row.get("neighbour") else "-",
        shown_rtt,
        shown_behind,
        short_bytes(float(row.get("queued_bytes") or 0)),
        told(float(row.get("since_s") or 0)),
    ]


def _detail(row: dict[str, Any]) -> list[Line]:
    width = max(len(name) for name in row)
    return [[Piece(f"  {name:<{width}}  ", "dim"), Piece(clean(row[name]))] for name in row]


def _bottom(model: Model) -> Line:
    if model.typing:
        return [Piece(f"/{model.filter}", "bold"), Piece("▏")]
    if model.trouble:
        return [Piece(model.trouble, "red")]
    if model.copied:
        return [Piece(f"copied {model.copied}", "green")]
    line: Line = [Piece("? keys  / filter  Enter look  c copy  p pause  q end", "dim")]
    if model.filter:
        line.insert(0, Piece(f"only {model.filter!r}  ", "yellow"))
    if model.paused:
        line.insert(0, Piece("PAUSED  ", "yellow"))
    return line


def _fitted(line: Line, width: int) -> Line:
    fitted: Line = []
    for text, style in line:
        if width <= 0:
            break
        fitted.append(Piece(text[:width], style))
        width -= len(text)
    return fitted
