"""Errors out of nurseries: the one that matters, without the groups around it."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def alone() -> Iterator[None]:
    """Raise a sole error as itself: whoever embeds a node need not know of its nursery."""
    try:
        yield
    except BaseExceptionGroup as group:
        sole = sole_error(group)
        if sole is None:
            raise
        raise sole from sole.__cause__


def sole_error(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The one error in nested groups, or None if there are several."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        if len(found.exceptions) != 1:
            return None
        found = found.exceptions[0]
    return found
