"""A budget that refills: who overdraws it must wait until it is even again (a token bucket)."""


class Bucket:
    """Credit at a steady rate, with room for a burst.

    Spending is always allowed and may leave a debt, since what is charged has happened already: the
    caller then waits as long as `spend` says before it lets more happen.

    Args:
      rate: Credit per second, above 0.
      burst: The most that is saved up, which it begins with.
      now: Seconds, of whatever clock.
    """

    __slots__ = ("_burst", "_credit", "_seen", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self._burst = burst
        self._credit = burst
        self._seen = now

    def spend(self, amount: float, now: float) -> float:
        """Take ``amount``; returns seconds until the debt is paid, 0 when there is none."""
        credit = self._credit + max(0.0, now - self._seen) * self.rate
        self._seen = now
        self._credit = min(self._burst, credit) - amount
        return max(0.0, -self._credit / self.rate)

    def take(self, amount: float, now: float) -> bool:
        """Take ``amount`` if it is there, else nothing: for what may still be refused."""
        credit = min(self._burst, self._credit + max(0.0, now - self._seen) * self.rate)
        self._seen = now
        allowed = credit >= amount
        self._credit = credit - amount if allowed else credit
        return allowed
