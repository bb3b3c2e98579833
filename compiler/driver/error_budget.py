"""Spend the target's error limits: take the cheapest approximations, measure the whole model, and tighten until the limits hold.

Bounds are proved for every site alone; what they do to the whole model is only known once it runs. Where the measured error breaks
an `error` or `accuracy` limit, the form whose sites' bounds add up to most is given up with all forms that are no tighter, and the
model is placed again: the next tighter form, and in the end an exact one or another device, takes over. Each step is a decision of
the bundle. Nothing is tightened that could not be measured.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ...passes.rule.rewrite import Decision, Rewrite
from ..bundle.manifest import BoundRecord, LimitRecord
from ..errors import Infeasible, TargetError, UserError, VerifyError

RULE = "error_budget"
Result = TypeVar("Result")


class OverBudget(VerifyError):
    """The bundle computes its model, but less exactly than the target's limits want (or than is sane, where it states none);
    `bounds` are its approximated sites."""

    def __init__(self, reasons: Sequence[str], limits: Sequence[LimitRecord], bounds: Sequence[BoundRecord], *, where: str) -> None:
        """reasons: what is off by more than approximations should make it, besides limits of the target."""
        super().__init__("; ".join((*map(measured_against, limits), *reasons)), where=where)
        self.limits, self.bounds = tuple(limits), tuple(bounds)


@dataclass(frozen=True, slots=True)
class Step:
    """Rules given up, and the decision that says why."""

    rules: frozenset[str]
    decision: Decision


Attempt = Callable[[frozenset[str], tuple[Decision, ...]], Result]
"""Compiles without the rules of these names and writes these decisions down."""


def within_budget(attempt: Attempt[Result], without: frozenset[str], rules: Sequence[Rewrite]) -> Result:
    """The first attempt that keeps the limits. Raises Infeasible with the measured value where even exact forms break one, or where
    an approximation that breaks it is all that the devices have (VerifyError where the target states no limit); and whatever else
    `attempt` raises. `rules`: all of the compilation."""
    steps: list[Step] = []
    over: OverBudget | None = None
    while True:
        try:
            return attempt(without, tuple(step.decision for step in steps))
        except OverBudget as problem:
            over = problem
            step = tighter(problem, rules)
            if step is None:
                how = f"with {_used(problem)}" if problem.bounds else "with no approximation left"
                raise _infeasible(problem, how) from None
        except (TargetError, Infeasible) as problem:
            if over is None:
                raise
            raise _infeasible(over, f"with {_used(over)}; without {steps[-1].decision.site}: {problem.message}") from problem
        steps.append(step)
        without |= step.rules


def tighter(problem: OverBudget, rules: Sequence[Rewrite]) -> Step | None:
    """What to give up next; None where no approximation was taken. `rules`: all of the compilation."""
    known = {rule.name: rule for rule in rules}
    taken = Counter(record.rule for record in problem.bounds if record.bound > 0 and record.rule in known)  # a user's pass is not ours
    if not taken:
        return None
    worst = known[max(taken, key=lambda name: (taken[name] * known[name].contract.absolute, name))]
    bound = worst.contract.absolute
    looser = frozenset(
        rule.name
        for rule in rules
        if rule.contract.kind == "bounded" and rule.contract.absolute >= bound and not set(rule.operators).isdisjoint(worst.operators)
    )
    sites = f"{taken[worst.name]} site{'s' if taken[worst.name] > 1 else ''}"
    reason = f"{problem.message} with {worst.name} at {sites} (each proved within {bound:.3g}): only forms tighter than that from here on"
    return Step(looser, Decision(RULE, worst.name, "", False, reason, bound, "bounded"))


def measured_against(limit: LimitRecord) -> str:
    """`error abs: measured 0.013, and the target allows <= 0.001`."""
    return f"{limit.kind} {limit.subject}: measured {limit.value:.4g}, and the target allows {limit.comparison} {limit.text}"


def _used(problem: OverBudget) -> str:
    return ", ".join(sorted({record.rule for record in problem.bounds})) or "no approximation"


def _infeasible(problem: OverBudget, how: str) -> UserError:
    if not problem.limits:
        return VerifyError(f"the bundle differs from the model: {problem.message}, {how}", where=problem.where)
    first = problem.limits[0]
    levers = tuple(f"the smallest change to the target that would do is {x.kind} {x.subject} {_enough(x)}" for x in problem.limits)
    message = f"{problem.message}, {how}"
    return Infeasible(f"{first.kind} {first.subject}", first.value or 0.0, first.limit, levers, message=message, where=first.origin)


def _enough(limit: LimitRecord) -> str:
    """A limit of three digits that the measured value keeps, on its safe side."""
    value = limit.value or 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2) if value else 1.0
    below = limit.comparison.startswith("<")
    safe = (math.ceil if below else math.floor)(value / unit) * unit
    return f"{'<=' if below else '>='} {safe:.3g}"
