"""Dtype and shape of every tensor, as far as onnx can infer them, from inputs whose dims are bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def infer_types(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with value_info inferred afresh; what an exporter wrote is kept only where inference knows less.

    An exporter's own value_info may hold the sizes of its example input, so it must not take part in the inference.
    """
    from onnx import shape_inference

    stated = {value.name: value for value in model.graph.value_info}
    del model.graph.value_info[:]
    try:
        model = shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=True)
    except (shape_inference.InferenceError, RuntimeError, ValueError):
        # an operator that onnx does not know: what the exporter stated is all there is
        model.graph.value_info.extend(stated.values())
        return model
    known = {value.name for value in model.graph.value_info if value.type.tensor_type.elem_type or not value.type.HasField("tensor_type")}
    written = {name for node in model.graph.node for name in node.output}
    model.graph.value_info.extend(value for name, value in stated.items() if name in written and name not in known)
    return model


def untyped_tensors(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of tensors that nodes of the main graph write and whose dtype nobody knows."""
    typed = {value.name for value in (*model.graph.value_info, *model.graph.output) if value.type.WhichOneof("value")}
    return tuple(name for node in model.graph.node for name in node.output if name and name not in typed)
