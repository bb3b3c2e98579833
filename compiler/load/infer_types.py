"""Dtype and shape of every tensor, as far as onnx can infer them, from inputs whose dims are bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...passes.contrib_types.with_stand_ins import with_stand_ins
from ..activity import doing
from .infer_shapes import infer_shapes
from .known.complete_types import complete_types
from .plain_windows import spell_windows_plainly

if TYPE_CHECKING:
    import onnx

ROUNDS = 8
"""Windows behind windows: each round knows the sizes of the next ones."""


def infer_types(model: onnx.ModelProto) -> onnx.ModelProto:
    """`infer_once`, with sizes that onnx infers wrongly put right (plain_windows.py). Takes over `model`."""
    model = infer_once(model)
    for _ in range(ROUNDS):
        if not spell_windows_plainly(model):
            break
        model = infer_once(model)
    return model


def infer_once(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with value_info and the shapes of outputs inferred afresh; what an exporter wrote is kept where inference knows less.

    What an exporter wrote may hold the sizes of its example input, so it must not take part in the inference.
    """
    from onnx import shape_inference

    stated = {value.name: value for value in model.graph.value_info}
    shapes = stated_outputs(model)
    del model.graph.value_info[:]
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    try:
        with doing("inferring the shapes of the model"):
            model = with_stand_ins(model, infer_shapes)
        afresh = False
    except (shape_inference.InferenceError, RuntimeError, ValueError):
        afresh = True  # one node that onnx refuses; the others are asked one by one
    complete_types(model, afresh)
    _restore(shapes, model)
    known = {value.name for value in model.graph.value_info if value.type.tensor_type.elem_type or not value.type.HasField("tensor_type")}
    written = {name for node in model.graph.node for name in node.output}
    model.graph.value_info.extend(value for name, value in stated.items() if name in written and name not in known)
    return model


def stated_outputs(model: onnx.ModelProto) -> dict[str, onnx.TensorShapeProto]:
    """The shapes that the model gives its outputs."""
    from onnx import TensorShapeProto

    shapes = {}
    for value in model.graph.output:
        if value.type.tensor_type.HasField("shape"):
            shapes[value.name] = TensorShapeProto.FromString(value.type.tensor_type.shape.SerializeToString())
    return shapes


def corrections(stated: Mapping[str, onnx.TensorShapeProto], model: onnx.ModelProto) -> tuple[str, ...]:
    """A note for every output whose shape is another one than the model stated."""
    notes = []
    for value in model.graph.output:
        before, after = _sizes(stated.get(value.name)), _sizes(value.type.tensor_type.shape)
        if value.name in stated and (len(before) != len(after) or any(a != b for a, b in zip(before, after, strict=True) if a and b)):
            notes.append(f"output '{value.name}' has the shape {after}, not {before} as the model says")
    return tuple(notes)


def _restore(shapes: Mapping[str, onnx.TensorShapeProto], model: onnx.ModelProto) -> None:
    """Gives outputs the stated shape, and dims the stated size, where inference found none."""
    for value in model.graph.output:
        stated, found = shapes.get(value.name), value.type.tensor_type
        if stated is None:
            continue
        if not found.HasField("shape"):
            found.shape.CopyFrom(stated)
        elif len(found.shape.dim) == len(stated.dim):
            for dim, before in zip(found.shape.dim, stated.dim, strict=True):
                if not dim.HasField("dim_value"):
                    dim.CopyFrom(before)


def _sizes(shape: onnx.TensorShapeProto | None) -> list[int | None]:
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in shape.dim] if shape is not None else []
