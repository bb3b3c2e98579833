"""Small models out of a segment: one operator of it, or its first operators, with the values that reach them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..devices.cpu_session import open_session
from ..devices.interruption import run_options

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]


def all_values(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Every tensor of the main graph that is an array, on onnxruntime's CPU without its optimisations; inputs included."""
    exposed = type(model)()
    exposed.CopyFrom(model)
    known = {value.name for value in exposed.graph.output}
    made = dict.fromkeys(name for node in exposed.graph.node for name in node.output if name)
    exposed.graph.output.extend(type(exposed.graph.output[0])(name=name) for name in made if name not in known)
    found = run_on_cpu(exposed, inputs)
    return {**inputs, **{name: value for name, value in found.items() if hasattr(value, "shape")}}


def run_on_cpu(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Any]:
    """The outputs by name, of a model with inline weights, without optimisations."""
    session = open_session(model.SerializeToString(), optimise=False)
    names = [value.name for value in session.get_outputs()]
    wanted = {value.name for value in session.get_inputs()}
    return dict(zip(names, session.run(names, {k: v for k, v in inputs.items() if k in wanted}, run_options()), strict=True))


def only(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto], values: Mapping[str, Array]) -> onnx.ModelProto:
    """The model of these nodes of `model`, in order: what they read from elsewhere are inputs (weights stay weights), what the rest of
    the model or nobody reads are outputs. Shapes and dtypes are those of `values`; KeyError for a tensor that has none there."""
    import onnx

    chosen = list(nodes)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    made = {name for node in chosen for name in node.output if name}
    read = [name for node in chosen for name in (*node.input, *captured(node)) if name and name not in made]
    outside = {id(node) for node in chosen}
    rest = {name for node in model.graph.node if id(node) not in outside for name in (*node.input, *captured(node))}
    rest |= {value.name for value in model.graph.output}
    inner = {name for node in chosen for name in (*node.input, *captured(node))}
    outputs = [name for node in chosen for name in node.output if name and (name in rest or name not in inner)]

    def info(name: str) -> onnx.ValueInfoProto:
        value = values[name]
        return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)

    small = onnx.ModelProto(ir_version=model.ir_version, producer_name=model.producer_name)
    small.opset_import.extend(model.opset_import)
    small.functions.extend(model.functions)
    small.graph.name = "part"
    small.graph.node.extend(chosen)
    for name in dict.fromkeys(read):
        if name in weights:
            small.graph.initializer.append(weights[name])
        else:
            small.graph.input.append(info(name))
    small.graph.output.extend(info(name) for name in dict.fromkeys(outputs))
    return small


def captured(node: onnx.NodeProto) -> list[str]:
    """Names that the bodies of a node read; their own are among them, which only matters where an outer tensor has the same."""
    bodies = [body for attribute in node.attribute for body in (attribute.g, *attribute.graphs) if body.node]
    return [name for body in bodies for inner in body.node for name in (*inner.input, *captured(inner))]


def signature(node: onnx.NodeProto, values: Mapping[str, Array], weights: Mapping[str, onnx.TensorProto]) -> str:
    """Equal for nodes that a compiler cannot tell apart but by their weights' numbers."""
    operands = []
    for name in node.input:
        tensor, value = weights.get(name), values.get(name)
        shape = tuple(tensor.dims) if tensor is not None else None if value is None else value.shape
        operands.append(f"{'const' if tensor is not None else 'input' if name else 'none'}{shape}")
    attributes = sorted(str(attribute.SerializeToString(deterministic=True)) for attribute in node.attribute)
    return f"{node.domain}::{node.op_type}{operands}{attributes}"
