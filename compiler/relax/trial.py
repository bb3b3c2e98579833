"""What a search for relaxations asks: what a compilation for another target comes to, how often it may ask, and what a target may say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...targets.model import Target
from ..hw.bounds import Bound, bounds_of

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one compilation."""

    values: Mapping[Key, float] | None
    """What the plan that was kept needs of each limit and budget, where that is known; None where no plan was kept."""
    problem: str = ""
    """Why not."""


Compile = Callable[[Target], Outcome]


@dataclass(slots=True)
class Trials:
    """Compilations of one kind for a search, each target's once, and no more than `most`."""

    compile: Compile
    most: int
    late: Callable[[], bool] = lambda: False
    """Whether no further one is to begin."""
    probes: tuple[float, ...] = ()
    """Where it is looked for less of a bound although the next step below is not enough: shares of the way from what the target says to
    what is enough. A plan that needs less may be found there, since no solver tries every plan."""
    wobble: float = 0.0
    """By what share bytes may differ from one compilation to the next: what a bundle takes on disk includes the text of its limits."""
    spent: int = 0
    cut: bool = False
    """Whether one was asked for that was not made."""
    known: dict[tuple[float, ...], Outcome] = field(default_factory=dict)

    def __call__(self, target: Target) -> Outcome:
        key = tuple(bound.value for bound in bounds_of(target)) + tuple(float(memory.budget) for memory in target.memories)
        if key not in self.known:
            if self.spent >= self.most or self.late():
                self.cut = True
                return Outcome(None)
            self.spent += 1
            self.known[key] = self.compile(target)
        return self.known[key]


@dataclass(frozen=True, slots=True)
class Change:
    """One bound of a target at another value."""

    bound: Bound
    value: float
    """What is needed."""
    statement: str = ""
    """What to write: "latency <= 12 ms"; "" as long as that is not known."""

    @property
    def far(self) -> tuple[float, float]:
        """How far it is from what the target says, to sort by."""
        return self.bound.far_of(self.value)

    @property
    def shown(self) -> str:
        return self.bound.shown(self.statement)


Relaxation = tuple[Change, ...]
"""Changes that are made together."""


def changed(target: Target, changes: Sequence[Change]) -> Target:
    """A copy of the target, without a text."""
    for change in changes:
        target = change.bound.at(target, change.value)
    return target
