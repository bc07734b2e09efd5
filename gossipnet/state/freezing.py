"""What a proved fork does to a log: it ends before the number that was given twice.

Neither branch counts, whichever of them was applied here and however far, so that every replica
comes to the same state and the same version vector, from the proof alone. Records of others that
depend on what lies beyond are not kept waiting for it. Why not both branches: `docs/decisions.md`.
"""

from typing import TYPE_CHECKING

from gossipnet.ids import LogId
from gossipnet.state.fork import ForkProof
from gossipnet.state.record import Record

if TYPE_CHECKING:
    from gossipnet.state.replica import Replica


def freeze(replica: "Replica", proof: ForkProof) -> list[Record]:
    """End a log where it was forked; records that waited for what will never come.

    The caller has added the proof to ``replica.forks``, and judges the logs anew before
    (`Voids.changed`), while the log still says how far it had been applied.
    """
    logs = replica.logs
    log = logs.by_id.get(proof.log)
    if log is None:
        # Others may name it, so it needs a place in the table.
        log = logs.open(proof.log, proof.public_key, proof.certificate, proof.chain, trusted=True)
    logs.freeze(log, proof.seq)
    replica.counters["logs_frozen"] += 1
    return replica.waiting.freeze(LogId(proof.log), proof.seq)
