"""Why operators of several entries are where they are, before anything is compiled: each entry planned as `compile` would plan it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from ...targets.model import Target
from ..errors import UserError
from ..load.bind_shapes import Shapes
from ..load.source import Source
from ..state.fixed_models import FixedModel, fixed_models
from ..state.replaced import replaced_states
from ..state.request import StateRequest
from ..state.ways import PLACED, WAYS, ways_of
from .as_json import as_json
from .explain_model import Why, explain_model

Explain = Callable[..., Why]
"""`explain_model` of a model, with all that entries have in common."""
TELL = "explaining entry "


def explain_entries(
    model: Source,
    target: Target,
    entries: Mapping[str, Shapes],
    *,
    tokens: Mapping[str, int] | None = None,
    state: StateRequest | None = None,
    shapes: Shapes | None = None,
    tell: Callable[[str], None] = lambda message: None,
    **options: Any,
) -> dict[str, Any]:
    """Plain data: model, target, entries (by name, what `as_json` says of each, and `ways` and `tokens` of a decoder's step), states (pairs
    of names). entries: sizes of dims by entry; tokens: of a run, by entry, where `state` has a length. options: of `explain_model`.

    Raises as that and `fixed_models`; of a decoder's step, what the last way raises where none can be explained."""
    common, found = dict(shapes or {}), dict[str, Any]()
    if state is None or state.length is None:
        pairs = () if state is None else replaced_states(model, state, {name: {**common, **sizes} for name, sizes in entries.items()})
        for name, sizes in entries.items():
            tell(f"{TELL}{name}")
            found[name] = as_json(explain_model(model, target, shapes={**common, **sizes}, **options)) | {"tokens": None, "ways": []}
    else:
        fixed = fixed_models(model, state, state.length, tokens or {}, common, lambda name: nullcontext(), ways_of(target))
        pairs = fixed.states
        for name, step in fixed.steps.items():
            tell(f"{TELL}{name}")
            found[name] = _step(step, target, options) | {"tokens": step.tokens}
    return {"model": str(model), "target": target.name, "states": [list(pair) for pair in pairs], "entries": found}


def _step(step: FixedModel, target: Target, options: Mapping[str, Any]) -> dict[str, Any]:
    """Of the way with the faster plan, or where none has a plan, of the first one."""
    whys: dict[str, Why] = {}
    reasons = dict(step.refused)
    problem: UserError | None = None
    for way, model in step.written.items():
        try:
            whys[way] = explain_model(model, target, **options)
        except UserError as refused:
            problem, reasons[way] = refused, refused.message
    if not whys:
        assert problem is not None, "a step is written in one way at least"
        raise problem
    best = min(whys, key=lambda way: _seconds(whys[way]))
    ways = [_way(way, whys.get(way), best, reasons.get(way, "")) for way in WAYS if way != PLACED or PLACED in step.written]
    return as_json(whys[best]) | {"ways": ways}


def _seconds(why: Why) -> float:
    return float("inf") if why.plan.total is None else why.plan.total


def _way(name: str, why: Why | None, best: str, reason: str) -> dict[str, Any]:
    """As a WayRecord."""
    seconds = None if why is None else why.plan.total
    lost = "there is no plan: an operator has no device, or a limit is broken" if why is not None and seconds is None else ""
    return {"name": name, "taken": name == best, "seconds": seconds, "cost": seconds, "reason": reason or lost}
