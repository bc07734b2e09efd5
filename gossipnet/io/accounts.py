"""What peers cost: one account a link, one ledger a process.

Every link has a budget of messages and bytes. Whoever overdraws it is read no further for a while,
so that TCP holds the sender back; nothing that came is thrown away. The ledger bounds how many
sessions one member may hold, and adds everything up for `status`. Knows nothing of what comes in.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from gossipnet.ids import NodeId
from gossipnet.io.admission import Admission
from gossipnet.protocol.bucket import Bucket


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Per link; rates are per second.

    Attributes:
      messages: Messages in the long run; gossip batches what it says, so that some hundreds do.
      message_burst: And at once.
      size: Bytes in the long run.
      size_burst: And at once.
      sessions: Links that one member may hold at one time: one that is used, one that replaces
        it, and two that lost a race.
    """

    messages: float = 20_000.0
    message_burst: float = 40_000.0
    size: float = 128.0 * 1024 * 1024
    size_burst: float = 256.0 * 1024 * 1024
    sessions: int = 4


class Account:
    """One link's.

    Attributes:
      messages: Taken so far.
      size: Bytes taken so far.
      pauses: How often it was left unread for a while.
      paused_s: For how long, in seconds, in all.
      owed: Time until which it is to be left unread.
    """

    __slots__ = (
        "_message_budget",
        "_size_budget",
        "messages",
        "owed",
        "paused_s",
        "pauses",
        "size",
    )

    def __init__(self, limits: LinkLimits, now: float) -> None:
        self.messages = 0
        self.size = 0
        self.pauses = 0
        self.paused_s = 0.0
        self.owed = 0.0
        self._message_budget = Bucket(limits.messages, limits.message_burst, now)
        self._size_budget = Bucket(limits.size, limits.size_burst, now)

    def charge(self, messages: int, size: int, now: float) -> None:
        """Something was taken."""
        self.messages += messages
        self.size += size
        debt = max(self._message_budget.spend(messages, now), self._size_budget.spend(size, now))
        if debt:
            self.hold(debt, now)

    def hold(self, seconds: float, now: float) -> None:
        """Leave the link unread for that long from now on; longer wishes win."""
        self.owed = max(self.owed, now + seconds)

    def waited(self, seconds: float) -> None:
        """It was."""
        self.pauses += 1
        self.paused_s += seconds


class Ledger:
    """All links of a process.

    Attributes:
      limits: Of each link.
      admission: Of those who have proved nothing yet; None where nobody listens.
      refused: Links that were refused, by reason.
    """

    def __init__(
        self, limits: LinkLimits | None = None, admission: Admission | None = None
    ) -> None:
        self.limits = limits or LinkLimits()
        self.admission = admission
        self.refused: Counter[str] = Counter()
        self._open: dict[Account, NodeId | None] = {}
        self._sessions: Counter[NodeId] = Counter()
        self._past: Counter[str] = Counter()
        self._past_s = 0.0

    def open(self, now: float) -> Account:
        """A connection begins."""
        account = Account(self.limits, now)
        self._open[account] = None
        return account

    def proved(self, account: Account, node: NodeId) -> bool:
        """It is this member's; False if it holds too many already."""
        if self._sessions[node] >= self.limits.sessions:
            self.refused["sessions_of_one_member"] += 1
            return False
        self._open[account] = node
        self._sessions[node] += 1
        return True

    def close(self, account: Account) -> None:
        """It has ended. May be called twice."""
        if account not in self._open:
            return
        node = self._open.pop(account)
        if node is not None:
            self._sessions[node] -= 1
            if not self._sessions[node]:
                del self._sessions[node]
        self._past.update(messages=account.messages, bytes=account.size, pauses=account.pauses)
        self._past_s += account.paused_s

    def status(self) -> Mapping[str, object]:
        """Everything added up, for `status`."""
        admission = self.admission
        return {
            "messages": self._past["messages"] + sum(each.messages for each in self._open),
            "bytes": self._past["bytes"] + sum(each.size for each in self._open),
            "pauses": self._past["pauses"] + sum(each.pauses for each in self._open),
            "paused_s": round(self._past_s + sum(each.paused_s for each in self._open), 3),
            "members_linked": len(self._sessions),
            "half_open": 0 if admission is None else admission.half_open,
            "refused": {
                **self.refused,
                **(
                    {} if admission is None else {_word(k): n for k, n in admission.refused.items()}
                ),
            },
        }


def _word(reason: str) -> str:
    return f"half_open_{reason.replace('-', '_')}"
