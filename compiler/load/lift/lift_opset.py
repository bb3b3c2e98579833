"""Bring an older model to the opset that passes work on, without its local functions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ...errors import first_line
from ..structure import describe_node
from ..versions import DEFAULT_DOMAINS, opset_of
from .contrib_quantise import opset_needed, standardise
from .old_nodes import has_old_functions, hide_old_nodes, show_old_nodes
from .quantised_operators import write_in_pairs
from .runtime_operators import hide_runtime_operators, standardise_runtime_operators

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""From here on axes are inputs, shape inference knows every operator, and newer operators may stand beside older ones."""
IR_VERSION = 8
"""The IR version that opset 18 was released with."""


def modernise(model: onnx.ModelProto, opset: int = OPSET) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The model without local functions, at `opset` if it was older, meaning what it meant; with notes of what was done or could not be.
    com.microsoft's QuantizeLinear and DequantizeLinear are the standard's, at the opset that has them; operators with their quantisation in
    their name stand between those. What onnxruntime alone has in the standard's domain has the standard's names.

    Where onnx.version_converter fails or loses something, the model stays at its own opset.
    """
    hidden = hide_runtime_operators(model)
    made, notes = _in_standard_grids(model, opset)
    if hidden:
        notes = (*notes, *standardise_runtime_operators(made))
    note = write_in_pairs(made)
    return made, (*notes, note) if note else notes


def _in_standard_grids(model: onnx.ModelProto, opset: int) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    needed = opset_needed(model)
    made, notes = _modernised(model, max(opset, needed))
    if not needed:
        return made, notes
    if opset_of(made) < needed:
        return _modernised(model, opset)
    return made, (*notes, standardise(made))


def _modernised(model: onnx.ModelProto, opset: int) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    hidden = hide_old_nodes(model)
    flat, inlining = inline_functions(hidden)
    if flat.functions and hidden is not model:
        return _unlifted(model, opset)
    lifted, lifting = lift_opset(flat, opset)
    if hidden is model:
        return lifted, (*inlining, *lifting)
    if opset_of(lifted) < opset:
        return _unlifted(model, opset)
    show_old_nodes(lifted)
    return lifted, (*inlining, *lifting)


def inline_functions(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The model without model-local functions; with a note, unchanged, where onnx cannot inline them."""
    if not model.functions:
        return model, ()
    from onnx import inliner

    try:
        flat = inliner.inline_local_functions(model, convert_version=True)
    except Exception as problem:
        return model, (f"its {len(model.functions)} local functions were kept: {first_line(problem)}",)
    return flat, () if not flat.functions else (f"{len(flat.functions)} local functions could not be inlined",)


def lift_opset(model: onnx.ModelProto, opset: int = OPSET) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The model at `opset` if it was older; with a note, unchanged, where onnx.version_converter fails or loses something."""
    before = opset_of(model)
    if before >= opset:
        return model, ()
    from onnx import version_converter

    try:
        lifted = version_converter.convert_version(model, opset)
    except Exception as problem:
        return model, (f"opset {before} was kept: {first_line(problem)}",)
    lost = _lost(model, lifted)
    if lost:
        return model, (f"opset {before} was kept: onnx.version_converter loses {lost}",)
    _carry_over(model, lifted)
    return lifted, (f"lifted from opset {before} to {opset}",)


def _unlifted(model: onnx.ModelProto, opset: int) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The model at its own opset, functions inlined unless one of them is of an opset where its operators mean something else."""
    why = lift_opset(hide_old_nodes(model), opset)[1] or (f"opset {opset_of(model)} was kept",)
    if has_old_functions(model):
        return model, (*why, f"its {len(model.functions)} local functions were kept: they are written for an older opset")
    flat, inlining = inline_functions(model)
    return flat, (*inlining, *why)


def _lost(before: onnx.ModelProto, after: onnx.ModelProto) -> str:
    """What the converter dropped that it must not: an input, an output, a function or an operator of another domain."""
    for what in ("input", "output"):
        names = [[value.name for value in getattr(model.graph, what)] for model in (before, after)]
        if names[0] != names[1]:
            return f"a graph {what}"
    # Scan of opset 8 has a batch axis, which the converter takes off the graph's inputs too
    for old, new in zip(before.graph.input, after.graph.input, strict=True):
        if old.type != new.type:
            return f"the type of graph input '{old.name}'"
    if len(before.functions) != len(after.functions):
        return "local functions"
    foreign = [Counter(describe_node(node) for node in model.graph.node if node.domain not in DEFAULT_DOMAINS) for model in (before, after)]
    return (
        next((name for name in foreign[0] if foreign[0] != foreign[1]), "an operator of another domain") if foreign[0] != foreign[1] else ""
    )


def _carry_over(before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    after.ir_version = max(after.ir_version, before.ir_version, IR_VERSION)
    known = {entry.domain for entry in after.opset_import}
    after.opset_import.extend(entry for entry in before.opset_import if entry.domain not in known and entry.domain not in DEFAULT_DOMAINS)
