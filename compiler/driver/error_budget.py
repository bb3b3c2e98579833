"""Policy for a bundle over its error budget: disable the form whose bounds add up to most, and place the model again.

The cheapest approximations are taken first. Bounds are proved for every site alone; what they do to the whole model is only known once
it runs. Where the measured error breaks an `error` or `accuracy` limit, the form whose sites' bounds add up to most is disabled with
all forms that are no tighter: the next tighter form, and in the end an exact one or another device, takes over. Each step is a decision
of the bundle. Nothing is tightened that could not be measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...passes.rule.rewrite import Decision, Rewrite
from ..errors import Infeasible, UserError, VerifyError
from ..quantities import count
from .state import State
from .verdict import Inexact

RULE = "error_budget"


@dataclass(frozen=True, slots=True)
class Step:
    """Rules disabled, and the decision that says why."""

    rules: frozenset[str]
    decision: Decision


def tighter(state: State, verdict: Inexact, rules: Sequence[Rewrite]) -> State | None:
    """The state of the next attempt; None if no approximation is left to disable. `rules`: all of the compilation."""
    step = looser_forms(verdict, rules)
    if step is None:
        return None
    constraints = replace(state.constraints, forms=state.constraints.forms | step.rules, plan=None)
    return replace(
        state,
        constraints=constraints,
        steps=(*state.steps, step.decision),
        over=verdict,
        refused=(),
        waiting=(),
        change=f"without {step.decision.site}: {verdict.reason}",
    )


def looser_forms(verdict: Inexact, rules: Sequence[Rewrite]) -> Step | None:
    """What to disable next; None if no approximation was taken."""
    known = {rule.name: rule for rule in rules}  # a user's own pass is not among them: it is not ours to switch off
    taken = Counter(record.rule for record in verdict.bounds if record.bound > 0 and record.rule in known)
    if not taken:
        return None
    worst = known[max(taken, key=lambda name: (taken[name] * known[name].contract.absolute, name))]
    bound = worst.contract.absolute
    looser = frozenset(
        rule.name
        for rule in rules
        if rule.contract.kind == "bounded" and rule.contract.absolute >= bound and not set(rule.operators).isdisjoint(worst.operators)
    )
    sites = count(taken[worst.name], "site")
    reason = f"{verdict.reason} with {worst.name} at {sites} (each proved within {bound:.3g}): only forms tighter than that from here on"
    return Step(looser, Decision(RULE, worst.name, "", False, reason, bound, "bounded"))


def infeasible_exactly(verdict: Inexact) -> UserError:
    """What to raise if even exact forms break a limit."""
    return _infeasible(verdict, f"with {_used(verdict)}" if verdict.bounds else "with no approximation left")


def infeasible_without(verdict: Inexact, last: Decision, problem: UserError) -> UserError:
    """What to raise if the devices have nothing but the form disabled `last`, for this verdict."""
    return _infeasible(verdict, f"with {_used(verdict)}; without {last.site}: {problem.message}")


def _used(verdict: Inexact) -> str:
    return ", ".join(sorted({record.rule for record in verdict.bounds})) or "no approximation"


def _infeasible(verdict: Inexact, how: str) -> UserError:
    message = f"{verdict.reason}, {how}"
    if not verdict.limits:
        help = "say in the target's `limits` what is allowed, such as `error abs <= 1e-2;`" if verdict.bounds else ""
        return VerifyError(f"the bundle differs from the model: {message}", where=verdict.where, help=help)
    first = verdict.limits[0]
    where = ", ".join(dict.fromkeys(limit.origin for limit in verdict.limits))
    return Infeasible(f"{first.kind} {first.subject}", first.value or 0.0, first.limit, (), message=message, where=where)
