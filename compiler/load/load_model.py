"""From an ONNX model as it is given to a model that passes can work on: checked, dims bound, lifted, simplified, every tensor typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...passes.mapped.mapped_tensor import states_in
from ..kept_places import NOTHING_KEPT, KeptPlaces
from ..quantities import count
from .bind_shapes import Shapes, bind_shapes, real_inputs, unbound_dims
from .checked_copy import checked_copy, type_outputs
from .fold.fold_constants import fold_constants
from .fold.hoist_weights import hoist_weights
from .fold.lift_constants import constants_to_initializers, copy_constant_outputs
from .fold.simplify import keep_metadata
from .function_size import check_functions
from .hide_weights import SMALL, hide_weights
from .infer_types import corrections, stated_outputs
from .lift.lift_opset import modernise
from .metadata import metadata_of
from .node_names import name_nodes_apart
from .operands import check_operands
from .read_model import read_model
from .runtime_faults import check_runtime_faults
from .source import Source, State, states_of
from .structure import check_structure, run_checker
from .versions import check_versions, opset_of
from .weights import check_weights, hash_model, load_external

if TYPE_CHECKING:
    import onnx

NAMED = 8
"""How many inputs with default values a note names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model ready for passes, and what is known of its file."""

    source: Source
    """The untouched model, for reference runs."""
    proto: onnx.ModelProto
    """Ready for passes. Whoever edits it owns it: load again for another copy."""
    sha256: str
    """Of the file and its external data, or of the file that a model in memory would be."""
    unbound: tuple[str, ...]
    """Dims of graph inputs without a size: "batch", or "input x dim 0" for one without a name."""
    opset: int
    """Of `proto`; the file's own may be older."""
    source_opset: int
    defaults: tuple[str, ...] = ()
    """Graph inputs with default values, which became constants."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The model's own, by key (metadata.py)."""
    kept: KeptPlaces = NOTHING_KEPT
    """What lies at the start of the arena from run to run."""
    files: Mapping[Path, State] = field(default_factory=dict)
    """Where weights may lie that `proto` only names, and what they were like when it was read."""
    notes: tuple[str, ...]
    """What was done, or could not be done, that a user may want to know."""


def load_model(source: Source, shapes: Shapes | None = None) -> LoadedModel:
    """Reads, checks and prepares a model; `shapes` gives dynamic dims a size, by the dim's name or by the input's.

    Raises ModelError for a model that is damaged or not supported, UsageError for a wrong path or shape. Dims may stay unbound.
    """
    files = states_of([source]) if isinstance(source, Path) else states_in(source.proto.graph.initializer)
    model, data = read_model(source)
    where = str(source)
    check_versions(model, where)
    notes = ["its nodes were not in topological order: sorted"] if check_structure(model, where) else []
    check_functions(model, where)
    check_operands(model, where)
    if renamed := name_nodes_apart(model.graph):
        notes.append(f"{renamed} nodes had the name of another one: numbered")
    external = check_weights(model, source)
    sha256 = hash_model(data, external)
    del data
    if external:
        files = {**files, **states_of({place.file for place in external})}
        load_external(model, source)
    source_opset = opset_of(model)
    metadata, dropped = metadata_of(model)
    defaults = default_inputs(model)
    bind_shapes(model, shapes or {})
    unbound = unbound_dims(model)
    proto, more = _prepare(model, where)
    check_runtime_faults(proto, where)
    return LoadedModel(
        source=source,
        proto=proto,
        sha256=sha256,
        unbound=unbound,
        opset=opset_of(proto),
        source_opset=source_opset,
        defaults=defaults,
        metadata=metadata,
        files=files,
        notes=(*notes, *dropped, *more),
    )


def _prepare(source: onnx.ModelProto, where: str) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """Check, flatten, lift, simplify and type: on the graph without its large weights. Takes over `source`."""
    defaults = _drop_defaults(source)
    constants_to_initializers(source.graph)
    hoist_weights(source.graph, SMALL)
    hidden = hide_weights(source)
    type_outputs(source, where)
    run_checker(checked_copy(source), where)
    model, lifting = modernise(source)
    stated = stated_outputs(model)
    model, simplifying = fold_constants(model, hidden)
    corrected = corrections(stated, model)
    keep_metadata(source, model)
    copy_constant_outputs(model.graph)
    return model, (*defaults, *lifting, *simplifying, *corrected)


def _drop_defaults(model: onnx.ModelProto) -> tuple[str, ...]:
    """An input with an initializer is a weight that a caller might replace (and, before IR 4, every weight): taken as a constant."""
    inputs, named = real_inputs(model.graph), default_inputs(model)
    if len(inputs) < len(model.graph.input):
        del model.graph.input[:]
        model.graph.input.extend(inputs)
        model.ir_version = max(model.ir_version, 4)
    if not named:
        return ()
    shown = ", ".join(f"'{name}'" for name in named[:NAMED]) + (f" and {len(named) - NAMED} more" if len(named) > NAMED else "")
    return (f"{count(len(named), 'graph input')} with a default value, taken as constants: {shown}",)


def default_inputs(model: onnx.ModelProto) -> tuple[str, ...]:
    """Graph inputs that have an initializer, for which a caller of the model may give another value; none before IR version 4, where
    every weight is such an input."""
    if model.ir_version < 4:
        return ()
    real = {value.name for value in real_inputs(model.graph)}
    return tuple(value.name for value in model.graph.input if value.name not in real)
