"""Puts cases to a runtime, some at a time, and says of each whether it was taken and computed right."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..devices.adapter import Adapter
from .case import Case
from .fault import fault
from .try_models import EACH, try_models

AT_ONCE = 25
"""Cases that one worker process gets; it is started again for the next ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    case: Case
    fault: str
    """Why the runtime cannot be trusted with it, "" where it takes it and computes it right."""


def ask(adapter: Adapter, words: Sequence[str], cases: Sequence[Case], *, seconds: float, tell: Callable[[str], None]) -> Iterator[Answer]:
    """Answers in the order of the cases, until `seconds` have passed; what is under way then is still answered."""
    start = time.monotonic()
    for first in range(0, len(cases), AT_ONCE):
        some = cases[first : first + AT_ONCE]
        if first and time.monotonic() - start > seconds:
            tell(f"{seconds:g} s have passed: {len(cases) - first} of {len(cases)} cases were not asked")
            return
        tell(f"ask {adapter.name}: {first + 1} to {first + len(some)} of {len(cases)}")
        for case, tried in zip(some, try_models(adapter, words, [(case.model, case.inputs) for case in some], EACH), strict=True):
            yield Answer(case=case, fault=fault(case.model, case.inputs, tried))
