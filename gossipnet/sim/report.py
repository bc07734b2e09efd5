"""What a run measured and whether its checks held: as text, and as JSON with stable keys.

Knows nothing of how the figures came about.
"""

from dataclasses import dataclass, field

from gossipnet.sim.checks import Check


@dataclass
class Report:
    """The outcome of one run; times are virtual seconds since its start.

    Attributes:
      seed, nodes: As asked for.
      trace_hash: Over everything that reached any machine.
      formed_at: When the mesh was complete.
      healed_at: When the last fault ended and the last client stopped.
      converged_at: When state and views were equal everywhere after that.
      detection: The longest that a crash took to be known to all who were up.
      false_deaths: Verdicts about machines that were up and reachable.
      rmr: Relative message redundancy: duplicates for each record that was news. This and the next
        and the bytes are of the second half of the work, when the mesh has found together.
      last_hop: Most links that a pushed record travelled.
      missed: Records that some node lacks in the end, summed over nodes.
      bytes_per_node: Sent each second by each node, all headers included.
    """

    seed: int
    nodes: int
    trace_hash: str = ""
    formed_at: float | None = None
    healed_at: float | None = None
    converged_at: float | None = None
    detection: float | None = None
    false_deaths: int = 0
    rmr: float = 0.0
    last_hop: int = 0
    missed: int = 0
    bytes_per_node: float = 0.0
    ended_at: float = 0.0
    events: int = 0
    acknowledged: int = 0
    checks: list[Check] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every check held."""
        return all(check.ok for check in self.checks)

    @property
    def failures(self) -> list[Check]:
        """The checks that did not."""
        return [check for check in self.checks if not check.ok]

    def as_json(self) -> dict[str, object]:
        """Keys are added, never renamed."""
        return {
            "seed": self.seed,
            "trace_hash": self.trace_hash,
            "nodes": self.nodes,
            "ok": self.ok,
            "formed_at_s": _rounded(self.formed_at),
            "healed_at_s": _rounded(self.healed_at),
            "converged_at_s": _rounded(self.converged_at),
            "detection_s": _rounded(self.detection),
            "false_deaths": self.false_deaths,
            "rmr": round(self.rmr, 4),
            "last_hop": self.last_hop,
            "missed": self.missed,
            "bytes_per_node_s": round(self.bytes_per_node, 1),
            "ended_at_s": _rounded(self.ended_at),
            "events": self.events,
            "acknowledged": self.acknowledged,
            "faults": dict(sorted(self.faults.items())),
            "operations": dict(sorted(self.operations.items())),
            "checks": [
                {
                    "name": check.name,
                    "ok": check.ok,
                    "asked": check.asked,
                    "held_at_s": _rounded(check.held_at),
                    "failed_at_s": _rounded(check.failed_at),
                    "complaint": check.complaint,
                }
                for check in self.checks
            ],
        }

    def as_text(self) -> list[str]:
        """Lines for people."""
        settled = (
            None
            if self.converged_at is None or self.healed_at is None
            else self.converged_at - self.healed_at
        )
        faults = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
        lines = [
            f"seed {self.seed}, {self.nodes} nodes, {self.ended_at:g} virtual seconds, "
            f"{self.events} events, trace {self.trace_hash}",
            f"  formed           {_seconds(self.formed_at)}",
            f"  faults           {faults or 'none'}",
            f"  crash known      {_seconds(self.detection)}",
            f"  equal after heal {_seconds(settled)}",
            f"  false deaths     {self.false_deaths}",
            f"  redundancy       {self.rmr:.3f}   last hop {self.last_hop}   missed {self.missed}",
            f"  sent             {self.bytes_per_node:.0f} B/s per node",
        ]
        for check in self.checks:
            mark = "ok  " if check.ok else "FAIL"
            lines.append(
                f"  {mark} {check.name}" + (f": {check.complaint}" if not check.ok else "")
            )
        return lines


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
