"""Checks over a running simulation: ``always_*``, ``eventually_*`` and ``finally_*``.

A check is a function that says what is wrong, or nothing. An *always* check is asked again and
again and must never complain; an *eventually* check must stop complaining within its time, and
the time it took is kept; a *finally* check is asked once, when everything is healed and quiet.
Knows nothing of what is checked.
"""

from collections.abc import Callable
from dataclasses import dataclass

Question = Callable[[], str]
"""Says what is wrong, in one line, or "" if nothing is."""


@dataclass
class Check:
    """One check and how it stands.

    Attributes:
      name: ``always_...``, ``eventually_...`` or ``finally_...``.
      complaint: Why it failed, or "".
      failed_at: When it did, virtual seconds, or None.
      asked: How often it was asked.
      held_at: For an *eventually* check: when it first held.
      since, within: For an *eventually* check: from when, and how long it may take.
    """

    name: str
    question: Question
    complaint: str = ""
    failed_at: float | None = None
    asked: int = 0
    held_at: float | None = None
    since: float = 0.0
    within: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it was asked and held."""
        return self.failed_at is None and self.asked > 0 and self.held_at is not None


class Checks:
    """All checks of one run."""

    def __init__(self) -> None:
        self.all: dict[str, Check] = {}
        self._always: list[Check] = []
        self._open: list[Check] = []

    def always(self, name: str, question: Question) -> None:
        """Must hold whenever it is asked."""
        self._always.append(self._add(f"always_{name}", question))

    def eventually(self, name: str, question: Question, since: float, within: float) -> Check:
        """Must hold at some time from ``since`` on, at most ``within`` seconds later."""
        check = self._add(f"eventually_{name}", question)
        check.since, check.within = since, within
        self._open.append(check)
        return check

    def finally_(self, name: str, question: Question, now: float) -> None:
        """Must hold now, at the end."""
        self._ask(self._add(f"finally_{name}", question), now)

    def found(self, name: str, complaint: str, now: float) -> None:
        """Something that must never happen has happened."""
        check = self._add(name, lambda: complaint)
        if check.failed_at is None:
            self._ask(check, now)

    def sample(self, now: float) -> None:
        """Ask everything that may be asked now."""
        for check in self._always:
            if check.failed_at is None:
                self._ask(check, now)
        for check in list(self._open):
            if now < check.since:
                continue
            check.asked += 1
            complaint = check.question()
            if not complaint:
                check.held_at = now
                self._open.remove(check)
            elif now - check.since > check.within:
                check.complaint = f"not within {check.within:g} s: {complaint}"
                check.failed_at = now
                self._open.remove(check)

    def give_up(self, now: float) -> None:
        """The run is over: what has not held by now has failed."""
        for check in self._open:
            check.complaint = f"not by the end of the run: {check.question()}"
            check.failed_at = now
            check.asked += 1
        self._open.clear()

    @property
    def waiting(self) -> bool:
        """Whether some *eventually* check has neither held nor failed."""
        return bool(self._open)

    @property
    def failed(self) -> list[Check]:
        """Those that did not hold."""
        return [check for check in self.all.values() if not check.ok]

    def _add(self, name: str, question: Question) -> Check:
        check = self.all.get(name)
        if check is None:
            check = self.all[name] = Check(name, question)
        return check

    def _ask(self, check: Check, now: float) -> None:
        check.asked += 1
        complaint = check.question()
        if complaint:
            check.complaint, check.failed_at = complaint, now
        elif check.held_at is None:
            check.held_at = now
