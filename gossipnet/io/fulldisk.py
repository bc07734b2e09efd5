"""While the disk takes no commits, local writers are told so instead of being kept waiting."""

from collections import Counter

from gossipnet.io.logs import log_event
from gossipnet.state.keyspace import Keyspace

CODE = "MISCONF"
"""The word with which Redis refuses writes that it cannot keep."""


def refuse_writes(keyspace: Keyspace, reason: str, counters: Counter[str]) -> None:
    """Begin to refuse writes for ``reason``, one sentence; or end it, when that is empty."""
    if reason:
        text = f"{reason}; nothing is written until then"
        counters["commits_deferred"] += 1
        log_event("disk-full", text, "error")
        if keyspace.refusal is None:
            keyspace.refusal = (CODE, text)
    else:
        log_event("disk-ok", "the disk takes writes again", "warning")
        if keyspace.refusal is not None and keyspace.refusal[0] == CODE:
            keyspace.refusal = None
