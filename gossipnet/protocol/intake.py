"""One way in for records from peers, whatever message brought them.

A record that this node signed and does not have proves that its home is older than its log (a disk
was rolled back as a whole, which no marker can see): going on with that log would fork it, so a new
one is opened. The claim alone, a number in somebody's vector, proves nothing.
"""

from gossipnet.protocol.commits import Commits
from gossipnet.protocol.context import Context
from gossipnet.state.body import (
    NewerOperation,
)
from gossipnet.state.record import parse_untrusted
from gossipnet.state.replica import Outcome, Replica, Status


class Intake:
    """Takes records in for broadcast and sync."""

    def __init__(
        self,
        context: Context,
        replica: Replica,
        public_key: bytes,
        mesh_id: bytes,
        commits: Commits,
    ) -> None:
        self._context = context
        self._replica = replica
        self._public_key = public_key
        self._mesh_id = mesh_id
        self._commits = commits
        self._told_newer = False

    def ingest(self, data: bytes) -> Outcome:
        """Validate and apply one record.

        Raises:
          RemoteProtocolError: It is forged or malformed; the peer that brought it is at fault.
        """
        poisoned = self._replica.poison.count
        try:
            outcome = self._replica.ingest(data, self._context.wall)
        except NewerOperation as error:
            # Its log waits here until this node is upgraded; those who can read it bring it again.
            self._context.counters["records_newer"] += 1
            if not self._told_newer:
                self._told_newer = True
                self._context.event("newer-record", f"{error}: upgrade this node", "warning")
            return Outcome(Status.HELD)
        if self._replica.poison.count != poisoned:
            self._tell_poisoned()
        if outcome.status is not Status.OWN_AHEAD:
            return outcome
        parse_untrusted(data).verify(self._public_key, self._mesh_id)
        self.open_epoch("others hold records of this node that it has lost")
        return self._replica.ingest(data, self._context.wall)

    def _tell_poisoned(self) -> None:
        poison = self._replica.poison
        self._context.counters["operations_poisoned"] = poison.count
        row = poison.rows[-1]
        self._context.event(
            "operation-poisoned",
            f"{row.what} of {row.key[:60]!r} was set aside, for this program failed over it "
            f"({row.error}): please report it; `gossipnet del` of the key clears it",
            "error",
            self._replica.author_of_number(row.log),
        )

    def open_epoch(self, why: str) -> None:
        """Write a new log from now on."""
        epoch = int.from_bytes(self._context.entropy(4), "big")
        self._replica.open_epoch(epoch, self._context.wall)
        self._commits.write_log(self._replica.own_log)
        self._context.meta["epoch"] = epoch.to_bytes(4, "big")
        self._commits.hurry()
        self._context.event(
            "epoch-opened",
            f"{why}: it goes on in a new log",
            "warning",
        )
