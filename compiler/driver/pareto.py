"""Plans of which none is better in everything: `--pareto latency,memory`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from ...passes.place.known_plans import other_placements
from ...passes.place.objectives import ENERGY, LATENCY, MEMORY
from ...passes.place.pareto import QUANTITIES, Point, front, undominated
from ...targets.model import Target
from ..errors import Infeasible, UsageError
from ..load.bind_shapes import Shapes
from ..load.source import Model, source_of
from ..pipeline.rules import check_rules
from ..pipeline.run_passes import PassOptions
from ..plan.check_objective import check_objective
from ..plan.plan_model import PlannedModel, plan_model
from .job import Job, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Points in the order of the first quantity."""

    quantities: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    """Predicted of the whole plan: seconds, bytes, joules; segments by device; `bundle` where one was written."""

    def as_json(self) -> dict[str, Any]:
        return {"pareto": list(self.quantities), "points": [dict(row) for row in self.rows]}


def quantities_of(text: str) -> tuple[str, ...]:
    """Raises UsageError for what is no list of two or three different quantities."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in QUANTITIES:
            help = f"two or three of {', '.join(QUANTITIES)}; accuracy is measured on a bundle, not known to the placement"
            raise UsageError(f"--pareto: {name!r} is not a quantity that plans are compared by", help=help)
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(f"--pareto {text}: two or three different quantities", help=f"for example --pareto {LATENCY},{MEMORY}")
    return names


def pareto_front(
    model: Model,
    target: str | PathLike[str] | Target,
    quantities: Sequence[str],
    *,
    shapes: Shapes | None = None,
    effort: float = 1.0,
    progress: Progress | None = None,
    disable: Iterable[str] = (),
) -> tuple[Front, tuple[Point, ...]]:
    """The front, and the placements behind its rows. Nothing is written. Raises what `compile_model` raises; Infeasible where no plan
    keeps the limits."""
    job = Job(source_of(model), target, shapes, progress, None)
    if ENERGY in quantities:
        check_objective(ENERGY, job.target)
    options = PassOptions(without=check_rules(disable, job.target))
    first = plan_model(job.load(), job.target, effort, job.clock.stage, options)
    if not isinstance(first, PlannedModel):
        raise first.problem
    assert first.work.question is not None
    with job.clock.stage("look for the front"):
        points = (*front(first.work.question, quantities, effort), *_others(first, quantities, effort))
    made = []
    for point in points:
        planned = plan_model(job.load(), job.target, effort, job.clock.stage, options, point.placement)
        if isinstance(planned, PlannedModel):
            made.append((replace(point, values=_values(planned, quantities)), _row(planned)))
    if not made:
        raise Infeasible("placement", 0, 0, (), message="no plan of the front keeps the limits of the target once its memory is planned")
    rows = {id(point): row for point, row in made}
    kept = sorted(undominated([point for point, _ in made]), key=lambda point: point.values)
    return Front(quantities=tuple(quantities), rows=tuple(rows[id(point)] for point in kept)), tuple(kept)


def _others(first: PlannedModel, quantities: Sequence[str], effort: float) -> tuple[Point, ...]:
    """Known plans, where memory counts: the placement knows a bound on their bytes, below which one may need less than another whose bound
    is lower."""
    question, placement = first.work.question, first.work.placement
    if MEMORY not in quantities or question is None or placement is None:
        return ()
    return tuple(Point(other, ()) for other in other_placements(question, placement, effort))


def _values(planned: PlannedModel, quantities: Sequence[str]) -> tuple[float, ...]:
    found = planned.predicted
    each = {LATENCY: found.latency, MEMORY: float(found.memory), ENERGY: found.joules or 0.0}
    return tuple(each[name] for name in quantities)


def _row(planned: PlannedModel) -> dict[str, Any]:
    found = planned.predicted
    return {LATENCY: found.latency, MEMORY: found.memory, ENERGY: found.joules, "segments": dict(found.pieces)}
