"""Members with their scores as replies: flat in RESP2, in pairs in RESP3."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gossipnet.resp.replies import Reply, double_text

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

Pairs = Sequence[tuple[bytes, float]]
"""(member, score)."""


def scored(session: "Session", pairs: Pairs, *, nested: bool = True) -> Reply:
    """What WITHSCORES answers; flat even in RESP3 if not ``nested``."""
    if nested and session.protocol == 3:
        return [[name, score] for name, score in pairs]
    if session.protocol == 3:
        return [part for pair in pairs for part in pair]
    return [part for name, score in pairs for part in (name, double_text(score))]
