"""A model that is loaded and simplified once, and planned again for every target that is asked about."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from ...passes.place.placed import Placement
from ...targets.collection import no_collection
from ...targets.model import Target
from ..driver.job import Job, Progress
from ..load.bind_shapes import Shapes
from ..load.load_model import LoadedModel
from ..pipeline.rules import library_of
from ..pipeline.run_passes import PassOptions, run_passes
from ..pipeline.work import Work
from ..plan.check_objective import check_objective
from ..plan.plan_model import PlannedModel, Unplanned, plan_work, rules_for, start
from .outcome import Outcome, outcome_of

SHARED = "simplify"
"""The last pass that asks nothing of the target."""
NO_RULE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model before the first pass that knows the target."""

    loaded: LoadedModel
    work: Work


def prepare(model: Path, target: Target, shapes: Shapes, effort: float, progress: Progress | None = None) -> Prepared:
    """Raises UserError for a model that cannot be loaded, or has dims without a size. `target` is that of the first plan: nothing of it
    stays but in the message about such dims."""
    job = Job(model, target, shapes, progress, None)
    loaded = job.load()
    with no_collection():
        work = start(loaded, target, effort)
        run_passes(work, job.clock.stage, until=SHARED)
    return Prepared(loaded, work)


def plan_for(prepared: Prepared, target: Target, objective: str) -> Outcome:
    """The plan that `compile` would try first for the target, or a slower one that keeps its limits; where none does, the one that breaks
    them and why. What only a bundle shows (its size, its accuracy) is not known. Raises UserError for an objective that the target
    states too little for."""
    check_objective(objective, target)
    problem, breaking = "", None
    waiting: list[Placement | None] = [None]
    while waiting:
        with no_collection():
            planned = _planned(prepared, target, objective, waiting.pop(0))
        if isinstance(planned, PlannedModel):
            return outcome_of(planned)
        problem, breaking = problem or planned.problem.message, breaking or planned.breaking
        waiting.extend(planned.others)
    return Outcome(problem=problem) if breaking is None else outcome_of(breaking, problem)


def _planned(prepared: Prepared, target: Target, objective: str, plan: Placement | None) -> PlannedModel | Unplanned:
    rules, families = rules_for(target, NO_RULE)
    formulas = tuple(library_of(target).formulas)
    work = replace(prepared.work.copy(), target=target, substitutes=rules, families=families, plan=plan, objective=objective)
    work.formulas = formulas
    return plan_work(prepared.loaded, work, lambda name: nullcontext(), PassOptions(objective=objective), SHARED)
