"""Which cases to put to a runtime: an even sample of each operator's."""

from __future__ import annotations

from collections.abc import Iterable

from ...targets.operators import operator_names
from ..errors import UsageError, did_you_mean
from .case import Case
from .shaped_cases import shaped_cases
from .standard_cases import standard_cases


def chosen_operators(listed: str) -> frozenset[str]:
    """ "Conv,Gelu" as operators; every known one for "". Raises UsageError for one that there is not."""
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
