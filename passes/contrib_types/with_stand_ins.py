"""Shape inference of a model with operators of com.microsoft: each is replaced by its stand-in while onnx infers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .stand_ins import FIRST_OPSET, STAND_INS, Scribe, whole

if TYPE_CHECKING:
    import onnx

DOMAIN = "com.microsoft"


def with_stand_ins(model: onnx.ModelProto, infer: Callable[[onnx.ModelProto], onnx.ModelProto]) -> onnx.ModelProto:
    """What `infer` makes of the model, the nodes of its main graph as they were. Takes over `model`; if `infer` raises it is whole."""
    nodes = list(model.graph.node)
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < FIRST_OPSET or not any(node.domain == DOMAIN and node.op_type in STAND_INS for node in nodes):
        return infer(model)
    count, own = len(model.graph.input), _names(model)
    written, inputs = _stand_ins(model, nodes)
    nodes = [type(node).FromString(node.SerializeToString()) for node in nodes]
    _set_nodes(model, written)
    model.graph.input.extend(inputs)
    result = model
    try:
        result = infer(model)
    finally:
        for whole in (model, result):
            _set_nodes(whole, nodes)
            del whole.graph.input[count:]
    found = [value for value in result.graph.value_info if value.name in own]
    del result.graph.value_info[:]
    result.graph.value_info.extend(found)
    return result


def _names(model: onnx.ModelProto) -> set[str]:
    return {name for node in model.graph.node for name in node.output} | {value.name for value in model.graph.input}


def _set_nodes(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _stand_ins(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> tuple[list[onnx.NodeProto], list[onnx.ValueInfoProto]]:
    """The nodes with stand-ins in place, and what these read from nowhere."""
    from onnx import helper

    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in model.graph.input if value.type.tensor_type.HasField("shape")}
    ranks |= {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    known = {value.name: kind for value in model.graph.input if (kind := whole(value.type)) is not None}
    known |= {tensor.name: (tensor.data_type, tuple(tensor.dims)) for tensor in model.graph.initializer}
    written: list[onnx.NodeProto] = []
    inputs: list[onnx.ValueInfoProto] = []
    for number, node in enumerate(nodes):
        writer = STAND_INS.get(node.op_type) if node.domain == DOMAIN else None
        if writer is None:
            written.append(type(node).FromString(node.SerializeToString()))
            continue
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        scribe = Scribe(node, attributes, ranks, known, f"\0{number}")
        writer(scribe)
        written += scribe.written
        inputs += scribe.inputs
    return written, inputs
