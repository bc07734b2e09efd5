"""Which errors refuse one command and no more, and how a client is told."""

from gossipnet.errors import UserError
from gossipnet.resp.replies import CommandError
from gossipnet.state.errors import KeyspaceError

REFUSALS = (CommandError, KeyspaceError, UserError)
"""Whatever else a command raises is a bug."""


def told(error: CommandError | KeyspaceError | UserError) -> str:
    """The text of the error reply; it begins with its code."""
    if isinstance(error, CommandError):
        return error.text
    return f"{error.code if isinstance(error, KeyspaceError) else error.reply_code} {error}"
