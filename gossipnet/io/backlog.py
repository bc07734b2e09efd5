"""How far the disk is behind local writers: first they are slowed, then refused, never the mesh.

Beyond `commits.CONGESTED_BYTES` a node takes no more records from its peers. Its own writers must
not be what brings it there, or a busy program would cut its machine off from what the others write.
"""

from gossipnet.protocol.commits import CONGESTED_BYTES
from gossipnet.protocol.engine import Engine
from gossipnet.resp.pressure import Pressure

SLOW_BYTES = CONGESTED_BYTES // 4
"""Above this a client whose writes wait for the disk is read no more until they are stored."""
REFUSE_BYTES = CONGESTED_BYTES * 3 // 4
"""Above this writes are refused: too many clients had something on its way already."""


class Backlog:
    """Looks at an engine's commits and tells clients' `Pressure`."""

    def __init__(self, engine: Engine, pressure: Pressure) -> None:
        self._engine = engine
        self._pressure = pressure

    def look(self) -> bool:
        """After writes, and when a commit is on disk; whether clients are to be slowed."""
        size = self._engine.commits.backlog
        if (size > REFUSE_BYTES) != bool(self._pressure.behind):
            self._pressure.fall_behind(
                f"{size >> 20} MiB of writes wait for this node's disk, as much as it lets "
                "wait: try again in a moment"
                if size > REFUSE_BYTES
                else ""
            )
        return size > SLOW_BYTES
