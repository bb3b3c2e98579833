"""Which optimiser of onnxruntime makes a model wrong, or fails on it: by bisection over names, else the highest level that is right."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..devices.ort_settings import DEFAULT, LEVELS, OPTIMISERS, OrtSettings

MOST_CULPRITS = 3
"""More that are at fault together are a level's."""
CURED = 1 / 8
"""A difference that remains is rounding if it is at most this share of the one before."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A run under some settings: why it failed, "" if it ran; and how far it is off, 1 being the most that rounding explains."""

    problem: str
    score: float
    words: str = ""

    @property
    def suspicious(self) -> bool:
        return bool(self.problem) or self.score > 1

    def cures(self, fault: Tried) -> bool:
        """This run is right where the other, which is suspicious, was not."""
        return not self.suspicious and (bool(fault.problem) or self.score <= CURED * fault.score)


WHERE = re.compile(r"^(\[ONNXRuntimeError\] : \d+ : \w+ : )?(.*?)/onnxruntime_src/\S+ .*\)(?: const)? (?P<rest>\S.*)$", re.DOTALL)


def told(problem: str) -> str:
    """An error message of onnxruntime without the place in its sources."""
    line = next((line.strip() for line in problem.splitlines() if line.strip()), problem)
    found = WHERE.match(line)
    return (found["rest"] if found else re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line))[:300]


Try = Callable[[OrtSettings], Tried | None]
"""None where no further try is allowed: then nothing more is found right."""


def find_settings(attempt: Try, fault: Tried, names: Sequence[str] = OPTIMISERS) -> OrtSettings | None:
    """The settings that cost least and are right, where DEFAULT gave the `fault`; None where none is right or the budget is spent first."""

    def right(settings: OrtSettings) -> bool:
        tried = attempt(settings)
        return tried is not None and tried.cures(fault)

    if right(OrtSettings(optimizers_off=tuple(names))) and (found := _culprits(right, names)):
        return OrtSettings(optimizers_off=found)
    levels = (OrtSettings(level) for level in LEVELS if level != DEFAULT.optimisation)
    return next((settings for settings in levels if right(settings)), None)


def _culprits(right: Callable[[OrtSettings], bool], names: Sequence[str]) -> tuple[str, ...]:
    """A smallest set whose absence is enough; () where that takes more than MOST_CULPRITS. All `names` are enough.

    The last name of the shortest sufficient prefix is at fault; if it is not so alone, the others stand before it."""
    found: tuple[str, ...] = ()
    left = tuple(names)
    while len(found) < MOST_CULPRITS:
        few, many = 0, len(left)
        while many - few > 1:
            middle = (few + many) // 2
            if right(OrtSettings(optimizers_off=(*left[:middle], *found))):
                many = middle
            else:
                few = middle
        found, left = (left[many - 1], *found), left[: many - 1]
        if right(OrtSettings(optimizers_off=found)):
            return found
        if not left:
            break
    return ()
