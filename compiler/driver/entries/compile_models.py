"""One bundle of several models: each with entries of its own, in one arena, in which one model writes what another one reads."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from ....targets.model import Target
from ...bundle.manifest import Manifest
from ...bundle.signature import signing_key
from ...emit.emit import check_output
from ...emit.join_entries import Part
from ...emit.join_links import LinkPlan
from ...hw.load_target import load_target
from ...kept_places import KeptPlaces
from ...load.bind_shapes import Shapes
from ...load.source import Model, Source, beside, source_of
from ...state.fixed_models import FixedModel, FixedModels
from ...state.request import StateRequest
from ...verify.required import requirement_of
from ..compile_model import compile_model, repro_folder
from ..crash import crash_saved
from ..job import Clock, Progress
from ..resident_weights import check_resident_with, resident_budget, with_resident
from ..result import CompileResult
from .compile_entries import Asked, parts_of, tokens_of
from .compile_memory import weights_in_file
from .entries_ahead import check_memory_of_entries
from .faster_way import faster_way
from .linked_shapes import Sized
from .publish_entries import Judging, Made, Wrapping, publish_entries
from .result import EntriesResult
from .several_models import SeveralModels, link_plans, readers_of, several_models, sized_models, steps_of
from .whole_limits import about_entry, in_turn, with_whole_limits

Compile = Callable[..., CompileResult]
"""Of an entry's name, its model, what it keeps, and options of its own."""


@weights_in_file()
def compile_models(
    models: Mapping[str, Model],
    target: str | PathLike[str] | Target,
    *,
    links: Sequence[str] = (),
    entries: Mapping[str, Asked] | None = None,
    state: StateRequest | None = None,
    shapes: Shapes | None = None,
    output: str | PathLike[str] | None = None,
    verify: bool = True,
    emulate: bool = False,
    require_verified: str | None = None,
    progress: Progress | None = None,
    sign: str | PathLike[str] | None = None,
    compress: bool = False,
    resident: int | None = None,
    **options: Any,
) -> EntriesResult:
    """models: by name. links: "vision.features=decoder.inputs_embeds@image" (link_request.py), outputs of models that are inputs of one:
    that with states, where there is one. state, entries: caches of that model and its steps, as in `compile_entries`; the other models
    have an entry for each size that is read from them. shapes: sizes of dims, for every model that has them. The others are those of
    `compile_model`, which this raises the errors of, too; then no bundle is written."""
    judging = Judging(verify, emulate, requirement_of(require_verified, verify))
    machine = target if isinstance(target, Target) else load_target(target)
    budget = resident_budget(machine, resident)
    check_resident_with(machine, resident, compress=compress)
    machine = with_resident(machine, budget)
    wrapping = Wrapping(None if sign is None else signing_key(sign), compress, budget, machine)
    given = several_models({name: source_of(model) for name, model in models.items()}, links, state, shapes or {})
    out = Path(output) if output is not None else beside(given.source, machine.name)
    check_output(out)
    clock, tell, asked = Clock(progress or _silent), progress or _silent, entries or {given.main: Asked(shapes={})}
    fixed = None
    if state is not None:
        fixed = steps_of(given, state, tokens_of(asked), machine, clock.stage)
    with crash_saved(repro_folder(out)), tempfile.TemporaryDirectory(prefix="autoglmc-") as scratch:

        def compiled(name: str, model: Source | FixedModel, kept: KeptPlaces, **own: Any) -> CompileResult:
            tell(f"entry {name}")
            common = {**options, **own, "kept": kept, "whole": False, "emulate": emulate, "progress": progress}
            make, place = partial(compile_model, target=machine, **common), Path(scratch) / name
            with about_entry(name, len(given.sources)):
                return faster_way(model, make, place) if isinstance(model, FixedModel) else make(model=model, output=place)

        made = _made(given, asked, fixed, compiled, {"verify": verify, "require_verified": judging.required}, machine)
        check_memory_of_entries(made, verify=verify)
        return publish_entries(made, out, judging, wrapping, clock=clock, tell=tell)


def _silent(message: str) -> None:
    pass


def _made(
    given: SeveralModels,
    asked: Mapping[str, Asked],
    fixed: FixedModels | None,
    compiled: Compile,
    judged: Mapping[str, Any],
    machine: Target,
) -> Made:
    """All entries compiled, the main model's first: where it reads what others write, those have to write it."""
    readers = readers_of(given, fixed)
    plans = link_plans(given, readers)
    sized = sized_models(given, readers, asked)
    results = _main_results(given, asked, fixed, plans, compiled, judged)
    places, begin = _kept_by(next(iter(results.values())).manifest, fixed, plans)
    parts = parts_of(asked, results, fixed, given.main)
    for name, each in sized.items():
        placed = tuple((plan.output, places[plan.input]) for plan in plans if plan.model == name and plan.aligned)
        kept = KeptPlaces(placed=placed, begin=begin)
        for entry, one in each.items():
            result = compiled(entry, given.sources[name], kept, shapes={**given.shapes[name], **one.shapes}, **judged)
            parts.append(_part(entry, name, one, result))
            results[entry] = result
    return Made(
        source=given.source,
        parts=parts,
        results=results,
        states=() if fixed is None else fixed.states,
        axes=None if fixed is None else fixed.axes,
        dtype="" if fixed is None else fixed.dtype,
        links=plans,
        sources=given.sources,
        finish=lambda manifest: with_whole_limits(manifest, results, machine),
        in_turn=lambda manifest: in_turn(manifest, results, machine),
    )


def _main_results(
    given: SeveralModels,
    asked: Mapping[str, Asked],
    fixed: FixedModels | None,
    plans: Sequence[LinkPlan],
    compiled: Compile,
    judged: Mapping[str, Any],
) -> dict[str, CompileResult]:
    rooms = tuple({plan.input: plan.bytes for plan in plans}.items())
    if fixed is None:
        shapes = given.shapes[given.main]
        return {name: compiled(name, given.source, KeptPlaces(rooms=rooms), shapes=shapes, **judged) for name in asked}
    kept = KeptPlaces(states=fixed.states, rooms=rooms)  # its steps are compared together
    return {name: compiled(name, fixed.steps[name], kept, verify=False) for name in asked}


def _kept_by(manifest: Manifest, fixed: FixedModels | None, plans: Sequence[LinkPlan]) -> tuple[dict[str, int], int]:
    """Where linked inputs lie in an entry of the main model, and where what it keeps ends."""
    values = (*manifest.model.inputs, *manifest.model.outputs)
    slots = {value.name: manifest.arena.slots[value.slot] for value in values if value.slot is not None}
    places = {plan.input: slots[plan.input].offset for plan in plans}
    ends = [places[plan.input] + plan.bytes for plan in plans]
    ends += [slots[name].offset + slots[name].bytes for pair in (() if fixed is None else fixed.states) for name in pair]
    return places, max(ends)


def _part(entry: str, model: str, sized: Sized, result: CompileResult) -> Part:
    axes = sized.token_axes if sized.tokens is not None else {}
    return Part(
        name=entry,
        folder=result.folder,
        manifest=result.manifest,
        shapes=sized.shapes,
        tokens=sized.tokens,
        token_axes=axes,
        model=model,
    )
