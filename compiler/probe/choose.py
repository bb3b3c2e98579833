"""Which cases a runtime is probed with, an even sample of each operator's; and whether it took each and computed it right."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ...targets.operators import operator_names
from ..devices.adapter import Adapter
from ..errors import UsageError, did_you_mean
from .case import Case
from .fault import fault
from .shaped_cases import shaped_cases
from .standard_cases import standard_cases
from .try_models import EACH, try_models

AT_ONCE = 25
"""Cases that one worker process gets; it is started again for the next ones."""


def chosen_operators(listed: str) -> frozenset[str]:
    """ "Conv,Gelu" as operators; every known one for "". Raises UsageError for an unknown one."""
    names = frozenset(name.strip() for name in listed.split(",") if name.strip())
    known = operator_names()
    for name in sorted(names - set(known)):
        raise UsageError(f"there is no operator '{name}'", where="--operators", help=did_you_mean(name, known))
    return names or frozenset(known)


def sample(operators: frozenset[str], each: int) -> list[Case]:
    """At most `each` cases of every operator, spread over those there are, operator by operator."""
    by_operator: dict[str, list[Case]] = {}
    for case in _unlike((*shaped_cases(operators), *standard_cases(operators))):
        by_operator.setdefault(case.operator, []).append(case)
    return [case for cases in by_operator.values() for case in _spread(cases, each)]


def _spread(cases: list[Case], most: int) -> list[Case]:
    if len(cases) <= most:
        return cases
    return [cases[k * len(cases) // most] for k in range(most)]


def _unlike(cases: Iterable[Case]) -> Iterable[Case]:
    """Those that a table can tell from the ones before."""
    seen = set()
    for case in cases:
        operands = tuple((name, tensor.dtype, tensor.shape, tensor.const) for name, tensor in case.view.inputs.items())
        key = (case.operator, operands, tuple(sorted((name, repr(value)) for name, value in case.view.attributes.items())))
        if key not in seen:
            seen.add(key)
            yield case


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedCase:
    """A case and what the runtime made of it."""

    case: Case
    fault: str
    """Why the runtime cannot be trusted with it, "" where it takes it and computes it right."""


def probe_cases(
    adapter: Adapter, words: Sequence[str], cases: Sequence[Case], *, seconds: float, tell: Callable[[str], None], steps: int = 0
) -> Iterator[ProbedCase]:
    """The cases in their order, each with its fault, until `seconds` have passed; a batch under way then is still finished. steps: of a
    grid, by which integers may be off."""
    start = time.monotonic()
    for first in range(0, len(cases), AT_ONCE):
        some = cases[first : first + AT_ONCE]
        if first and time.monotonic() - start > seconds:
            tell(f"{seconds:g} s have passed: {len(cases) - first} of {len(cases)} cases were not probed")
            return
        tell(f"probe {adapter.name}: {first + 1} to {first + len(some)} of {len(cases)}")
        for case, tried in zip(some, try_models(adapter, words, [(case.model, case.inputs) for case in some], EACH), strict=True):
            yield ProbedCase(case=case, fault=fault(case.model, case.inputs, tried, steps=steps))
