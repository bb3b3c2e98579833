"""A step of a decoder can be written in several ways (compiler/state/ways.py). Those that may be of use are compiled, and the fastest plan
is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ....passes.place.objectives import LATENCY
from ...bundle.state_record import WayRecord
from ...errors import Infeasible, ModelError, SearchEnded, TargetError, UserError
from ...state.fixed_models import FixedModel
from ...state.ways import PLACED, WAYS, WayName
from ..result import CompileResult


def faster_way(step: FixedModel, compiled: Callable[..., CompileResult], place: Path) -> CompileResult:
    """compiled: takes a model and the folder of its bundle, as `output`; place: beside which that lies. The result has what became of each
    way. Raises what compiling raises where no way can be compiled, of the last one."""
    results: dict[str, CompileResult] = {}
    problems: dict[str, UserError] = {}
    for way, model in step.written.items():
        try:
            results[way] = compiled(model, output=place.with_name(f"{place.name}.{way}"))
        except (Infeasible, TargetError, ModelError, SearchEnded) as found:
            problems[way] = found
    if not results:
        raise list(problems.values())[-1]
    best = min(results, key=lambda way: _price(results[way]))
    said = {**step.refused, **{way: f"it does not compile: {problem.message}" for way, problem in problems.items()}}
    ways = tuple(_record(way, results.get(way), said.get(way, ""), best) for way in WAYS if way != PLACED or PLACED in step.written)
    notes = (f"entry {place.name}: another way to write its attention does not compile: {one.message}" for one in problems.values())
    return replace(results[best], ways=ways, notes=(*results[best].notes, *notes))


def _record(way: WayName, result: CompileResult | None, reason: str, best: str) -> WayRecord:
    seconds, cost = (None, None) if result is None else (result.predicted.latency, _price(result))
    return WayRecord(name=way, taken=way == best, seconds=seconds, cost=cost, reason=reason)


def _price(result: CompileResult) -> float:
    """In the unit of what the plan was chosen for."""
    placement = result.work.placement
    assert placement is not None, "it has been compiled"
    return result.predicted.latency if result.work.objective == LATENCY else placement.solution.price.cost
