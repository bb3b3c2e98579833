"""What to change in a target whose limits no plan keeps: every change is written into a copy of its text and compiled before it is
printed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...passes.rule.rewrite import Rewrite
from ...targets.model import Target
from ..bundle.manifest import LimitRecord
from ..errors import Infeasible, UserError
from ..hw.amended_target import amended_target
from ..hw.bounds import bounds_of, permitted
from ..pipeline.run_passes import PassOptions
from ..plan.plan_model import PlannedModel, plan_model
from ..relax.search import all_together
from ..relax.search import search as search_for_relaxations
from ..relax.texts import sentences
from ..relax.trial import Outcome, Relaxation, Trials, changed
from .attempt import Attempt
from .search import search
from .search_budget import Meter
from .state import State

PLANS, BUNDLES = 160, 24
"""Compilations at most that are only predicted, and whole ones."""
EXPLORING = 0.1
"""Of the effort, for compilations that are only predicted: what they find is compiled with all of it."""
LAST_BUNDLES = 3
"""Compilations beyond those, so that there is an answer."""
PROBES = (0.5, 0.1, 0.9)
LEAST_SECONDS, TIMES = 15.0, 3.0
"""No further compilation begins after so many processor seconds, or so many times what was spent until the limits were broken."""


def processor_seconds() -> float:
    """Of this process and of those that it waited for: a runtime's compiler is one."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@dataclass(frozen=True, slots=True)
class Advisor:
    """What an attempt of a compilation came to, asked again for other targets."""

    attempt: Attempt
    first: State
    rules: Sequence[Rewrite]
    begun: float
    """By `processor_seconds`."""

    def advised(self, problem: Infeasible) -> Infeasible:
        """The same problem with the changes that would do."""
        job = self.attempt.job
        with job.clock.stage("look for a change that would do"):
            end = processor_seconds() + max(LEAST_SECONDS, TIMES * (processor_seconds() - self.begun))
            plans = Trials(self.planned, PLANS, lambda: self._late(end), PROBES)
            bundles = Trials(self.built, BUNDLES, lambda: self._late(end), wobble=1e-3)
            found, free = search_for_relaxations(job.target, plans, bundles, self.written)
            cut, smallest = plans.cut or bundles.cut, bool(found)
            if not found and cut and free.values is not None:
                found = all_together(job.target, free.values, Trials(self.built, LAST_BUNDLES), self.written)
        texts = sentences(found, free, cut, smallest)
        return Infeasible(problem.resource, problem.demand, problem.limit, texts, message=problem.message, where=problem.where)

    def _late(self, end: float) -> bool:
        return processor_seconds() > end or bool(self.attempt.meter.late())

    def planned(self, target: Target) -> Outcome:
        """The fastest plan for the target, or a slower one, as far as it is predicted."""
        job, constraints = self.attempt.job.retargeted(target), self.first.constraints
        options = PassOptions(
            without=constraints.without,
            inserted=self.attempt.own,
            objective=self.attempt.objective,
            any_fitting=all(limit.kind == "memory" for limit in target.limits),  # else the fastest plan is the one to ask about
        )
        waiting = [constraints.plan]
        problem = ""
        while waiting:
            try:
                made = plan_model(
                    job.load(), target, EXPLORING * self.attempt.effort, job.clock.stage, options, waiting.pop(0), diagnose=False
                )
            except UserError as error:
                return Outcome(None, problem or error.message)
            if isinstance(made, PlannedModel):
                return Outcome(_values(made.limits))
            problem = problem or made.problem.message
            waiting.extend(made.others)
        return Outcome(None, problem)

    def built(self, target: Target) -> Outcome:
        """The whole compilation, into a folder that goes."""
        attempt = self.attempt
        with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:
            meter = Meter(attempt.meter.budget)
            again = replace(
                attempt,
                job=attempt.job.retargeted(target),
                out=Path(folder) / "bundle",
                verifier=None,
                watchers=(),
                meter=meter,
                tell=lambda message: None,
                diagnose=False,
            )
            try:
                result = search(again, self.first, self.rules, meter, again.tell)
            except UserError as problem:
                return Outcome(None, problem.message)
            return Outcome(_values(result.manifest.limits))

    def written(self, target: Target, relaxation: Relaxation) -> tuple[Target, Relaxation] | None:
        """The target read from a copy of its text with the changes, each written with as few digits as hold what is needed."""
        spelt = [list(change.bound.spellings(change.value)) for change in relaxation]
        for digits in range(max(map(len, spelt), default=0)):
            chosen = [texts[min(digits, len(texts) - 1)] for texts in spelt]
            new = tuple(replace(change, statement=text) for change, (_, text) in zip(relaxation, chosen, strict=True))
            made = self._read(target, new, [value for value, _ in chosen])
            if made is not None:
                return made, new
        return None

    def _read(self, target: Target, relaxation: Relaxation, allowed: Sequence[float]) -> Target | None:
        """None where the language refuses it, or reads it as something tighter than what is needed."""
        file = self.attempt.job.target_file
        if file is None:
            made = changed(target, [replace(change, value=value) for change, value in zip(relaxation, allowed, strict=True)])
            return made if permitted(made) else None
        read = amended_target(file, target, [(change.bound.block, change.statement) for change in relaxation])
        values = {} if read is None else {bound.key: bound for bound in bounds_of(read)}
        return None if any(c.bound.key in values and values[c.bound.key].beyond(c.value) for c in relaxation) else read


def _values(limits: Sequence[LimitRecord]) -> dict[tuple[str, str], float]:
    return {(limit.kind, limit.subject): limit.value for limit in limits if limit.value is not None}
