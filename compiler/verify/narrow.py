"""The untouched model as a device computes it that holds every number in fp16: each result and each weight rounded to it.

How far this is from the model itself says what an fp16 device may be off by without being wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..reference.open_untouched import light_copy

if TYPE_CHECKING:
    import onnx

FLOAT, FLOAT16 = 1, 10


def narrowed(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose fp32 tensors of the main graph pass through fp16 after the node that made them, graph inputs and weights included.
    Names stay, so that outputs can be compared. A tensor whose dtype cannot be inferred stays as it is."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    typed = onnx.shape_inference.infer_shapes(light_copy(model)[0], strict_mode=False).graph
    values = (*typed.input, *typed.value_info, *typed.output)
    floats = {value.name for value in values if value.type.tensor_type.elem_type == FLOAT}
    weights = {tensor.name for tensor in copy.graph.initializer if tensor.data_type == FLOAT}
    given = [value.name for value in copy.graph.input if value.name in floats and value.name not in weights]
    nodes = list(copy.graph.node)
    del copy.graph.node[:]
    renamed = {name: f"{name}/fp16" for name in (*given, *sorted(weights))}
    for name, rounded in renamed.items():
        copy.graph.node.extend(_round(name, rounded))
    for node in nodes:
        made = copy.graph.node.add()
        made.CopyFrom(node)
        for k, name in enumerate(made.input):
            made.input[k] = renamed.get(name, name)
        for k, name in enumerate(made.output):
            if name in floats:
                made.output[k] = f"{name}/exact"
                copy.graph.node.extend(_round(made.output[k], name))
    return copy


def _round(source: str, result: str) -> list[onnx.NodeProto]:
    import onnx

    halfway = f"{result}/half"
    down = onnx.helper.make_node("Cast", [source], [halfway], name=f"{result}/down", to=FLOAT16)
    return [down, onnx.helper.make_node("Cast", [halfway], [result], name=f"{result}/up", to=FLOAT)]
