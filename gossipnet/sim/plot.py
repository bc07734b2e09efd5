"""Line charts as SVG, written by hand: two axes, a few lines, a legend. Knows no figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 36, 48
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700")


@dataclass(frozen=True)
class Line:
    """One line: its name in the legend, and its points in the order of x."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """What to draw.

    Attributes:
      log_x: The horizontal axis is logarithmic; every x is above 0.
    """

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log_x: bool = False


def svg(chart: Chart) -> str:
    """The chart as one SVG document, readable on light and on dark pages."""
    points = [point for line in chart.lines for point in line.points] or [(1.0, 1.0)]
    scale = log10 if chart.log_x else float
    low, high = min(scale(x) for x, _y in points), max(scale(x) for x, _y in points)
    top = _ceiling(max(y for _x, y in points))
    span = high - low or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = (scale(x) - low) / span
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM),
        )

    marks = sorted({x for line in chart.lines for x, _y in line.points})
    if not chart.log_x or len(marks) > 10:
        marks = [_unscale(low + span * n / 5, chart.log_x) for n in range(6)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(WIDTH / 2, 18, chart.title, "middle", 14),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, chart.x, "middle"),
        f'<text x="14" y="{HEIGHT / 2:g}" text-anchor="middle" fill="#333333" '
        f'transform="rotate(-90 14 {HEIGHT / 2:g})">{escape(chart.y)}</text>',
    ]
    for n in range(6):
        _x, y = place(_unscale(low, chart.log_x), top * n / 5)
        parts.append(_stroke(LEFT, y, WIDTH - RIGHT, y, "#e0e0e0"))
        parts.append(_text(LEFT - 6, y + 4, f"{top * n / 5:g}", "end"))
    for mark in marks:
        x, _y = place(mark, 0.0)
        parts.append(_stroke(x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 4, "#333333"))
        parts.append(_text(x, HEIGHT - BOTTOM + 18, f"{mark:.4g}", "middle"))
    for number, line in enumerate(chart.lines):
        colour = COLOURS[number % len(COLOURS)]
        track = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line.points)
        dashes = ' stroke-dasharray="6 4"' if line.dashed else ""
        parts.append(
            f'<polyline points="{track}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
        )
        if len(line.points) <= 20 and not line.dashed:
            for x, y in line.points:
                across, down = place(x, y)
                parts.append(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>')
        parts.append(_text(LEFT + 8, TOP + 14 + 16 * number, line.name, "start", fill=colour))
    return "\n".join([*parts, "</svg>", ""])


def _unscale(value: float, log_x: bool) -> float:
    return 10.0**value if log_x else value


def _ceiling(value: float) -> float:
    """The next number of the form 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** int(log10(value) - (value < 1))
    return next(step * power for step in (1, 2, 2.5, 5, 10, 20) if step * power >= value)


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str, size: int = 12, fill: str = "#333333") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{fill}">{escape(text)}</text>'
    )
