"""Several functions of one .aimodel: a model for several sizes, or the steps of a decoder, whose caches are the program's states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...passes.mapped.mapped_tensor import inline_all
from ..errors import UsageError
from ..inputs.samples import Given, samples_of
from ..load.bind_shapes import Shapes
from ..load.metadata import metadata_of
from ..load.read_model import peek_model
from ..load.source import Source
from ..load.weights import model_sha256
from ..state.fixed_models import FixedModels, fixed_models
from ..state.replaced import replaced_states
from ..state.request import StateRequest
from ..state.ways import Ways
from ..verify.terms import ONE_BY_ONE
from . import core_ai_asset
from .exported import Exported
from .in_folder import in_folder
from .parity import Parity, joined, parity
from .prepare import Prepared, prepare
from .step_parity import step_parity

if TYPE_CHECKING:
    import onnx

Tell = Callable[[str], None]
NOT_COMPARED = "--no-verify"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A function that is asked for."""

    shapes: Shapes = field(default_factory=dict)
    """Of its dims."""
    tokens: int | None = None
    """That a step takes, of a decoder with caches that grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """The functions of a file, by name, and which inputs are its states."""

    wanted: Mapping[str, Wanted]
    state: StateRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Functions:
    """Ready to be written."""

    source: Source
    prepared: Mapping[str, Prepared]
    states: Mapping[str, str] = field(default_factory=dict)
    """The outputs that take their place, by input."""
    fixed: FixedModels | None = None
    """The steps, where the states are caches that grow."""

    def facts(self) -> dict[str, Any]:
        """By function, for the file's metadata and --json."""
        found = {}
        for name, prepared in self.prepared.items():
            tokens = {} if self.fixed is None else {"tokens": self.fixed.steps[name].tokens, "max_length": self.fixed.length}
            found[name] = {"operators": len(prepared.model.graph.node), "states": dict(self.states), **tokens}
        return found


def export_functions(
    source: Source, output: Path, entries: Entries, shapes: Shapes, inputs: Given | None, verify: bool, tell: Tell
) -> Exported:
    """shapes: sizes that all functions share. Raises as `export_model`, and UsageError for what --state or --bucket cannot mean."""
    if samples_of(inputs):
        what = f"the file has the functions {', '.join(entries.wanted)}: --inputs fit one of them at most"
        raise UsageError(what, help="leave --inputs out: it is compared on generated ones")
    tell("load")
    functions = _prepared(source, entries, shapes, tell)
    tell("convert")
    (made, size) = in_folder(output, lambda folder: _write(functions, folder, tell if verify else None))
    each = list(functions.prepared.values())
    return Exported(
        path=output,
        format="aimodel",
        layout="nchw",
        operators=sum(len(prepared.model.graph.node) for prepared in each),
        source_operators=each[0].operators,
        bytes=size,
        parity=made,
        unverified="" if verify else NOT_COMPARED,
        notes=tuple(dict.fromkeys((*(note for one in each for note in one.notes), *((core_ai_asset.NOTE,) if verify else ())))),
        functions=functions.facts(),
    )


def _prepared(source: Source, entries: Entries, shapes: Shapes, tell: Tell) -> _Functions:
    @contextmanager
    def stage(name: str) -> Iterator[None]:
        tell(name)
        yield

    sizes = {name: {**shapes, **wanted.shapes} for name, wanted in entries.wanted.items()}
    state = entries.state
    if state is None or state.length is None:
        states = {} if state is None else dict(replaced_states(source, state, sizes))
        prepared = {name: prepare(source, given, core_ai_asset.WHOLE) for name, given in sizes.items()}
        return _Functions(source=source, prepared=prepared, states=states)
    tokens = {name: wanted.tokens or 1 for name, wanted in entries.wanted.items()}
    fixed = fixed_models(source, state, state.length, tokens, shapes, stage, Ways(others=False))
    if fixed.inputs.replaced:
        what = f"the state '{fixed.inputs.replaced[0].past}' is replaced by every step, beside caches that grow"
        raise UsageError(what, where=str(source), help="compile a bundle for a target: its session keeps both")
    model, _ = peek_model(source)
    metadata, dropped = metadata_of(model)
    facts: dict[str, Any] = {"sha256": model_sha256(source), "operators": len(model.graph.node), "metadata": metadata, "notes": dropped}
    for step in fixed.steps.values():
        inline_all(step.any.proto)
    steps = {name: Prepared(model=step.any.proto, **facts) for name, step in fixed.steps.items()}
    return _Functions(source=source, prepared=steps, states=dict(fixed.states), fixed=fixed)


def _write(functions: _Functions, folder: Path, tell: Tell | None) -> Parity | None:
    """Written, compared, and its parity beside it."""
    core_ai_asset.write_core_ai(functions.prepared, functions.states, folder, str(functions.source))
    found = None if tell is None else _compared(functions, core_ai_asset.open_asset(folder, functions.prepared, functions.states), tell)
    core_ai_asset.describe(next(iter(functions.prepared.values())), folder, found, functions.facts())
    return found


def _compared(functions: _Functions, opened: Mapping[str, core_ai_asset.Checked], tell: Tell) -> Parity:
    if functions.fixed is not None:
        return step_parity(functions.source, functions.fixed, opened, tell)
    each = {}
    for name, prepared in functions.prepared.items():
        tell(f"comparing the function {name}")
        outputs = shapes_of(prepared.model)
        each[name] = parity(functions.source, opened[name], prepared.shapes, outputs, ONE_BY_ONE, tell)
    return joined(each)


def shapes_of(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Of its outputs."""
    return {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim) for value in model.graph.output}
