"""A step of a decoder can be written in two ways: attention that extends its caches, which few runtimes have, or operators that any device
may have, whose new rows the session puts into the caches. Both are compiled where both may be of use, and the faster plan is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ....passes.place.objectives import LATENCY
from ....targets.model import Target
from ....targets.support import lists
from ...errors import Infeasible, ModelError, SearchEnded, TargetError, UserError
from ...state.fixed_models import APPENDED, EXTENDED, SPLIT, FixedModel, Ways
from ..result import CompileResult

EXTENDS = "com.microsoft::GroupQueryAttention"


def ways_of(target: Target) -> Ways:
    """Those that may be the faster one for an entry on the devices of the target."""
    others = [device for device in target.devices if not lists(device, EXTENDS)]
    names = (*([EXTENDED] if len(others) < len(target.devices) else []), *([APPENDED] if others else []))
    whole = {operator for operator in SPLIT if any(lists(device, operator) for device in others)}
    return Ways(names=names, whole=frozenset(whole))


def faster_way(step: FixedModel, compiled: Callable[..., CompileResult], place: Path) -> CompileResult:
    """compiled: takes a model and the folder of its bundle, as `output`; place: beside which that lies. Raises what compiling raises where
    no way can be compiled, of the last one."""
    results: list[CompileResult] = []
    problems: list[UserError] = []
    for way, model in step.written.items():
        try:
            results.append(compiled(model, output=place.with_name(f"{place.name}.{way}")))
        except (Infeasible, TargetError, ModelError, SearchEnded) as found:
            problems.append(found)
    if not results:
        raise problems[-1]
    best = min(results, key=_price)
    notes = (f"entry {place.name}: the other way to write its attention does not compile: {problem.message}" for problem in problems)
    return replace(best, notes=(*best.notes, *notes))


def _price(result: CompileResult) -> float:
    """In the unit of what the plan was chosen for."""
    placement = result.work.placement
    assert placement is not None, "it has been compiled"
    return result.predicted.latency if result.work.objective == LATENCY else placement.solution.price.cost
