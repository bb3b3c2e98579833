"""What onnx_graphsurgeon 0.6 drops, changes or stumbles over when it reads a model, refused by name before it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import onnx

from ..errors import ModelError
from .kept import told

NOT_READ = "onnx_graphsurgeon cannot hold it: edit the model with onnx itself"
KINDS = {
    onnx.AttributeProto.FLOAT,
    onnx.AttributeProto.INT,
    onnx.AttributeProto.STRING,
    onnx.AttributeProto.TENSOR,
    onnx.AttributeProto.GRAPH,
    onnx.AttributeProto.FLOATS,
    onnx.AttributeProto.INTS,
    onnx.AttributeProto.STRINGS,
}
"""Kinds of attributes that it reads; it leaves out the others with a warning."""
DTYPES = frozenset(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.UNDEFINED}


def refuse_losses(model: onnx.ModelProto) -> None:
    """Raises ModelError for the first thing in the model that a gs.Graph cannot carry and we do not keep aside."""
    if model.training_info:
        raise ModelError("the model holds training information (training_info)", help=NOT_READ)
    for function in model.functions:
        if function.overload:
            message = f"function {function.domain}::{function.name} has the overload '{function.overload}'"
            raise ModelError(message, help="onnx_graphsurgeon knows functions by domain and name only: inline them first")
        for node in function.node:
            _check_node(node, frozenset())
    _check_graph(model.graph, frozenset())


def _check_graph(graph: onnx.GraphProto, outer: frozenset[str]) -> None:
    """outer: names of tensors that the graph sees from outside."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        _check_type(value)
    for tensor in graph.initializer:
        _check_tensor(tensor, f"initializer '{tensor.name}'")
    for name in (*(tensor.name for tensor in graph.initializer), *(tensor.values.name for tensor in graph.sparse_initializer)):
        if name in outer:
            message = f"initializer '{name}' of the body '{graph.name}' has the name of a tensor outside"
            raise ModelError(message, help="onnx_graphsurgeon would read the outer one: give the inner one another name")
    names = outer.union(_defined(graph))
    for node in graph.node:
        _check_node(node, names)


def _check_node(node: onnx.NodeProto, outer: frozenset[str]) -> None:
    where = told(node.op_type, node.name, node.output)
    if node.overload:
        raise ModelError(f"{where} calls the overload '{node.overload}' of a function", help=NOT_READ)
    for attribute in node.attribute:
        if attribute.type not in KINDS:
            kind = onnx.AttributeProto.AttributeType.Name(attribute.type)
            raise ModelError(f"attribute '{attribute.name}' of {where} has type {kind}", help=NOT_READ)
        if not _is_text(attribute):
            raise ModelError(f"attribute '{attribute.name}' of {where} is not UTF-8 text", help=NOT_READ)
        if attribute.HasField("t"):
            _check_tensor(attribute.t, f"attribute '{attribute.name}' of {where}")
        if attribute.HasField("g"):
            _check_graph(attribute.g, outer)


def _check_type(value: onnx.ValueInfoProto) -> None:
    kind = value.type.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        raise ModelError(f"'{value.name}' has type {kind.removesuffix('_type')}; a gs.Graph holds tensors only", help=NOT_READ)


def _check_tensor(tensor: onnx.TensorProto, what: str) -> None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise ModelError(f"the values of {what} lie in another file", help="load them first: onnx.load(path) does")
    if tensor.data_type not in DTYPES:
        raise ModelError(f"{what} has the unknown dtype {tensor.data_type}", help=NOT_READ)


def _is_text(attribute: onnx.AttributeProto) -> bool:
    try:
        for text in chain([attribute.s], attribute.strings):
            text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _defined(graph: onnx.GraphProto) -> Iterator[str]:
    named: Iterable[str] = (item.name for part in (graph.input, graph.initializer) for item in part)
    yield from named
    for node in graph.node:
        yield from node.output
