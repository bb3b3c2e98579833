"""One bundle of several entries: the model compiled for each of several sizes, with caches that stay where it is a decoder."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from ....targets.model import Target
from ...bundle.signature import signing_key
from ...emit.emit import check_output
from ...emit.join_entries import Part
from ...errors import UsageError
from ...hw.load_target import load_target
from ...kept_places import KeptPlaces
from ...load.bind_shapes import Shapes
from ...load.source import Model, Source, beside, source_of
from ...precision.asked_accuracy import NOTHING, AskedAccuracy
from ...precision.request import PrecisionRequest, check_measurable
from ...state.fixed_models import FixedModels, fixed_models
from ...state.replaced import replaced_states
from ...state.request import StateRequest
from ...state.ways import ways_of
from ...verify.required import requirement_of
from ..compile_model import compile_model, repro_folder
from ..crash import crash_saved
from ..job import Clock, Progress
from ..resident_weights import check_resident_with, resident_budget, with_resident
from ..result import CompileResult
from .compile_memory import weights_in_file
from .entries_ahead import check_memory_of_entries
from .faster_way import faster_way
from .publish_entries import Judging, Made, Wrapping, publish_entries
from .result import EntriesResult
from .shared_precision import shared_precision
from .whole_limits import about_entry, with_whole_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An entry that is to be made."""

    shapes: Shapes
    """Of its dims."""
    tokens: int | None = None
    """That a run takes, of a decoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What stays in the arena from run to run."""

    states: tuple[tuple[str, str], ...] = ()
    """Inputs, and the outputs that take their place."""
    fixed: FixedModels | None = None
    """The steps, where the states are caches that grow."""


@weights_in_file()
def compile_entries(
    model: Model,
    target: str | PathLike[str] | Target,
    entries: Mapping[str, Asked],
    *,
    state: StateRequest | None = None,
    shapes: Shapes | None = None,
    precision: PrecisionRequest | None = None,
    accuracy: AskedAccuracy = NOTHING,
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
    """state: which inputs are caches, and how long they are; each entry is then a step of so many tokens. Without a length they are states
    that every run replaces. shapes: sizes that all entries share. precision: of the weights, which are written so once, for all entries;
    accuracy: how near to the model they have to be. The others are those of `compile_model`, which this raises the errors of, too; then
    no bundle is written."""
    if not entries:
        raise UsageError("no entry is asked for", help="--bucket decode, or --bucket prefill=128 --bucket decode")
    source, machine = source_of(model), target if isinstance(target, Target) else load_target(target)
    budget = resident_budget(machine, resident)
    check_resident_with(machine, resident, compress=compress)
    machine = with_resident(machine, budget)
    wrapping = Wrapping(None if sign is None else signing_key(sign), compress, budget, machine)
    required = requirement_of(require_verified, verify)
    out = Path(output) if output is not None else beside(source, machine.name)
    check_output(out)
    clock, tell = Clock(progress or (lambda message: None)), progress or (lambda message: None)
    sizes = {name: {**(shapes or {}), **asked.shapes} for name, asked in entries.items()}
    check_measurable(accuracy, precision, verify, False, precision is not None and precision.data is not None)
    shared = shared_precision(source, machine, precision, accuracy, state, shapes or {}, clock)
    source = shared.compiled
    kept = _Kept() if state is None else _kept(source, machine, state, entries, sizes, shapes or {}, clock)
    common: dict[str, Any] = {"emulate": emulate, "progress": progress, "whole": False, **options}
    if precision is not None and precision.precision == "fp32":
        common["precision"] = precision
    with crash_saved(repro_folder(out)), tempfile.TemporaryDirectory(prefix="autoglmc-") as scratch:
        results: dict[str, CompileResult] = {}
        for name in entries:
            tell(f"entry {name}")
            own: dict[str, Any] = {"verify": verify, "require_verified": required}
            if kept.states:  # its steps are compared together
                own = {"verify": False, "kept": KeptPlaces(states=kept.states)}
            if kept.fixed is None:
                own["shapes"] = sizes[name]
            make, place = partial(compile_model, target=machine, **common, **own), Path(scratch) / name
            with about_entry(name, len(entries) if kept.states else 1):
                results[name] = make(model=source, output=place) if kept.fixed is None else faster_way(kept.fixed.steps[name], make, place)
        judging = Judging(verify, emulate, required)
        axes = None if kept.fixed is None else kept.fixed.axes
        parts = parts_of(entries, results, kept.fixed)
        made = Made(
            source=source,
            parts=parts,
            results=results,
            states=kept.states,
            axes=axes,
            dtype="" if state is None else state.dtype,
            finish=lambda manifest: with_whole_limits(shared.told(manifest), results, machine) if kept.states else shared.told(manifest),
            measured=shared.measured,
            compared=shared.compared,
            notes=shared.notes,
        )
        check_memory_of_entries(made, verify=verify)
        published = publish_entries(made, out, judging, wrapping, clock=clock, tell=tell)
    shared.save(precision)
    return published


def _kept(
    source: Source,
    machine: Target,
    state: StateRequest,
    entries: Mapping[str, Asked],
    sizes: Mapping[str, Shapes],
    shapes: Shapes,
    clock: Clock,
) -> _Kept:
    """sizes: of each entry; shapes: those that all share."""
    if state.length is None:
        with clock.stage("find states"):
            return _Kept(states=replaced_states(source, state, sizes))
    fixed = fixed_models(source, state, state.length, tokens_of(entries), shapes, clock.stage, ways_of(machine))
    return _Kept(states=fixed.states, fixed=fixed)


def tokens_of(entries: Mapping[str, Asked]) -> dict[str, int]:
    """Of a decoder's steps. Raises UsageError for an entry that does not say how many."""
    missing = next((name for name, asked in entries.items() if asked.tokens is None), None)
    if missing is not None:
        raise UsageError(f"the entry '{missing}' does not say how many tokens it takes", help=f"--bucket {missing}=16")
    return {name: asked.tokens or 1 for name, asked in entries.items()}


def parts_of(
    entries: Mapping[str, Asked], results: Mapping[str, CompileResult], fixed: FixedModels | None, model: str | None = None
) -> list[Part]:
    """Compiled entries as parts of one bundle; model: the name of their model, where the bundle has several."""
    parts = []
    for name, result in results.items():
        step = None if fixed is None else fixed.steps[name]
        sizes = {dim: size for dim, size in entries[name].shapes.items() if isinstance(size, int)}
        if fixed is not None and step is not None:
            sizes = {fixed.inputs.tokens: step.tokens}
        facts: dict[str, Any] = {"shapes": sizes, "tokens": step and step.tokens, "token_axes": {} if step is None else step.token_axes}
        parts.append(Part(name=name, folder=result.folder, manifest=result.manifest, model=model, ways=result.ways, **facts))
    return parts
