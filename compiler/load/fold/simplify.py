"""Fold shape arithmetic with onnxsim, without its graph optimizations, and keep everything that is the model's own."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ...activity import doing
from ...devices.interruption import halting, run_options
from ...devices.silence import silenced
from ...errors import first_line
from ..infer_shapes import hide_long, show_long
from ..infer_types import infer_types
from ..known.complete_types import fold_known
from .aliases import alias_constants
from .constant_nodes import FOLD_LIMIT, keep_large, may_fold, show_kept
from .plain_casts import cast_plainly
from .plain_splits import split_plainly
from .scalar_range import make_scalars
from .take_branches import take_branches

if TYPE_CHECKING:
    import onnx

ROUNDS = 3
"""Folding shape arithmetic reveals the sizes of other results; no real model needs more rounds than this."""


def fold_shapes(model: onnx.ModelProto, hidden: Collection[str] = ()) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The simplified model, every tensor typed as far as can be; with a note where onnxsim fails or makes it worse.

    Names of graph inputs and outputs stay. hidden: graph inputs that stand for weights. Takes over `model`.
    """
    take_branches(model)
    alias_constants(model, hidden)
    model = infer_types(model)
    cast_plainly(model)
    model = _fold_known(infer_types(model) if split_plainly(model) else model)
    waiting = -1
    for _ in range(ROUNDS if may_fold(model) else 0):
        before, waiting = waiting, keep_large(model)
        if waiting == before:
            break
        simple, problem = _run_onnxsim(model)
        if simple is None:
            show_kept(model)
            return model, (f"not simplified: {problem}",)
        show_kept(simple)
        taken = take_branches(simple)
        alias_constants(simple, hidden)
        model = _fold_known(infer_types(simple))
        if taken:
            waiting = -1  # what was in a branch may be constant now
        elif waiting == 0:
            break
    show_kept(model)
    return (infer_types(model) if make_scalars(model) else model), ()


def _fold_known(model: onnx.ModelProto) -> onnx.ModelProto:
    """What onnxsim may refuse as a whole: known shapes, indices and conditions become constants, and a branch that is known is taken."""
    while fold_known(model) and take_branches(model):
        model = infer_types(model)
    return model


def _run_onnxsim(model: onnx.ModelProto) -> tuple[onnx.ModelProto | None, str]:
    from .onnxsim_core import simplify_bytes

    try:
        # no graph optimizations: they break patterns that rules recover, and an If of silero-vad
        hide_long(model)  # it follows the values of vectors, as onnx's shape inference does
        with silenced(2):  # it names every operator that it cannot fold; such an operator simply stays
            with doing("folding the constants of the model", halt=halting(run_options())):
                data = simplify_bytes(model.SerializeToString(), FOLD_LIMIT)
        simple = type(model).FromString(data)
        show_long(simple)
    except Exception as problem:
        return None, first_line(problem)
    finally:
        show_long(model)
    changed = _changed(model, simple)
    return (None, changed) if changed else (simple, "")


def keep_metadata(original: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Metadata, producer and doc strings of `original`, in place of what tools wrote; node doc strings by first output."""
    for name in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
        setattr(model, name, getattr(original, name))
    for before, after in ((original, model), (original.graph, model.graph)):
        del after.metadata_props[:]
        after.metadata_props.extend(before.metadata_props)
    model.graph.name, model.graph.doc_string = original.graph.name, original.graph.doc_string
    documented = {node.output[0]: node for node in original.graph.node if node.output and (node.doc_string or node.metadata_props)}
    for node in model.graph.node if documented else ():
        source = documented.get(node.output[0]) if node.output else None
        if source is not None and source.op_type == node.op_type:
            node.doc_string = source.doc_string
            del node.metadata_props[:]
            node.metadata_props.extend(source.metadata_props)


def _changed(before: onnx.ModelProto, after: onnx.ModelProto) -> str:
    for what in ("input", "output"):
        names = [[value.name for value in getattr(model.graph, what)] for model in (before, after)]
        if names[0] != names[1]:
            return f"onnxsim changed the graph {what}s"
    if len(after.graph.node) > len(before.graph.node):
        return f"onnxsim turned {len(before.graph.node)} nodes into {len(after.graph.node)}"
    return ""
