"""Which application of which rule makes a pass wrong: the pass is repeated from its start, limited to its first k applications."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..pipeline.whole_model import whole_model
from ..pipeline.work import Run, Work

if TYPE_CHECKING:
    import onnx

Faulty = Callable[["onnx.ModelProto", Work], str]
"""What is wrong with the model a pass left, "" if nothing."""
Only = Callable[[str], bool]
"""Which rules may be applied at all."""


class Budget:
    """An `Allow` that lets the first `count` applications pass, and remembers them."""

    def __init__(self, count: int | None, only: Only = lambda rule: True) -> None:
        self.log: list[tuple[str, str]] = []
        self._count, self._only = count, only

    def __call__(self, rule: str, tensor: str) -> bool:
        if not self._only(rule) or (self._count is not None and len(self.log) >= self._count):
            return False
        self.log.append((rule, tensor))
        return True


@dataclass(frozen=True, slots=True)
class FaultyApplication:
    """One application, and the models without and with it."""

    rule: str
    tensor: str
    """Output of the node that the rule replaced."""
    number: int
    """Among the applications of the pass, from 1."""
    of: int
    fault: str
    bound: float
    """What the rule's contract allows at the site."""
    before: onnx.ModelProto
    after: onnx.ModelProto


def run_limited(start: Work, run: Run, count: int | None, only: Only = lambda rule: True) -> tuple[Work, Budget]:
    """The pass from `start` (which stays as it is) with its first `count` applications."""
    work, budget = start.copy(), Budget(count, only)
    work.allow = budget
    run(work)
    return work, budget


def find_faulty_application(start: Work, run: Run, faulty: Faulty, only: Only = lambda rule: True) -> FaultyApplication | None:
    """The first application after which `faulty` finds something; None where even the pass without any is wrong, or none is
    found. Binary search: the pass runs and is judged about log2(applications) times."""
    everything = run_limited(start, run, None, only)[1].log
    if not everything or _judged(start, run, 0, faulty, only):
        return None
    good, bad = 0, len(everything)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if _judged(start, run, middle, faulty, only) else (middle, bad)
    fault = _judged(start, run, bad, faulty, only)
    return application_at(start, run, bad, fault, only) if fault else None


def application_at(start: Work, run: Run, number: int, fault: str, only: Only = lambda rule: True) -> FaultyApplication:
    """Application number `number` (from 1), known to be at fault."""
    before, after = (whole_model(run_limited(start, run, count, only)[0]) for count in (number - 1, number))
    log = run_limited(start, run, None, only)[1].log
    rule, tensor = log[number - 1]
    bound = max((one.contract.absolute for one in start.substitutes if one.name == rule), default=0.0)
    return FaultyApplication(rule, tensor, number, len(log), fault, bound, before, after)


def _judged(start: Work, run: Run, count: int, faulty: Faulty, only: Only) -> str:
    work = run_limited(start, run, count, only)[0]
    return faulty(whole_model(work), work)
