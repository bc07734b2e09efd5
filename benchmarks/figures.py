"""What a benchmark gives: rows with a unit, a peer and a target; how they are shown and kept."""

import json
import math
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
      name: What was measured.
      value: The figure.
      unit: ``ops/s``, ``ms``, ``us``, ``MiB``, ``%``, ``B/s``, ...
      peer: With whom it is compared, or empty.
      peer_value: The peer's figure, in the same unit, from the same run.
      target: What the design asks for, as text, or empty.
      note: How it was measured, where that is not obvious.
    """

    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    target: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """This figure over the peer's."""
        return self.value / self.peer_value if self.peer_value else None


@dataclass(frozen=True)
class Skipped:
    """A figure that could not be taken, and why."""

    name: str
    reason: str


Measure = Callable[[bool], Iterator[Row | Skipped]]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0..1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def machine() -> dict[str, object]:
    """On what the figures were taken."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    from importlib.metadata import version

    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "gossipnet": version("gossipnet"),
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": os.getloadavg()[0],
    }


def table(rows: Iterable[Row | Skipped]) -> str:
    """Columns for people, two spaces apart."""
    cells = [("FIGURE", "HERE", "PEER", "RATIO", "TARGET", "NOTE")]
    for row in rows:
        if isinstance(row, Skipped):
            cells.append((row.name, "skipped", "", "", "", row.reason))
            continue
        peer = "" if row.peer_value is None else f"{row.peer} {_number(row.peer_value)}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        value = f"{_number(row.value)} {row.unit}"
        cells.append((row.name, value, peer, ratio, row.target, row.note))
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def document(rows: Iterable[Row | Skipped]) -> str:
    """The same as one JSON document."""
    figures = [
        {**asdict(row), "ratio": row.ratio} if isinstance(row, Row) else asdict(row) for row in rows
    ]
    return json.dumps({"v": 1, "machine": machine(), "figures": figures}, indent=2)


def run_alone(measure: Measure) -> None:
    """What ``python -m benchmarks.NAME`` does."""
    rows = list(measure("--quick" in sys.argv))
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(table(rows))


def best_of(times: int, once: Callable[[], float]) -> float:
    """The smallest of several timings: what it costs when nothing else runs."""
    return min(once() for _ in range(times))


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
