"""How much the search may spend, and what it has spent: attempts and probes, so that equal input ends equally; a clock if asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import UsageError
from ..quantities import count

MOST_ATTEMPTS, MOST_PROBES = 32, 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchBudget:
    """What the search may spend. Raises UsageError for numbers that allow no attempt."""

    attempts: int = MOST_ATTEMPTS
    """Plans that are compiled and verified, at most."""
    probes: int = MOST_PROBES
    """Small models that runtimes are asked about to find an operator at fault, at most."""
    seconds: float | None = None
    """Wall clock, from the begin of the search; None for no clock. No new attempt or probe begins after that."""

    def __post_init__(self) -> None:
        if not _whole(self.attempts) or self.attempts < 1:
            raise UsageError(f"{self.attempts!r} is not a valid number of attempts for a search", help="1 or more")
        if not _whole(self.probes) or self.probes < 0:
            raise UsageError(f"{self.probes!r} is not a valid number of probes for a search", help="0 or more")
        if self.seconds is not None and not (isinstance(self.seconds, int | float) and self.seconds > 0):
            raise UsageError(f"{self.seconds!r} is not a valid search time", help="seconds, more than 0")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Meter:
    """What a search has spent of its budget."""

    def __init__(self, budget: SearchBudget, clock: Callable[[], float] = time.monotonic) -> None:
        self.budget, self.attempts, self.probes = budget, 0, 0
        self._clock, self._start, self._cut = clock, clock(), False

    def may_probe(self, models: int) -> bool:
        """Counts `models` probes, if the budget and the clock allow them."""
        if self.probes + models > self.budget.probes or self.late():
            self._cut = True
            return False
        self.probes += models
        return True

    def spent(self) -> str:
        """What is used up, in words; "" while another attempt may begin."""
        return self._used_up()[0]

    def remedy(self) -> str:
        """What allows more of it; "" while nothing is used up."""
        return self._used_up()[1]

    def _used_up(self) -> tuple[str, str]:
        budget = self.budget
        if self.late():
            return f"the search time of {budget.seconds:g} s", "--search-time"
        if self._cut:
            return f"{count(budget.probes, 'probe')} of runtimes", "SearchBudget(probes=…) in Python"
        return (count(budget.attempts, "attempt"), "--search-attempts") if self.attempts >= budget.attempts else ("", "")

    def next_attempt(self) -> str:
        """`attempt 2 of at most 32, 41 s left`."""
        left = "" if self.budget.seconds is None else f", {max(self.budget.seconds - self._elapsed(), 0):.0f} s left"
        return f"attempt {self.attempts + 1} of at most {self.budget.attempts}{left}"

    def _elapsed(self) -> float:
        return self._clock() - self._start

    def late(self) -> bool:
        """Whether the clock, if there is one, has run out."""
        return self.budget.seconds is not None and self._elapsed() >= self.budget.seconds
