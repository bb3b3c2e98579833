"""Where no mixture of forms keeps a target's limits: how little of each would have to give, as a choice that was found and measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from ...passes.place.known_plans import known_assignments
from ...passes.precision.choose_forms import FormChoice, FormQuestion, OptionForms, choice_of, limited
from ...passes.solve.limits.conflict import Conflict, Least, conflict, least
from ...passes.solve.limits.limit_rows import ERROR
from ...passes.solve.problem import Problem
from ..errors import Infeasible
from ..quantities import amount

SHORT, USUAL = 0.05, 1.0
"""Of the solver's deterministic clock: for each of many questions, and for the plan that is told."""


def no_choice(
    question: FormQuestion, stated: tuple[Problem, OptionForms], most: float, measured: Callable[[FormChoice], float], cosine: float
) -> Infeasible:
    """What to raise where nothing keeps the limits with a loss of `most`: which limits contradict each other, and for each the least that
    it would have to be while the others hold. `measured`: the cosine of a choice, which has to be `cosine`; what is not is not told."""
    problem = limited(stated, most)
    clash = conflict(problem, SHORT)
    texts = tuple(_relaxations(question, stated, problem, clash, measured, cosine))
    names = [f"`{_name(name)}`" for name in clash.limits]
    together = f"{', '.join(names[:-1])} and {names[-1]} together" if len(names) > 1 else names[0] if names else "the limits"
    none = "no choice of devices and precisions keeps" if clash.proven else "no choice of devices and precisions was found that keeps"
    return Infeasible(clash.limits[0] if clash.limits else "placement", 0, 0, texts, message=f"{none} {together}")


def _relaxations(
    question: FormQuestion,
    stated: tuple[Problem, OptionForms],
    problem: Problem,
    clash: Conflict,
    measured: Callable[[FormChoice], float],
    cosine: float,
) -> Iterator[str]:
    for name in clash.limits:
        found = least(problem, name, known_assignments(problem), SHORT, USUAL)
        if found is None:
            continue
        got = measured(choice_of(question, stated, found.solution))
        if name == ERROR:
            yield f"`accuracy cosine >= {_down(got)}`"
        elif got >= cosine:
            yield f"`{_limit(name, found)}`"


def _limit(name: str, found: Least) -> str:
    kind = name.partition(" ")[0]
    if kind == "fps":
        return f"fps >= {amount(kind, 1 / found.value)}"
    return f"{name} <= {amount(kind, found.value)}"


def _name(name: str) -> str:
    return "accuracy cosine" if name == ERROR else name


def _down(cosine: float) -> str:
    """Rounded down to as many digits as tell it from 1."""
    digits = max(3, 2 - math.floor(math.log10(max(1 - cosine, 1e-9))))
    return f"{math.floor(cosine * 10**digits) / 10**digits:.{digits}g}"
